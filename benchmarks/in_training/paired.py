"""Arms that differ in one thing, under the same five seeds; a table of gains with intervals.

A seed is a draw of the training rows, the first weights and the batches: all arms of a seed share them, and take the
same number of steps.  The intervals cover seeds and test rows together (``leaven.measure.interval``).
"""

from __future__ import annotations

import sys
import time
from collections.abc import Callable, Mapping

import numpy as np
from numpy.typing import NDArray

from leaven.measure.interval import gain

SEEDS = 5
Arm = Callable[[int], NDArray[np.float64]]
"""Trains under a seed; the score of each test row, from 0 to 1 (is it right?): n numbers."""


def paired(arms: Mapping[str, Arm], seeds: int = SEEDS) -> str:
    """The arms as a Markdown table; the first is what the others are compared with."""
    lines = ["| | accuracy | gain in points | s a run | |", "|---|---|---|---|---|"]
    base: NDArray[np.float64] | None = None
    for name, arm in arms.items():
        began = time.process_time()
        scores = np.stack([arm(seed) for seed in range(seeds)])
        took = (time.process_time() - began) / seeds
        mean = f"{100 * scores.mean():.1f}"
        if base is None:
            base = scores
            lines.append(f"| {name} | {mean} | | {took:.1f} | |")
        else:
            found = gain(base, scores)
            low, high = 100 * found.low, 100 * found.high
            said = "helps" if low > 0 else "hurts" if high < 0 else "unclear"
            lines.append(
                f"| {name} | {mean} | {100 * found.mean:+.1f} [{low:+.1f}, {high:+.1f}] | {took:.1f} | {said} |"
            )
        print(lines[-1], file=sys.stderr, flush=True)
    return "\n".join(lines)
