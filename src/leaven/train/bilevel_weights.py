"""Weights of rows that a noise-robust loss asks for, with any student: SunGen (Gao et al. 2023, arXiv:2205.12679)."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator

import torch
from torch import Tensor, nn
from torch.nn.functional import cross_entropy, softmax

SHARP = 10.0
"""The logit that a row's label has in the outer loss; the others have 0."""


def reverse_cross_entropy(logits: Tensor, labels: Tensor) -> Tensor:
    """-p log q, the mean over the labels, where q is the softmax of 10 at the row's own label and 0 elsewhere.

    ``logits``: n x k; ``labels``: n whole numbers.  Gives n numbers.  A wrong label costs a bounded amount: half of it,
    5, where there are two labels.

    >>> [round(float(reverse_cross_entropy(torch.tensor([[2.0, 0.0]]), torch.tensor([y]))), 4) for y in (0, 1)]
    [0.596, 4.404]
    """
    sharp = nn.functional.one_hot(labels, logits.shape[1]).to(logits.dtype) * SHARP
    return -(softmax(logits, dim=1) * sharp.log_softmax(dim=1)).mean(dim=1)


class BilevelWeights(nn.Module):
    """A weight from 0 to 1 for each of n rows, 0.5 at first: the sigmoid of ``theta``, which your optimiser moves.

    In each round a student learns, from the same beginning, the losses of rows times their weights; then ``backward``
    says how ``theta`` must move so that one more step of that student would lower the outer loss, which is the
    ``reverse_cross_entropy`` of the rows that weigh most.  No clean row is needed.

    ``labels``: n whole numbers.  ``outer``: over how many rows, drawn once, the outer loss is taken.  ``share``: those
    count that weigh at least what the int(share x n)-th heaviest row does.  ``rate``: the length of the student's step.
    The paper's: 100 rounds of an epoch, Adam at 0.001 for the student, Adam at 0.25 for ``theta``.
    """

    labels: Tensor
    outer: Tensor

    def __init__(
        self,
        labels: Tensor,
        *,
        outer: int = 50_000,
        share: float = 0.9,
        rate: float = 1e-3,
        clip: float = 3.0,
        generator: torch.Generator | None = None,
    ) -> None:
        super().__init__()
        if labels.ndim != 1 or not len(labels) or labels.is_floating_point():
            raise ValueError(f"labels are n whole numbers: got {tuple(labels.shape)} of {labels.dtype}")
        if not 0 < share <= 1:
            raise ValueError(f"share is above 0 and at most 1: got {share}")
        self.share, self.rate, self.clip = share, rate, clip
        self.theta = nn.Parameter(torch.zeros(len(labels), device=labels.device))
        self.register_buffer("labels", labels.long())
        drawn = torch.randperm(len(labels), generator=generator)[:outer].sort().values
        self.register_buffer("outer", drawn.to(labels.device))

    def forward(self, rows: Tensor | None = None) -> Tensor:
        """The weights of some rows (B whole numbers), or of all."""
        return torch.sigmoid(self.theta if rows is None else self.theta[rows])

    def heaviest(self) -> Tensor:
        """Which rows count in the outer loss: n true or false; those that weigh as much as the last one are all in."""
        weights = self().detach()
        return weights >= weights.topk(max(1, int(self.share * len(weights)))).values[-1]

    def backward(
        self, score: Callable[[Tensor], Tensor], parameters: Iterable[nn.Parameter], *, batch: int = 256
    ) -> Tensor:
        """Leave the gradient of the outer loss in ``theta.grad``, clipped to the length ``clip``; returns that loss.

        ``score`` makes B x k logits of the numbers of B rows, by the student as it is now; ``parameters`` are that
        student's, and neither they nor their gradients are changed.  Switch dropout off before.  The student is
        differentiated twice, which recurrent layers of cuDNN cannot be.
        """
        moved = [p for p in parameters if p.requires_grad]
        n = len(self.labels)
        counted = self.outer[self.heaviest()[self.outer]]
        total = torch.zeros((), device=self.theta.device)
        towards = [torch.zeros_like(p) for p in moved]
        for rows in counted.split(batch):
            loss = reverse_cross_entropy(score(rows), self.labels[rows]).sum() / len(counted)
            found = torch.autograd.grad(loss, moved, allow_unused=True)
            total += loss.detach()
            towards = [t if g is None else t + g for t, g in zip(towards, found, strict=True)]
        every = torch.arange(n, device=self.theta.device).split(batch)
        along = torch.cat(list(self._along(score, moved, towards, every))).to(self.theta.dtype)
        weights = self().detach()
        whole = weights.sum()
        by_weight = -self.rate * (along - weights @ along / whole) / whole
        gradient = by_weight * weights * (1 - weights)
        self.theta.grad = gradient * (self.clip / gradient.norm().clamp_min(self.clip))
        return total

    def _along(
        self,
        score: Callable[[Tensor], Tensor],
        moved: list[nn.Parameter],
        towards: list[Tensor],
        batches: Iterable[Tensor],
    ) -> Iterator[Tensor]:
        """How much each row's own gradient goes the outer loss's way.

        The gradient of a sum of losses, each times a number of its own, is linear in these numbers: its product with
        the outer gradient, differentiated by them, is what is wanted, for a batch at once.
        """
        for rows in batches:
            each = torch.ones(len(rows), device=self.theta.device, dtype=self.theta.dtype, requires_grad=True)
            loss = (each * cross_entropy(score(rows), self.labels[rows], reduction="none")).sum()
            own = torch.autograd.grad(loss, moved, create_graph=True, allow_unused=True)
            product = sum((g * t).sum() for g, t in zip(own, towards, strict=True) if g is not None)
            yield torch.autograd.grad(product, each)[0]
