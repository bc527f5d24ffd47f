"""``leaven demo``: raise a small dataset that comes with leaven, and measure it."""

from __future__ import annotations

from collections.abc import Callable
from importlib import resources
from pathlib import Path

from leaven.engine.augment import Request, augment
from leaven.measure.command import MeasureRequest, measure
from leaven.terminal import Progress


def run_demo(out: Path, workers: int, progress: Progress, answer: Callable[[list[str]], None]) -> None:
    """Run the main job on the library desk's questions, offline."""
    folder = Path(str(resources.files("leaven") / "demo"))
    run = augment(Request(str(folder / "desk.csv"), out, test=str(folder / "desk_test.csv"), workers=workers), progress)
    measured = measure(MeasureRequest(str(out), None, None, {}, (0, 0.25, 0.5, 1, 2), 5, None, 0, workers), progress)
    answer([str(run.written), str(measured.measurement.verdict)])
