"""Measures of how made rows are spread over the labels."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np
from numpy.typing import NDArray

from leaven.measure.quality.halves import FEWEST, TWINS, WORST
from leaven.measure.quality.rows import Worst
from leaven.measure.quality.spread import Measure, Says, Spread

Floats = NDArray[np.float64]
Counts = NDArray[np.int64] | Floats
GROUP = "balanced"
DRAWS = 400
EVEN: Says = {
    "below": "Made rows are spread over the labels less evenly than real rows are.",
    "within": "Made rows are spread over the labels as evenly as real rows are.",
    "above": "Made rows are spread over the labels more evenly than real rows are.",
}
SHIFT: Says = {
    "below": "Made rows have the labels' shares of the real rows more exactly than another half of them has.",
    "within": "Made rows have the labels' shares of the real rows, as far as another half of them has.",
    "above": "Made rows have other shares of the labels than real rows have.",
}


def evenness(counts: Counts) -> Floats:
    """Entropy over the labels, as a share of that of equal counts (Pielou 1966): 1 is even, 0 all of one label.

    counts: ... x labels.
    """
    shares = counts / np.maximum(counts.sum(axis=-1, keepdims=True), 1)
    parts = np.where(shares > 0, shares * np.log(np.where(shares > 0, shares, 1.0)), 0.0)
    found: Floats = -parts.sum(axis=-1) / max(np.log(counts.shape[-1]), 1e-12)
    return np.abs(found)


def balance(labels: Mapping[str, tuple[int, int, int]], seed: int) -> list[Measure]:
    """Made rows' evenness, and how far their labels' shares are from those of the real rows (total variation).

    The real rows are split in two at random; the null is one half (against the other), and as many made rows stand
    beside it.  ``labels``: of each its real rows before, and those real and made after.
    """
    names = list(labels)
    before, made = (np.array([labels[name][i] for name in names], np.int64) for i in (0, 2))
    n, total = int(made.sum()), int(before.sum())
    m = min(total - total // 2, n // 2)
    if len(names) < 2 or total < FEWEST or m < TWINS:
        return []
    draw = np.random.default_rng(seed)
    first = draw.multivariate_hypergeometric(before, total // 2, DRAWS)
    second = np.array([draw.multivariate_hypergeometric(before - half, m) for half in first])
    new = draw.multivariate_hypergeometric(made, m, DRAWS)

    def off(counts: Counts) -> Floats:
        found: Floats = np.abs(counts / m - first / (total // 2)).sum(axis=-1) / 2
        return found

    share = made - before / total * n
    worst = [
        Worst(names[i], f"{made[i]:,} made, {before[i]:,} real", "made rows too many", float(share[i]))
        for i in np.argsort(-np.abs(share), kind="stable")[:WORST].tolist()
        if share[i]
    ]
    rows = [(f"evenness over {len(names):,} labels", EVEN, evenness), ("labels' shares moved", SHIFT, off)]
    return [
        Measure(GROUP, name, says, Spread.over(of(new).tolist(), m / n, True),
                Spread.over(of(second).tolist(), m / total, True), True, worst)
        for name, says, of in rows
    ]  # fmt: skip
