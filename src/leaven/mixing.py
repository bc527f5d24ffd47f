"""The arithmetic of mixing: mixup, CutMix, MixGen, Cut-Switch, for one pair of arrays or a whole batch.

Plain functions for numpy arrays and torch tensors alike, by operators and indexing alone, so that a step that writes
files and a training loop share them.  No argument is changed: a batch is read as it was before the mixing.  Images are
(..., height, width, channels); with ``channels_last=False`` they are (..., height, width), which fits torch's batch x
channels x height x width, and masks.  Lam, centres and permutations are given; ``unlike`` draws one of these.
"""

from __future__ import annotations

from collections.abc import Sequence
from math import sqrt
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    import numpy as np

Box = tuple[int, int, int, int]
"""y0, y1, x0, x1; the ends are outside."""


def cutmix_box(height: int, width: int, lam: float, cy: int, cx: int) -> tuple[int, int, int, int, float]:
    """CutMix's box: y0, y1, x0, x1 (the ends are outside), and the share of the image that stays outside of it.

    The sides are ``int(side * sqrt(1 - lam))``, halves rounded down, about the centre (cy, cx), cut off at the image's
    edges; so the share that stays is not ``lam``, and labels go by it.  Source: Yun et al. 2019, arXiv:1905.04899.

    >>> cutmix_box(32, 32, 0.75, 16, 16)
    (8, 24, 8, 24, 0.75)
    >>> cutmix_box(32, 32, 0.75, 0, 0)
    (0, 8, 0, 8, 0.9375)
    """
    side = sqrt(max(0.0, 1.0 - lam))
    half_height, half_width = int(height * side) // 2, int(width * side) // 2
    y0, y1 = max(cy - half_height, 0), min(cy + half_height, height)
    x0, x1 = max(cx - half_width, 0), min(cx + half_width, width)
    return y0, y1, x0, x1, 1 - (y1 - y0) * (x1 - x0) / (height * width)


def mix(a: Any, b: Any, lam: Any) -> Any:
    """``lam * a + (1 - lam) * b`` of two arrays of one shape, in the type of ``a``; whole numbers are rounded.

    ``lam`` is a number, or an array with one for each item of a batch (the first axis).  ``mix(x, x[order], lam)`` is
    mixup of a batch.  Source: Zhang et al. 2018, arXiv:1710.09412.
    """
    like = a
    if str(a.dtype) == "uint8":  # half the width of what numpy would take, and twice as fast
        a, b = a.astype("float32"), b.astype("float32")
    return _typed(_between(a, b, lam), like)


def cutmix(a: Any, b: Any, box: Sequence[int], *, channels_last: bool = True) -> Any:
    """``a`` with what ``b`` holds inside the box (y0, y1, x0, x1, ...); a batch has one box for all of its items."""
    out = _copied(a)
    inside = _inside(box, channels_last)
    out[inside] = b[inside]
    return out


def soft_labels(a: Any, b: Any, lam: Any) -> Any:
    """The labels of a mixture (batch x labels): ``lam`` of the first and the rest of the second."""
    return _between(a, b, lam)


def cut_switch(
    images: Sequence[Any], box: Sequence[int], permutation: Sequence[int], *, channels_last: bool = True
) -> list[Any]:
    """The images of one scene, their contents inside a box (y0, y1, x0, x1) handed round: image i has that of image
    ``permutation[i]``.

    At each place the values are the same ones as before, in other images; the inverse permutation brings them back.
    Source: Cut-Switch of AMF, Yang et al. 2020, doi:10.1145/3394171.3413538.
    """
    if sorted(permutation) != list(range(len(images))):
        raise ValueError(f"{list(permutation)} is no permutation of {len(images)} images")
    if len({tuple(image.shape) for image in images}) > 1:
        raise ValueError("the images differ in shape: " + ", ".join(str(tuple(i.shape)) for i in images))
    return [cutmix(own, images[k], box, channels_last=channels_last) for own, k in zip(images, permutation)]


def unlike(count: int, rng: np.random.Generator) -> list[int]:
    """A permutation, each as likely as another, but for the one that leaves all in place (unless there is no other)."""
    order = list(range(count))
    while count > 1 and order == sorted(order):
        order = [int(k) for k in rng.permutation(count)]
    return order


def mixgen(images: Any, texts: Sequence[str], num: int, lam: float = 0.5) -> tuple[Any, list[str]]:
    """A batch (batch x ...) whose first ``num`` pairs are each mixed with the pair ``num`` places on, texts joined.

    The rest stays, partners too.  Source: Hao et al. 2023, arXiv:2206.08358.
    """
    joined = mixgen_texts(texts, num)
    if len(images) != len(joined):
        raise ValueError(f"there are {len(images)} images and {len(joined)} texts")
    out = _copied(images)
    if num:
        out[:num] = mix(images[:num], images[num : 2 * num], lam)
    return out, joined


def mixgen_texts(texts: Sequence[str], num: int) -> list[str]:
    """The texts of a batch, the first ``num`` each with the text ``num`` places on after a blank.

    >>> mixgen_texts(["a", "b", "c", "d", "e"], 2)
    ['a c', 'b d', 'c', 'd', 'e']
    """
    if not 0 <= 2 * num <= len(texts):
        raise ValueError(f"mixgen of {num} pairs needs a batch of {2 * num} or more, and it has {len(texts)}")
    return [f"{text} {texts[i + num]}" if i < num else text for i, text in enumerate(texts)]


def mixgen_batch(
    images: Any, texts: Sequence[str], permutation: Sequence[int], lam: float = 0.5
) -> tuple[Any, list[str]]:
    """A batch of which every pair is mixed with the one that the permutation names, as it was before any was mixed.

    (The released code reads partners that are mixed already, so that it hangs on the order.)
    """
    order = list(permutation)
    if sorted(order) != list(range(len(texts))):
        raise ValueError(f"{order} is no permutation of {len(texts)} pairs")
    return mix(images, images[order], lam), [f"{text} {texts[k]}" for text, k in zip(texts, order)]


def _between(a: Any, b: Any, lam: Any) -> Any:
    if getattr(lam, "ndim", 0) == 1:
        lam = lam.reshape(-1, *[1] * (a.ndim - 1))
    return lam * a + (1 - lam) * b


def _inside(box: Sequence[int], channels_last: bool) -> tuple[Any, ...]:
    y0, y1, x0, x1 = box[:4]
    here = (..., slice(y0, y1), slice(x0, x1))
    return (*here, slice(None)) if channels_last else here


def _copied(array: Any) -> Any:
    return array.clone() if hasattr(array, "clone") else array.copy()


def _typed(values: Any, like: Any) -> Any:
    """The values in the type of ``like``."""
    if "int" in str(like.dtype):
        values = values.round()
    return values.astype(like.dtype) if hasattr(values, "astype") else values.to(like.dtype)
