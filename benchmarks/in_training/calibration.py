"""Distribution calibration on customers' questions: 20 intents with 1 or 5 rows each, 57 others with all of theirs.

python -m benchmarks.in_training.calibration BANKING77_FOLDER

The published strength was chosen for features of another size.  So another is chosen by 20 of the 57 that play novel,
whose rows are all training rows: `chosen` prints what they say of each.
"""

from __future__ import annotations

import sys
from functools import cache, partial
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn
from torch.nn.functional import cross_entropy

from benchmarks.in_training.intents import Texts, right, some_of_each, texts
from benchmarks.in_training.paired import SEEDS, Arm, paired
from leaven.train import Batches, Calibration, alone, fit, mixup, noise_features, tukey

KINDS, NOVEL = 77, 20
STEPS, BATCH, RATE, DECAY = 300, 64, 2e-2, 1e-3
DRAWN = 750
PUBLISHED = 0.21
STRENGTHS = (0.0, 0.0001, 0.001, 0.01, 0.1, PUBLISHED)


def some(of: Texts, kinds: NDArray[np.int64]) -> Texts:
    """The rows of some labels, numbered anew from 0 in their order."""
    numbers = torch.full((KINDS,), -1)
    numbers[torch.from_numpy(kinds)] = torch.arange(len(kinds))
    own = numbers[of.y]
    return Texts(of.x[own >= 0], own[own >= 0])


@cache
def worlds(folder: Path, rehearsed: bool) -> tuple[Texts, Texts, Texts]:
    """Base rows, the rows that a few are drawn from, and those tested on; ``rehearsed`` touches base labels alone."""
    every, tested = (texts(folder / name, "text", "category") for name in ("train.csv", "test.csv"))
    order = np.random.default_rng(0).permutation(KINDS)
    novel, base = order[:NOVEL], order[NOVEL:]
    if not rehearsed:
        return some(every, base), some(every, novel), some(tested, novel)
    playing = some(every, base[:NOVEL])
    held = torch.arange(len(playing.y)) % 2 == 0
    return some(every, base[NOVEL:]), playing.rows(~held), playing.rows(held)


@cache
def calibration(folder: Path, rehearsed: bool, power: float, alpha: float) -> Calibration:
    base = worlds(folder, rehearsed)[0]
    return Calibration(tukey(base.x.numpy(), power), base.y.numpy(), alpha=alpha)


def trained(
    folder: Path, each: int, how: str, seed: int, power: float = 1.0, alpha: float = 0.0, rehearsed: bool = False
) -> NDArray[np.float64]:
    _, novel, tested = worlds(folder, rehearsed)
    seen = powered(novel.rows(some_of_each(novel, each, seed)[0]), power)
    tested = powered(tested, power)
    draws = np.random.default_rng([3, seed])
    if how == "calibration":
        x, y = calibration(folder, rehearsed, power, alpha).draw(seen.x, seen.y, each=DRAWN, generator=draws)
        seen = Texts(torch.cat([seen.x, torch.from_numpy(x).float()]), torch.cat([seen.y, torch.from_numpy(y)]))

    with alone(seed):
        model = nn.Linear(256, NOVEL)

        def loss(rows: Tensor) -> Tensor:
            x, y = seen.rows(rows)
            if how == "mixup":
                x, shares = mixup(x, y, alpha=0.2, generator=draws, classes=NOVEL)
                return cross_entropy(model(x), shares)
            if how == "noise":
                x = noise_features(x, generator=draws)
            return cross_entropy(model(x), y)

        optimiser = torch.optim.AdamW(model.parameters(), lr=RATE, weight_decay=DECAY)
        fit(loss, optimiser, Batches(len(seen.y), BATCH, seed=seed), steps=STEPS)
        return right(model, tested)


def powered(of: Texts, power: float) -> Texts:
    return Texts(torch.from_numpy(tukey(of.x.numpy(), power)).float(), of.y)


def chosen(folder: Path, each: int) -> tuple[float, float]:
    """The power and the strength by which base labels that play novel are told best."""
    found = {
        (power, alpha): np.mean(
            [trained(folder, each, "calibration", seed, power, alpha, rehearsed=True).mean() for seed in range(SEEDS)]
        )
        for power in (1.0, 0.5)
        for alpha in STRENGTHS
    }
    for (power, alpha), mean in found.items():
        print(f"{each} rows, rehearsed: power {power}, alpha {alpha}: {100 * mean:.1f}", file=sys.stderr)
    return max(found, key=lambda one: found[one])


def table(folder: Path, each: int) -> str:
    power, alpha = chosen(folder, each)
    run = partial(trained, folder, each)
    published, own = (partial(run, "calibration", power=p, alpha=a) for p, a in ((0.5, PUBLISHED), (power, alpha)))
    arms: dict[str, Arm] = {
        "nothing": partial(run, "nothing"),
        "mixup (0.2)": partial(run, "mixup"),
        "noise (0.5)": partial(run, "noise"),
        "nothing, power 0.5": partial(run, "nothing", power=0.5),
        f"calibration as published (power 0.5, alpha {PUBLISHED})": published,
        f"calibration, chosen on base labels (power {power:g}, alpha {alpha:g})": own,
    }
    return paired(arms)


if __name__ == "__main__":
    for each in (1, 5):
        print(f"\n{each} row{'s' * (each > 1)} a label:\n")
        print(table(Path(sys.argv[1]), each))
