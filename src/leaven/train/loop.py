"""A small training loop: so many optimiser steps, whatever the number of rows, so that what is compared is comparable.

It is for examples and for measuring.  Users who have a loop, of Lightning or of transformers, keep it: everything else
in ``leaven.train`` is a module or a loss that goes into any.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import contextmanager
from typing import Any

import numpy as np
import torch
from numpy.typing import ArrayLike
from torch import Tensor

WARM = 0.1


class Batches:
    """Numbers of rows, ``size`` a batch and without end: every row once an epoch, or drawn by ``weights``.

    ``rows`` is how many there are; the last batch of an epoch may be smaller, unless ``whole`` leaves it out.  With
    ``weights`` (n numbers from 0) rows are drawn with replacement by them, and there are no epochs.  Each batch is a
    tensor of whole numbers, on the CPU; the same seed gives the same batches, whatever else is drawn.
    """

    def __init__(
        self, rows: int, size: int, *, seed: int, weights: ArrayLike | None = None, whole: bool = False
    ) -> None:
        if rows < 1 or size < 1:
            raise ValueError(f"{rows} rows in batches of {size}: both are 1 or more")
        self.rows, self.size, self.seed = rows, min(size, rows), seed
        self.weights, self.whole = None if weights is None else np.asarray(weights, np.float64), whole
        if self.weights is not None and (
            self.weights.shape != (rows,) or not (self.weights >= 0).all() or not 0 < self.weights.sum() < math.inf
        ):
            raise ValueError(f"weights are {rows} numbers from 0, and not all of them 0")

    def __iter__(self) -> Iterator[Tensor]:
        rng = np.random.default_rng([0x62617463, self.seed])
        while True:
            if self.weights is not None:
                chances = self.weights / self.weights.sum()
                yield torch.from_numpy(rng.choice(self.rows, self.size, p=chances))
                continue
            order = rng.permutation(self.rows)
            last = self.rows - self.size if self.whole else self.rows - 1
            for begin in range(0, last + 1, self.size):
                yield torch.from_numpy(order[begin : begin + self.size])


def fit(
    loss: Callable[[Any], Tensor | Sequence[Tensor]],
    optimisers: torch.optim.Optimizer | Sequence[torch.optim.Optimizer],
    batches: Iterable[Any],
    *,
    steps: int,
    schedule: Callable[[torch.optim.Optimizer], torch.optim.lr_scheduler.LRScheduler] | None = None,
    clip: float | None = 1.0,
    told: Callable[[int, list[float]], None] | None = None,
) -> list[list[float]]:
    """Take ``steps`` steps; what the losses were, steps x losses.

    ``loss`` makes of a batch (anything that ``batches`` gives: a ``DataLoader`` or ``Batches``; it is begun anew where
    it ends) one scalar, or as many as there are optimisers.  One scalar is for all parameters.  Of several each moves
    the parameters of its own optimiser and of no other, as adversaries need it; all gradients are taken before anything
    moves.  ``clip`` is the longest gradient of an optimiser's parameters, None for any.  ``schedule`` makes the
    scheduler of an optimiser, ``warm_and_fall(steps)`` where it is left out.

    Modules are trained in the mode in which they are, on the device where they lie.  Raises ValueError for a number of
    losses that is not that of the optimisers, and FloatingPointError for a loss that is no number.
    """
    each = [optimisers] if isinstance(optimisers, torch.optim.Optimizer) else list(optimisers)
    learnt = [[p for group in one.param_groups for p in group["params"]] for one in each]
    make = schedule or warm_and_fall(steps)
    schedules = [make(one) for one in each]
    found: list[list[float]] = []
    for step, batch in zip(range(steps), _again(batches), strict=False):
        for one in each:
            one.zero_grad(set_to_none=True)
        said = loss(batch)
        losses = [said] if isinstance(said, Tensor) else list(said)
        if len(losses) == 1:
            torch.autograd.backward(losses[0])
        elif len(losses) != len(each):
            raise ValueError(f"{len(losses)} losses for {len(each)} optimisers")
        else:
            for i, (own, moved) in enumerate(zip(losses, learnt, strict=True)):
                free = [p for p in moved if p.requires_grad]  # torch refuses a frozen one here
                torch.autograd.backward(own, retain_graph=i + 1 < len(losses), inputs=free)
        values = [float(own.detach()) for own in losses]
        if not all(map(math.isfinite, values)):
            raise FloatingPointError(f"the loss is {values} at step {step}: try a lower rate")
        for one, moved, later in zip(each, learnt, schedules, strict=True):
            if clip is not None:
                torch.nn.utils.clip_grad_norm_(moved, clip)
            one.step()
            later.step()
        found.append(values)
        if told is not None:
            told(step + 1, values)
    return found


def warm_and_fall(
    steps: int, warm: float = WARM
) -> Callable[[torch.optim.Optimizer], torch.optim.lr_scheduler.LRScheduler]:
    """Rates that rise for the share ``warm`` of the steps and fall to 0 along a cosine."""

    def rate(step: int) -> float:
        rising = max(1, round(warm * steps))
        if step < rising:
            return (step + 1) / rising
        return 0.5 * (1 + math.cos(math.pi * (step - rising) / max(1, steps - rising)))

    return lambda optimiser: torch.optim.lr_scheduler.LambdaLR(optimiser, rate)


@contextmanager
def alone(seed: int) -> Iterator[None]:
    """Torch with one thread and the random numbers of a seed; afterwards it is as it was.

    Two threads add up in another order, and give other numbers.
    """
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    try:
        with torch.random.fork_rng():
            torch.manual_seed(seed)
            yield
    finally:
        torch.set_num_threads(threads)


def _again(batches: Iterable[Any]) -> Iterator[Any]:
    begun = False
    while True:
        none = True
        for batch in batches:
            none, begun = False, True
            yield batch
        if none and begun:
            raise ValueError("the batches end and do not begin anew: give a loader or a list, no iterator")
        if none:
            raise ValueError("there are no batches")
