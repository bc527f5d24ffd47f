"""Features that do not tell made rows from real ones: a discriminator learns which is which, and is worked against.

What only made rows have (a vocoder's hum, a generator's smoothness) is no reason for a label; a net that is trained on
both learns it all the same, unless its features have to hide it.
"""

from __future__ import annotations

import math

from torch import Tensor, nn
from torch.nn.functional import binary_cross_entropy_with_logits

from leaven.train.gradients import scale_gradient


class DomainAdversary(nn.Module):
    """How well a small net tells made rows from real ones; whoever made the features learns to hide it.

    ``loss = task + adversary(features, made)`` and one backward, with the adversary's parameters in the optimiser of
    the rest: the adversary descends its cross-entropy, and the features climb it.  It has one hidden layer of
    ``hidden`` units.  Source: Ganin et al. 2016 (arXiv:1505.07818); of made and real sounds of lungs Kim et al. 2023
    (arXiv:2311.06480), whose adversary is linear.
    """

    def __init__(self, width: int, hidden: int = 100) -> None:
        super().__init__()
        self.width = width
        self.net = nn.Sequential(nn.Linear(width, hidden), nn.ReLU(), nn.Linear(hidden, 1))

    def forward(
        self, features: Tensor, made: Tensor, *, reversal: float = 1.0, weights: Tensor | None = None
    ) -> Tensor:
        """A scalar, in nats, of n x width features and n true or false: is the row made?

        ``reversal``: how much of the gradient reaches the features, turned around; 0 for none.  ``weights``: n numbers
        from 0, what each row counts, such as one over the rows of its label or of its side; the loss is their mean.

        Raises ValueError for shapes that do not fit.
        """
        if features.ndim != 2 or features.shape[1] != self.width or made.shape != features.shape[:1]:
            raise ValueError(
                f"n x {self.width} features and n of made: got {tuple(features.shape)} and {tuple(made.shape)}"
            )
        logits = self.net(scale_gradient(features, -reversal))[:, 0]
        each = binary_cross_entropy_with_logits(logits, made.to(logits.dtype), reduction="none")
        if weights is None:
            return each.mean()
        if weights.shape != made.shape:
            raise ValueError(f"{len(made)} weights, one a row: got {tuple(weights.shape)}")
        return (weights * each).sum() / weights.sum()


def reversal_schedule(progress: float) -> float:
    """From 0 at the beginning, where features mean nothing yet, to about 1: 2 / (1 + exp(-10 p)) - 1.

    ``progress`` p goes from 0 to 1 over the whole training: step / steps.  (In the code released by Kim et al. it
    passes 1 in the first epochs.)  Source: Ganin et al. 2016 (arXiv:1505.07818).

    >>> [round(reversal_schedule(p), 4) for p in (0, 0.1, 0.5, 1)]
    [0.0, 0.4621, 0.9866, 0.9999]
    """
    return 2 / (1 + math.exp(-10 * progress)) - 1
