"""The rows of a measurement: real, made and test, as texts and label numbers, with what must not meet left out."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

from leaven.engine.folder import Folder
from leaven.engine.local import Engine
from leaven.engine.stage import GOES_ON
from leaven.errors import DataError, listed
from leaven.io.columns import map_columns
from leaven.io.dataset import Dataset
from leaven.io.tables import open_table
from leaven.keep.near import TextIndex
from leaven.measure.bench import NO_ROOT, POOL, Rows
from leaven.measure.students import Embed, remembered
from leaven.models.backends.wordllama import WordLlama
from leaven.recipe import check, read
from leaven.records import folded, short_hash

NEAR = 0.8
"""The overlap of 5-character pieces (Jaccard) from which a made row counts as near to a test row."""
LINKS = ("_parents", "parent", "seed")
"""Columns that say what a made row came from, by id or by text."""


@dataclass
class Found:
    """Rows as they were read; ``links`` name what each came from, ``groups`` its group."""

    texts: list[str] = field(default_factory=list)
    labels: list[str | None] = field(default_factory=list)
    links: list[str | None] = field(default_factory=list)
    groups: list[str] = field(default_factory=list)


class Case:
    """The real rows, and how others are read to stand beside them."""

    def __init__(self, dataset: Dataset, test: str | None) -> None:
        self.dataset = dataset
        self.text_fields = [n for n, t in dataset.types.items() if t == "text"]
        self.label = dataset.main("label")
        self.group = dataset.main("group")
        self.names = list(dataset.labels)
        self.code = {name: i for i, name in enumerate(self.names)}
        self.warnings = list(dataset.warnings)
        self.groups: np.ndarray | None = None
        self.test_name = Path(test).name if test else dataset.test_from
        self.test = self._test(self.file(test, "test row") if test else self.found(dataset.table("test")))
        self.real = self._real()
        self.place_of = {name: i for i, name in enumerate(self.real.ids)}

    @cached_property
    def embed(self) -> Embed:
        """Texts to vectors, each text once."""
        return remembered(WordLlama().embed)

    @cached_property
    def tested(self) -> TextIndex:
        """The test rows, to find what is near to one."""
        index = TextIndex(NEAR)
        for text in self.test.texts:
            index.add(text)
        return index

    # -- reading ------------------------------------------------------------------------------------------------------

    def found(self, table: pa.Table | pa.RecordBatch, columns: dict[str, str] | None = None) -> Found:
        """Rows of a table, whose columns bear the fields' names, or those in ``columns``."""

        def get(name: str) -> list[Any]:
            return list(table.column((columns or {}).get(name, name)).to_pylist())

        texts = ["\n".join(str(v or "") for v in row) for row in zip(*map(get, self.text_fields), strict=True)]
        link = next((c for c in LINKS if c in table.schema.names), None)
        links = table.column(link).to_pylist() if link else [None] * len(texts)
        here = (columns or {}).get(self.group, self.group)
        return Found(
            texts,
            [None if v is None else str(v) for v in get(self.label)],
            [(v[0] if v else None) if isinstance(v, list) else None if v is None else str(v) for v in links],
            [str(v) for v in table.column(here).to_pylist()] if self.group and here in table.schema.names else [],
        )

    def file(self, where: str, what: str) -> Found:
        """Rows of another file, read by the same columns."""
        table = open_table(where)
        wanted = [*self.text_fields, self.label]
        known = {n: c for n, c in self.dataset.columns.items() if c in table.columns and n in (*wanted, self.group)}
        mapped = map_columns(table, {n: self.dataset.types[n] for n in wanted}, known)
        missing = [n for n in wanted if n not in mapped.columns]
        if missing:
            raise DataError(
                f"{table.name} has no column for the {missing[0]} of a {what}; it has {listed(table.columns)}.",
                f"call it `{self.dataset.columns[missing[0]]}` there too.",
            )
        for name, guess in mapped.guessed.items():
            if self.dataset.columns[name] != mapped.columns[name]:
                self.warnings.append(f"{table.name}: {name} is the column {mapped.columns[name]} ({guess})")
        whole = Found()
        for batch in table.batches():
            some = self.found(batch, dict(mapped.columns))
            whole.texts += some.texts
            whole.labels += some.labels
            whole.links += some.links
            whole.groups += some.groups
        return whole

    def _test(self, found: Found) -> Rows:
        """The test rows whose label a model could know."""
        known = [i for i, label in enumerate(found.labels) if label in self.code]
        if not known:
            raise DataError("no test row has a label of the source.", "give a test set of its labels: --test FILE")
        if len(known) < len(found.labels):
            unknown = {label for label in found.labels if label not in self.code}
            what = f"{len(found.labels) - len(known):,} of {len(found.labels):,} test rows"
            self.warnings.append(f"{what} have a label that the source lacks ({len(unknown)} values); left out")
        if found.groups:
            self.groups = np.unique([found.groups[i] for i in known], return_inverse=True)[1]
        return self._rows(found, known)

    def _real(self) -> Rows:
        """The source, in the order of its file; a row that stands in the test set is left out."""
        table = self.dataset.table("source")
        found, ids = self.found(table), table.column("_id").to_pylist()
        tested = {folded(text) for text in self.test.texts}
        order = np.argsort(table.column("_order").to_numpy(), kind="stable").tolist()
        keep = [i for i in order if folded(found.texts[i]) not in tested]
        if len(keep) < len(order):
            n = len(order) - len(keep)
            self.warnings.append(f"{n} real {'row stands' if n == 1 else 'rows stand'} in the test set; left out")
        if not keep:
            raise DataError("every real row stands in the test set.", "give rows never trained on: --test FILE")
        return replace(self._rows(found, keep), ids=[ids[i] for i in keep])

    def _rows(self, found: Found, keep: Sequence[int]) -> Rows:
        labels = np.array([self.code[str(found.labels[i])] for i in keep], np.int64)
        return Rows([found.texts[i] for i in keep], labels)

    # -- made rows ------------------------------------------------------------------------------------------------

    def of_run(self, folder: Path) -> Rows:
        """The made rows of train/, with the real row that each came from."""
        whole, ids = Found(), []
        for path in sorted((folder / "train").glob("*.parquet")):
            table = pq.read_table(path)
            table = table.filter(table.column("_synthetic"))
            some = self.found(table, self.dataset.columns)
            whole.texts += some.texts
            whole.labels += some.labels
            whole.links += some.links
            ids += table.column("_id").to_pylist()
        roots = [POOL if link is None else self.place_of.get(link, NO_ROOT) for link in whole.links]
        return self.made(whole, ids, roots, "look at refused/: it says why none was kept.")

    def of_file(self, where: str) -> Rows:
        """The rows of ``--with``; what only copies a real row is left out, unless nothing else is there."""
        found = self.file(where, "made row")
        of_text = {folded(text): i for i, text in enumerate(self.real.texts)}
        roots = [
            NO_ROOT if link is None else self.place_of.get(link, of_text.get(folded(link), NO_ROOT))
            for link in found.links
        ]
        new = [i for i, text in enumerate(found.texts) if folded(text) and folded(text) not in of_text]
        if new and len(new) < len(found.texts):
            n = len(found.texts) - len(new)
            self.warnings.append(f"{n} of {len(found.texts)} made rows are empty or copy a real row; left out")
            found = Found([found.texts[i] for i in new], [found.labels[i] for i in new])
            roots = [roots[i] for i in new]
        ids = [short_hash(f"{i} {text}") for i, text in enumerate(found.texts)]
        return self.made(found, ids, roots, "give made rows with labels of the source.")

    def made(self, found: Found, ids: list[str], roots: list[int], way_out: str) -> Rows:
        known = [i for i, label in enumerate(found.labels) if label in self.code]
        if not known:
            raise DataError("there are no made rows to measure.", way_out)
        if len(known) < len(found.labels):
            n = len(found.labels) - len(known)
            self.warnings.append(f"{n} made rows have a label that the source lacks; left out")
        origin = np.array([roots[i] for i in known], np.int64)
        made = replace(self._rows(found, known), roots=origin, ids=[ids[i] for i in known])
        return self.with_roots(made)

    def with_roots(self, made: Rows) -> Rows:
        """A made row without a known parent is taken to come from the nearest real row of its label, so that no
        held-out row is met by its own child."""
        lost = np.flatnonzero(made.roots == NO_ROOT)
        if not len(lost):
            return made
        near = self.embed([made.texts[i] for i in lost]) @ self.embed(self.real.texts).T
        near[made.labels[lost][:, None] != self.real.labels[None, :]] = -np.inf
        roots = made.roots.copy()
        roots[lost] = near.argmax(axis=1)
        return replace(made, roots=roots)

    def without_leaks(self, made: Rows) -> tuple[Rows, int, int]:
        """The made rows but those that copy a test row, or nearly; how many of each."""
        same = {folded(text) for text in self.test.texts}
        copies = [folded(text) in same for text in made.texts]
        near = [not copy and bool(self.tested.near(text)) for copy, text in zip(copies, made.texts, strict=True)]
        keep = [i for i in range(len(made)) if not copies[i] and not near[i]]
        if len(made) and not keep:
            raise DataError("every made row copies a test row.", "make rows from other data than the test set.")
        left = Rows([made.texts[i] for i in keep], made.labels[keep], made.roots[keep], [made.ids[i] for i in keep])
        return left, sum(copies), sum(near)

    def classic(self, scratch: Path, seed: int) -> Rows:
        """What the classic-text recipe makes of the same real rows: the baseline that costs nothing."""
        nothing = Rows([], np.zeros(0, np.int64), np.zeros(0, np.int64))
        if self.text_fields != ["text"]:
            return nothing
        recipe = check(read("classic-text"), self.dataset.typed(), self.dataset.counts)
        outcome = Engine(recipe, self.dataset, Folder(scratch), seed=seed).run()
        rows = [
            row
            for piece in outcome.ends
            for row in piece.read(["_id", "_root", "_state", "_made", "text", self.label]).to_pylist()
            if row["_state"] == GOES_ON and row["_made"] and row["_root"] in self.place_of
        ]
        labels = np.array([self.code[row[self.label]] for row in rows], np.int64)
        roots = np.array([self.place_of[row["_root"]] for row in rows], np.int64)
        made = Rows([row["text"] for row in rows], labels, roots, [row["_id"] for row in rows])
        return self.without_leaks(made)[0] if rows else nothing
