"""SLUMA's parts on customers' questions: few labelled rows, many without labels, a threshold that follows the student.

python -m benchmarks.in_training.sluma BANKING77_FOLDER
"""

from __future__ import annotations

import sys
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray
from torch.nn.functional import cross_entropy

from benchmarks.in_training.intents import net, right, some_of_each, texts
from benchmarks.in_training.paired import paired
from leaven.train import Batches, RisingCut, alone, distance_smoothing, fit, mixup, pseudo_label_loss

EACH, UNLABELLED = 5, 2000
STEPS, BATCH, RATE = 600, 64, 2e-3
KINDS = 77


def trained(folder: Path, seed: int, how: str) -> NDArray[np.float64]:
    every, tested = (texts(folder / name, "text", "category") for name in ("train.csv", "test.csv"))
    chosen, rest = some_of_each(every, EACH, seed)
    seen, other = every.rows(chosen), every.rows(rest[:UNLABELLED]).x
    draws = np.random.default_rng([3, seed])
    with alone(seed):
        model = net(KINDS)
        model.train()
        cut = RisingCut(labels=KINDS, alpha=0.99 if how == "ema, .99" else 0.999)
        more = iter(Batches(len(other), BATCH, seed=seed + 100))

        def loss(some: torch.Tensor) -> torch.Tensor:
            x, y = seen.rows(some)
            if how == "mixup":
                x, shares = mixup(x, y, alpha=0.2, generator=draws, classes=KINDS)
                return cross_entropy(model(x), shares)
            own = cross_entropy(model(x), y)
            if how == "smoothing":
                return own + 0.1 * distance_smoothing(model[:2](x), y[:, None] == y)
            if how == "nothing":
                return own
            said = model(other[next(more)])
            if how.startswith("ema"):
                cut.update(said.detach().softmax(1))
            return own + pseudo_label_loss(said, 0.95 if how == "fixed" else cut.e)

        torch.manual_seed(seed)
        optimiser = torch.optim.AdamW(model.parameters(), lr=RATE)
        fit(loss, optimiser, Batches(len(seen.y), BATCH, seed=seed), steps=STEPS)
        return right(model, tested)


if __name__ == "__main__":
    where = Path(sys.argv[1])
    named = {
        "nothing": "nothing",
        "mixup (0.2)": "mixup",
        "pseudo-labels above .95": "fixed",
        "above the student's mean, alpha .999": "ema, .999",
        "above the student's mean, alpha .99": "ema, .99",
        "distance smoothing (0.1)": "smoothing",
    }
    print(paired({name: lambda seed, how=how: trained(where, seed, how) for name, how in named.items()}))
