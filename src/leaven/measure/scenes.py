"""Does it help to find boxes, or to colour masks?  Real only against real and made, with a small net of our own.

As for labels: the same arms, as many optimiser steps in each, paired seeds, an interval over test images and seeds,
the same verdicts.  Here the ratio is what the run wrote, since fitting out of fold would take as long again.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np
from numpy.typing import NDArray

from leaven.measure import interval
from leaven.measure.arms import draw, inherit, resample
from leaven.measure.bench import Arm, Fitter, Rows
from leaven.measure.detector import Detector
from leaven.measure.gain import ArmName, Line, Measurement
from leaven.measure.interval import Interval
from leaven.measure.notes import Noted
from leaven.measure.precision import matched, mean_average_precision
from leaven.measure.segmenter import Segmenter, mean_iou
from leaven.measure.verdict import RESAMPLINGS, may_be_harmful, may_be_use, reason, verdict
from leaven.records import digest

Ints = NDArray[np.int64]
Floats = NDArray[np.float64]
Student = Detector | Segmenter


@dataclass(frozen=True)
class SceneBench:
    """Real, made and test rows with their annotations, and the picture of each item."""

    real: Rows
    made: dict[str, Rows]
    test: Rows
    pictures: Mapping[str, NDArray[np.uint8]]
    student: Student

    def students(self) -> list[Student]:
        return [self.student]

    def predict(self, students: Sequence[Student], arm: Arm) -> list[Any]:
        """What a net trained on an arm says of each test image."""
        rows = self.made[arm.made_set]
        counts = arm.counts(rows)
        here = np.flatnonzero(counts)
        items, notes = self.real.items + rows.items, [*self.real.notes, *rows.notes]
        # In an order of their own, so that where a row stands in its file does not decide when it is seen.
        here = here[np.argsort([items[i] for i in here], kind="stable")]
        return students[0].train_and_predict(
            np.stack([self.pictures[items[i]] for i in here]),
            [notes[i] for i in here],
            counts[here],
            np.stack([self.pictures[item] for item in self.test.items]),
            arm.luck,
        )

    def same(self, one: Arm, other: Arm) -> bool:
        """True where two arms are one net: they teach the same pictures the same annotations, as often."""
        mine, theirs = self._taught(one), self._taught(other)
        sums = sum(mine.values()), sum(theirs.values())
        return one.luck == other.luck and mine.keys() == theirs.keys() and all(
            times * sums[1] == theirs[key] * sums[0] for key, times in mine.items()
        )  # fmt: skip

    def _taught(self, arm: Arm) -> dict[tuple[str, bytes], float]:
        rows = self.made[arm.made_set]
        items, notes = self.real.items + rows.items, [*self.real.notes, *rows.notes]
        found: dict[tuple[str, bytes], float] = defaultdict(float)
        for row in np.flatnonzero(counts := arm.counts(rows)):
            found[items[row], _said(notes[row])] += counts[row]
        return found


def _said(note: Noted) -> bytes:
    """What a net learns of a row, as bytes."""
    return digest(note.boxes.tobytes(), *note.labels, b"" if note.mask is None else note.mask.tobytes())


def student_of(kinds: Sequence[str], real: Rows) -> Student | None:
    """The net for boxes, else for masks."""
    if "boxes" in kinds:
        labels = sorted({label for note in real.notes for label in note.labels})
        return Detector(labels) if labels else None
    if "mask" in kinds:
        codes = sorted({int(code) for note in real.notes if note.mask is not None for code in np.unique(note.mask)})
        return Segmenter(codes) if len(codes) > 1 else None
    return None


def measure(
    bench: SceneBench, *, ratios: Sequence[float], seeds: int, workers: int, progress: Callable[[str], None]
) -> Measurement:
    """Train on the real rows with the made ones and without, and compare on the test images."""
    with Fitter(bench, bench.students(), workers, progress) as fitter:
        return _Measuring(bench, fitter, seeds).measure([r for r in ratios if r > 0])


@dataclass
class _Measuring:
    bench: SceneBench
    fitter: Fitter[list[Any], Student]
    seeds: int
    n: int = field(init=False)

    def __post_init__(self) -> None:
        self.n = len(self.bench.real)
        self.once, self.none = np.ones(self.n, np.int64), np.zeros(0, np.int64)
        self.score = self._score()

    def measure(self, ratios: Sequence[float]) -> Measurement:
        made = self.bench.made["made"]
        possible = [r for r in ratios if 1 <= round(r * self.n) <= len(made)]
        everything = len(made) / self.n
        ratio = everything if not possible or everything > 1.2 * max(possible) else max(possible)
        arms = self.arms(ratio)
        self.fitter.fit([arm for some in arms.values() for arm in some])
        scores = {name: self.scores(some) for name, some in arms.items()}
        lines = [self.line(name, share, some, arms["real", 0.0], scores) for (name, share), some in arms.items()]
        chosen = next(x for x in lines if x.arm == "both")
        sure = may_be_use(chosen.gain) or may_be_harmful(chosen.gain)
        resampled = self.resampled(ratio) if sure else np.zeros(0)
        return Measurement(
            lines=lines,
            metric=self.bench.student.metric,
            student=self.bench.student.name,
            verdict=verdict(chosen.gain, resampled),
            why=reason(chosen.gain, resampled),
            ratio=ratio,
            chosen=chosen,
            real=lines[0],
            left_out=[(r, round(r * self.n)) for r in ratios if round(r * self.n) > len(made)],
            labels_gained=[],
            fits=len(self.fitter.known),
            seeds=self.seeds,
            made_rows=len(made),
            out_of_fold={},
            rows_needed=interval.rows_needed(chosen.gain.row_se, len(self.bench.test), 0.015),
            named=True,
        )

    def arms(self, ratio: float) -> dict[tuple[ArmName, float], list[Arm]]:
        def arm(times: int, made_set: str, share: float, seed: int) -> Arm:
            return Arm(0, times * self.once, self.picked(made_set, share, seed), made_set, luck=seed)

        every = range(self.seeds)
        found: dict[tuple[ArmName, float], list[Arm]] = {
            ("real", 0.0): [Arm(0, self.once, self.none, luck=s) for s in every]
        }
        if len(self.bench.made["classic"]):
            share = min(1.0, len(self.bench.made["classic"]) / self.n)
            found["classic", share] = [arm(1, "classic", share, s) for s in every]
        found["made", ratio] = [arm(0, "made", ratio, s) for s in every]
        found["both", ratio] = [arm(1, "made", ratio, s) for s in every]
        return found

    def picked(self, name: str, ratio: float, seed: int) -> Ints:
        rows = self.bench.made[name]
        found = np.zeros(len(rows), np.int64)
        found[draw(rows.ids, rows.labels, round(ratio * self.n), seed)] = 1
        return found

    def line(
        self,
        name: ArmName,
        ratio: float,
        arms: Sequence[Arm],
        real: Sequence[Arm],
        scores: Mapping[tuple[ArmName, float], tuple[Floats, Floats]],
    ) -> Line:
        mine, base = scores[name, ratio], scores["real", 0.0]
        score = self.interval(*mine)
        same = all(self.bench.same(one, other) for one, other in zip(real, arms, strict=True))
        gain = self.interval(mine[0] - base[0], mine[1] - base[1])
        gain = interval.nothing(gain.rows, gain.seeds) if same else gain
        score = Interval(
            score.mean, max(0.0, score.low), min(1.0, score.high), score.se, score.row_se, score.df, score.rows,
            score.seeds,
        )  # fmt: skip
        return Line(
            self.bench.student.name, name, ratio, int(arms[0].real.sum() + arms[0].made.sum()), score, score, gain
        )

    def interval(self, each: Floats, resampled: Floats) -> Interval:
        return interval.of_statistic(each, resampled, len(self.bench.test))

    def scores(self, arms: Sequence[Arm]) -> tuple[Floats, Floats]:
        """The score of each seed on the test images, and of their mean on each resample of the images."""
        weights, _ = interval.resamples(len(self.bench.test), None, 0)
        weights = np.concatenate([np.ones((1, len(self.bench.test))), weights])
        each = np.stack([self.score(found, weights) for found in self.fitter.fit(arms)])
        return each[:, 0], each[:, 1:].mean(axis=0)

    def _score(self) -> Callable[[list[Any], Floats], Floats]:
        student = self.bench.student
        truth: list[Any] = [student.truth(note) for note in self.bench.test.notes]
        if isinstance(student, Detector):
            labels = len(student.labels)
            return lambda found, weights: mean_average_precision(matched(found, truth, labels), weights)
        codes = student.codes
        return lambda found, weights: mean_iou(found, truth, codes, weights)

    def resampled(self, ratio: float) -> Floats:
        """The gain anew for each resampling of the real rows: made rows count as often as what they came from."""
        roots = self.bench.made["made"].roots
        arms = []
        for number in range(RESAMPLINGS):
            counts = resample(self.bench.real.labels, number)
            picked = self.picked("made", ratio, number) * inherit(counts, roots)
            arms += [Arm(0, counts, self.none, luck=number), Arm(0, counts, picked, luck=number)]
        found = self.fitter.fit(arms)
        whole = np.ones((1, len(self.bench.test)))
        each = np.array([float(self.score(one, whole)[0]) for one in found])
        return np.asarray(each[1::2] - each[::2])
