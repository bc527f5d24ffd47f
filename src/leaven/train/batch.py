"""Mixup and CutMix of a batch: each item with another one of the batch, in images and labels."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from leaven import mixing
from leaven.errors import DataError
from leaven.train.generators import rng_of
from leaven.train.images import check_floats, is_array, sides
from leaven.train.labels import as_shares

if TYPE_CHECKING:
    import numpy as np


def mixup(images: Any, labels: Any, *, alpha: float, generator: Any, classes: int | None = None) -> tuple[Any, Any]:
    """``lam`` of each item and ``1 - lam`` of another: one lam ~ Beta(alpha, alpha) and one permutation a batch.

    ``images``: n x ... floats, a tensor or an array (features and sounds of one shape too).  ``labels``: n x k shares,
    or n whole numbers with ``classes=k``.  Gives new images of the same shape and type, and n x k shares.  With
    ``alpha=0`` nothing is mixed.  Source: Zhang et al. 2018, mixup (arXiv:1710.09412).
    """
    check_floats("mixup", images)
    shares = as_shares(labels, classes, images)
    rng = rng_of(generator)
    lam, order = _lam(alpha, rng), rng.permutation(len(images))
    return mixing.mix(images, images[order], lam), mixing.soft_labels(shares, shares[order], lam)


def cutmix(
    images: Any, labels: Any, *, alpha: float = 1.0, generator: Any, classes: int | None = None
) -> tuple[Any, Any]:
    """Each item with a box of another one's in the same place; labels go by the box's true area.

    ``images``: n x channels x height x width where it is a tensor, n x height x width x channels where it is a numpy
    array, of any type (nothing is computed from them).  ``labels`` as in ``mixup``.  One box a batch: its area is
    ``1 - lam``, lam ~ Beta(alpha, alpha), its centre anywhere, cut off at the edges; the share of the labels is counted
    after that.  Source: Yun et al. 2019, CutMix (arXiv:1905.04899).
    """
    shares = as_shares(labels, classes, images)
    rng = rng_of(generator)
    lam, order = _lam(alpha, rng), rng.permutation(len(images))
    box, stays = drawn_box(*sides(images), lam, rng)
    mixed = mixing.cutmix(images, images[order], box, channels_last=is_array(images))
    return mixed, mixing.soft_labels(shares, shares[order], stays)


def drawn_box(height: int, width: int, lam: float, rng: np.random.Generator) -> tuple[mixing.Box, float]:
    """A box of the share ``1 - lam`` about a centre drawn from the whole image, and the share that stays outside."""
    cy, cx = (int(at) for at in rng.integers((height, width)))
    y0, y1, x0, x1, stays = mixing.cutmix_box(height, width, lam, cy, cx)
    return (y0, y1, x0, x1), stays


def _lam(alpha: float, rng: np.random.Generator) -> float:
    if not alpha >= 0:
        raise DataError(f"alpha is {alpha}; it is 0 or more.", "alpha=0.2")
    return float(rng.beta(alpha, alpha)) if alpha else 1.0
