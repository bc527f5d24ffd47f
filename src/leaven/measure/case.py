"""The rows of a measurement: real, made and test, as items and label numbers, with what must not meet left out."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

from leaven.engine.folder import Folder
from leaven.engine.local import Engine
from leaven.engine.stage import GOES_ON
from leaven.errors import DataError, LeavenError, RecipeError, listed
from leaven.io.columns import map_columns
from leaven.io.dataset import Dataset
from leaven.io.encoded import read_media
from leaven.io.tables import open_table
from leaven.io.vector_column import vectors_of
from leaven.measure.bench import NO_ROOT, Rows
from leaven.measure.images import Images
from leaven.measure.media import AT_A_TIME, Media, features
from leaven.measure.notes import SMALL, Noted, noted
from leaven.measure.pairs import PairEncoder, encoder_of
from leaven.measure.roots import Line, Lines
from leaven.measure.sounds import Sounds
from leaven.measure.texts import Texts
from leaven.measure.vectors import Vectors
from leaven.media.broken import Broken
from leaven.recipe import check, read
from leaven.records import folded, short_hash
from leaven.storage import MARKED, MEDIA, arrow_of, to_values

LINKS = ("_parents", "parent", "seed")
"""Columns that say what a made row came from, by id or by text."""
PROBS = "label_probs"
WEIGHT = "_weight"
"""The column that says what a row weighs in training; a real row weighs 1."""
UNLABELLED = ""
"""The one label of all rows, where the data has none."""
TUNED = "transformers:"
"""What the name of a student to be fine-tuned begins with; a folder follows."""
LENGTHS = 150
"""Test rows from which on the gain is told for short and for long texts."""


@dataclass
class Found:
    """Rows as they were read; ``links`` name what each came from, ``groups`` its group, ``probs`` its soft label,
    ``notes`` what it says of its image or sound where there is no label, ``weights`` what it counts in training,
    ``families`` what made it, ``columns`` what else was asked for."""

    items: list[str | None] = field(default_factory=list)
    labels: list[str | None] = field(default_factory=list)
    links: list[str | None] = field(default_factory=list)
    groups: list[str] = field(default_factory=list)
    probs: list[Mapping[str, float] | None] = field(default_factory=list)
    notes: list[Noted] = field(default_factory=list)
    weights: list[float] = field(default_factory=list)
    families: list[str] = field(default_factory=list)
    columns: list[tuple[Any, ...]] = field(default_factory=list)

    def add(self, other: Found) -> None:
        for name in vars(self):
            getattr(self, name).extend(getattr(other, name))

    def take(self, rows: Sequence[int]) -> Found:
        return Found(*([own[i] for i in rows] if own else [] for own in vars(self).values()))


class Case:
    """The real rows, and how others are read to stand beside them.  ``student`` names one that is trained in steps.

    ``family`` is the column of the made rows that says what made each; without it, of a run, its steps.  ``slices`` are
    columns of the test rows for whose values the gain is told.
    """

    def __init__(
        self,
        dataset: Dataset,
        test: str | None,
        student: str | None = None,
        models: Mapping[str, str] | None = None,
        *,
        family: str | None = None,
        slices: Sequence[str] = (),
    ) -> None:
        self.dataset, self.models = dataset, models or {}
        self.family, self.slices = family, tuple(slices)
        self.columns: dict[str, list[Any]] = {}
        """Of each test row: the columns asked for, and of texts how many words they have."""
        self.encode: PairEncoder | None = None
        """What embeds captions too, where the run was told of such a model."""
        self.warnings = list(dataset.warnings)
        self.label = dataset.main("label")
        self.noted = {} if self.label else {n: kind for n, kind in dataset.types.items() if kind in MARKED}
        self.content = self._content(student)
        self.probs = dataset.main(PROBS) or PROBS
        self.group = dataset.main("group")
        self.names = list(dataset.labels) if self.label else [UNLABELLED]
        self.code = {name: i for i, name in enumerate(self.names)}
        self.groups: np.ndarray | None = None
        self.test_name = Path(test).name if test else dataset.test_from
        self.test = self._test(test)
        self.real = self._real()
        self.place_of = {name: i for i, name in enumerate(self.real.ids)}

    def _content(self, student: str | None) -> Texts | Media | Vectors:
        """What of a row a student learns from: its texts where it has a label and the recipe named one, else its image
        or its sound, or the vector that stands for it."""
        kinds = ("text", "image", "audio", "vector") if self.label else ("image", "audio")
        fields = {kind: [n for n, t in self.dataset.types.items() if t == kind] for kind in kinds}
        kind = next((k for k in kinds if fields[k]), "")
        if not kind or not (self.label or self.noted):
            what = (
                "no text, no image, no sound and no vector to learn from"
                if self.label
                else "no label, no boxes, no captions"
            )
            raise DataError(
                f"{self.dataset.name} has {what}: there is nothing to measure.",
                "name a column, --label COLUMN, or put files into folders of labels.",
            )
        seen = fields[kind] if kind == "text" else fields[kind][:1]
        others = [name for names in fields.values() for name in names if name not in seen]
        if others and self.label:
            self.warnings.append(f"students see {listed(seen)} alone, not {listed(others)}")
        tuned = (student or "").removeprefix(TUNED) if (student or "").startswith(TUNED) else None
        if kind != "text" and tuned is not None:
            raise DataError(
                f"--student {student} is for texts; this data is {kind}.", "--student cnn, or leave it out."
            )
        if kind == "vector":
            if student == "cnn":
                raise DataError("--student cnn is for images and sounds; this data is vectors.", "leave it out.")
            return Vectors(*seen)
        if kind != "text":
            [name] = seen
            side = {} if self.label else {"side": SMALL}
            sight = Images(**side) if kind == "image" else Sounds(self._rate(name))
            self.encode = None if self.label else self._encoder(kind)
            return Media(name, sight, student == "cnn", features if self.label else self.encode)
        if student == "cnn":
            raise DataError(
                "--student cnn is for images and sounds; this data is text.", "--student transformers:FOLDER, or none."
            )
        return Texts(seen, tuned)

    def _encoder(self, kind: str) -> PairEncoder | None:
        """What knows captions and this kind, where the run was made with it and it is still there."""
        if "caption" not in self.noted.values():
            return None
        try:
            return encoder_of(self.models, kind)
        except LeavenError as error:
            self.warnings.append(f"captions are not held against their {kind}s: {error}")
            return None

    def _rate(self, name: str) -> int:
        """Samples a second of the source's first sound."""
        for value in to_values("audio", self.dataset.table("source").column(name).slice(0, 16).to_pylist()):
            try:
                return int(value.rate)
            except (AttributeError, Broken):
                continue
        return 16_000

    # -- reading ------------------------------------------------------------------------------------------------------

    def found(self, table: pa.Table | pa.RecordBatch, columns: Mapping[str, str] | None = None) -> Found:
        """Rows of a table, whose columns bear the fields' names, or those in ``columns``."""
        named, have = columns or {}, table.schema.names

        def get(name: str) -> Any:
            return table.column(named.get(name, name))

        items = self.content.items([get(name) for name in self.content.fields])
        link = next((c for c in LINKS if c in have), None)
        links = table.column(link).to_pylist() if link else [None] * len(items)
        here, soft = (named.get(name, name) for name in (self.group, self.probs))
        probs = to_values(PROBS, table.column(soft).to_pylist()) if soft in have else [None] * len(items)
        labels = get(self.label).to_pylist() if self.label else [UNLABELLED] * len(items)
        return Found(
            items,
            [None if v is None else str(v) for v in labels],
            [(v[0] if v else None) if isinstance(v, list) else None if v is None else str(v) for v in links],
            [str(v) for v in table.column(here).to_pylist()] if self.group and here in have else [],
            probs,
            self._notes(items, {name: (kind, get(name)) for name, kind in self.noted.items()}),
            [1.0 if w is None else float(w) for w in table.column(WEIGHT).to_pylist()] if WEIGHT in have else [],
            [str(v) for v in table.column(self.family).to_pylist()] if self.family in have else [],
            self._aside(table),
        )

    def _aside(self, table: pa.Table | pa.RecordBatch) -> list[tuple[Any, ...]]:
        """The columns that were asked for, under their own name or the field's; nothing where one is not there."""
        fields = {column: name for name, column in self.dataset.columns.items()}
        names = [n if n in table.schema.names else fields.get(n, n) for n in self.slices]
        if not names or not set(names) <= set(table.schema.names):
            return []
        return list(zip(*(table.column(name).to_pylist() for name in names), strict=True))

    def _notes(self, items: Sequence[str | None], columns: Mapping[str, tuple[str, Any]]) -> list[Noted]:
        """What each row says of its image or sound; nothing is kept of a mask but a small one."""
        if not columns or not isinstance(self.content, Media):
            return []
        found = []
        for begin in range(0, len(items), AT_A_TIME):
            some = items[begin : begin + AT_A_TIME]
            read = {
                name: (kind, to_values(kind, column.slice(begin, AT_A_TIME).to_pylist()))
                for name, (kind, column) in columns.items()
            }
            for row, item in enumerate(some):
                size = self.content.views[item].size if item else ()
                found.append(noted({n: (kind, v[row]) for n, (kind, v) in read.items()}, size) if item else Noted())
        return found

    def file(self, where: str, what: str) -> Found:
        """Rows of another file, read by the same columns."""
        table = open_table(where)
        wanted = [*self.content.fields, *([self.label] if self.label else self.noted)]
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
            for name in wanted:
                kind, column = self.dataset.types[name], mapped.columns[name]
                array = batch.column(column)
                if kind in MEDIA:
                    array, _ = read_media(array, kind, table, {})
                elif kind == "vector":
                    array, _ = vectors_of(array, column, table.name, 0, 0)
                elif (shape := arrow_of(kind)) is not None and array.type != shape:
                    array = pa.array(array.to_pylist(), shape)
                batch = batch.set_column(batch.schema.names.index(column), column, array)
            whole.add(self.found(batch, dict(mapped.columns)))
        return whole

    def _test(self, where: str | None) -> Rows:
        """The test rows whose label a model could know; none are there where nothing is trained."""
        if not where and "test" not in self.dataset.counts:
            return Rows([], np.zeros(0, np.int64))
        found = self.file(where, "test row") if where else self.found(self.dataset.table("test"))
        known = self._known(found, "test")
        if not known:
            raise DataError("no test row has a label of the source.", "give a test set of its labels: --test FILE")
        self._slice(found, known, where)
        if found.groups:
            self.groups = np.unique([found.groups[i] for i in known], return_inverse=True)[1]
        return replace(self._rows(found, known), probs=None, weights=None)

    def _slice(self, found: Found, known: Sequence[int], where: str | None) -> None:
        """What is known of each test row beside its content and its label."""
        if self.slices and not found.columns:
            raise DataError(
                f"{where or 'the test set'} has not all of the columns {listed(self.slices)}.",
                "--slice COLUMN, of the test rows; each option names one.",
            )
        for number, name in enumerate(self.slices):
            self.columns[name] = [found.columns[i][number] for i in known]
        if isinstance(self.content, Texts) and len(known) >= LENGTHS:
            self.columns["words"] = [len(str(found.items[i]).split()) for i in known]

    def _real(self) -> Rows:
        """The source, in the order of its file; a row that stands in the test set is left out."""
        table = self.dataset.table("source")
        found, ids = self.found(table), table.column("_id").to_pylist()
        tested = {self.content.same(item) for item in self.test.items}
        order = np.argsort(table.column("_order").to_numpy(), kind="stable").tolist()
        keep = [i for i in order if (item := found.items[i]) is not None and self.content.same(item) not in tested]
        if len(keep) < len(order):
            n = len(order) - len(keep)
            self.warnings.append(f"{n} real {'row stands' if n == 1 else 'rows stand'} in the test set; left out")
        if not keep:
            raise DataError("every real row stands in the test set.", "give rows never trained on: --test FILE")
        return replace(self._rows(found, keep), ids=[ids[i] for i in keep])

    def _known(self, found: Found, what: str) -> list[int]:
        """The rows that can be used: with an item that can be read, and a label of the source."""
        read = [i for i, item in enumerate(found.items) if item is not None]
        if len(read) < len(found.items):
            self.warnings.append(f"{len(found.items) - len(read):,} {what} rows cannot be read; left out")
        known = [i for i in read if self._mass(found, i) is not None]
        if len(known) < len(read):
            n, of = len(read) - len(known), f"{len(read):,} " if what == "test" else ""
            unknown = {found.labels[i] for i in read if found.labels[i] not in self.code}
            rows = f"{n:,} of {of}{what} rows" if of else f"{n} {what} rows"
            values = f" ({len(unknown)} values)" if of else ""
            self.warnings.append(f"{rows} have a label that the source lacks{values}; left out")
        return known

    def _mass(self, found: Found, row: int) -> dict[int, float] | None:
        """The labels of a row by their numbers, each with its share; None where one is no label of the source."""
        soft = {name: p for name, p in (found.probs[row] or {}).items() if p > 0}
        if soft:
            total = sum(soft.values())
            return {self.code[n]: p / total for n, p in soft.items()} if soft.keys() <= self.code.keys() else None
        label = found.labels[row]
        return {self.code[label]: 1.0} if label in self.code else None

    def _rows(self, found: Found, keep: Sequence[int]) -> Rows:
        """Rows of the ones that can be used; with soft labels where a row has one."""
        items = [str(found.items[i]) for i in keep]
        masses = [self._mass(found, i) or {} for i in keep]
        labels = np.array([max(mass, key=lambda code: (mass[code], -code)) for mass in masses], np.int64)
        weights = np.array([found.weights[i] for i in keep]) if found.weights else np.ones(0)
        known = Rows(
            items,
            labels,
            notes=[found.notes[i] for i in keep] if found.notes else (),
            weights=weights if (weights != 1.0).any() else None,
            families=[found.families[i] for i in keep] if found.families else (),
        )
        if all(len(mass) == 1 for mass in masses):
            return known
        probs = np.zeros((len(keep), len(self.names)))
        for row, mass in enumerate(masses):
            probs[row, list(mass)] = list(mass.values())
        return replace(known, probs=probs)

    # -- made rows ------------------------------------------------------------------------------------------------

    def of_run(self, folder: Path) -> Rows:
        """The made rows of train/, with the real rows that each came from."""
        whole, ids, lines = Found(), [], []
        for path in sorted((folder / "train").glob("*.parquet")):
            table = pq.read_table(path)
            table = table.filter(table.column("_synthetic"))
            if self.family is not None and self.family not in table.column_names:
                raise _no_family(str(path), self.family, table.column_names)
            some = self.found(table, self.dataset.columns)
            if self.family is None:
                some.families = [_made_by(steps) for steps in table.column("_steps").to_pylist()]
            whole.add(some)
            ids += table.column("_id").to_pylist()
            columns = (table.column(name).to_pylist() for name in ("_parents", "_steps"))
            lines += [Line(None, parents or [], steps or []) for parents, steps in zip(*columns, strict=True)]
        sources = dict.fromkeys(self.dataset.table("source").column("_id").to_pylist(), NO_ROOT)
        roots = Lines(Folder(folder), {**sources, **self.place_of}).roots(ids, lines)
        return self.made(whole, ids, roots, "look at refused/: it says why none was kept.")

    def of_file(self, where: str) -> Rows:
        """The rows of ``--with``; what only copies a real row is left out, unless nothing else is there."""
        found = self.file(where, "made row")
        if self.family is not None and not found.families:
            raise _no_family(where, self.family, open_table(where).columns)
        of_item = {self.content.same(item): i for i, item in enumerate(self.real.items)}
        same = [None if item is None else self.content.same(item) for item in found.items]
        roots = np.array(
            [
                NO_ROOT if link is None else self.place_of.get(link, of_item.get(folded(link), NO_ROOT))
                for link in found.links
            ],
            np.int64,
        )
        new = [i for i, key in enumerate(same) if key and key not in of_item]
        if new and len(new) < len(found.items):
            n = len(found.items) - len(new)
            self.warnings.append(f"{n} of {len(found.items)} made rows are empty or copy a real row; left out")
            found, roots = found.take(new), roots[new]
        ids = [short_hash(f"{i} {item}") for i, item in enumerate(found.items)]
        return self.made(found, ids, roots[:, None], "give made rows with labels of the source.")

    def made(self, found: Found, ids: list[str], roots: np.ndarray, way_out: str) -> Rows:
        known = self._known(found, "made")
        if not known:
            raise DataError("there are no made rows to measure.", way_out)
        made = replace(self._rows(found, known), roots=roots[known], ids=[ids[i] for i in known])
        return self.with_roots(made)

    def with_roots(self, made: Rows) -> Rows:
        """A made row without a known parent is taken to come from the nearest real row of its label, so that no
        held-out row is met by its own child."""
        lost = np.flatnonzero((made.roots == NO_ROOT).all(axis=1))
        if not len(lost) or not self.label:
            return made
        near = self.content.embed([made.items[i] for i in lost]) @ self.content.embed(self.real.items).T
        near[made.labels[lost][:, None] != self.real.labels[None, :]] = -np.inf
        roots = made.roots.copy()
        roots[lost, 0] = near.argmax(axis=1)
        return replace(made, roots=roots)

    def without_leaks(self, made: Rows) -> tuple[Rows, int, int]:
        """The made rows but those that copy a test row, or nearly; how many of each."""
        same = {self.content.same(item) for item in self.test.items}
        copies = np.array([self.content.same(item) in same for item in made.items], bool)
        rest = np.flatnonzero(~copies)
        near = np.array(self.content.near([made.items[i] for i in rest], self.test.items), bool)
        if len(made) and (not len(rest) or near.all()):
            raise DataError("every made row copies a test row.", "make rows from other data than the test set.")
        return made.take(rest[~near]), int(copies.sum()), int(near.sum())

    def every(self, made: Sequence[Rows]) -> list[str]:
        """All items of the measurement, each once."""
        return list(dict.fromkeys(item for rows in (self.real, self.test, *made) for item in rows.items))

    def baseline(self, scratch: Path, seed: int) -> Rows:
        """What a recipe that costs nothing makes of the same real rows: classic-text, trivial-augment, spec-augment."""
        name = self.content.baseline
        nothing = Rows([], np.zeros(0, np.int64))
        if isinstance(self.content, Texts) and self.content.fields != ["text"]:
            return nothing
        try:
            recipe = check(read(name), self.dataset.typed(), self.dataset.counts)
        except RecipeError as error:
            self.warnings.append(f"the recipe {name} does not run over these columns, so that arm is absent: {error}")
            return nothing
        outcome = Engine(recipe, self.dataset, Folder(scratch), seed=seed).run()
        whole, ids, roots = Found(), [], []
        columns = ["_id", "_root", "_state", "_made", *self.content.fields, self.label, *self.noted, PROBS]
        for piece in outcome.ends:
            table = piece.read(columns)
            if "_state" not in table.column_names:
                continue
            rows = zip(*(table.column(c).to_pylist() for c in ("_state", "_made", "_root")), strict=True)
            table = table.filter(pa.array([s == GOES_ON and m and r in self.place_of for s, m, r in rows]))
            whole.add(self.found(table))
            ids += table.column("_id").to_pylist()
            roots += [self.place_of[root] for root in table.column("_root").to_pylist()]
        known = self._known(whole, "baseline")
        made = replace(
            self._rows(whole, known), roots=np.array(roots, np.int64)[known], ids=[ids[i] for i in known]
        )  # fmt: skip
        return self.without_leaks(made)[0] if known else nothing


def _made_by(steps: Sequence[Mapping[str, Any]] | None) -> str:
    """The steps that a made row went through, as the name of its family."""
    return " > ".join(dict.fromkeys(str(step["step"]) for step in steps or ())) or "no step"


def _no_family(where: str, column: str, columns: Sequence[str]) -> DataError:
    return DataError(
        f"{where} has no column `{column}` to tell families of made rows by; it has {listed(columns)}.",
        "--family COLUMN, of the made rows.",
    )
