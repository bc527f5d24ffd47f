"""What the functions of a group come to: `count`, `sum`, `mean`, `median` and `quantile` of numbers, group by group."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import numpy as np


def of_groups(function: str, values: np.ndarray, groups: np.ndarray, q: float = 0.5) -> np.ndarray:
    """One number a group.  ``groups`` numbers the group of each value, from 0; NaN is no value.

    `count` counts what is not 0.  `quantile` interpolates linearly between the two values next to it, to the bit as
    numpy does; that and `mean` are NaN where a group has no value.
    """
    import numpy as np

    many = int(groups.max()) + 1 if len(groups) else 0
    there = ~np.isnan(values)
    values, groups = values[there], groups[there]
    if function == "count":
        return np.bincount(groups, values != 0, many)
    if function in ("sum", "mean"):
        total = np.bincount(groups, values, many)
        if function == "sum":
            return total
        with np.errstate(invalid="ignore"):
            return total / np.bincount(groups, minlength=many)
    order = np.lexsort((values, groups))
    ranked = np.append(values[order], np.nan)
    sizes = np.bincount(groups, minlength=many)
    first = np.cumsum(sizes) - sizes
    at = np.maximum(sizes - 1, 0) * q
    below = np.floor(at).astype(np.int64)
    low = np.where(sizes, ranked[first + below], np.nan)
    high = np.where(sizes, ranked[first + np.minimum(below + 1, np.maximum(sizes - 1, 0))], np.nan)
    share = at - below
    # From the nearer end, as numpy does: a value that stands there is met exactly.
    between: np.ndarray = np.where(share < 0.5, low + (high - low) * share, high - (high - low) * (1 - share))
    return between
