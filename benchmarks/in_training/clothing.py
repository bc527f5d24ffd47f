"""Reviews of clothes: a text, a title and a row of a table, each as a vector; do people recommend the piece?"""

from __future__ import annotations

from functools import cache
from pathlib import Path
from typing import NamedTuple

import numpy as np
import pandas as pd
import torch
from torch import Tensor

from leaven.models.backends.wordllama import WordLlama

TARGET = "Recommended IND"
NUMBERS = ("Age", "Positive Feedback Count")
KINDS = ("Division Name", "Department Name", "Class Name")
TEST = 98
"""Rows of each label that are always measured on, drawn once: a guess is right half of the time."""


class Reviews(NamedTuple):
    """One row an item: vectors (n x width each) of the modalities, and the label (n)."""

    text: Tensor
    title: Tensor
    table: Tensor
    label: Tensor

    def rows(self, some: Tensor) -> Reviews:
        return Reviews(*(part[some] for part in self))


@cache
def reviews(file: Path) -> Reviews:
    """All rows: WordLlama's vectors of text and title (256 wide), and the table's columns (standardised, one-hot)."""
    read = pd.read_csv(file)
    embed = WordLlama().embed
    numbers = [((read[name] - read[name].mean()) / read[name].std()).to_numpy(np.float32)[:, None] for name in NUMBERS]
    kinds = [pd.get_dummies(read[name].fillna("")).to_numpy(np.float32) for name in KINDS]
    texts = [embed([str(one) for one in read[name].fillna("")]) for name in ("Review Text", "Title")]
    label = torch.tensor(read[TARGET].to_numpy(np.int64))
    vectors = [torch.tensor(np.array(part, np.float32)) for part in (*texts, np.hstack([*numbers, *kinds]))]
    return Reviews(*vectors, label)


def split(file: Path, n: int, seed: int) -> tuple[Reviews, Reviews]:
    """``n`` rows to learn from, as many of each label, drawn by the seed; and the test rows, always the same."""
    every = reviews(file)
    once, rng = np.random.default_rng(0), np.random.default_rng([1, seed])
    orders = [once.permutation(np.flatnonzero(every.label.numpy() == label)) for label in (0, 1)]
    test = np.concatenate([order[:TEST] for order in orders])
    chosen = np.concatenate([rng.permutation(order[TEST:])[: n // 2] for order in orders])
    return every.rows(torch.from_numpy(chosen)), every.rows(torch.from_numpy(test))
