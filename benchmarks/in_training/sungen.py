"""SunGen's weights on paraphrases by ChatGPT, as they are and with a fifth of the labels wrong.

python -m benchmarks.in_training.sungen SNIPS_FOLDER
"""

from __future__ import annotations

import sys
from functools import cache
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray
from torch.nn.functional import cross_entropy

from benchmarks.in_training.intents import Texts, net, right, some_of_each, texts
from benchmarks.in_training.paired import paired
from leaven.train import Batches, BilevelWeights, alone, fit, mixup

EACH, WRONG = 600, 0.2
STEPS, BATCH, RATE = 600, 32, 2e-3
ROUNDS = 60
"""Of one epoch each.  Chosen by how well planted wrong labels were told from right ones, on training rows alone: of 280
rows, which a student learns by heart, the weights tell none."""


def rows(folder: Path, wrong: float, seed: int) -> Texts:
    """ChatGPT's rows, of which a share has another label."""
    every = texts(folder / "full_snips_gpt.csv", "text", "label")
    own = every.rows(some_of_each(every, EACH, seed)[0])
    rng = np.random.default_rng([2, seed])
    far = torch.from_numpy(rng.integers(1, 7, len(own.y)) * (rng.random(len(own.y)) < wrong))
    return Texts(own.x, (own.y + far) % 7)


def trained(folder: Path, wrong: float, seed: int, how: str) -> NDArray[np.float64]:
    seen, tested = rows(folder, wrong, seed), texts(folder / "full_snips_orig_test.csv", "text", "label")
    with alone(seed):
        model = net(7)
        draws = np.random.default_rng([3, seed])
        weights = weighed(folder, wrong, seed) if how.startswith("weights") else torch.ones(len(seen.y))
        if how == "weights, per label":
            sums = torch.zeros(7).index_add(0, seen.y, weights)
            weights = weights / (sums / torch.bincount(seen.y, minlength=7))[seen.y]
        model.train()

        def loss(some: torch.Tensor) -> torch.Tensor:
            x, y = seen.rows(some)
            if how == "mixup":
                x, shares = mixup(x, y, alpha=0.2, generator=draws, classes=7)
                return cross_entropy(model(x), shares)
            return (weights[some] * cross_entropy(model(x), y, reduction="none")).mean()

        torch.manual_seed(seed)
        optimiser = torch.optim.AdamW(model.parameters(), lr=RATE)
        fit(loss, optimiser, Batches(len(seen.y), BATCH, seed=seed), steps=STEPS)
        return right(model, tested)


@cache
def weighed(folder: Path, wrong: float, seed: int) -> torch.Tensor:
    """The weights after all rounds, their mean made 1."""
    seen, model = rows(folder, wrong, seed), net(7)
    weights = BilevelWeights(seen.y)
    outer = torch.optim.Adam([weights.theta], lr=0.25)
    first = {name: value.clone() for name, value in model.state_dict().items()}

    def loss(some: torch.Tensor) -> torch.Tensor:
        each = cross_entropy(model(seen.x[some]), seen.y[some], reduction="none")
        return (weights(some).detach() * each).mean()

    for step in range(ROUNDS):
        model.load_state_dict(first)
        model.train()
        inner = torch.optim.Adam(model.parameters(), lr=RATE)
        fit(loss, inner, Batches(len(seen.y), BATCH, seed=1000 * seed + step), steps=len(seen.y) // BATCH)
        model.train(False)
        weights.backward(lambda some: model(seen.x[some]), model.parameters())
        outer.step()
    found: torch.Tensor = weights().detach()
    return found / found.mean()


if __name__ == "__main__":
    where = Path(sys.argv[1])
    for share in (0.0, WRONG):
        print(f"\n{100 * share:.0f} % of the labels wrong:\n")
        print(
            paired(
                {
                    "nothing": lambda seed, s=share: trained(where, s, seed, "nothing"),
                    "mixup (0.2)": lambda seed, s=share: trained(where, s, seed, "mixup"),
                    "SunGen's weights": lambda seed, s=share: trained(where, s, seed, "weights"),
                    "the same, their mean 1 in each label": lambda seed, s=share: trained(
                        where, s, seed, "weights, per label"
                    ),
                }
            )
        )
