"""A small convolutional net, trained from nothing: the student for who will train one.

Every arm takes the same number of optimiser steps, over batches that are drawn by the rows' weights: repeating the
real rows changes nothing, and more rows mean no more training.  On the CPU and with one thread, so that the same seed
gives the same net.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from importlib.util import find_spec
from itertools import pairwise
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from leaven.errors import MissingExtra

if TYPE_CHECKING:
    import torch

STEPS, BATCH = 300, 32
WIDTHS = (16, 32, 64)
RATE, DECAY = 4e-3, 0.05
TESTED_AT_A_TIME = 256


class Cnn:
    """Pictures (height x width x channels, uint8) to labels; soft labels are learned as they are."""

    name = "CNN"

    def __init__(self, pictures: Mapping[str, NDArray[np.uint8]], steps: int | None = None) -> None:
        self.pictures, self.steps = pictures, STEPS if steps is None else steps

    def train_and_predict(
        self, items: Sequence[str], shares: NDArray[np.float64], tested: Sequence[str], luck: int
    ) -> NDArray[np.int64]:
        """See ``students.Stepped``."""
        with alone(luck):
            import torch

            seen, asked = self._tensor(items), self._tensor(tested)
            centre, spread = seen.mean((0, 2, 3), keepdim=True), seen.std((0, 2, 3), keepdim=True) + 1e-3
            seen = (seen - centre) / spread
            weights = shares.sum(axis=1)
            truth = torch.from_numpy((shares / weights[:, None]).astype(np.float32))
            net = _net(seen.shape[1], shares.shape[1])

            def loss(rows: torch.Tensor) -> torch.Tensor:
                return torch.nn.functional.cross_entropy(net(seen[rows]), truth[rows])

            train(net, loss, drawn(weights, self.steps, BATCH, luck))
            net.train(False)
            with torch.no_grad():
                blocks = [asked[i : i + TESTED_AT_A_TIME] for i in range(0, len(asked), TESTED_AT_A_TIME)]
                found = [net((some - centre) / spread).argmax(dim=1).numpy() for some in blocks]
        return np.concatenate(found).astype(np.int64)

    def _tensor(self, items: Sequence[str]) -> torch.Tensor:
        import torch

        pictures = np.stack([self.pictures[item] for item in items])
        return torch.from_numpy(pictures).permute(0, 3, 1, 2).contiguous().float() / 255.0


def drawn(weights: NDArray[np.float64], steps: int, batch: int, luck: int) -> NDArray[np.int64]:
    """Rows by their weights, with replacement, steps x batch; the same in every numpy."""
    ends = np.cumsum(weights / weights.sum())
    words = np.random.Philox(key=[luck, 0x636E6E]).random_raw(steps * batch)
    at = np.searchsorted(ends, words.astype(np.float64) / 2.0**64, side="right")
    found: NDArray[np.int64] = np.minimum(at, len(weights) - 1).reshape(steps, batch)
    return found


def train(net: torch.nn.Module, loss: Callable[[torch.Tensor], torch.Tensor], order: NDArray[np.int64]) -> None:
    """One optimiser step a line of ``order``; the rate rises for a tenth of the steps and falls to 0."""
    import torch

    from leaven.train import fit

    def rising(optimiser: torch.optim.Optimizer) -> torch.optim.lr_scheduler.LRScheduler:
        return torch.optim.lr_scheduler.OneCycleLR(optimiser, RATE, total_steps=len(order), pct_start=0.1)

    optimiser = torch.optim.AdamW(net.parameters(), lr=RATE, weight_decay=DECAY)
    net.train()
    fit(loss, optimiser, torch.from_numpy(order), steps=len(order), schedule=rising, clip=None)


@contextmanager
def alone(luck: int) -> Iterator[None]:
    """Torch with one thread and the random numbers of a seed; as it was before, afterwards."""
    if find_spec("torch") is None:
        raise MissingExtra("--student cnn needs the extra `torch`.", 'pip install "leaven[torch]"')
    from leaven.train import alone

    with alone(luck):
        yield


def stage(before: int, width: int) -> torch.nn.Module:
    """A convolution, and half the size."""
    import torch

    inside = torch.nn.Conv2d(before, width, 3, padding=1, bias=False)
    return torch.nn.Sequential(inside, torch.nn.BatchNorm2d(width), torch.nn.ReLU(), torch.nn.MaxPool2d(2))


def _net(channels: int, labels: int) -> torch.nn.Module:
    import torch

    stages = [stage(before, width) for before, width in pairwise((channels, *WIDTHS))]
    return torch.nn.Sequential(
        *stages, torch.nn.AdaptiveAvgPool2d(2), torch.nn.Flatten(), torch.nn.Linear(4 * WIDTHS[-1], labels)
    )
