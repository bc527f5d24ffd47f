"""A number over draws, and whether it stands apart from its null."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

import numpy as np

from leaven.measure.quality.rows import Worst

Z = 1.96
Says = Mapping[str, str]
"""What it means that a number stands ``below``, ``within`` or ``above`` its null."""


@dataclass(frozen=True)
class Spread:
    """A number over draws: its mean, the range that holds 95 %, and its standard error."""

    mean: float
    low: float
    high: float
    error: float

    @classmethod
    def over(cls, values: Sequence[float], drawn: float, share: bool) -> Spread:
        """``drawn`` is the share of all rows that each draw took.

        Draws of half of a set differ less than that set and another one of its kind: the spread is widened by as much
        (the finite population correction, Cochran 1977, turned round).
        """
        found = np.asarray(values, np.float64)
        mean, wider = float(found.mean()), 1 / np.sqrt(1 - drawn)
        low, high = (float(mean + wider * (x - mean)) for x in np.percentile(found, [2.5, 97.5]))
        if share:
            low, high = max(0.0, low), min(1.0, high)
        return cls(mean, low, high, float(found.std() * wider))

    @classmethod
    def of_count(cls, hits: int, rows: int) -> Spread:
        """A share of rows that were all looked at: Wilson's interval (1927), which is no point at 0 of n."""
        p, z2 = hits / rows, Z * Z
        centre = (hits + z2 / 2) / (rows + z2)
        half = Z * np.sqrt(p * (1 - p) * rows + z2 / 4) / (rows + z2)
        return cls(p, max(0.0, min(p, centre - half)), min(1.0, max(p, centre + half)), float(half / Z))


@dataclass(frozen=True)
class Measure:
    """One number about made rows, and its null; ``share`` is true of one that is shown in percent."""

    group: str
    name: str
    says: Says
    made: Spread
    null: Spread
    share: bool
    worst: list[Worst] = field(default_factory=list)

    @property
    def stands(self) -> str:
        """``below`` or ``above`` the null, where the two ranges do not explain the difference; else ``within``."""
        difference = self.made.mean - self.null.mean
        if abs(difference) <= Z * float(np.hypot(self.made.error, self.null.error)):
            return "within"
        return "below" if difference < 0 else "above"
