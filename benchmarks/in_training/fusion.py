"""A late-fusion classifier over the vectors of several modalities, and what mixup does for it.

python -m benchmarks.in_training.fusion REVIEWS.csv
"""

from __future__ import annotations

import sys
from collections.abc import Callable
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn
from torch.nn.functional import cross_entropy

from benchmarks.in_training.clothing import Reviews, split
from benchmarks.in_training.paired import Arm, paired
from leaven.train import Batches, alone, fit, mixup

ROWS, STEPS, BATCH = 120, 300, 32
WIDTH, HIDDEN, DROP = 64, 128, 0.1
RATE, DECAY = 1e-3, 1e-3


class Fusion(nn.Module):
    """One linear layer a modality to a common width (``features``), and a small net over all of them (``head``)."""

    def __init__(self, widths: list[int], labels: int) -> None:
        super().__init__()
        self.fit = nn.ModuleList(nn.Linear(width, WIDTH) for width in widths)
        inside = nn.Linear(len(widths) * WIDTH, HIDDEN)
        self.head = nn.Sequential(
            inside, nn.LayerNorm(HIDDEN), nn.LeakyReLU(), nn.Dropout(DROP), nn.Linear(HIDDEN, labels)
        )

    def features(self, rows: Reviews) -> Tensor:
        """n x modalities x width."""
        return torch.stack([own(part) for own, part in zip(self.fit, rows[:-1], strict=True)], dim=1)

    def forward(self, rows: Reviews) -> Tensor:
        return self.head(self.features(rows).flatten(1))


Loss = Callable[[Fusion, Reviews], Tensor]


def trained(file: Path, seed: int, loss: Loss) -> NDArray[np.float64]:
    """Train on a seed's rows; which test rows are right."""
    seen, tested = split(file, ROWS, seed)
    with alone(seed):
        net = Fusion([part.shape[1] for part in seen[:-1]], 2)
        optimiser = torch.optim.AdamW(net.parameters(), lr=RATE, weight_decay=DECAY)
        net.train()
        fit(lambda rows: loss(net, seen.rows(rows)), optimiser, Batches(len(seen.label), BATCH, seed=seed), steps=STEPS)
        net.train(False)
        with torch.no_grad():
            return (net(tested).argmax(1) == tested.label).double().numpy()


def plain(net: Fusion, rows: Reviews) -> Tensor:
    return cross_entropy(net(rows), rows.label)


def mixed(alpha: float, hidden: bool) -> Callable[[int], Loss]:
    """Mixup of what comes in, or of the features (manifold mixup, arXiv:1806.05236, at the fusion alone)."""

    def of(seed: int) -> Loss:
        draws = np.random.default_rng([2, seed])

        def loss(net: Fusion, rows: Reviews) -> Tensor:
            if hidden:
                x, y = mixup(net.features(rows), rows.label, alpha=alpha, generator=draws, classes=2)
                return cross_entropy(net.head(x.flatten(1)), y)
            widths = [part.shape[1] for part in rows[:-1]]
            x, y = mixup(torch.cat(rows[:-1], dim=1), rows.label, alpha=alpha, generator=draws, classes=2)
            return cross_entropy(net(Reviews(*x.split(widths, dim=1), rows.label)), y)

        return loss

    return of


def arms(file: Path) -> dict[str, Arm]:
    """What every comparison begins with: nothing, mixup and manifold mixup."""
    return {
        "nothing": lambda seed: trained(file, seed, plain),
        "mixup (0.2)": lambda seed: trained(file, seed, mixed(0.2, hidden=False)(seed)),
        "manifold mixup (2)": lambda seed: trained(file, seed, mixed(2.0, hidden=True)(seed)),
    }


if __name__ == "__main__":
    print(paired(arms(Path(sys.argv[1]))))
