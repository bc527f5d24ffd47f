"""What an operator is handed beside its record: random numbers of its own, the source, a fitted state, the models."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import TYPE_CHECKING, Any, Protocol

from leaven.expressions import Row
from leaven.records import Record, random_key

if TYPE_CHECKING:
    import numpy as np
    import pyarrow as pa

BLOCK = 65_536


class Models(Protocol):
    """The roles that operators call."""

    def embed(self, texts: Sequence[str]) -> np.ndarray:
        """Texts to unit vectors, n x d; a text without a known token is a zero vector."""


class Rows:
    """A set as columns: what a fit and a draw read.  Rows stand in the order of their ids' places."""

    def __init__(self, table: pa.Table) -> None:
        self.table = table

    def __len__(self) -> int:
        return int(self.table.num_rows)

    def __contains__(self, name: str) -> bool:
        return name in self.table.column_names

    def column(self, name: str) -> list[Any]:
        found: list[Any] = self.table.column(name).to_pylist()
        return found

    @property
    def ids(self) -> list[str]:
        return self.column("_id")

    @property
    def roots(self) -> list[str]:
        """The id of the real row at the start of each row's line."""
        return self.column("_root") if "_root" in self else self.ids

    def blocks(self) -> Iterator[Rows]:
        """The same rows, some thousands at a time."""
        for begin in range(0, len(self), BLOCK):
            yield Rows(self.table.slice(begin, BLOCK))

    def texts(self, fields: Sequence[str]) -> list[str]:
        """One text a row: the fields joined by line ends."""
        columns = [self.column(name) for name in fields]
        if len(columns) == 1:
            return [value or "" for value in columns[0]]
        return ["\n".join(str(v or "") for v in row) for row in zip(*columns, strict=True)]


class Context:
    """One step's view of the run.  ``of(record)`` turns it to a record; draws depend on nothing else."""

    def __init__(
        self,
        *,
        seed: int = 0,
        step: str = "",
        round_number: int = 0,
        models: Models | None = None,
        state: Mapping[str, Any] | None = None,
        constants: Mapping[str, Any] | None = None,
        lineage: tuple[frozenset[str], frozenset[str]] = (frozenset(), frozenset()),
        columns: Iterable[str] = (),
    ) -> None:
        self.seed = seed
        self.step = step
        self.round_number = round_number
        self.state: Mapping[str, Any] = state or {}
        self.constants = {**(constants or {}), "round_number": round_number}
        self.lineage = lineage
        self._standing: dict[str, Any] = dict.fromkeys(columns)
        self._models = models
        self._record = ""
        self._generator: np.random.Generator | None = None
        self._keyed: tuple[str, int] | None = None

    @property
    def labels(self) -> Mapping[str, str]:
        """The labels of the source, in order, and what each means."""
        found: Mapping[str, str] = self.constants.get("labels", {})
        return found

    def of(self, record: Record) -> Context:
        self._record = record.id
        return self

    @property
    def rng(self) -> np.random.Generator:
        """Random numbers keyed by (seed, step, round, record): the same on every worker and in every order."""
        return self.rng_of(0)

    def rng_of(self, ordinal: int) -> np.random.Generator:
        """The random numbers of the record's n-th child: one more child leaves the others as they are."""
        import numpy as np

        if self._generator is None:
            self._generator = np.random.Generator(np.random.Philox(key=0))
        if self._keyed != (self._record, ordinal):
            key = random_key(self.seed, self.step, self.round_number, self._record, ordinal)
            # Re-keying one generator costs 2 us, a new one 10: and the streams are the same.
            self._generator.bit_generator.state = {
                "bit_generator": "Philox",
                "state": {"counter": np.zeros(4, np.uint64), "key": np.frombuffer(key, np.uint64)},
                "buffer": np.zeros(4, np.uint64),
                "buffer_pos": 4,
                "has_uint32": 0,
                "uinteger": 0,
            }
            self._keyed = (self._record, ordinal)
        return self._generator

    def embed(self, texts: Sequence[str]) -> np.ndarray:
        assert self._models is not None, "the engine hands models to every step"
        return self._models.embed(texts)

    def values(self, record: Record) -> dict[str, Any]:
        """What expressions see of a record: its columns, the constants, and its parent's and root's fields.

        A column that stands in the recipe but not in this record (another branch wrote it) is None.
        """
        values = {**self._standing, **record.fields, "record": Row(record.fields), **self.constants}
        for line, names in zip(("parent", "root"), self.lineage, strict=True):
            if names:
                values[line] = Row({n: record.fields.get(f"{line}.{n}", record.fields.get(n)) for n in names})
        return values
