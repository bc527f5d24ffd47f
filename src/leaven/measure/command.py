"""What ``leaven measure`` measures: a run's folder, or real rows and made rows from two files."""

from __future__ import annotations

import json
import shutil
import tempfile
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Protocol

import numpy as np
import pyarrow.parquet as pq

from leaven.engine.folder import Folder, write_whole
from leaven.engine.local import Engine
from leaven.engine.part import GOES_ON
from leaven.errors import DataError
from leaven.io import dataset as datasets
from leaven.io.columns import map_columns
from leaven.io.dataset import Dataset
from leaven.io.tables import open_table
from leaven.keep.near import TextIndex
from leaven.measure.bench import NO_ROOT, POOL, Rows
from leaven.measure.gain import Measurement, Metric
from leaven.measure.gain import measure as measure_rows
from leaven.models.backends.wordllama import WordLlama
from leaven.recipe import check, read
from leaven.records import folded, short_hash

NEAR = 0.8


@dataclass(frozen=True)
class MeasureRequest:
    """What the user asked for."""

    run: str
    with_: str | None
    test: str | None
    named: Mapping[str, str]
    ratios: Sequence[float]
    seeds: int
    metric: str | None
    seed: int
    workers: int


@dataclass(frozen=True)
class Measured:
    """A measurement and what it was made on."""

    measurement: Measurement
    test_name: str
    test_rows: int
    copies: int
    near: int
    refused_before: int
    warnings: list[str]
    run: str
    with_: str | None


class Told(Protocol):
    def waiting(self, what: str) -> None: ...


def measure(request: MeasureRequest, told: Told) -> Measured:
    """Measure, and write ``measure.json`` where there is a run's folder."""
    if request.metric not in (None, "accuracy", "macro_f1"):
        raise DataError(f"--metric {request.metric} is not known.", "--metric accuracy, or --metric macro_f1")
    metric: Metric | None = request.metric  # type: ignore[assignment]
    with tempfile.TemporaryDirectory(prefix="leaven-") as scratch:
        folder = Path(request.run)
        is_run = (folder / "run.json").is_file()
        dataset = _run_dataset(request, Path(scratch)) if is_run else _file_dataset(request, Path(scratch))
        case = _Case(dataset, request)
        made = case.made_of_run(folder) if is_run and not request.with_ else case.made_of_file()
        test, made, copies, near = case.without_leaks(case.test(), made)
        told.waiting("make the classic-text baseline")
        classic = case.classic(Path(scratch) / "classic")
        _, classic, _, _ = case.without_leaks(test, classic)
        told.waiting("fit")
        embedder = WordLlama()

        def progress(done: int, of: int) -> None:
            told.waiting(f"fit {done} of {of}")

        found = measure_rows(
            case.real,
            made,
            classic,
            test,
            case.names,
            embedder.embed,
            groups=case.groups,
            ratios=request.ratios,
            seeds=request.seeds,
            metric=metric,
            seed=request.seed,
            workers=request.workers,
            progress=progress,
        )
        refused = int(Folder(folder).describe().get("reasons", {}).get("near_test", 0)) if is_run else 0
        measured = Measured(
            found, dataset.test_from, len(test), copies, near, refused, case.warnings, request.run, request.with_
        )
    if is_run:
        from leaven.measure.show import as_json

        write_whole(folder / "measure.json", (json.dumps(as_json(measured), indent=1) + "\n").encode())
    return measured


def _run_dataset(request: MeasureRequest, scratch: Path) -> Dataset:
    folder = Folder(Path(request.run))
    if not folder.describe().get("finished"):
        raise DataError(f"the run in {request.run} has not ended.", "run the same augment command again; it goes on.")
    dataset = datasets.load(folder.input)
    if request.test is None:
        if "test" not in dataset.counts:
            raise DataError(
                f"{request.run} set no test rows aside.", f"leaven measure {request.run} --test FILE, of real rows."
            )
        return dataset
    return _with_test(dataset, request.test, scratch)


def _with_test(dataset: Dataset, test: str, scratch: Path) -> Dataset:
    """The dataset with another test set, read by the same columns."""
    table = open_table(test)
    named = {n: c for n, c in dataset.columns.items() if c in table.columns and dataset.types.get(n) != "value"}
    fields = {n: t for n, t in dataset.types.items() if t != "value"}
    read_in = datasets.read(test, scratch / "test", fields=fields, named=named)
    target = scratch / "input"
    shutil.copytree(dataset.folder, target)
    shutil.copy(read_in.path("source"), target / "test.arrow")
    counts = {**dataset.counts, "test": read_in.counts["source"]}
    return replace(dataset, folder=target, counts=counts, test_from=table.name)


def _file_dataset(request: MeasureRequest, scratch: Path) -> Dataset:
    if not request.with_:
        raise DataError(
            f"{request.run} is no run; to measure made rows with it, name them.",
            f"leaven measure {request.run} --with MADE --test FILE",
        )
    fields = {"text": "text", "label": "label"}
    dataset = datasets.read(
        request.run, scratch / "input", fields=fields, named=request.named, test=request.test, seed=request.seed
    )
    if "test" not in dataset.counts:
        raise DataError("there are no test rows.", "--test FILE with real rows never trained on, or --test 0.3")
    return dataset


class _Case:
    """Rows as numbers and texts."""

    def __init__(self, dataset: Dataset, request: MeasureRequest) -> None:
        self.dataset, self.request = dataset, request
        self.text_fields = [n for n, t in dataset.types.items() if t == "text"]
        self.label = dataset.main("label")
        self.names = list(dataset.labels)
        self.code = {name: i for i, name in enumerate(self.names)}
        self.warnings = list(dataset.warnings)
        self.groups: np.ndarray | None = None
        table = dataset.table("source")
        ids = table.column("_id").to_pylist()
        order = np.argsort(table.column("_order").to_numpy(), kind="stable")
        texts, labels = self.columns(table.column_names, lambda n: table.column(n).to_pylist())
        self.real = Rows(
            [texts[i] for i in order], np.array([self.code[labels[i]] for i in order]), ids=[ids[i] for i in order]
        )
        self.place_of = {name: i for i, name in enumerate(self.real.ids)}

    def columns(self, names: Sequence[str], get: object) -> tuple[list[str], list[str]]:
        values = [get(n) for n in self.text_fields]  # type: ignore[operator]
        return ["\n".join(str(v or "") for v in row) for row in zip(*values, strict=True)], get(self.label)  # type: ignore[operator]

    def test(self) -> Rows:
        """The test rows whose label a model could know."""
        table = self.dataset.table("test")
        texts, labels = self.columns(table.column_names, lambda n: table.column(n).to_pylist())
        known = [i for i, label in enumerate(labels) if label in self.code]
        unlabelled = sum(label is None for label in labels)
        unknown = {label for label in labels if label is not None and label not in self.code}
        if unknown or unlabelled:
            what = f"{len(labels) - len(known):,} of {len(labels):,} test rows have a label that the source lacks"
            self.warnings.append(f"{what} ({len(unknown)} values{', or none' if unlabelled else ''}); left out")
        if not known:
            raise DataError("no test row has a label of the source.", "give a test set of the same labels: --test FILE")
        group = self.dataset.main("group")
        if group:
            values = table.column(group).to_pylist()
            self.groups = np.unique([str(values[i]) for i in known], return_inverse=True)[1]
        return Rows([texts[i] for i in known], np.array([self.code[labels[i]] for i in known]))

    def made_of_run(self, folder: Path) -> Rows:
        """The made rows of train/, with the real row that each came from."""
        texts: list[str] = []
        labels: list[str] = []
        ids: list[str] = []
        parents: list[list[str]] = []
        columns = self.dataset.columns
        for path in sorted((folder / "train").glob("*.parquet")):
            table = pq.read_table(path)
            table = table.filter(table.column("_synthetic"))
            some, names = self.columns(table.column_names, lambda n, t=table: t.column(columns[n]).to_pylist())
            texts += some
            labels += [str(n) for n in names]
            ids += table.column("_id").to_pylist()
            parents += table.column("_parents").to_pylist()
        roots = [self.place_of.get(p[0], NO_ROOT) if p else POOL for p in parents]
        return self.rows(texts, labels, ids, roots)

    def made_of_file(self) -> Rows:
        """The rows of ``--with``; what only copies a real row is left out, unless nothing else is there."""
        assert self.request.with_
        table = open_table(self.request.with_)
        named = {
            n: c for n, c in self.dataset.columns.items() if c in table.columns and n in (*self.text_fields, self.label)
        }
        mapped = map_columns(table, {n: self.dataset.types[n] for n in (*self.text_fields, self.label)}, named)
        missing = [n for n in (*self.text_fields, self.label) if n not in mapped.columns]
        if missing:
            raise DataError(
                f"{table.name} has no column for {missing[0]}; it has {', '.join(table.columns)}.",
                f"call it `{self.dataset.columns[missing[0]]}` there too.",
            )
        texts: list[str] = []
        labels: list[str] = []
        links: list[str | None] = []
        link = next((c for c in ("_parents", "parent", "seed") if c in table.columns), None)
        for batch in table.batches():
            some, names = self.columns(batch.schema.names, lambda n, b=batch: b.column(mapped.columns[n]).to_pylist())
            texts += some
            labels += [str(n) for n in names]
            found = batch.column(link).to_pylist() if link else [None] * len(batch)
            links += [(v[0] if v else None) if isinstance(v, list) else v for v in found]
        of_text = {folded(t): i for i, t in enumerate(self.real.texts)}
        roots = [self.place_of.get(str(v), of_text.get(folded(str(v)), NO_ROOT)) if v else NO_ROOT for v in links]
        keep = [i for i, t in enumerate(texts) if folded(t) and folded(t) not in of_text]
        if keep and len(keep) < len(texts):
            n = len(texts) - len(keep)
            self.warnings.append(f"{n} of {len(texts)} made rows are empty or copy a real row; left out")
            texts, labels, roots = ([x[i] for i in keep] for x in (texts, labels, roots))  # type: ignore[assignment]
        ids = [short_hash(f"{i} {t}") for i, t in enumerate(texts)]
        return self.rows(texts, labels, ids, roots)

    def rows(self, texts: list[str], labels: list[str], ids: list[str], roots: list[int]) -> Rows:
        known = [i for i, label in enumerate(labels) if label in self.code]
        if len(known) < len(labels):
            self.warnings.append(f"{len(labels) - len(known)} made rows have a label that the source lacks; left out")
        if not known:
            raise DataError("there are no made rows to measure.", "look at refused/: leaven says why none was kept.")
        made = Rows(
            [texts[i] for i in known],
            np.array([self.code[labels[i]] for i in known]),
            np.array([roots[i] for i in known], np.int64),
            [ids[i] for i in known],
        )
        return self.with_roots(made)

    def with_roots(self, made: Rows) -> Rows:
        """A made row without a known parent is taken to come from the nearest real row of its label, so that no
        held-out row is met by its own child."""
        open_rows = np.flatnonzero(made.roots == NO_ROOT).tolist()
        if not open_rows:
            return made
        embed = WordLlama().embed
        near = embed([made.texts[i] for i in open_rows]) @ embed(self.real.texts).T
        near[made.labels[open_rows][:, None] != self.real.labels[None, :]] = -np.inf
        roots = made.roots.copy()
        roots[open_rows] = near.argmax(axis=1)
        return replace(made, roots=roots)

    def without_leaks(self, test: Rows, made: Rows) -> tuple[Rows, Rows, int, int]:
        """Made rows that copy a test row, or nearly, leave; how many of each."""
        if not len(made):
            return test, made, 0, 0
        index = TextIndex(NEAR)
        for text in test.texts:
            index.add(text)
        same = {folded(text) for text in test.texts}
        copies = [folded(text) in same for text in made.texts]
        near = [not copy and bool(index.near(text)) for copy, text in zip(copies, made.texts, strict=True)]
        keep = [i for i in range(len(made)) if not copies[i] and not near[i]]
        if not keep:
            raise DataError("every made row copies a test row.", "make rows from other data than the test set.")
        left = Rows([made.texts[i] for i in keep], made.labels[keep], made.roots[keep], [made.ids[i] for i in keep])
        return test, left, sum(copies), sum(near)

    def classic(self, scratch: Path) -> Rows:
        """What the classic-text recipe makes of the same real rows: the baseline that costs nothing."""
        [text, *more] = self.text_fields
        recipe = read("classic-text")
        if more or text != "text":
            return Rows([], np.zeros(0, np.int64), np.zeros(0, np.int64))
        recipe = check(recipe, self.dataset.typed(), self.dataset.counts)
        outcome = Engine(recipe, self.dataset, Folder(scratch), seed=self.request.seed).run()
        texts, labels, ids, roots = [], [], [], []
        for piece in outcome.ends:
            for row in piece.read(["_id", "_root", "_state", "_made", text, self.label]).to_pylist():
                if row["_state"] == GOES_ON and row["_made"]:
                    texts.append(row[text])
                    labels.append(self.code[row[self.label]])
                    ids.append(row["_id"])
                    roots.append(self.place_of[row["_root"]])
        return Rows(texts, np.array(labels, np.int64), np.array(roots, np.int64), ids)
