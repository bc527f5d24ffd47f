"""A small net on hashed n-grams, taught intents by a linear classifier of WordLlama's vectors.

The teacher learns from the same few labelled rows; what it knows besides is in its vectors, which the student never
sees.  Other rows of the training file are without a label.

python -m benchmarks.in_training.distillation BANKING77_FOLDER
"""

from __future__ import annotations

import sys
from collections.abc import Callable
from functools import cache
from pathlib import Path
from typing import NamedTuple

import numpy as np
import pandas as pd
import torch
from numpy.typing import NDArray
from sklearn.feature_extraction.text import HashingVectorizer
from torch import Tensor, nn
from torch.nn.functional import cross_entropy

from benchmarks.in_training.paired import Arm, paired
from leaven.models.backends.linear import LinearState, fit_linear
from leaven.models.backends.wordllama import WordLlama
from leaven.train import Batches, alone, distillation_loss, fit, mixup

LABELLED, UNLABELLED = 5, 2000
"""Rows of each label, and rows without one."""
STEPS, BATCH = 400, 64
BUCKETS, HIDDEN, DROP = 4096, 128, 0.3
RATE, DECAY = 3e-3, 1e-2


class Texts(NamedTuple):
    """n x buckets n-grams, n x 256 vectors and n labels."""

    ngrams: Tensor
    vectors: NDArray[np.float32]
    label: Tensor


@cache
def texts(file: Path) -> Texts:
    read = pd.read_csv(file)
    said = read.iloc[:, 0].astype(str).tolist()
    hashed = HashingVectorizer(n_features=BUCKETS, analyzer="char_wb", ngram_range=(2, 4), alternate_sign=False)
    label = pd.Categorical(read.iloc[:, 1].astype(str)).codes.astype(np.int64)
    ngrams = torch.from_numpy(np.asarray(hashed.transform(said).toarray(), np.float32))
    return Texts(ngrams, WordLlama().embed(said), torch.tensor(label))


class Given(NamedTuple):
    """What a seed draws, the labelled rows first: n-grams, labels (-100: none) and what the teacher says, as logits."""

    ngrams: Tensor
    label: Tensor
    taught: Tensor
    teacher: LinearState
    labelled: int


@cache
def given(folder: Path, seed: int) -> Given:
    every, rng = texts(folder / "train.csv"), np.random.default_rng([1, seed])
    order, label = rng.permutation(len(every.label)), every.label.numpy()
    labels = int(label.max()) + 1
    few = np.concatenate([order[label[order] == one][:LABELLED] for one in range(labels)])
    rows = np.concatenate([few, order[~np.isin(order, few)][:UNLABELLED]])
    teacher = fit_linear(every.vectors[few], label[few], n_labels=labels)
    known = every.label[rows].clone()
    known[len(few) :] = -100
    return Given(every.ngrams[rows], known, logits(teacher, every.vectors[rows]), teacher, len(few))


def logits(teacher: LinearState, vectors: NDArray[np.float32]) -> Tensor:
    return torch.tensor(vectors @ teacher.coef.T + teacher.intercept, dtype=torch.float32)


Loss = Callable[[nn.Module, Given, Tensor], Tensor]


def trained(folder: Path, seed: int, loss: Loss, unlabelled: bool = False) -> NDArray[np.float64]:
    """Train on a seed's rows, the first of them or all; which test rows are right."""
    seen, tested = given(folder, seed), texts(folder / "test.csv")
    with alone(seed):
        net = nn.Sequential(
            nn.Linear(BUCKETS, HIDDEN), nn.ReLU(), nn.Dropout(DROP), nn.Linear(HIDDEN, seen.taught.shape[1])
        )
        optimiser = torch.optim.AdamW(net.parameters(), lr=RATE, weight_decay=DECAY)
        rows = Batches(len(seen.label) if unlabelled else seen.labelled, BATCH, seed=seed)
        net.train()
        fit(lambda some: loss(net, seen, some), optimiser, rows, steps=STEPS)
        net.train(False)
        with torch.no_grad():
            return (net(tested.ngrams).argmax(1) == tested.label).double().numpy()


def plain(net: nn.Module, seen: Given, rows: Tensor) -> Tensor:
    return cross_entropy(net(seen.ngrams[rows]), seen.label[rows])


def mixed(alpha: float) -> Callable[[int], Loss]:
    def of(seed: int) -> Loss:
        draws = np.random.default_rng([2, seed])

        def loss(net: nn.Module, seen: Given, rows: Tensor) -> Tensor:
            x, y = mixup(
                seen.ngrams[rows], seen.label[rows], alpha=alpha, generator=draws, classes=seen.taught.shape[1]
            )
            return cross_entropy(net(x), y)

        return loss

    return of


def taught(net: nn.Module, seen: Given, rows: Tensor) -> Tensor:
    return distillation_loss(net(seen.ngrams[rows]), seen.taught[rows], seen.label[rows])


def by_teacher(folder: Path, seed: int) -> NDArray[np.float64]:
    tested = texts(folder / "test.csv")
    return (logits(given(folder, seed).teacher, tested.vectors).argmax(1) == tested.label).double().numpy()


def arms(folder: Path) -> dict[str, Arm]:
    return {
        "nothing": lambda seed: trained(folder, seed, plain),
        "mixup (0.2)": lambda seed: trained(folder, seed, mixed(0.2)(seed)),
        "distilled, labelled rows": lambda seed: trained(folder, seed, taught),
        "distilled, unlabelled rows too": lambda seed: trained(folder, seed, taught, unlabelled=True),
        "the teacher itself": lambda seed: by_teacher(folder, seed),
    }


if __name__ == "__main__":
    print(paired(arms(Path(sys.argv[1]))))
