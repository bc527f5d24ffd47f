"""MixGen of a batch of images with texts: pixels are mixed, texts joined."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from leaven import mixing
from leaven.errors import DataError
from leaven.train.generators import rng_of
from leaven.train.images import check_floats


def mixgen(images: Any, texts: Sequence[str], num: int, lam: float = 0.5) -> tuple[Any, list[str]]:
    """The first ``num`` pairs, each mixed with the pair ``num`` places on; the others stay, partners too.

    ``images``: n x ... floats, a tensor or an array; ``texts``: n.  The paper takes ``num = n // 4``.  A text is its
    own, a blank, and its partner's: raise the tokenizer's limit, or most of the second is cut off.  Both come back new.
    Source: Hao et al. 2023, MixGen (arXiv:2206.08358).
    """
    _check("mixgen", images, texts, lam)
    if not 0 <= 2 * num <= len(texts):
        raise DataError(
            f"mixgen of {num} pairs takes as many partners, and the batch holds {len(texts)} pairs.",
            f"num={len(texts) // 4}: the paper's share; {len(texts) // 2} at most. Drop a last batch that is smaller.",
        )
    return mixing.mixgen(images, texts, num, lam)


def mixgen_batch(images: Any, texts: Sequence[str], *, generator: Any, lam: float = 0.5) -> tuple[Any, list[str]]:
    """Every pair mixed with another of the batch, by one permutation, each partner as it was before any was mixed.

    A pair that the permutation leaves in place is mixed with itself: its text stands there twice.  Shapes as in
    ``mixgen``.
    """
    _check("mixgen_batch", images, texts, lam)
    return mixing.mixgen_batch(images, texts, rng_of(generator).permutation(len(texts)).tolist(), lam)


def _check(what: str, images: Any, texts: Sequence[str], lam: float) -> None:
    check_floats(what, images)
    if isinstance(texts, str) or len(images) != len(texts):
        raise DataError(f"there are {len(images)} images and {len(texts)} texts.", "give one text an image, in a list.")
    if not 0 <= lam <= 1:
        raise DataError(f"lam is {lam}; it is a share from 0 to 1.", "lam=0.5")
