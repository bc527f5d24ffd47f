"""The user's rows, read and checked."""

from __future__ import annotations

import os
import shutil
import tempfile
import weakref
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any

from leaven.api.html import card
from leaven.api.rows import Rows
from leaven.errors import DataError
from leaven.io.table import Held
from leaven.terminal import WIDTH, cut, shown
from leaven.terminal import rows as counted

if TYPE_CHECKING:
    from leaven.api.pipeline import Pipeline
    from leaven.api.run import Run
    from leaven.io.dataset import Dataset

BAR = 24


@dataclass(frozen=True)
class Given:
    """What the user said about the data; a run reads it again by the same words."""

    data: str
    named: Mapping[str, str] = field(default_factory=dict)
    fields: Mapping[str, str] = field(default_factory=dict)
    test: str | None = None
    dev: str | None = None
    unlabelled: str | None = None
    labels: str | None = None
    candidates: str | None = None
    seed: int = 0


class Data:
    """Rows that were read, in the sets that they belong to.  ``data | operator`` makes a recipe on it.

    ``len(data)``, ``data[i]`` and a loop give the source rows, ``data.test`` the rows set aside for measuring.
    """

    def __init__(self, given: Given) -> None:
        from leaven.io import dataset as datasets

        self.given = given
        folder = Path(tempfile.mkdtemp(prefix="leaven-"))
        self._gone = weakref.finalize(self, shutil.rmtree, folder, ignore_errors=True)
        self.dataset: Dataset = datasets.read(
            given.data,
            folder / "input",
            fields=given.fields,
            named=given.named,
            unlabelled=given.unlabelled,
            test=given.test,
            dev=given.dev,
            labels=given.labels,
            seed=given.seed,
        )

    @property
    def name(self) -> str:
        """The file's name, or the kind of the object that held the rows."""
        return self.dataset.name.partition(", ")[0] if isinstance(self.given.data, Held) else self.dataset.name

    @property
    def shared(self) -> bool:
        """True where the test rows are a share of the data, which the seed decided."""
        try:
            return 0 < float(self.given.test or "") < 1
        except ValueError:
            return False

    @property
    def labels(self) -> dict[str, int]:
        """The rows of each label in the source."""
        return dict(self.dataset.labels)

    @property
    def warnings(self) -> list[str]:
        """What looked odd while the rows were read."""
        return list(self.dataset.warnings)

    @cached_property
    def source(self) -> Rows:
        """The labelled rows, in the order of the file."""
        return self._rows("source")

    @cached_property
    def test(self) -> Rows:
        """The rows never trained on."""
        return self._rows("test")

    @cached_property
    def dev(self) -> Rows:
        """The rows that steps may look at to decide when to stop."""
        return self._rows("dev")

    @cached_property
    def pool(self) -> Rows:
        """The rows without a label."""
        return self._rows("pool")

    def _rows(self, name: str) -> Rows:
        """A set in the user's own columns, in the order of its file."""
        import pyarrow as pa

        if not self.dataset.counts.get(name):
            return Rows.of_table(name.capitalize(), pa.table({}))
        table = self.dataset.table(name).sort_by("_order")
        column = {c: n for n, c in self.dataset.columns.items()}
        shown_ones = {c: table.column(column[c]) for c in self.dataset.order if column.get(c) in table.column_names}
        return Rows.of_table(name.capitalize(), pa.table({"_id": table.column("_id"), **shown_ones}))

    def __len__(self) -> int:
        return self.dataset.counts["source"]

    def __iter__(self) -> Iterator[dict[str, Any]]:
        return iter(self.source)

    def __getitem__(self, index: int) -> dict[str, Any]:
        return self.source[index]

    def __or__(self, step: Any) -> Pipeline:
        from leaven.api.pipeline import Pipeline

        begun = Pipeline(self)
        return begun.joined(step) if isinstance(step, Pipeline) else begun.then(step)

    def then(self, step: Any, *, name: str | None = None, when: str | None = None) -> Pipeline:
        """A recipe on this data that begins with a step; see ``Pipeline.then``."""
        from leaven.api.pipeline import Pipeline

        return Pipeline(self).then(step, name=name, when=when)

    def run(self, out: str | os.PathLike[str], **options: Any) -> Run:
        """Run the recipe that leaven chooses for such data; see ``Pipeline.run``."""
        from leaven.api.pipeline import Pipeline

        return Pipeline(self).run(out, **options)

    def __repr__(self) -> str:
        counts = self.dataset.counts
        others = "".join(f" + {counts[n]:,} {n}" for n in ("test", "dev", "pool", "given") if counts.get(n))
        return cut(f"Dataset {shown(self.name)}: {counted(len(self))}{others}; {self._columns()}", WIDTH)

    def _columns(self) -> str:
        said = []
        for name, kind in self.dataset.types.items():
            if kind == "value":
                continue
            sizes = sorted(self.dataset.labels.values()) if name == self.dataset.main("label") else []
            each = f"{sizes[0]:,} to {counted(sizes[-1])}" if sizes and sizes[0] < sizes[-1] else ""
            each = each or (f"{counted(sizes[0])} each" if sizes else "")
            said.append(
                f"{name}={shown(self.dataset.columns[name])}" + (f" ({len(sizes)} labels, {each})" if sizes else "")
            )
        return ", ".join(said)

    def _repr_html_(self) -> str:
        first = self.source.glance()
        heads = [name for name in first[0] if name != "_id"]
        field_of = {c: n for n, c in self.dataset.columns.items()}
        kinds = [self.dataset.types[field_of[head]] for head in heads]
        rows = [kinds, *([row[head] for head in heads] for row in first)]
        return card(repr(self), heads, rows, self._label_bars())

    def _label_bars(self) -> str:
        from leaven.api.html import table

        most = max(self.dataset.labels.values(), default=1)
        bars = [(name, n, "|" * max(1, round(BAR * n / most))) for name, n in self.dataset.labels.items()]
        cut_off = f"<p>and {len(bars) - 20} more labels</p>" if len(bars) > 20 else ""
        return table(["label", "rows", ""], bars[:20]) + cut_off


def read(
    data: Any,
    *,
    text: str | None = None,
    label: str | None = None,
    test: Any = None,
    dev: Any = None,
    unlabelled: Any = None,
    given: Any = None,
    labels: str | os.PathLike[str] | None = None,
    fields: Mapping[str, str] | Sequence[str] | None = None,
    seed: int = 0,
    **columns: str,
) -> Data:
    """Read rows: a file, a folder or a hub id, a DataFrame, a list of dicts, a Dataset or DatasetDict, an Arrow table.

    ``text`` and ``label`` name columns; without them they are guessed, and the object shows how.  Other fields of a
    recipe are named the same way (``premise="sentence1"``), and ``fields`` says which there are and of what type
    (``{"premise": "text", "hypothesis": "text", "label": "label"}``) where they are not a text and a label.
    ``test`` is a share (0.3, decided by ``seed``) or rows; ``dev``, ``unlabelled`` and ``given`` (candidates made
    elsewhere) are rows.  ``labels`` is a file that says what each label means.

    Raises DataError for what cannot be used.
    """
    named = {name: column for name, column in {"text": text, "label": label, **columns}.items() if column is not None}
    said = Given(
        data=held(data),
        named=named,
        fields=typed(fields),
        test=str(test) if isinstance(test, float) else optional(test),
        dev=optional(dev),
        unlabelled=optional(unlabelled),
        labels=None if labels is None else os.fspath(labels),
        candidates=optional(given),
        seed=seed,
    )
    return Data(said)


def held(data: Any) -> str:
    """A name to read rows by: that of a file, or of the object that holds them."""
    from leaven.io.tables import open_table

    if isinstance(data, Data):
        data = data.source
    return os.fspath(data) if isinstance(data, str | os.PathLike) else Held(open_table(data))


def optional(data: Any) -> str | None:
    return None if data is None else held(data)


def typed(fields: Mapping[str, str] | Sequence[str] | None) -> dict[str, str]:
    """``fields`` of a recipe: names with their types; a list of names that are types."""
    from leaven.fields import TYPES, VALUE

    if fields is None:
        return {}
    found = dict(fields) if isinstance(fields, Mapping) else {name: name if name in TYPES else VALUE for name in fields}
    for name, kind in found.items():
        if kind not in {*TYPES, VALUE}:
            raise DataError(f"fields: `{name}: {kind}` names no type of field.", f"{name}: text")
    return found
