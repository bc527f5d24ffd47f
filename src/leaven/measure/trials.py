"""What is tried: arms of real and made rows, fitted on a bench and held against the rows that they did not see."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Literal, NamedTuple

import numpy as np
from numpy.typing import NDArray

from leaven.errors import DataError
from leaven.measure import interval
from leaven.measure.arms import draw
from leaven.measure.bench import Arm, Bench, Fitter
from leaven.measure.interval import Interval
from leaven.measure.students import AnyStudent, Stepped

Ints = NDArray[np.int64]
Floats = NDArray[np.float64]
Metric = Literal["accuracy", "macro_f1", "map50", "iou"]
LABELLED: tuple[Metric, ...] = ("accuracy", "macro_f1")
"""Those that a user may ask for: of rows with labels."""

FEWEST = 4
"""Held-out rows on which two settings have to differ before one is preferred."""


class Setting(NamedTuple):
    """How many made rows join each real one, what each weighs beside it, and of which made set they are."""

    ratio: float
    weight: float = 1.0
    made: str = "made"


def metric_of(said: str | None) -> Metric | None:
    """A metric that a user named, or none.  Raises DataError for one of another name."""
    found = next((name for name in LABELLED if name == said), None)
    if said is not None and found is None:
        raise DataError(f"--metric {said} is not known.", "--metric accuracy, or --metric macro_f1")
    return found


@dataclass(frozen=True)
class Trials:
    """A bench with what fits its arms; every number comes from here, so that all are of the same rows and seeds."""

    bench: Bench
    fitter: Fitter[Ints, AnyStudent]
    names: Sequence[str]
    groups: Ints | None
    seeds: int
    metric: Metric
    none: Ints = field(default_factory=lambda: np.zeros(0, np.int64))

    @property
    def n(self) -> int:
        """Real rows."""
        return len(self.bench.real)

    @property
    def once(self) -> Ints:
        """Every real row one time."""
        return np.ones(self.n, np.int64)

    @property
    def students(self) -> list[str]:
        return [student.name for student in self.fitter.students]

    def lucky(self, student: int) -> bool:
        """True where a student begins with random numbers."""
        return isinstance(self.fitter.students[student], Stepped)

    def picked(self, name: str, ratio: float, seed: int) -> Ints:
        """Counts over a made set: round(ratio x real rows) of them, in equal shares of the labels."""
        rows = self.bench.made[name]
        found = np.zeros(len(rows), np.int64)
        found[draw(rows.ids, rows.labels, round(ratio * self.n), seed)] = 1
        return found

    def arm(self, student: int, setting: Setting | None, seed: int, *, real: int = 1, fold: int = -1) -> Arm:
        """Every real row ``real`` times, with the made rows of a setting that a seed draws."""
        luck = seed if self.lucky(student) else 0
        if setting is None:
            return Arm(student, real * self.once, self.none, fold=fold, luck=luck)
        picked = self.picked(setting.made, setting.ratio, seed)
        return Arm(student, real * self.once, picked, setting.made, fold, luck, setting.weight)

    # -- out of fold ------------------------------------------------------------------------------------------------

    def held_out(self, student: int, setting: Setting | None) -> list[Arm]:
        """An arm without each fold's rows."""
        return [self.arm(student, setting, 0, fold=fold) for fold in range(int(self.bench.fold.max(initial=-1)) + 1)]

    def right_of_fold(self, student: int, setting: Setting | None) -> Floats:
        """Each held-out real row's share of the score, where it is right; with macro-F1 every label weighs alike."""
        truth, guess = self.out_of_fold(student, setting)
        if not len(truth):  # no label has two rows: nothing to hold out
            return np.zeros(1)
        return shares(truth, guess, self.metric)

    def out_of_fold(self, student: int, setting: Setting | None) -> tuple[Ints, Ints]:
        """The labels of the held-out real rows, fold by fold, and what models said that did not see them."""
        arms = self.held_out(student, setting)
        if not arms:
            return self.none, self.none
        truth = np.concatenate([self.bench.real.labels[self.bench.fold == arm.fold] for arm in arms])
        return truth, np.concatenate(self.fitter.fit(arms))

    # -- on the test set --------------------------------------------------------------------------------------------

    def predicted(self, arms: Sequence[Arm]) -> Ints:
        """What each arm says of the test rows: arms x rows."""
        return np.stack(self.fitter.fit(arms))

    def gain(self, base: Ints, guess: Ints) -> Interval:
        """How much better one is than the other (seeds x rows each)."""
        truth = self.bench.test.labels
        if self.metric == "accuracy":
            return interval.gain(base == truth, guess == truth, self.groups)
        return interval.f1_gain(truth, base, guess, len(self.names), self.groups)

    def score(self, guess: Ints) -> float:
        """The mean score of predictions, seeds x rows."""
        truth = self.bench.test.labels
        if self.metric == "accuracy":
            return float((guess == truth).mean())
        return float(interval.macro_f1(truth, guess, len(self.names)).mean())


def shares(truth: Ints, guess: Ints, metric: Metric) -> Floats:
    """What each row adds to the score: 0 where it is wrong; with macro-F1 every label weighs alike."""
    sizes = np.bincount(truth)
    weight = 1.0 / len(truth) if metric == "accuracy" else 1.0 / (sizes[truth] * (sizes > 0).sum())
    found: Floats = np.where(truth == guess, weight, 0.0)
    return found


def surplus(difference: Floats) -> float:
    """How much better one is than the other on the held-out rows, in standard errors; 0 where few rows differ."""
    if np.count_nonzero(difference) < FEWEST:
        return 0.0
    spread = float(difference.std()) * float(np.sqrt(len(difference)))
    return float(difference.sum()) / spread if spread > 0 else 0.0
