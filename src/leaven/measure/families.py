"""Which made rows did it: each family is left out in turn.

A family is what made the rows: the steps of a recipe, or the values of a column that the user names.
"""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass, replace

import numpy as np

from leaven.measure.interval import Interval
from leaven.measure.trials import Setting, Trials

MOST = 8
REST = "others"


@dataclass(frozen=True)
class Family:
    """What of the gain goes with a family: with all made rows, less without these."""

    name: str
    rows: int
    share: Interval


def families(trials: Trials, student: int, setting: Setting) -> list[Family]:
    """The largest eight, the others as one; none where all rows are of one family."""
    rows = trials.bench.made[setting.made]
    counts = Counter(rows.families)
    if len(counts) < 2:
        return []
    large = [name for name, _ in counts.most_common(MOST if len(counts) <= MOST else MOST - 1)]
    of = np.array([name if name in large else REST for name in rows.families])
    whole = [trials.arm(student, setting, seed) for seed in range(trials.seeds)]
    names = [*large, *([REST] if len(large) < len(counts) else [])]
    rest = {name: [replace(arm, made=np.where(of == name, 0, arm.made)) for arm in whole] for name in names}
    trials.fitter.fit([*whole, *(arm for some in rest.values() for arm in some)])
    with_all = trials.predicted(whole)
    return [
        Family(name, int((of == name).sum()), trials.gain(trials.predicted(arms), with_all))
        for name, arms in rest.items()
    ]
