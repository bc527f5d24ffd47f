"""Views of customers' questions by a diffusion model, as more rows and as positives, beside noise of the same size.

python -m benchmarks.in_training.diffusion_views BANKING77_FOLDER

Encoder and diffusion model are trained in turn on rows whose labels nobody sees, as in the paper; then a small net
learns five rows an intent.
"""

from __future__ import annotations

import sys
from functools import cache, partial
from pathlib import Path
from typing import NamedTuple

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn
from torch.nn.functional import cross_entropy, dropout, mse_loss

from benchmarks.in_training.intents import net, right, some_of_each, texts
from benchmarks.in_training.paired import SEEDS, paired
from leaven.train import Batches, DiffusionViews, alone, fit, info_nce, mixup

EACH, UNLABELLED = 5, 2000
STEPS, BATCH, RATE = 600, 64, 2e-3
KINDS, CODE = 77, 32
ROUNDS, ENCODED, DENOISED, MANY = 2, 300, 700, 128
"""Rounds, steps of the encoder and of the diffusion model in each, and the rows of their batches."""
VIEWS = 16
WEIGHT = 0.1
"""Of the contrastive loss."""
PUBLISHED, CHOSEN = 1.0, 0.25
"""Strengths: views drawn from noise, and what did best of 1, 0.5 and 0.25 on training rows that no run learns from."""


class Drawn(NamedTuple):
    """16 x n x 256: views of the labelled rows, and these rows in noise that takes them as far."""

    views: Tensor
    noise: Tensor


@cache
def drawn(folder: Path, seed: int, strength: float) -> Drawn:
    every = texts(folder / "train.csv", "text", "category")
    chosen, rest = some_of_each(every, EACH, seed)
    x = every.x[torch.cat([chosen, rest[:UNLABELLED]])]
    with alone(seed):
        encoder = nn.Sequential(
            nn.Linear(256, 64), nn.LeakyReLU(), nn.Linear(64, CODE), nn.LayerNorm(CODE, elementwise_affine=False)
        )
        model = DiffusionViews(256, CODE, mean=x.mean(0), std=x.std())
        views = x  # at first another is the row itself, a tenth of whose numbers are left out

        def meaning(some: Tensor) -> Tensor:
            return info_nce(encoder(dropout(x[some], 0.1)), encoder(dropout(views[some], 0.1)))

        for step in range(ROUNDS):
            optimiser = torch.optim.AdamW(encoder.parameters(), lr=RATE)
            fit(meaning, optimiser, Batches(len(x), MANY, seed=10 * seed + step), steps=ENCODED)
            codes = encoder(x).detach()
            optimiser = torch.optim.AdamW(model.parameters(), lr=RATE)
            fit(
                lambda some, codes=codes: model(x[some], codes[some]),
                optimiser,
                Batches(len(x), MANY, seed=10 * seed + step),
                steps=DENOISED,
            )
            views = model.draw(x, codes, strength=strength)
        own, codes = x[: len(chosen)].repeat(VIEWS, 1), codes[: len(chosen)].repeat(VIEWS, 1)
        made = model.draw(own, codes, strength=strength)
        size = mse_loss(made, own).sqrt()
        shape = (VIEWS, len(chosen), 256)
        return Drawn(made.view(shape), (own + size * torch.randn_like(own)).view(shape))


def fitted(folder: Path, how: str, kind: str, strength: float, seed: int) -> nn.Module:
    """As rows, half of a batch are others of ``kind``; as positives, each row has one in a second loss."""
    every = texts(folder / "train.csv", "text", "category")
    seen = every.rows(some_of_each(every, EACH, seed)[0])
    pool = getattr(drawn(folder, seed, strength), kind) if kind else None
    draws = np.random.default_rng([3, seed])
    with alone(seed):
        model = net(KINDS)

        def loss(some: Tensor) -> Tensor:
            x, y = seen.rows(some)
            if how == "mixup":
                x, shares = mixup(x, y, alpha=0.2, generator=draws, classes=KINDS)
                return cross_entropy(model(x), shares)
            if pool is None:
                return cross_entropy(model(x), y)
            others = pool[torch.from_numpy(draws.integers(0, VIEWS, len(some))), some]
            if how == "rows":
                half = torch.from_numpy(draws.random(len(some)) < 0.5)
                return cross_entropy(model(torch.where(half[:, None], others, x)), y)
            return cross_entropy(model(x), y) + WEIGHT * info_nce(model[:2](x), model[:2](others))

        torch.manual_seed(seed)
        optimiser = torch.optim.AdamW(model.parameters(), lr=RATE)
        fit(loss, optimiser, Batches(len(seen.y), BATCH, seed=seed), steps=STEPS)
    return model


def trained(folder: Path, how: str, kind: str, strength: float, seed: int) -> NDArray[np.float64]:
    return right(fitted(folder, how, kind, strength, seed), texts(folder / "test.csv", "text", "category"))


if __name__ == "__main__":
    where = Path(sys.argv[1])
    for seed in range(SEEDS):
        for strength in (PUBLISHED, CHOSEN):
            drawn(where, seed, strength)  # its time is no arm's
    arms: dict[str, tuple[str, str, float]] = {"nothing": ("", "", 0.0), "mixup (0.2)": ("mixup", "", 0.0)}
    for strength in (PUBLISHED, CHOSEN):
        for how in ("rows", "positives"):
            arms[f"noise as far as views of {strength}, as {how}"] = (how, "noise", strength)
            arms[f"views of strength {strength}, as {how}"] = (how, "views", strength)
    print(paired({name: partial(trained, where, *arm) for name, arm in arms.items()}))
