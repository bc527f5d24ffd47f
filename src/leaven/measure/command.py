"""What ``leaven measure`` measures: a run's folder, or real rows and made rows from two files."""

from __future__ import annotations

import json
import tempfile
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol, cast

from leaven.engine.folder import Folder, write_whole
from leaven.errors import DataError
from leaven.io import dataset as datasets
from leaven.io.dataset import Dataset
from leaven.measure.case import Case
from leaven.measure.gain import Metric
from leaven.measure.gain import measure as measure_rows
from leaven.measure.measured import Measured, as_json


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


class Told(Protocol):
    def waiting(self, what: str) -> None: ...


def measure(request: MeasureRequest, told: Told) -> Measured:
    """Measure, and write ``measure.json`` where there is a run's folder."""
    if request.metric not in (None, "accuracy", "macro_f1"):
        raise DataError(f"--metric {request.metric} is not known.", "--metric accuracy, or --metric macro_f1")
    folder = Path(request.run)
    is_run = (folder / "run.json").is_file()
    told.waiting("read")
    with tempfile.TemporaryDirectory(prefix="leaven-") as scratch:
        dataset = _run_dataset(request) if is_run else _file_dataset(request, Path(scratch))
        case = Case(dataset, request.test if is_run else None)
        made, copies, near = case.without_leaks(case.of_file(request.with_) if request.with_ else case.of_run(folder))
        told.waiting("make the classic-text baseline")
        classic = case.classic(Path(scratch) / "classic", request.seed)
        told.waiting("choose C, student and ratio out of fold")
        found = measure_rows(
            case.real,
            made,
            classic,
            case.test,
            case.names,
            case.embed,
            groups=case.groups,
            ratios=request.ratios,
            seeds=request.seeds,
            metric=cast("Metric | None", request.metric),
            seed=request.seed,
            workers=request.workers,
            progress=lambda done, of: told.waiting(f"fit {done} of {of}"),
        )
    refused = int(Folder(folder).describe().get("reasons", {}).get("near_test", 0)) if is_run else 0
    measured = Measured(
        found, case.test_name, len(case.test), copies, near, refused, case.warnings, request.run, request.with_
    )
    if is_run:
        write_whole(folder / "measure.json", (json.dumps(as_json(measured), indent=1) + "\n").encode())
    return measured


def _run_dataset(request: MeasureRequest) -> Dataset:
    folder = Folder(Path(request.run))
    if not folder.describe().get("finished"):
        raise DataError(f"the run in {request.run} has not ended.", "run the same augment command again; it goes on.")
    dataset = datasets.load(folder.input)
    if request.test is None and "test" not in dataset.counts:
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
    fields = {"text": "text", "label": "label"}
    dataset = datasets.read(
        request.run, scratch / "input", fields=fields, named=request.named, test=request.test, seed=request.seed
    )
    if "test" not in dataset.counts:
        raise DataError("there are no test rows.", "--test FILE with real rows never trained on, or --test 0.3")
    return dataset
