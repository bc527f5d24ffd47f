"""How far two distributions lie from each other."""

from __future__ import annotations

import torch
from torch import Tensor
from torch.nn.functional import kl_div, log_softmax

LEAST = -80.0
"""What smaller logarithms count for: their exponentials are no 0 in 32 bits, and add nothing."""


def jensen_shannon(a: Tensor, b: Tensor) -> Tensor:
    """The Jensen-Shannon divergence of softmax(a) and softmax(b), in nats: 0 where they are equal, at most log 2.

    ``a``, ``b``: ... x k logits of one shape; gives ... numbers, in 32 bits at least.  With m the mean of the two it is
    half of KL(p, m) and half of KL(q, m) (Lin 1991, doi:10.1109/18.61115).

    >>> round(float(jensen_shannon(torch.tensor([1.0, 0.0]), torch.tensor([0.0, 1.0]))), 5)
    0.11094
    """
    p, q = (log_softmax(x.to(torch.promote_types(x.dtype, torch.float32)), -1).clamp_min(LEAST) for x in (a, b))
    middle = ((p.exp() + q.exp()) / 2).log()
    return 0.5 * (
        kl_div(middle, p, log_target=True, reduction="none") + kl_div(middle, q, log_target=True, reduction="none")
    ).sum(-1)


def normal_kl(mean: Tensor, log_variance: Tensor) -> Tensor:
    """KL of independent normals from the standard one, in nats, summed over the last axis: ... x k to ... .

    Kingma and Welling 2014 (arXiv:1312.6114), appendix B.
    """
    return -0.5 * (1 + log_variance - mean.square() - log_variance.exp()).sum(-1)
