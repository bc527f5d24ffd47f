"""Operations on the features of a late-fusion classifier of reviews: between rows, noise, dropping, statistics.

python -m benchmarks.in_training.features REVIEWS.csv

Each changes every batch, between the modalities' layers and the head, by the defaults of its paper.
"""

from __future__ import annotations

import sys
from collections.abc import Callable
from functools import partial
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from torch import Tensor
from torch.nn.functional import cross_entropy

from benchmarks.in_training import fusion
from benchmarks.in_training.clothing import Reviews
from benchmarks.in_training.fusion import Fusion, Loss
from benchmarks.in_training.paired import Arm, paired
from leaven.train import (
    MixStyle,
    StatisticsNoise,
    change_selected,
    drop_features,
    drop_modalities,
    extrapolate_features,
    feature_importance,
    interpolate_features,
    noise_features,
)

Change = Callable[[Tensor, Tensor, np.random.Generator], Tensor]
"""Of features (n x modalities x width), labels and draws, the features that the head is to see."""


def changing(change: Change) -> Callable[[int], Loss]:
    def of(seed: int) -> Loss:
        draws = np.random.default_rng([2, seed])

        def loss(net: Fusion, rows: Reviews) -> Tensor:
            return cross_entropy(net.head(change(net.features(rows), rows.label, draws).flatten(1)), rows.label)

        return loss

    return of


def selecting(share: float, change: str, how: Callable[[Tensor, np.random.Generator], Tensor]) -> Callable[[int], Loss]:
    """The features of most importance stay, or they alone are changed: at the cost of one more pass of the head."""

    def of(seed: int) -> Loss:
        draws = np.random.default_rng([2, seed])

        def loss(net: Fusion, rows: Reviews) -> Tensor:
            z = net.features(rows).flatten(1)
            importance = feature_importance(cross_entropy(net.head(z), rows.label), z)
            seen = change_selected(z, how(z, draws), importance, share=share, change=change)
            return cross_entropy(net.head(seen), rows.label)

        return loss

    return of


STATISTICS, STYLE = StatisticsNoise(), MixStyle()
CHANGES: dict[str, Callable[[int], Loss]] = {
    "interpolated within a label (0.5)": changing(lambda z, y, draws: interpolate_features(z, y, generator=draws)),
    "extrapolated within a label (0.5)": changing(lambda z, y, draws: extrapolate_features(z, y, generator=draws)),
    "noise (0.5)": changing(lambda z, y, draws: noise_features(z, generator=draws)),
    "features dropped (0.2)": changing(
        lambda z, y, draws: drop_features(z.flatten(1), p=0.2, generator=draws).view_as(z)
    ),
    "modalities dropped (0.2)": changing(lambda z, y, draws: drop_modalities(z, p=0.2, generator=draws)),
    "statistics noise, DSU (0.5)": changing(lambda z, y, draws: STATISTICS(z)),
    "MixStyle (0.5)": changing(lambda z, y, draws: STYLE(z)),
    "noise on the less useful half": selecting(0.5, "others", lambda z, draws: noise_features(z, generator=draws)),
    "the most useful third muted": selecting(1 / 3, "useful", lambda z, draws: 0 * z),
}


def run(file: Path, loss: Callable[[int], Loss], seed: int) -> NDArray[np.float64]:
    return fusion.trained(file, seed, loss(seed))


if __name__ == "__main__":
    file = Path(sys.argv[1])
    own: dict[str, Arm] = {name: partial(run, file, loss) for name, loss in CHANGES.items()}
    print(paired({**fusion.arms(file), **own}))
