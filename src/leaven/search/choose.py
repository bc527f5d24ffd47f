"""Choose recipe, keep, ratio and weight out of fold, on the real rows alone.

Candidates are sampled by a tree-structured Parzen estimator and stopped early by successive halving (Li et al. 2018,
arXiv:1810.05934): each is first held against one deal of the real rows into folds, a third of them go on to three
deals, a third of those to nine.  No test row is read here.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from contextlib import ExitStack
from dataclasses import dataclass, replace
from itertools import pairwise
from statistics import NormalDist

import numpy as np

from leaven.errors import MissingExtra
from leaven.measure.arms import draw
from leaven.measure.bench import Arm, Bench, Fitter, folds, held_back
from leaven.measure.students import AnyStudent
from leaven.measure.trials import Floats, Ints, Metric, Setting, shares, surplus
from leaven.search.checked import Checkers
from leaven.search.keeps import Keeping

DEALS = 9
RUNGS = (1, 3, 9)
RATIOS = (0.5, 1.0, 2.0, 5.0)
WEIGHTS = (1.0, 0.5, 0.2)
LUCK = 0.2
"""How often the best of settings that are worth nothing may be taken for one that helps, out of fold."""


@dataclass(frozen=True)
class Tried:
    """A setting with its gain over the real rows alone, out of fold: a share of one, and in standard errors."""

    setting: Setting
    gain: float
    errors: float
    deals: int


@dataclass(frozen=True)
class Choice:
    """What was chosen; ``setting`` is None where nothing was better than the real rows alone by more than luck."""

    setting: Setting | None
    tried: list[Tried]
    """Best first: those that were held against all deals, then the others."""
    needed: float
    """Standard errors that the best of as many worthless settings reaches one time in five."""
    alone: float
    fits: int


@dataclass(frozen=True)
class Kept:
    """A recipe's made rows under a keep: which set of the bench, which rule, and how many rows it leaves in the end."""

    made: str
    keeping: Keeping
    rows: int


def choose(
    bench: Bench,
    students: Sequence[AnyStudent],
    student: int,
    metric: Metric,
    kept: Mapping[str, Kept],
    *,
    trials: int = 60,
    seed: int = 0,
    workers: int = 1,
    ratios: Sequence[float] = RATIOS,
    weights: Sequence[float] = WEIGHTS,
    told: Callable[[str], None] = lambda said: None,
) -> Choice:
    """Search over ``kept``, by name.  The same seed gives the same choice, on any number of workers.

    Of those that are within a standard error of the best, the one with the least made weight is chosen: it has the
    least to lose.
    """
    with ExitStack() as stack:
        deals = _Deals(bench, students, student, metric, kept, seed, workers, stack)
        space = {
            (name, ratio, weight): Setting(min(ratio, some.rows / len(bench.real)), weight, name)
            for name, some in kept.items()
            if some.rows
            for ratio in ratios
            for weight in weights
        }
        if not space:
            return Choice(None, [], 0.0, float(np.nansum(deals.alone(0))), deals.fits)
        found = _searched(deals, space, trials, seed, told)
        return _chosen(deals, found)


STRIDE = 1_000
"""A fold's number in a deal, and so many times the deal's, tell both in one."""


@dataclass(frozen=True)
class _Dealt:
    """A bench whose real rows are dealt into folds several times, so that one set of processes fits all deals."""

    bench: Bench
    folds: tuple[Ints, ...]

    def students(self) -> list[AnyStudent]:
        return self.bench.students()

    def predict(self, students: Sequence[AnyStudent], arm: Arm) -> Ints:
        deal, part = divmod(arm.fold, STRIDE)
        return replace(self.bench, fold=self.folds[deal]).predict(students, replace(arm, fold=part))


class _Deals:
    """What each deal says of a setting: every arm is fitted once, and checked by models that saw no held-out row."""

    def __init__(
        self,
        bench: Bench,
        students: Sequence[AnyStudent],
        student: int,
        metric: Metric,
        kept: Mapping[str, Kept],
        seed: int,
        workers: int,
        stack: ExitStack,
    ) -> None:
        self.bench, self.student, self.metric, self.kept = bench, student, metric, kept
        self.folds = tuple(folds(bench.real.labels, seed + number) for number in range(DEALS))
        self.checkers = [Checkers(replace(bench, fold=fold)) for fold in self.folds]
        self.fitter: Fitter[Ints, AnyStudent] = stack.enter_context(
            Fitter(_Dealt(bench, self.folds), students, workers, lambda said: None)
        )
        self.once, self.none = np.ones(len(bench.real), np.int64), np.zeros(0, np.int64)
        self.known: dict[tuple[int, Setting | None], Floats] = {}

    @property
    def fits(self) -> int:
        return len(self.fitter.known) + sum(len(checkers.models) for checkers in self.checkers)

    def right(self, number: int, setting: Setting | None) -> Floats:
        """Of each real row its share of the score in one deal; NaN where it was never held out."""
        if (number, setting) not in self.known:
            fold = self.folds[number]
            found = np.full(len(fold), np.nan)
            parts = range(int(fold.max(initial=-1)) + 1)
            if parts:
                held = np.concatenate([np.flatnonzero(fold == part) for part in parts])
                guess = np.concatenate(self.fitter.fit([self.arm(number, setting, part) for part in parts]))
                found[held] = shares(self.bench.real.labels[held], guess, self.metric)
            self.known[number, setting] = found
        return self.known[number, setting]

    def fit(self, setting: Setting, deals: Sequence[int]) -> None:
        """All arms of a setting in some deals at once, so that every process has work."""
        need = [(number, some) for number in deals for some in (None, setting) if (number, some) not in self.known]
        parts = [range(int(self.folds[number].max(initial=-1)) + 1) for number, _ in need]
        self.fitter.fit([self.arm(n, some, part) for (n, some), of in zip(need, parts, strict=True) for part in of])

    def arm(self, number: int, setting: Setting | None, part: int) -> Arm:
        """The real rows without a fold, with what the keep would have left of the made rows without it."""
        fold = number * STRIDE + part
        if setting is None:
            return Arm(self.student, self.once, self.none, fold=fold)
        some = self.kept[setting.made]
        rows, held = self.bench.made[some.made], self.folds[number] == part
        left = some.keeping.left(self.checkers[number].scored(some.made, part)) & ~held_back(rows.roots, held)
        there = np.flatnonzero(left)
        amount = round(setting.ratio * int((~held).sum()))
        counts = np.zeros(len(rows), np.int64)
        counts[there[draw([rows.ids[i] for i in there], rows.labels[there], amount, number)]] = 1
        return Arm(self.student, self.once, counts, some.made, fold, weight=setting.weight)

    def alone(self, number: int) -> Floats:
        return self.right(number, None)

    def difference(self, setting: Setting, deals: int) -> Floats:
        """What each real row gains, on the average of the first deals."""
        each = [self.right(number, setting) - self.alone(number) for number in range(deals)]
        mean: Floats = np.mean(each, axis=0)
        return mean[~np.isnan(mean)]


def _searched(
    deals: _Deals,
    space: Mapping[tuple[str, float, float], Setting],
    trials: int,
    seed: int,
    told: Callable[[str], None],
) -> dict[Setting, int]:
    """Settings that were tried, and on how many deals."""
    try:
        import optuna
    except ImportError:
        raise MissingExtra("leaven search needs the extra `search`.", 'pip install "leaven[search]"') from None
    optuna.logging.set_verbosity(optuna.logging.ERROR)
    names, ratios, weights = (list(dict.fromkeys(key[i] for key in space)) for i in range(3))
    found: dict[Setting, int] = {}

    def objective(trial: optuna.Trial) -> float:
        key = (
            str(trial.suggest_categorical("made", names)),
            float(str(trial.suggest_categorical("ratio", ratios))),
            float(str(trial.suggest_categorical("weight", weights))),
        )
        setting = space[key]
        gain = 0.0
        for before, rung in pairwise((0, *RUNGS)):
            deals.fit(setting, range(before, rung))
            gain = float(deals.difference(setting, rung).sum())
            found[setting] = max(found.get(setting, 0), rung)
            told(f"{trial.number + 1} of {trials}, {rung} deals, {setting.made} x {setting.ratio:.2g}")
            trial.report(gain, rung)
            if rung < DEALS and trial.should_prune():
                raise optuna.TrialPruned
        return gain

    study = optuna.create_study(
        direction="maximize",
        sampler=optuna.samplers.TPESampler(seed=seed),
        pruner=optuna.pruners.SuccessiveHalvingPruner(min_resource=1, reduction_factor=3),
    )
    study.optimize(objective, n_trials=min(trials, 4 * len(space)))
    return found


def _chosen(deals: _Deals, found: Mapping[Setting, int]) -> Choice:
    whole = {s: deals.difference(s, DEALS) for s, n in found.items() if n == DEALS}
    tried = [Tried(s, float(d.sum()), surplus(d), DEALS) for s, d in whole.items()]
    early = [
        Tried(s, float(d.sum()), surplus(d), n) for s, n in found.items() if n < DEALS for d in [deals.difference(s, n)]
    ]
    order = [*sorted(tried, key=_order), *sorted(early, key=_order)]
    needed = NormalDist().inv_cdf(1.0 - LUCK / max(1, len(found)))
    alone = float(np.nansum(deals.alone(0)))
    if not tried or order[0].errors <= needed:
        return Choice(None, order, needed, alone, deals.fits)
    best = whole[order[0].setting]
    near = [t for t in tried if surplus(best - whole[t.setting]) <= 1.0 and t.errors > needed]
    least = min(near, key=lambda t: (t.setting.ratio * t.setting.weight, -t.gain, t.setting))
    return Choice(least.setting, order, needed, alone, deals.fits)


def _order(tried: Tried) -> tuple[float, float, Setting]:
    return (-tried.gain, tried.setting.ratio * tried.setting.weight, tried.setting)
