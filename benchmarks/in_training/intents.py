"""Short texts and what their writers want, each text as WordLlama's vector, and a small net over these."""

from __future__ import annotations

from functools import cache
from pathlib import Path
from typing import NamedTuple

import numpy as np
import pandas as pd
import torch
from torch import Tensor, nn

from leaven.models.backends.wordllama import WordLlama

HIDDEN, DROP = 128, 0.1


class Texts(NamedTuple):
    """Vectors (n x 256) and labels (n)."""

    x: Tensor
    y: Tensor

    def rows(self, some: Tensor) -> Texts:
        return Texts(self.x[some], self.y[some])


@cache
def texts(file: Path, text: str, label: str) -> Texts:
    """The rows of a file, in an order that is drawn once."""
    read = pd.read_csv(file).sample(frac=1, random_state=0)
    codes = np.unique(read[label], return_inverse=True)[1]
    return Texts(torch.tensor(np.array(WordLlama().embed([str(one) for one in read[text]]))), torch.from_numpy(codes))


def some_of_each(of: Texts, each: int, seed: int) -> tuple[Tensor, Tensor]:
    """The numbers of ``each`` rows of every label, drawn by the seed, and of all others."""
    order = np.random.default_rng([1, seed]).permutation(len(of.y))
    labels = of.y.numpy()[order]
    taken = np.concatenate([order[labels == label][:each] for label in np.unique(labels)])
    return torch.from_numpy(taken), torch.from_numpy(np.setdiff1d(order, taken))


def net(labels: int) -> nn.Sequential:
    """256 to ``labels`` logits over one hidden layer."""
    return nn.Sequential(nn.Linear(256, HIDDEN), nn.LeakyReLU(), nn.Dropout(DROP), nn.Linear(HIDDEN, labels))


def right(model: nn.Module, tested: Texts) -> np.ndarray:
    """Which rows get their own label: n numbers, 0 or 1."""
    model.train(False)
    with torch.no_grad():
        return (model(tested.x).argmax(1) == tested.y).double().numpy()
