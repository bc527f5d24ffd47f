"""The gain on parts of the test set: the values of a column, or thirds of a number."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from leaven.measure import interval
from leaven.measure.interval import Interval
from leaven.measure.trials import Ints

FEWEST = 20
"""Test rows of a slice; a smaller one says nothing."""
MOST = 8


@dataclass(frozen=True)
class Slice:
    """A part of the test set, and the gain of accuracy on it."""

    column: str
    value: str
    rows: int
    gain: Interval


def slices(
    columns: Mapping[str, Sequence[object]], truth: Ints, base: Ints, guess: Ints, groups: Ints | None
) -> list[Slice]:
    """The gain on each value of each column; ``base`` and ``guess`` are seeds x rows."""
    found = []
    for column, values in columns.items():
        named = _thirds(values) or [str(value) for value in values]
        large = [(value, n) for value, n in Counter(named).most_common(MOST) if n >= FEWEST]
        for value, n in large:
            mine = np.array([own == value for own in named])
            of = None if groups is None else groups[mine]
            gain = interval.gain((base == truth)[:, mine], (guess == truth)[:, mine], of)
            found.append(Slice(column, value, n, gain))
    return found


def _thirds(values: Sequence[object]) -> list[str] | None:
    """Numbers of more than a few values, as the third that each is in; None of other values."""
    if not all(isinstance(v, int | float) and not isinstance(v, bool) for v in values) or len(set(values)) <= MOST:
        return None
    numbers = np.array(values, np.float64)
    low, high = np.quantile(numbers, (1 / 3, 2 / 3))
    names = [f"up to {low:.4g}", f"above {low:.4g} to {high:.4g}", f"above {high:.4g}"]
    return [names[int(v > low) + int(v > high)] for v in numbers]
