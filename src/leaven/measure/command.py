"""What ``leaven measure`` measures: a run's folder, or real rows and made rows from two files."""

from __future__ import annotations

import json
import tempfile
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Protocol

from leaven.engine.folder import Folder, write_whole
from leaven.errors import DataError
from leaven.io import dataset as datasets
from leaven.io.dataset import Dataset
from leaven.io.tables import open_table
from leaven.measure import scenes
from leaven.measure.bench import Rows
from leaven.measure.case import TUNED, Case
from leaven.measure.described import describe
from leaven.measure.gain import WEIGHTS, Measurement
from leaven.measure.gain import measure as measure_rows
from leaven.measure.measured import Measured, as_json
from leaven.measure.media import Media
from leaven.measure.trials import metric_of
from leaven.models import config

MEDIA_FIELDS = {"image", "audio"}


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
    student: str | None = None
    """Who has the verdict: ``cnn``, where the data are images or sounds; ``transformers:FOLDER`` of texts."""
    weights: Sequence[float] = WEIGHTS
    """What a made row may weigh beside a real one, times its own weight."""
    family: str | None = None
    """The column that says what made each row."""
    slices: Sequence[str] = ()
    """Columns of the test rows for whose values the gain is told."""


class Told(Protocol):
    def waiting(self, what: str) -> None: ...


def measure(request: MeasureRequest, told: Told) -> Measured:
    """Measure, and write ``measure.json`` where there is a run's folder."""
    metric_of(request.metric)
    if request.student not in (None, "cnn") and not str(request.student).startswith(TUNED):
        raise DataError(
            f"--student {request.student} is not known.",
            "--student cnn, --student transformers:FOLDER, or leave it out.",
        )
    folder = Path(request.run)
    is_run = (folder / "run.json").is_file()
    told.waiting("read")
    with tempfile.TemporaryDirectory(prefix="leaven-") as scratch:
        dataset = _run_dataset(request) if is_run else _file_dataset(request, Path(scratch))
        said = Folder(folder).describe() if is_run else {}
        models = {**config.load().models, **said.get("models", {})} if is_run else {}
        test = request.test if is_run else None
        case = Case(dataset, test, request.student, models, family=request.family, slices=request.slices)
        made, copies, near = case.without_leaks(case.of_file(request.with_) if request.with_ else case.of_run(folder))
        trained = _train(request, case, made, Path(scratch) / "classic", told)
        described = None if case.label else describe(case, made, trained is not None, request.seed)
    if trained is not None and (spent := said.get("spent", {})).get("usd") and not spent.get("unpriced"):
        trained = replace(trained, usd=float(spent["usd"]))
    refused = int(said.get("reasons", {}).get("near_test", 0))
    counts = len(case.test), copies, near, refused
    measured = Measured(
        trained, case.test_name, *counts, case.warnings, request.run, request.with_, case.content.baseline, described
    )
    if is_run:
        write_whole(folder / "measure.json", (json.dumps(as_json(measured), indent=1) + "\n").encode())
    return measured


def _train(request: MeasureRequest, case: Case, made: Rows, scratch: Path, told: Told) -> Measurement | None:
    """Students on the real rows, with the made ones and without; None where no student can learn them."""
    net = None if case.label or not request.student else scenes.student_of(list(case.noted.values()), case.real)
    if not case.label and net is None:
        return None
    told.waiting(f"make the {case.content.baseline} baseline")
    classic = case.baseline(scratch, request.seed)

    def progress(said: str) -> None:
        told.waiting(f"fit {said}")

    if net is not None and isinstance(case.content, Media):
        pictures = case.content.pictures(case.every([made, classic]))
        bench = scenes.SceneBench(case.real, {"made": made, "classic": classic}, case.test, pictures, net)
        return scenes.measure(
            bench, ratios=request.ratios, seeds=request.seeds, workers=request.workers, progress=progress
        )
    others = case.content.others(case.every([made, classic]))
    told.waiting("choose C, student and ratio out of fold")
    return measure_rows(
        case.real,
        made,
        classic,
        case.test,
        case.names,
        case.content.embed,
        groups=case.groups,
        ratios=request.ratios,
        weights=request.weights,
        seeds=request.seeds,
        metric=metric_of(request.metric),
        seed=request.seed,
        workers=request.workers,
        progress=progress,
        others=others,
        named=case.content.student,
        student=others[-1].name if request.student and others else None,
        columns=case.columns,
    )


def _run_dataset(request: MeasureRequest) -> Dataset:
    folder = Folder(Path(request.run))
    if not folder.describe().get("finished"):
        raise DataError(f"the run in {request.run} has not ended.", "run the same augment command again; it goes on.")
    dataset = datasets.load(folder.input)
    learns = dataset.main("label") or request.student
    if request.test is None and "test" not in dataset.counts and learns:
        raise DataError(
            f"{request.run} set no test rows aside.", f"leaven measure {request.run} --test FILE, of real rows."
        )
    if request.test and not Path(request.test).exists() and request.test.replace(".", "", 1).isdigit():
        raise DataError(
            f"a share of {request.run} cannot be set aside any more: it was trained on.",
            f"leaven augment DATA -o ANOTHER --test {request.test}, or name a file here.",
        )
    return dataset


def _file_dataset(request: MeasureRequest, scratch: Path) -> Dataset:
    if not Path(request.run).exists() and not request.run.startswith("hf://"):
        raise DataError(
            "there is no such run and no such file.",
            "leaven measure OUT, after leaven augment DATA -o OUT",
            where=request.run,
        )
    if not request.with_:
        raise DataError(
            f"{request.run} is no run; to measure made rows with it, name them.",
            f"leaven measure {request.run} --with MADE --test FILE",
        )
    media = MEDIA_FIELDS & {*open_table(request.run).kinds.values(), *request.named}
    content = "vector" if "vector" in request.named else "text"
    fields = {} if media else {content: content, "label": "label"}
    dataset = datasets.read(
        request.run, scratch / "input", fields=fields, named=request.named, test=request.test, seed=request.seed
    )
    if "test" not in dataset.counts:
        raise DataError("there are no test rows.", "--test FILE with real rows never trained on, or --test 0.3")
    return dataset
