"""Does it help?  Real only against real and made, on rows that no model was trained on.

Student, ratio and weight are chosen out of fold on the real rows; the test set is asked once, for the verdict.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Literal

import numpy as np
from numpy.typing import NDArray

from leaven.measure import interval
from leaven.measure.arms import inherit, resample
from leaven.measure.bench import Arm, Bench, Fitter, Rows, choose_C, folds
from leaven.measure.curve import Point, curve
from leaven.measure.families import Family, families
from leaven.measure.interval import Interval
from leaven.measure.slices import Slice, slices
from leaven.measure.students import AnyStudent, Embedded
from leaven.measure.trials import Metric, Setting, Trials, surplus
from leaven.measure.verdict import RESAMPLINGS, Verdict, may_be_harmful, may_be_use, reason, verdict

SKEWED = 3.0
"""Macro-F1 decides where the largest label has more than this many times the rows of the smallest."""
RATIOS = (0.25, 0.5, 1.0, 2.0, 4.0)
WEIGHTS = (1.0, 0.5, 0.2)

Ints = NDArray[np.int64]
ArmName = Literal["real", "repeat", "classic", "made", "both"]


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
    weight: float = 1.0


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
    out_of_fold: Mapping[Setting, float]
    weight: float = 1.0
    """What a made row weighs beside a real one."""
    curve: Sequence[Point] = ()
    """The gain at smaller numbers of real rows, and at all of them."""
    families: Sequence[Family] = ()
    slices: Sequence[Slice] = ()
    recalls: Sequence[tuple[str, int, float]] = ()
    """Each label, its real rows, and the share of them that are found out of fold without made rows, lowest first."""
    knee: float | None = None
    """The ratio above which more made rows add nothing, out of fold."""
    rows_needed: int | None = None
    warnings: list[str] = field(default_factory=list)
    named: bool = False
    """True where the user named the student."""
    usd: float | None = None
    """What the run spent, where it is known."""


def skewed(labels: NDArray[np.int64]) -> bool:
    """True where the largest label has more than SKEWED times the rows of the smallest: accuracy then tells of few
    labels only.  The 1st of 20 stands for the smallest, so that one rare label among many is not all."""
    counts = np.sort(np.bincount(labels))
    counts = counts[counts > 0]
    return bool(counts[-1] > SKEWED * counts[len(counts) // 20])


def measure(
    real: Rows,
    made: Rows,
    classic: Rows,
    test: Rows,
    names: Sequence[str],
    embed: Callable[[Sequence[str]], NDArray[np.float32]],
    *,
    groups: NDArray[np.int64] | None = None,
    ratios: Sequence[float] = RATIOS,
    weights: Sequence[float] = WEIGHTS,
    seeds: int = 5,
    metric: Metric | None = None,
    seed: int = 0,
    workers: int = 1,
    progress: Callable[[str], None] = lambda said: None,
    others: Sequence[AnyStudent] | None = None,
    named: str = Embedded.name,
    student: str | None = None,
    columns: Mapping[str, Sequence[object]] | None = None,
) -> Measurement:
    """Fit every arm with all students and compare.  ``classic`` are children of the baseline.

    ``groups`` names the cluster of each test row, ``columns`` what else is known of each: the gain is told for their
    values.  ``weights`` are what a made row may weigh beside a real one, first what the run wrote; the others are tried
    with all made rows.  Seeds draw which made rows enter where a ratio asks for fewer than there are.  The students are
    a linear model over what ``embed`` gives, called ``named``, and ``others`` (TF-IDF of the texts); ``student`` is the
    one that has the verdict, instead of the better one without made rows.
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
        trials = Trials(bench, fitter, names, groups, seeds, metric)
        return _Measuring(trials, student).measure([r for r in ratios if r > 0], weights, columns or {})


class _Measuring:
    def __init__(self, trials: Trials, named: str | None) -> None:
        self.trials, self.named = trials, named
        self.bench, self.students = trials.bench, trials.students

    def measure(
        self, ratios: Sequence[float], weights: Sequence[float], columns: Mapping[str, Sequence[object]]
    ) -> Measurement:
        trials, made = self.trials, self.bench.made["made"]
        settings, left_out = self.settings(ratios, weights)
        student, setting, scores = self.choose(settings)
        lines, predicted = self.test_arms(settings)
        base = predicted[student, "real", Setting(0.0)]
        best = predicted[student, "both", setting]
        name = self.students[student]
        chosen = next(x for x in lines if (x.student, x.arm, x.ratio, x.weight) == (name, "both", *setting[:2]))
        real = next(x for x in lines if (x.student, x.arm) == (name, "real"))
        open_question = may_be_use(chosen.gain) or may_be_harmful(chosen.gain)
        resampled = self.resampled(student, setting) if open_question else np.zeros(0)
        whole = Point(trials.n, trials.score(base), chosen.gain)
        return Measurement(
            lines=lines,
            metric=trials.metric,
            student=name,
            verdict=verdict(chosen.gain, resampled),
            why=reason(chosen.gain, resampled),
            ratio=setting.ratio,
            weight=setting.weight,
            chosen=chosen,
            real=real,
            left_out=left_out,
            labels_gained=self.labels(base, best),
            curve=[whole] if trials.lucky(student) else curve(trials, student, setting, whole),
            families=families(trials, student, setting),
            slices=slices(columns, self.bench.test.labels, base, best, trials.groups),
            recalls=self.recalls(student),
            knee=self.knee(student, settings),
            fits=len(trials.fitter.known),
            seeds=trials.seeds,
            made_rows=len(made),
            out_of_fold=scores,
            rows_needed=interval.rows_needed(chosen.gain.row_se, len(self.bench.test), 0.015),
            named=self.named is not None,
        )

    def settings(
        self, ratios: Sequence[float], weights: Sequence[float]
    ) -> tuple[list[Setting], list[tuple[float, int]]]:
        """Every ratio that there are rows for, and all made rows at each weight; the ratios that there are not, and
        what they need."""
        n, made = self.trials.n, self.bench.made["made"]
        # Fewer made rows than labels leave some labels without any: that tells of the draw, not of the rows.
        fewest = max(1, min(len(made), len(np.unique(made.labels))))
        possible = [r for r in ratios if fewest <= round(r * n) <= len(made)]
        left_out = [(r, round(r * n)) for r in ratios if round(r * n) > len(made)]
        everything = len(made) / n
        if everything not in possible and (not possible or everything > 1.2 * max(possible)):
            possible.append(everything)  # all that is there: it is what the run wrote
        first, *others = weights
        most = max(possible)
        return [*(Setting(r, first) for r in possible), *(Setting(most, w) for w in others)], left_out

    # -- out of fold: which student, which setting ------------------------------------------------------------------

    def choose(self, settings: Sequence[Setting]) -> tuple[int, Setting, dict[Setting, float]]:
        """The student that is better without made rows; and the setting: all rows at the first weight, which is what
        the run wrote, unless another is better out of fold by more than a standard error of the difference.

        On a hundred real rows the differences between settings are mostly chance; taking the best would follow it.
        """
        trials = self.trials
        if self.named is not None:
            student = self.students.index(self.named)
        else:
            student = int(np.argmax([trials.right_of_fold(s, None).sum() for s in range(len(self.students))]))
        # together: what is left
        trials.fitter.fit([arm for setting in settings for arm in trials.held_out(student, setting)])
        scores = {setting: trials.right_of_fold(student, setting) for setting in settings}
        best = max(settings, key=lambda s: (scores[s].sum(), -s.ratio, s.weight))
        near = [s for s in settings if surplus(scores[best] - scores[s]) <= 1.0]
        written = max(near, key=lambda s: (s.weight == settings[0].weight, s.ratio, s.weight))
        return student, written, {s: float(found.sum()) for s, found in scores.items()}

    def knee(self, student: int, settings: Sequence[Setting]) -> float | None:
        """The smallest ratio, out of fold, that no larger one is better than by more than a standard error; None
        where none is worth more than no made row."""
        ratios = [s for s in settings if s.weight == settings[0].weight]
        scores = {s: self.trials.right_of_fold(student, s) for s in ratios}
        best = max(ratios, key=lambda s: (scores[s].sum(), -s.ratio))
        if surplus(scores[best] - self.trials.right_of_fold(student, None)) <= 1.0:
            return None
        return min(s.ratio for s in ratios if surplus(scores[best] - scores[s]) <= 1.0)

    def recalls(self, student: int) -> list[tuple[str, int, float]]:
        """Each label with its real rows and the share of them that a student finds which did not see them, lowest
        first; labels of one row are left out."""
        truth, guess = self.trials.out_of_fold(student, None)
        found = []
        for code in np.unique(truth).tolist():
            mine = truth == code
            found.append((self.trials.names[code], int(mine.sum()), float((guess[mine] == code).mean())))
        return sorted(found, key=lambda label: (label[2], label[0]))

    # -- on the test set --------------------------------------------------------------------------------------------

    def arms(self, student: int, settings: Sequence[Setting]) -> dict[tuple[ArmName, Setting], list[Arm]]:
        """The arms of a student, each once a seed; the real rows alone need but one fit, unless the student's own luck
        is a seed too."""
        trials, seeds = self.trials, range(self.trials.seeds)
        lucks = list(seeds) if trials.lucky(student) else [0]
        found: dict[tuple[ArmName, Setting], list[Arm]] = {
            ("real", Setting(0.0)): [trials.arm(student, None, luck) for luck in lucks],
            ("repeat", Setting(1.0)): [trials.arm(student, None, luck, real=2) for luck in lucks],
        }
        if len(self.bench.made["classic"]):
            classic = Setting(min(1.0, len(self.bench.made["classic"]) / trials.n), made="classic")
            found["classic", classic] = [trials.arm(student, classic, seed) for seed in seeds]
        most = Setting(max(s.ratio for s in settings))
        found["made", most] = [trials.arm(student, most, seed, real=0) for seed in seeds]
        for setting in settings:
            found["both", setting] = [trials.arm(student, setting, seed) for seed in seeds]
        return found

    def test_arms(
        self, settings: Sequence[Setting]
    ) -> tuple[list[Line], dict[tuple[int, ArmName, Setting], NDArray[np.int64]]]:
        trials = self.trials
        arms = {s: self.arms(s, settings) for s in range(len(self.students))}
        trials.fitter.fit([arm for found in arms.values() for some in found.values() for arm in some])
        predicted: dict[tuple[int, ArmName, Setting], NDArray[np.int64]] = {}
        lines = []
        for student, found in arms.items():
            real = found["real", Setting(0.0)]
            base = trials.predicted(real)
            for (name, setting), some in found.items():
                guess = predicted[student, name, setting] = trials.predicted(some)
                same = all(self.bench.same(real[i % len(real)], arm) for i, arm in enumerate(some))
                gained = interval.nothing(len(self.bench.test), len(some)) if same else trials.gain(base, guess)
                lines.append(self.line(student, name, setting, some[0], guess, gained))
        return lines, predicted

    def line(
        self, student: int, name: ArmName, setting: Setting, arm: Arm, guess: NDArray[np.int64], gained: Interval
    ) -> Line:
        truth, k, groups = self.bench.test.labels, len(self.trials.names), self.trials.groups
        return Line(
            student=self.students[student],
            arm=name,
            ratio=setting.ratio,
            weight=setting.weight,
            rows=int(arm.real.sum() + arm.made.sum()),
            accuracy=interval.accuracy(guess == truth, groups),
            macro_f1=interval.f1(truth, guess, k, groups),
            gain=gained,
        )

    def resampled(self, student: int, setting: Setting) -> NDArray[np.float64]:
        """The gain anew for each resampling of the real rows: made rows count as often as what they came from."""
        trials, roots = self.trials, self.bench.made["made"].roots
        arms = []
        for number in range(RESAMPLINGS):
            counts = resample(self.bench.real.labels, number)
            both = trials.arm(student, setting, number)
            arms += [
                replace(trials.arm(student, None, number), real=counts),
                replace(both, real=counts, made=both.made * inherit(counts, roots)),
            ]
        found = trials.fitter.fit(arms)
        pairs = zip(found[::2], found[1::2], strict=True)
        return np.array([trials.gain(base[None], guess[None]).mean for base, guess in pairs])

    def labels(self, base: NDArray[np.int64], best: NDArray[np.int64]) -> list[tuple[str, float]]:
        truth = self.bench.test.labels
        found = []
        for code in np.unique(truth):
            mine = truth == code
            recall = (best[:, mine] == code).mean() - (base[:, mine] == code).mean()
            found.append((self.trials.names[int(code)], float(recall)))
        return sorted(found, key=lambda pair: (-pair[1], pair[0]))
