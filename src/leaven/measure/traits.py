"""The annotations of made rows beside those of real ones: each number's distance, and what it is by chance.

By chance: the real rows split in two at random, again and again; the distance of the halves is what a set of its kind
would have.  The halves are smaller than the sets compared, so the null is wide rather than narrow.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from leaven.measure.notes import Noted, Things

SPLITS = 200
LEVEL = 0.95
FEWEST = 8
"""Real rows without which halves say nothing."""


@dataclass(frozen=True)
class Trait:
    """One number of the annotations: its mean over real and made things, how far the two spread apart, and how far the
    halves of the real rows do in 19 of 20 splits (None: too few rows).

    The distance is the largest difference of the two distribution functions (Kolmogorov and Smirnov), of names the
    share that would have to be renamed (total variation): 0 to 1.
    """

    of: str
    what: str
    real: float | None
    made: float | None
    distance: float
    null: float | None
    things: tuple[int, int]

    @property
    def apart(self) -> bool:
        return self.null is not None and self.distance > self.null


@dataclass(frozen=True)
class Names:
    """How often each name stands among real and made things: labels of objects, codes, words."""

    of: str
    what: str
    counts: dict[str, tuple[int, int]]


def compare(real: Sequence[Noted], made: Sequence[Noted], seed: int = 0) -> tuple[list[Trait], list[Names]]:
    """Every trait that both sets have, and the names that stand in them."""
    halves = _halves(len(real), seed)
    traits, names = [], []
    for of, what in dict.fromkeys(key for row in real for key in row.things):
        mine, theirs = ([row.things.get((of, what), []) for row in rows] for rows in (real, made))
        if not any(mine) or not any(theirs):
            continue
        column = _Column.of(mine, theirs)
        real_rows = column.rows < len(real)
        a, b, own = column.codes[real_rows], column.codes[~real_rows], column.rows[real_rows]
        null = None
        if halves is not None:
            sides = [half[own] for half in halves]
            found = [column.distance(a[side], a[~side]) for side in sides if side.any() and not side.all()]
            null = float(np.quantile(found, LEVEL)) if found else None
        means = [None if column.values is None else float(column.values[some].mean()) for some in (a, b)]
        traits.append(Trait(of, what, means[0], means[1], column.distance(a, b), null, (len(a), len(b))))
        if column.values is None:
            counts = [np.bincount(some, minlength=len(column.names)).tolist() for some in (a, b)]
            names.append(Names(of, what, dict(zip(column.names, zip(*counts, strict=True), strict=True))))
    return traits, names


@dataclass(frozen=True)
class _Column:
    """All things of one trait: the row of each, and its number among the different values; ``values`` of numbers."""

    rows: NDArray[np.int64]
    codes: NDArray[np.int64]
    names: list[str]
    values: NDArray[np.float64] | None

    @classmethod
    def of(cls, mine: Sequence[Things], theirs: Sequence[Things]) -> _Column:
        every = [*mine, *theirs]
        rows = np.repeat(np.arange(len(every)), [len(things) for things in every])
        flat = [thing for things in every for thing in things]
        different, codes = np.unique(np.array(flat), return_inverse=True)
        if isinstance(flat[0], str):
            return cls(rows, codes, different.tolist(), None)
        return cls(rows, codes, [], different.astype(np.float64))

    def distance(self, a: NDArray[np.int64], b: NDArray[np.int64]) -> float:
        """Kolmogorov and Smirnov's of numbers, total variation of names."""
        most = len(self.names) if self.values is None else len(self.values)
        difference = np.bincount(a, minlength=most) / len(a) - np.bincount(b, minlength=most) / len(b)
        if self.values is None:
            return float(np.abs(difference).sum() / 2)
        return float(np.abs(difference.cumsum()).max())


def _halves(rows: int, seed: int) -> NDArray[np.bool_] | None:
    """Random halves: splits x rows."""
    if rows < FEWEST:
        return None
    keys = np.random.Philox(key=[seed, 0x68616C66]).random_raw(SPLITS * rows).reshape(SPLITS, rows)
    found: NDArray[np.bool_] = keys.argsort(axis=1).argsort(axis=1) < rows // 2
    return found
