"""Rows to look at: they are read when asked for, and a glance reads five."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from functools import cached_property
from importlib.util import find_spec
from itertools import islice
from pathlib import Path
from typing import TYPE_CHECKING, Any, overload

from leaven.api.html import card, value_text
from leaven.errors import MissingExtra
from leaven.storage import arrow_of, to_values
from leaven.terminal import WIDTH, cut, shown
from leaven.terminal import rows as counted

if TYPE_CHECKING:
    import pyarrow as pa

GLANCE = 5
LABELS = ("_reason", "_step", "_error")
"""Of our own columns those that people look for first."""


class Rows(Sequence[dict[str, Any]]):
    """Rows of a run or of the data, each a dict in the user's own columns and ours (``_id``, ``_parents``, ...).

    Images and sounds are ``Image`` and ``Audio``; in ``table`` and ``to_pandas()`` they stand as ``datasets`` writes
    them, bytes and path.
    """

    def __init__(self, what: str, batches: Callable[[], Iterable[pa.RecordBatch]], count: Callable[[], int]) -> None:
        self.what = what
        self._batches = batches
        self._count = count

    @classmethod
    def of_table(cls, what: str, table: pa.Table) -> Rows:
        return cls(what, table.to_batches, lambda: len(table))

    @classmethod
    def of_parquet(cls, what: str, folder: Path, *, made: bool | None = None) -> Rows:
        """The rows of a folder of Parquet files: all, or those whose ``_synthetic`` is ``made``."""
        import pyarrow as pa
        import pyarrow.parquet as pq

        paths = sorted(folder.glob("*.parquet"))

        def picked(batch: pa.RecordBatch) -> pa.RecordBatch:
            if made is None:
                return batch
            synthetic = batch.column("_synthetic").to_numpy(zero_copy_only=False)
            return batch.filter(pa.array(synthetic == made))

        def batches(columns: list[str] | None = None) -> Iterator[pa.RecordBatch]:
            for path in paths:
                with pq.ParquetFile(path, pre_buffer=False) as file:
                    yield from map(picked, file.iter_batches(columns=columns))

        def count() -> int:
            if made is None:
                return sum(int(pq.read_metadata(path).num_rows) for path in paths)
            return sum(map(len, batches(["_synthetic"])))

        return cls(what, batches, count)

    @cached_property
    def table(self) -> pa.Table:
        """All rows as an Arrow table."""
        import pyarrow as pa

        batches = list(self._batches())
        return pa.Table.from_batches(batches) if batches else pa.table({})

    @cached_property
    def _length(self) -> int:
        return self._count()

    def __len__(self) -> int:
        return self._length

    def __iter__(self) -> Iterator[dict[str, Any]]:
        for batch in self._batches():
            yield from _dicts(batch)

    @overload
    def __getitem__(self, index: int) -> dict[str, Any]: ...

    @overload
    def __getitem__(self, index: slice) -> list[dict[str, Any]]: ...

    def __getitem__(self, index: int | slice) -> dict[str, Any] | list[dict[str, Any]]:
        if isinstance(index, slice):
            return [self[i] for i in range(*index.indices(len(self)))]
        if not -len(self) <= index < len(self):
            raise IndexError(f"row {index} of {counted(len(self))}")
        return _dicts(self.table.slice(index % len(self), 1))[0]

    def __arrow_c_stream__(self, requested_schema: object = None) -> object:
        return self.table.__arrow_c_stream__(requested_schema)

    def to_pandas(self) -> Any:
        """A pandas DataFrame of all rows."""
        if find_spec("pandas") is None:
            raise MissingExtra("a DataFrame needs the package pandas.", "pip install pandas")
        return self.table.to_pandas()

    def glance(self) -> list[dict[str, Any]]:
        """The first five."""
        return list(islice(self, GLANCE))

    def __repr__(self) -> str:
        lines = [f"{self.what}: {counted(len(self))}"]
        for row in self.glance():
            said = [value_text(v) for k, v in row.items() if not k.startswith("_")]
            first = [value_text(row[k]) for k in LABELS if row.get(k)]
            head = str(row.get("_id") or "")[:6]
            lines.append(cut("  " + "  ".join(shown(text) for text in [head, *first, *said] if text), WIDTH))
        return "\n".join(lines)

    def _repr_html_(self) -> str:
        found = self.glance()
        heads = [name for name in (found[0] if found else {}) if not name.startswith("_") or name in LABELS]
        return card(f"{self.what}: {counted(len(self))}", heads, [[row[h] for h in heads] for row in found])


def _dicts(rows: pa.RecordBatch | pa.Table) -> list[dict[str, Any]]:
    """Rows as dicts, images and sounds as what operators work on."""
    from leaven.io.media_columns import kinds_of, media_of_value

    found: list[dict[str, Any]] = rows.to_pylist()
    noted = kinds_of(rows.schema)
    for name in (field.name for field in rows.schema if field.type == arrow_of("image")):
        for row in found:
            kind = noted.get(name) or media_of_value(row[name])
            row[name] = to_values(kind, [row[name]])[0]
    return found
