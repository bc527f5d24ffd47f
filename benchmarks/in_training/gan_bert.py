"""GAN-BERT on what people ask for: five labelled rows an intent, with and without 2,000 that have no label.

python -m benchmarks.in_training.gan_bert BANKING77_FOLDER SNIPS_FOLDER
"""

from __future__ import annotations

import sys
from functools import partial
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray
from torch.nn.functional import cross_entropy

from benchmarks.in_training.intents import HIDDEN, some_of_each, texts
from benchmarks.in_training.paired import paired
from leaven.train import Batches, GanBert, alone, fit, mixup

EACH, UNLABELLED = 5, 2000
STEPS, BATCH, RATE = 600, 64, 2e-3


def trained(files: tuple[Path, Path], label: str, how: str, seed: int) -> NDArray[np.float64]:
    """All train the same classifier from the same weights: that of a GAN-BERT, whose generator may have no part."""
    every, tested = (texts(file, "text", label) for file in files)
    kinds = int(every.y.max()) + 1
    chosen, rest = some_of_each(every, EACH, seed)
    seen, other = every.rows(chosen), every.rows(rest[:UNLABELLED]).x
    draws = np.random.default_rng([3, seed])
    with alone(seed):
        gan = GanBert(256, kinds, hidden=HIDDEN)
        more = iter(Batches(len(other), BATCH, seed=seed + 100))
        none = torch.full((BATCH,), -100)

        def loss(some: torch.Tensor) -> torch.Tensor | tuple[torch.Tensor, torch.Tensor]:
            x, y = seen.rows(some)
            if how == "mixup":
                x, shares = mixup(x, y, alpha=0.2, generator=draws, classes=kinds)
                return cross_entropy(gan.classify(x), shares)
            if how == "nothing":
                return cross_entropy(gan.classify(x), y)
            if how == "all":
                extra = other[next(more)]
                x, y = torch.cat([x, extra]), torch.cat([y, none[: len(extra)]])
            return gan(x, y)

        torch.manual_seed(seed)
        halves = [gan.discriminator, gan.generator] if how in ("labelled", "all") else [gan.discriminator]
        optimisers = [torch.optim.AdamW(half.parameters(), lr=RATE) for half in halves]
        fit(loss, optimisers, Batches(len(seen.y), BATCH, seed=seed), steps=STEPS)
        gan.eval()
        with torch.no_grad():
            return (gan.classify(tested.x).argmax(1) == tested.y).double().numpy()


ARMS = {
    "nothing": "nothing",
    "mixup (0.2)": "mixup",
    "GAN-BERT, labelled rows alone": "labelled",
    "GAN-BERT, and 2,000 rows without a label": "all",
}

if __name__ == "__main__":
    banking, snips = (Path(folder) for folder in sys.argv[1:])
    for name, files, label in (
        ("77 intents", (banking / "train.csv", banking / "test.csv"), "category"),
        ("7 intents", (snips / "full_snips_orig_train.csv", snips / "full_snips_orig_test.csv"), "label"),
    ):
        print(f"\n{name}:\n")
        print(paired({arm: partial(trained, files, label, how) for arm, how in ARMS.items()}))
