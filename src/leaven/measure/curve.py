"""How the gain goes with the number of real rows, and how many real rows the made ones are worth.

Smaller sets are drawn from the real rows, label by label, with those made rows alone whose real rows are all in them.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from leaven.measure.arms import draw, inherit
from leaven.measure.bench import ANYWHERE, POOL, Arm
from leaven.measure.interval import Interval
from leaven.measure.trials import Ints, Setting, Trials

SHARES = (0.25, 0.5)
FEWEST = 2
"""Rows of a label that a smaller set has to hold on the average, else it is not drawn."""
FURTHEST = 2.0 + 1e-9
"""Doublings of the real rows that the curve is carried on for."""
FLAT = 0.002
"""Where twice the rows gain less than this, no number of rows is said."""


@dataclass(frozen=True)
class Point:
    """A number of real rows, how well they do alone (a share of one), and what the made rows that go with them gain."""

    rows: int
    alone: float
    gain: Interval


def curve(trials: Trials, student: int, setting: Setting, whole: Point) -> list[Point]:
    """Smaller sets, then the ``whole``.  Only that, where made rows know more than the real rows they came from."""
    made = trials.bench.made[setting.made]
    if np.isin(made.roots, (POOL, ANYWHERE)).any():
        return [whole]
    labels = trials.bench.real.labels
    present = len(np.unique(labels))
    shares = [share for share in SHARES if share * len(labels) >= FEWEST * present]
    pairs = {share: [_arms(trials, student, setting, share, seed) for seed in range(trials.seeds)] for share in shares}
    trials.fitter.fit([arm for some in pairs.values() for pair in some for arm in pair])
    found = []
    for some in pairs.values():
        base, both = (trials.predicted([pair[i] for pair in some]) for i in (0, 1))
        found.append(Point(int(some[0][0].real.sum()), trials.score(base), trials.gain(base, both)))
    return [*found, whole]


def _arms(trials: Trials, student: int, setting: Setting, share: float, seed: int) -> tuple[Arm, Arm]:
    """A part of the real rows, alone and with the made rows that came from it."""
    real = part(trials.bench.real.labels, share, seed)
    rows = trials.bench.made[setting.made]
    there = np.flatnonzero(inherit(real, rows.roots))
    amount = round(setting.ratio * int(real.sum()))
    picked = np.zeros(len(rows), np.int64)
    picked[there[draw([rows.ids[i] for i in there], rows.labels[there], amount, seed)]] = 1
    luck, kept = (seed if trials.lucky(student) else 0), int(real.sum()) / len(real)
    alone = Arm(student, real, trials.none, luck=luck, share=kept)
    return alone, Arm(student, real, picked, setting.made, luck=luck, weight=setting.weight, share=kept)


def part(labels: Ints, share: float, seed: int) -> Ints:
    """Which real rows (1, else 0) stand in a part of them: round(share x rows) of each label, at least 1."""
    chance = np.random.Philox(key=[seed, 0x70617274]).random_raw(len(labels))
    found = np.zeros(len(labels), np.int64)
    for label in np.unique(labels):
        mine = np.flatnonzero(labels == label)
        first = mine[np.argsort(chance[mine], kind="stable")][: max(1, round(share * len(mine)))]
        found[first] = 1
    return found


def a_doubling(points: Sequence[Point]) -> float | None:
    """What twice the real rows gain without made ones, by the last two sizes; None where too little is known."""
    if len(points) < 2 or points[-1].rows <= points[-2].rows:
        return None
    last, before = points[-1], points[-2]
    slope = (last.alone - before.alone) / math.log2(last.rows / before.rows)
    return slope if slope >= FLAT else None


def worth(points: Sequence[Point], gain: float) -> int | None:
    """About how many more real rows would gain as much: the curve goes on as its last doubling did.

    None where that is not known, or would be beyond four times the rows at hand.
    """
    slope = a_doubling(points)
    if slope is None or gain <= 0.0 or gain > FURTHEST * slope:
        return None
    return _rounded(points[-1].rows * (2.0 ** (gain / slope) - 1.0))


def _rounded(rows: float) -> int:
    """Two digits at most: the curve knows no more."""
    digit = 10.0 ** max(0, len(str(int(rows))) - 2)
    return max(1, int(round(rows / digit) * digit))
