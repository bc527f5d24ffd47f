"""Gradients that are weakened or turned around on their way back: one backward pass for two that want the opposite."""

from __future__ import annotations

from torch import Tensor


def scale_gradient(x: Tensor, scale: float) -> Tensor:
    """``x`` as it is, whose gradient is multiplied by ``scale`` on the way back; below 0 it is turned around.

    Whoever made ``x`` then climbs what whoever reads it descends (Ganin et al. 2016, arXiv:1505.07818; LeMDA,
    arXiv:2212.14453, with -0.0001).  Any shape; first derivatives only.
    """
    return x.detach() + scale * (x - x.detach())
