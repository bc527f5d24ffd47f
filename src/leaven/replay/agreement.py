"""Whether we rank the methods as was published."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from itertools import combinations

import numpy as np
from numpy.typing import NDArray

from leaven.measure.interval import LEVEL, RESAMPLES, resamples

Floats = NDArray[np.float64]
WIDE = 1.96
"""Standard errors to either side of a mean, for 95 %."""
Scores = Mapping[str, Floats]
"""Draws x test rows of each method, 1 where its student is right."""
Said = Mapping[str, Sequence[float]]
"""The published accuracy of each method: one mean, or one of each draw."""


@dataclass(frozen=True)
class Agreement:
    """Kendall's tau between two orders of methods, no augmentation among them, over all pairs within a size."""

    tau: float
    low: float
    high: float
    pairs: int
    same_sign: int
    """Methods (a method at two sizes counts twice) whose gain over no augmentation has the published sign."""
    of: int
    own: float | None
    """The mean tau between two of the authors' draws: more than that no other student can be asked for."""


@dataclass(frozen=True)
class Published:
    """A published gain over no augmentation; the interval over the authors' draws, where their numbers are known."""

    mean: float
    low: float | None
    high: float | None


def published_gain(none: Sequence[float], method: Sequence[float]) -> Published:
    """Draws are paired; t quantile, one degree of freedom less than draws."""
    from scipy.special import stdtrit

    each = np.asarray(method, dtype=np.float64) - np.asarray(none, dtype=np.float64)
    if len(each) < 2 or len(none) != len(method):
        return Published(float(np.mean(method)) - float(np.mean(none)), None, None)
    half = float(stdtrit(len(each) - 1, 0.5 + LEVEL / 2)) * float(each.std(ddof=1)) / math.sqrt(len(each))
    return Published(float(each.mean()), float(each.mean()) - half, float(each.mean()) + half)


def agreement(ours: Mapping[int, Scores], published: Mapping[int, Said], none: str) -> Agreement | None:
    """The agreement of our order with the published one; None where fewer than two methods have both numbers.

    ours: by size, the scores of each method.  published: by size, its numbers.  The interval is from 400 resamples of
    test rows, of our draws, and of theirs where there are several.
    """
    sizes = {size: [name for name in ours[size] if name in published.get(size, {})] for size in ours}
    sizes = {size: known for size, known in sizes.items() if len(known) > 1}
    if not sizes:
        return None
    here, there = {}, {}
    for size, known in sizes.items():
        scores = np.stack([ours[size][name] for name in known])
        here[size] = np.vstack([scores.mean(axis=(1, 2))[None], _resampled(scores, size)])
        there[size] = np.vstack([[[float(np.mean(published[size][n])) for n in known]], _drawn(published[size], known)])
    taus, pairs = _tau(here, there)
    same, of = 0, 0
    for size, known in sizes.items():
        if none in known:
            base = known.index(none)
            signs = np.sign(here[size][0] - here[size][0][base]) == np.sign(there[size][0] - there[size][0][base])
            same, of = same + int(signs.sum()) - 1, of + len(known) - 1
    # Resamples agree less than what they were drawn from, so their spread is taken, and not where they lie.
    tau, half = float(taus[0]), WIDE * float(taus[1:].std())
    own = _between_draws(published, sizes)
    return Agreement(tau, max(-1.0, tau - half), min(1.0, tau + half), pairs, same, of, own)


def _between_draws(published: Mapping[int, Said], sizes: Mapping[int, Sequence[str]]) -> float | None:
    """The mean agreement of two of the authors' draws, over all pairs of draws and of methods."""
    found = []
    for size, known in sizes.items():
        draws = [np.asarray(published[size][name], dtype=np.float64) for name in known]
        if {len(each) for each in draws} == {1} or len({len(each) for each in draws}) > 1:
            return None
        table = np.stack(draws, axis=1)
        first, second = np.triu_indices(len(known), 1)
        signs = np.sign(table[:, first] - table[:, second])
        found += [signs[i] * signs[j] for i, j in combinations(range(len(table)), 2)]
    return float(np.concatenate(found).mean())


def _tau(here: Mapping[int, Floats], there: Mapping[int, Floats]) -> tuple[Floats, int]:
    """Concordant less discordant pairs, of all, for each resample; a tie is neither."""
    total, pairs = np.zeros(RESAMPLES + 1), 0
    for size in here:
        first, second = np.triu_indices(here[size].shape[1], 1)
        ours = np.sign(np.round(here[size][:, first] - here[size][:, second], 12))
        theirs = np.sign(np.round(there[size][:, first] - there[size][:, second], 12))
        total += (ours * theirs).sum(axis=1)
        pairs += len(first)
    return total / pairs, pairs


def _resampled(scores: Floats, size: int) -> Floats:
    """The mean of each method (methods x draws x rows) on each resample of rows and draws: resamples x methods."""
    rows, _ = resamples(scores.shape[2], None, 0)
    draws, _ = resamples(scores.shape[1], None, 1 + size)
    each = np.einsum("mdr,br->bmd", scores, rows, optimize=True) / scores.shape[2]
    found: Floats = np.einsum("bmd,bd->bm", each, draws) / scores.shape[1]
    return found


def _drawn(published: Said, known: Sequence[str]) -> Floats:
    """The published means on each resample of the authors' draws, the same for all methods that have as many."""
    columns = []
    for name in known:
        values = np.asarray(published[name], dtype=np.float64)
        weights, _ = resamples(len(values), None, 2)
        columns.append(weights @ values / len(values))
    return np.stack(columns, axis=1)
