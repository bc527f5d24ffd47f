"""Does it help?  Real only against real and made, on rows that no model was trained on.

Student and ratio are chosen out of fold on the real rows; the test set is asked once, for the verdict.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, replace
from typing import Literal

import numpy as np
from numpy.typing import NDArray

from leaven.measure import interval
from leaven.measure.arms import draw, inherit, resample
from leaven.measure.bench import Arm, Bench, Fitter, Rows, choose_C, folds
from leaven.measure.interval import Interval
from leaven.measure.students import AnyStudent, Embedded, Stepped
from leaven.measure.verdict import RESAMPLINGS, Verdict, may_be_harmful, may_be_use, reason, verdict

SKEWED = 3.0
"""Macro-F1 decides where the largest label has more than this many times the rows of the smallest."""

Ints = NDArray[np.int64]
Metric = Literal["accuracy", "macro_f1", "map50", "iou"]
ArmName = Literal["real", "repeat", "classic", "made", "both"]


FEWEST = 4
"""Held-out rows on which two ratios have to differ before one is preferred."""


@dataclass(frozen=True)
class Line:
    """One arm of one student: how well it does, and what it gains over real only.

    Of boxes and masks, where one number says how well, both scores are that number.
    """

    student: str
    arm: ArmName
    ratio: float
    rows: int
    accuracy: Interval
    macro_f1: Interval
    gain: Interval


@dataclass(frozen=True)
class Measurement:
    """What was measured.  Shares are 0 to 1."""

    lines: list[Line]
    metric: Metric
    student: str
    verdict: Verdict
    why: str
    ratio: float
    chosen: Line
    real: Line
    left_out: list[tuple[float, int]]
    """Ratios that need more made rows than there are, and how many they need."""
    labels_gained: list[tuple[str, float]]
    """Each label's gain in recall at the chosen ratio, highest first."""
    fits: int
    seeds: int
    made_rows: int
    out_of_fold: dict[float, float]
    rows_needed: int | None = None
    warnings: list[str] = field(default_factory=list)
    named: bool = False
    """True where the user named the student."""


def skewed(labels: NDArray[np.int64]) -> bool:
    """True where the largest label has more than SKEWED times the rows of the smallest: accuracy then tells of few
    labels only.  The 1st of 20 stands for the smallest, so that one rare label among many is not all."""
    counts = np.sort(np.bincount(labels))
    counts = counts[counts > 0]
    return bool(counts[-1] > SKEWED * counts[len(counts) // 20])


def _surplus(difference: NDArray[np.float64]) -> float:
    """How much better one is than the other on the held-out rows, in standard errors; 0 where few rows differ."""
    if np.count_nonzero(difference) < FEWEST:
        return 0.0
    spread = float(difference.std()) * float(np.sqrt(len(difference)))
    return float(difference.sum()) / spread if spread > 0 else 0.0


def measure(
    real: Rows,
    made: Rows,
    classic: Rows,
    test: Rows,
    names: Sequence[str],
    embed: Callable[[Sequence[str]], NDArray[np.float32]],
    *,
    groups: NDArray[np.int64] | None = None,
    ratios: Sequence[float] = (0, 0.25, 0.5, 1, 2, 4),
    seeds: int = 5,
    metric: Metric | None = None,
    seed: int = 0,
    workers: int = 1,
    progress: Callable[[str], None] = lambda said: None,
    others: Sequence[AnyStudent] | None = None,
    named: str = Embedded.name,
    student: str | None = None,
) -> Measurement:
    """Fit every arm with all students and compare.  ``classic`` are children of the baseline.

    ``groups`` names the cluster of each test row.  Seeds draw which made rows enter where a ratio asks for fewer
    than there are.  The students are a linear model over what ``embed`` gives, called ``named``, and ``others``
    (TF-IDF of the texts); ``student`` is the one that has the verdict, instead of the better one without made rows.
    """
    metric = metric or ("macro_f1" if skewed(real.labels) or skewed(test.labels) else "accuracy")
    every = list(dict.fromkeys(item for rows in (real, made, classic, test) for item in rows.items))
    vectors = dict(zip(every, embed(every), strict=True))
    fold = folds(real.labels, seed)
    others = None if others is None else tuple(others)
    bench = Bench(real, {"made": made, "classic": classic}, test, len(names), vectors, fold, (), others, named)
    students = bench.students()
    bench = replace(bench, C=choose_C(bench, students, seed))
    with Fitter(bench, students, workers, progress) as fitter:
        run = _Measuring(bench, fitter, names, groups, seeds, metric, student)
        return run.measure([r for r in ratios if r > 0])


class _Measuring:
    def __init__(
        self,
        bench: Bench,
        fitter: Fitter[Ints, AnyStudent],
        names: Sequence[str],
        groups: NDArray[np.int64] | None,
        seeds: int,
        metric: Metric,
        student: str | None,
    ) -> None:
        self.bench, self.fitter, self.names = bench, fitter, names
        self.groups, self.seeds, self.metric = groups, seeds, metric
        self.named = student
        self.students = [s.name for s in fitter.students]
        self.lucky = [isinstance(s, Stepped) for s in fitter.students]
        self.n = len(bench.real)
        self.none = np.zeros(0, np.int64)
        self.once = np.ones(self.n, np.int64)

    def measure(self, ratios: list[float]) -> Measurement:
        made = self.bench.made["made"]
        # Fewer made rows than labels leave some labels without any: that tells of the draw, not of the rows.
        fewest = min(len(made), len(np.unique(made.labels)))
        possible = [r for r in ratios if max(1, fewest) <= round(r * self.n) <= len(made)]
        left_out = [(r, round(r * self.n)) for r in ratios if round(r * self.n) > len(made)]
        everything = len(made) / self.n
        if everything not in possible and (not possible or everything > 1.2 * max(possible)):
            possible.append(everything)  # all that is there: it is what the run wrote
        student, ratio, scores = self.choose(possible)
        lines, predicted = self.test_arms(possible)
        base = predicted[student, "real", 0.0]
        best = predicted[student, "both", ratio]
        name = self.students[student]
        chosen = next(x for x in lines if (x.student, x.arm, x.ratio) == (name, "both", ratio))
        open_question = may_be_use(chosen.gain) or may_be_harmful(chosen.gain)
        resampled = self.resampled(student, ratio) if open_question else np.zeros(0)
        found = verdict(chosen.gain, resampled)
        return Measurement(
            lines=lines,
            metric=self.metric,
            student=name,
            verdict=found,
            why=reason(chosen.gain, resampled),
            ratio=ratio,
            chosen=chosen,
            real=next(x for x in lines if (x.student, x.arm) == (name, "real")),
            left_out=left_out,
            labels_gained=self.labels(base, best),
            fits=len(self.fitter.known),
            seeds=self.seeds,
            made_rows=len(made),
            out_of_fold=scores,
            rows_needed=interval.rows_needed(chosen.gain.row_se, len(self.bench.test), 0.015),
            named=self.named is not None,
        )

    # -- out of fold: which student, which ratio --------------------------------------------------------------------

    def choose(self, ratios: Sequence[float]) -> tuple[int, float, dict[float, float]]:
        """The student that is better without made rows; and the ratio: the largest, which is what the run wrote,
        unless another is better out of fold by more than a standard error of the difference between the two.

        On a hundred real rows the differences between ratios are mostly chance; taking the best would follow it.
        """
        if self.named is not None:
            student = self.students.index(self.named)
        else:
            student = int(np.argmax([self.right_of_fold(s, None).sum() for s in range(len(self.students))]))
        self.fitter.fit([arm for ratio in ratios for arm in self.held_out(student, ratio)])  # together: what is left
        scores = {ratio: self.right_of_fold(student, ratio) for ratio in ratios}
        best = max(ratios, key=lambda r: (scores[r].sum(), -r))
        near = [r for r in ratios if _surplus(scores[best] - scores[r]) <= 1.0]
        return student, max(near), {r: float(found.sum()) for r, found in scores.items()}

    def right_of_fold(self, student: int, ratio: float | None) -> NDArray[np.float64]:
        """Each held-out real row's share of the score, where it is right; with macro-F1 every label weighs alike."""
        arms = self.held_out(student, ratio)
        if not arms:  # no label has two rows: nothing to hold out
            return np.zeros(1)
        truth = np.concatenate([self.bench.real.labels[self.bench.fold == arm.fold] for arm in arms])
        guess = np.concatenate(self.fitter.fit(arms))
        sizes = np.bincount(truth, minlength=len(self.names))
        weight = 1.0 / len(truth) if self.metric == "accuracy" else 1.0 / (sizes[truth] * (sizes > 0).sum())
        return np.where(truth == guess, weight, 0.0)

    def held_out(self, student: int, ratio: float | None) -> list[Arm]:
        """An arm without each fold's rows."""
        picked = self.none if ratio is None else self.picked("made", ratio, 0)
        return [Arm(student, self.once, picked, fold=fold) for fold in range(int(self.bench.fold.max(initial=-1)) + 1)]

    # -- on the test set --------------------------------------------------------------------------------------------

    def picked(self, name: str, ratio: float, seed: int) -> NDArray[np.int64]:
        """Counts over a made set: round(ratio x real rows) of them, in equal shares of the labels."""
        rows = self.bench.made[name]
        found = np.zeros(len(rows), np.int64)
        found[draw(rows.ids, rows.labels, round(ratio * self.n), seed)] = 1
        return found

    def arms(self, student: int, ratios: Sequence[float]) -> dict[tuple[ArmName, float], list[Arm]]:
        """The arms of a student, each once a seed; the real rows alone need but one fit, unless the student's own luck
        is a seed too."""
        seeds, lucky = range(self.seeds), self.lucky[student]
        lucks = list(seeds) if lucky else [0]

        def arm(times: int, made_set: str, ratio: float, seed: int) -> Arm:
            picked = self.picked(made_set, ratio, seed)
            return Arm(student, times * self.once, picked, made_set, luck=seed if lucky else 0)

        found: dict[tuple[ArmName, float], list[Arm]] = {
            ("real", 0.0): [Arm(student, self.once, self.none, luck=luck) for luck in lucks],
            ("repeat", 1.0): [Arm(student, 2 * self.once, self.none, luck=luck) for luck in lucks],
        }
        if len(self.bench.made["classic"]):
            share = min(1.0, len(self.bench.made["classic"]) / self.n)
            found["classic", share] = [arm(1, "classic", share, s) for s in seeds]
        most = max(ratios)
        found["made", most] = [arm(0, "made", most, s) for s in seeds]
        for ratio in ratios:
            found["both", ratio] = [arm(1, "made", ratio, s) for s in seeds]
        return found

    def test_arms(
        self, ratios: Sequence[float]
    ) -> tuple[list[Line], dict[tuple[int, ArmName, float], NDArray[np.int64]]]:
        arms = {s: self.arms(s, ratios) for s in range(len(self.students))}
        self.fitter.fit([arm for found in arms.values() for some in found.values() for arm in some])
        predicted: dict[tuple[int, ArmName, float], NDArray[np.int64]] = {}
        lines = []
        for student, found in arms.items():
            for (name, ratio), some in found.items():
                predicted[student, name, ratio] = np.stack(self.fitter.fit(some))
                base = predicted[student, "real", 0.0]
                guess, real = predicted[student, name, ratio], found["real", 0.0]
                same = all(self.bench.same(real[i % len(real)], arm) for i, arm in enumerate(some))
                gained = interval.nothing(len(self.bench.test), len(some)) if same else self.gain(base, guess)
                lines.append(self.line(student, name, ratio, some[0], guess, gained))
        return lines, predicted

    def line(
        self, student: int, name: ArmName, ratio: float, arm: Arm, guess: NDArray[np.int64], gained: Interval
    ) -> Line:
        truth, k = self.bench.test.labels, len(self.names)
        return Line(
            student=self.students[student],
            arm=name,
            ratio=ratio,
            rows=int(arm.real.sum() + arm.made.sum()),
            accuracy=interval.accuracy(guess == truth, self.groups),
            macro_f1=interval.f1(truth, guess, k, self.groups),
            gain=gained,
        )

    def gain(self, base: NDArray[np.int64], guess: NDArray[np.int64]) -> Interval:
        truth = self.bench.test.labels
        if self.metric == "accuracy":
            return interval.gain(base == truth, guess == truth, self.groups)
        return interval.f1_gain(truth, base, guess, len(self.names), self.groups)

    def resampled(self, student: int, ratio: float) -> NDArray[np.float64]:
        """The gain anew for each resampling of the real rows: made rows count as often as what they came from."""
        roots = self.bench.made["made"].roots
        gains = []
        arms = []
        for number in range(RESAMPLINGS):
            luck = number if self.lucky[student] else 0
            counts = resample(self.bench.real.labels, number)
            picked = self.picked("made", ratio, number) * inherit(counts, roots)
            arms += [Arm(student, counts, self.none, luck=luck), Arm(student, counts, picked, luck=luck)]
        found = self.fitter.fit(arms)
        for base, guess in zip(found[::2], found[1::2], strict=True):
            gains.append(self.gain(base[None], guess[None]).mean)
        return np.array(gains)

    def labels(self, base: NDArray[np.int64], best: NDArray[np.int64]) -> list[tuple[str, float]]:
        truth = self.bench.test.labels
        found = []
        for code in np.unique(truth):
            mine = truth == code
            recall = (best[:, mine] == code).mean() - (base[:, mine] == code).mean()
            found.append((self.names[int(code)], float(recall)))
        return sorted(found, key=lambda pair: (-pair[1], pair[0]))
