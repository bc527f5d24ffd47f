"""TMMDA on reviews of clothes, word by word: do people recommend the piece?

python -m benchmarks.in_training.tmmda REVIEWS.csv

There is no open set here with words, faces and voices.  So the three aligned modalities are three views of each word of
title and text: its vector (WordLlama), how it is spelled (hashed letter n-grams), and how it looks (length, capitals,
signs).  Nothing is heard or seen that words do not say, and a token taken from another view is of the same word.
"""

from __future__ import annotations

import sys
import zlib
from collections.abc import Callable
from functools import cache, partial
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import pandas as pd
import torch
from numpy.typing import NDArray
from torch import Tensor, nn
from torch.nn.functional import cross_entropy

from benchmarks.in_training.clothing import TARGET
from benchmarks.in_training.paired import Arm, paired
from leaven.models.backends.wordllama import WordLlama
from leaven.train import TMMDA, Batches, alone, fit, mixup

ROWS, TEST, STEPS, BATCH, WORDS = 120, 100, 150, 16, 30
WIDTH, HASHED, LOOK = 32, 64, 8
RATE, DECAY, WEIGHT = 1e-3, 1e-3, 0.1


class Words(NamedTuple):
    """n x WORDS x (256, 64, 8), n x WORDS that count, and n labels."""

    meaning: Tensor
    spelling: Tensor
    look: Tensor
    mask: Tensor
    label: Tensor

    def rows(self, some: Tensor) -> Words:
        return Words(*(part[some] for part in self))


def spelled(word: str) -> NDArray[np.float32]:
    """Letter n-grams of 1 to 3, the ends marked, hashed with a sign and scaled."""
    found, marked = np.zeros(HASHED, np.float32), f"<{word.lower()}>"
    for size in (1, 2, 3):
        for at in range(len(marked) - size + 1):
            code = zlib.crc32(marked[at : at + size].encode())
            found[code % HASHED] += 1 if code & 1 << 20 else -1
    return found * HASHED**0.5 / np.linalg.norm(found)  # numbers of about 1, as in all three views


def looks(word: str) -> list[float]:
    capitals = sum(letter.isupper() for letter in word)
    signs = [float(sign in word) for sign in "!?,."]
    return [len(word) / 8, float(word[0].isupper()), capitals / len(word), float(any(map(str.isdigit, word))), *signs]


@cache
def words(file: Path) -> Words:
    read = pd.read_csv(file)
    said = read["Title"].fillna("") + " " + read["Review Text"].fillna("")
    rows = [text.split()[:WORDS] for text in said]
    known = sorted({word for row in rows for word in row})
    meant, place = WordLlama().embed(known) * 16, {word: i for i, word in enumerate(known)}
    spell = np.stack([spelled(word) for word in known])
    look = np.array([looks(word) for word in known], np.float32)
    mask, at = np.zeros((len(rows), WORDS), bool), np.zeros((len(rows), WORDS), np.int64)
    for i, row in enumerate(rows):
        mask[i, : len(row)], at[i, : len(row)] = True, [place[word] for word in row]
    views = (torch.from_numpy(view[at]) for view in (meant, spell, look))
    return Words(*views, torch.from_numpy(mask), torch.tensor(read[TARGET].to_numpy(np.int64)))


def split(file: Path, seed: int) -> tuple[Words, Words]:
    """Rows to learn from, as many of each label, drawn by the seed; and the test rows, always the same.

    Of 1,000 people 178 do not recommend.
    """
    every = words(file)
    once, rng = np.random.default_rng(0), np.random.default_rng([1, seed])
    there = every.mask.any(1).numpy()
    orders = [once.permutation(np.flatnonzero(there & (every.label.numpy() == label))) for label in (0, 1)]
    test = np.concatenate([order[:TEST] for order in orders])
    chosen = np.concatenate([rng.permutation(order[TEST:])[: ROWS // 2] for order in orders])
    return every.rows(torch.from_numpy(chosen)), every.rows(torch.from_numpy(test))


class Reader(nn.Module):
    """A linear layer of the words' vectors, the fusion, and a linear layer of the mean of its tokens."""

    def __init__(self, **how: Any) -> None:
        super().__init__()
        self.meaning = nn.Linear(256, WIDTH)
        self.fusion = TMMDA((WIDTH, HASHED, LOOK), **how)
        self.head = nn.Linear(WIDTH, 2)

    def forward(self, rows: Words) -> tuple[Tensor, Tensor]:
        """n x WIDTH features, and the fusion's losses."""
        fused = self.fusion(self.meaning(rows.meaning), rows.spelling, rows.look, rows.mask)
        pooled = fused.tokens.sum(1) / fused.mask.sum(1, keepdim=True)
        return pooled, fused.adversarial + fused.divergence


Loss = Callable[[Reader, Words, np.random.Generator], Tensor]


def of_the_task(net: Reader, rows: Words, draws: np.random.Generator) -> Tensor:
    return cross_entropy(net.head(net(rows)[0]), rows.label)


def of_both(net: Reader, rows: Words, draws: np.random.Generator) -> Tensor:
    features, losses = net(rows)
    return cross_entropy(net.head(features), rows.label) + WEIGHT * losses


def mixed_words(net: Reader, rows: Words, draws: np.random.Generator) -> Tensor:
    """Mixup of what comes in, word by word at the same places; a place counts where one of both has a word."""
    views = torch.cat([*rows[:3], rows.mask[..., None]], dim=2)
    mixed, shares = mixup(views, rows.label, alpha=0.2, generator=draws, classes=2)
    *three, share = mixed.split([256, HASHED, LOOK, 1], dim=2)
    return cross_entropy(net.head(net(Words(*three, share[..., 0] > 0, rows.label))[0]), shares)


def mixed_features(net: Reader, rows: Words, draws: np.random.Generator) -> Tensor:
    features, shares = mixup(net(rows)[0], rows.label, alpha=2.0, generator=draws, classes=2)
    return cross_entropy(net.head(features), shares)


def trained(file: Path, how: dict[str, Any], loss: Loss, seed: int) -> NDArray[np.float64]:
    """Train on a seed's rows; which test rows are right."""
    seen, tested = split(file, seed)
    draws = np.random.default_rng([2, seed])
    with alone(seed):
        net = Reader(**how)
        optimiser = torch.optim.AdamW(net.parameters(), lr=RATE, weight_decay=DECAY)
        net.train()
        batches = Batches(len(seen.label), BATCH, seed=seed)
        fit(lambda some: loss(net, seen.rows(some), draws), optimiser, batches, steps=STEPS)
        net.train(False)
        with torch.no_grad():
            return (net.head(net(tested)[0]).argmax(1) == tested.label).double().numpy()


STILL: dict[str, Any] = {"rho1": 1.0, "rho2": 0.0, "noise": 0.0}
ARMS: dict[str, tuple[dict[str, Any], Loss]] = {
    "nothing": (STILL, of_the_task),
    "mixup (0.2)": (STILL, mixed_words),
    "manifold mixup (2)": (STILL, mixed_features),
    "TMMDA, tokens mixed alone": ({"noise": 0.0}, of_the_task),
    "TMMDA, with adversaries and divergence": ({}, of_both),
}


if __name__ == "__main__":
    arms: dict[str, Arm] = {name: partial(trained, Path(sys.argv[1]), how, loss) for name, (how, loss) in ARMS.items()}
    print(paired(arms))
