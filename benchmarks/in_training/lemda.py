"""LeMDA on a late-fusion classifier of reviews: its two networks, and what is left of it when they cannot move.

python -m benchmarks.in_training.lemda REVIEWS.csv

As published the augmenter's rate is that of the net, 1e-4; here the net's is ten times as much.  So the linear one is
trained by both, and once by 0, where z' stays z: that is the released code, whose network never moves.
"""

from __future__ import annotations

import sys
from collections.abc import Callable
from functools import partial
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray
from torch import nn
from torch.nn.functional import cross_entropy

from benchmarks.in_training import fusion
from benchmarks.in_training.clothing import Reviews, split
from benchmarks.in_training.fusion import BATCH, DECAY, RATE, ROWS, STEPS, WIDTH, Fusion
from benchmarks.in_training.paired import Arm, paired
from leaven.train import AttentionVae, Batches, LeMDA, ManifoldMixup, MlpVae, alone, fit, warm_and_fall

PUBLISHED = 1e-4
MODALITIES = 3


def learned(
    file: Path, augmenter: Callable[[], nn.Module], rate: float, changes: list[tuple[float, float]], seed: int
) -> NDArray[np.float64]:
    """Train with LeMDA on a seed's rows; which test rows are right.

    ``changes`` takes the largest change of a feature in the end, and the features' standard deviation.
    """
    seen, tested = split(file, ROWS, seed)
    with alone(seed):
        net = Fusion([part.shape[1] for part in seen[:-1]], 2)
        lemda = LeMDA(augmenter())
        task = torch.optim.AdamW(net.parameters(), lr=RATE, weight_decay=DECAY)
        own = torch.optim.Adam(lemda.parameters(), lr=rate, eps=1e-6)

        def loss(some: torch.Tensor) -> torch.Tensor:
            rows = seen.rows(some)
            return lemda(net.features(rows).flatten(1), rows.label, net.head)

        def schedule(one: torch.optim.Optimizer) -> torch.optim.lr_scheduler.LRScheduler:
            if one is own:  # constant, as published
                return torch.optim.lr_scheduler.LambdaLR(one, lambda step: 1.0)
            return warm_and_fall(STEPS)(one)

        net.train()
        fit(loss, [task, own], Batches(len(seen.label), BATCH, seed=seed), steps=STEPS, schedule=schedule)
        net.train(False)
        lemda.train(False)
        with torch.no_grad():
            z = net.features(seen)
            changes.append((float((lemda.augmenter(z)[0] - z).abs().max()), float(z.std())))
            return (net(tested).argmax(1) == tested.label).double().numpy()


def by_layers(seed: int) -> fusion.Loss:
    """Manifold mixup at a layer of the head, drawn each batch."""
    draws = np.random.default_rng([2, seed])
    mixes: list[ManifoldMixup] = []

    def loss(net: Fusion, rows: Reviews) -> torch.Tensor:
        if not mixes:
            mixes.append(ManifoldMixup(net.head, ["", "0", "2"], classes=2, generator=draws))
        with mixes[0](rows.label) as shares:
            logits = net(rows)
        return cross_entropy(logits, shares)

    return loss


def lemda_arms(file: Path) -> tuple[dict[str, Arm], dict[str, list[tuple[float, float]]]]:
    mlp, attention = (partial(kind, MODALITIES, WIDTH) for kind in (MlpVae, AttentionVae))
    kinds = {
        "LeMDA, linear": (mlp, PUBLISHED),
        "LeMDA, attention": (attention, PUBLISHED),
        "LeMDA, linear, rate 1e-3": (mlp, RATE),
        "LeMDA, rate 0 (as released)": (mlp, 0.0),
    }
    changes: dict[str, list[tuple[float, float]]] = {name: [] for name in kinds}
    arms: dict[str, Arm] = {name: partial(learned, file, *how, changes[name]) for name, how in kinds.items()}
    return arms, changes


if __name__ == "__main__":
    file = Path(sys.argv[1])
    arms, changes = lemda_arms(file)
    layered: Arm = lambda seed: fusion.trained(file, seed, by_layers(seed))  # noqa: E731
    print(paired({**fusion.arms(file), "manifold mixup, a layer drawn (2)": layered, **arms}))
    print("\nThe largest change of a feature when training ends, by seed (the features' standard deviation):")
    for name, each in changes.items():
        print(f"- {name}: " + ", ".join(f"{largest:.4f} ({spread:.2f})" for largest, spread in each))
