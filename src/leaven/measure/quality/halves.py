"""The real rows split in two, again and again: what made rows measure, beside what real ones would.

Each split has a half A, which plays the real set, and a half B.  B's own rows are measured against A: that is the
null, what a number is where nothing is wrong.  Then as many children of B's rows are measured against A in the same
way.  So nothing is compared with its own parent, but for the measures that are about parents; and all numbers that
hang on how many rows there are come from equally many.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import cached_property

import numpy as np
from numpy.typing import NDArray

from leaven.measure.quality.grams import Grams, grams, words
from leaven.measure.quality.rows import Sets, Some, Worst
from leaven.measure.quality.spread import Measure, Says, Spread

FEWEST = 40
SPLITS = 40
REAL = 1_000
MADE = 3_000
TEST = 2_000
"""Of each set so many rows at most are compared pair by pair: 60 MB."""
CUBED = 256
"""Of a half so many rows at most where the work grows with the cube of their number, or with their words."""
WORDS = 100
"""Of a text so many at most count for its n-grams."""
ORDERS = 4
WORST = 5
TWINS = 10
"""Fewer children of a half than this are too few to measure."""
SELF = -2.0
"""Below every cosine: a row is not its own neighbour."""

Rows = NDArray[np.int64]
Half = tuple[Rows, Rows, Rows]
"""The rows of A, rows of B, and as many children of B; the latter two in random order."""
Numbers = tuple[float, ...]
One = Callable[[Rows, Rows, bool], Numbers]
"""Measures rows (real ones of B, or where it is told so made ones) against those of A."""


class Halves:
    """The rows, their similarities, and the splits."""

    def __init__(self, sets: Sets) -> None:
        self.sets = sets
        self.real = sets.real.first(REAL)
        self.made = sets.made.of_parents(set(self.real.ids)).first(MADE)
        self.test = sets.test.first(TEST)
        known = {name: i for i, name in enumerate(self.real.ids)}
        self.parent = np.array([known.get(p or "", -1) for p in self.made.parents], np.int64)
        self.names = sorted({x for x in self.real.labels if x is not None})
        code = {name: i for i, name in enumerate(self.names)}
        self.y_real = np.array([code.get(x or "", -1) for x in self.real.labels], np.int64)
        self.y_made = np.array([code.get(x or "", -1) for x in self.made.labels], np.int64)
        self.halves = [self._split(s) for s in range(SPLITS)] if len(self.real) >= FEWEST else []
        self.n = min((len(kids) for _, _, kids in self.halves), default=0)

    @property
    def enough(self) -> bool:
        """True where there are rows enough for a null, and to measure."""
        return bool(self.halves) and self.n >= TWINS

    def _split(self, number: int) -> Half:
        draw = np.random.default_rng([self.sets.seed, number])
        mixed = draw.permutation(len(self.real))
        mixed = mixed[np.argsort(self.y_real[mixed], kind="stable")]  # every second row: labels are halved too
        a, b = np.sort(mixed[::2]), np.sort(mixed[1::2])
        inside = np.zeros(len(self.real), bool)
        inside[b] = True
        children = np.flatnonzero((self.parent < 0) | inside[self.parent])
        size = min(len(b), len(children), len(self.made) // 2)
        return a, draw.permutation(b)[:size], draw.permutation(children)[:size]

    # -- similarities: cosines, rounded, so that copies tie in whatever order a product was added up -----------------

    @cached_property
    def rr(self) -> NDArray[np.float32]:
        return _cosines(self.real, self.real, own=True)

    @cached_property
    def mr(self) -> NDArray[np.float32]:
        return _cosines(self.made, self.real)

    @cached_property
    def mm(self) -> NDArray[np.float32]:
        return _cosines(self.made, self.made, own=True)

    @cached_property
    def rt(self) -> NDArray[np.float32]:
        return _cosines(self.real, self.test)

    @cached_property
    def mt(self) -> NDArray[np.float32]:
        return _cosines(self.made, self.test)

    @cached_property
    def strangers(self) -> NDArray[np.float32]:
        """``mr`` without each made row's parent."""
        near = self.mr.copy()
        known = np.flatnonzero(self.parent >= 0)
        near[known, self.parent[known]] = SELF
        return near

    @cached_property
    def words(self) -> tuple[list[list[str]], list[list[str]]]:
        """The words of the real texts, and of the made ones."""
        return [words(text) for text in self.real.texts], [words(text) for text in self.made.texts]

    @cached_property
    def grams(self) -> list[Grams]:
        """The n-grams, n = 1 ... 4, of all real texts and then of all made ones."""
        return grams([text[:WORDS] for some in self.words for text in some], ORDERS)

    # -- over the splits ----------------------------------------------------------------------------------------------

    def measures(
        self, one: One, of: Sequence[tuple[str, str, Says, bool, list[Worst]]], most: int = MADE
    ) -> list[Measure]:
        """What ``one`` gives of each split, as measures: group, name, what it says, whether it is a share, the worst
        rows.  ``most`` is how many rows of a half it looks at."""
        null = [one(a, b, False) for a, b, _ in self.halves]
        made = [one(a, kids, True) for a, _, kids in self.halves]
        return self.spread(null, made, of, most)

    def spread(
        self,
        null: Sequence[Numbers],
        made: Sequence[Numbers],
        of: Sequence[tuple[str, str, Says, bool, list[Worst]]],
        most: int = MADE,
    ) -> list[Measure]:
        """Numbers of each split as measures."""
        size = min(most, float(np.mean([len(b) for _, b, _ in self.halves])))
        return [
            Measure(
                group, name, says,
                Spread.over([x[i] for x in made], size / len(self.made), share),
                Spread.over([x[i] for x in null], size / len(self.real), share),
                share, worst,
            )
            for i, (group, name, says, share, worst) in enumerate(of)
        ]  # fmt: skip

    def worst(self, values: NDArray[np.floating], at: Rows, other: Some, who: str, sign: float = 1.0) -> list[Worst]:
        """The made rows of the lowest ``values`` (NaN: none), each beside row ``at`` of others.  Shown times
        ``sign``."""
        order = [i for i in np.argsort(values, kind="stable").tolist() if np.isfinite(values[i])]
        pairs = [(i, int(at[i])) for i in order[:WORST]]
        return [
            Worst(self.made.texts[i], other.texts[j], who, sign * float(values[i]), (self.made.ids[i], other.ids[j]))
            for i, j in pairs
        ]


def _cosines(some: Some, other: Some, own: bool = False) -> NDArray[np.float32]:
    found = np.asarray(some.vectors, np.float32) @ np.asarray(other.vectors, np.float32).T
    np.round(found, 5, out=found)
    if own:
        np.fill_diagonal(found, SELF)
    return found
