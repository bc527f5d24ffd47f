"""Cut-Switch: images of one scene by several sensors exchange what they hold inside a box."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from leaven import mixing
from leaven.errors import DataError
from leaven.train.batch import drawn_box
from leaven.train.generators import rng_of
from leaven.train.images import is_array, sides


def cut_switch(modalities: Sequence[Any], *, p: float = 0.5, generator: Any) -> list[Any]:
    """With chance ``p`` an item's modalities hand round what they hold inside one box; no label changes.

    ``modalities``: M tensors, n x channels x height x width each (numpy arrays: channels last), of one shape and of any
    type: repeat a single channel, and turn and crop them all alike before.  Item by item a box as CutMix draws it (lam
    uniform) and a permutation, each but the identity alike likely; at every place the M values are the same ones as
    before, in other modalities.  Switch after each modality is normalised, or a box is told by its range.
    Source: Yang et al. 2020, Cut-Switch of AMF (doi:10.1145/3394171.3413538); p and the law of the box are ours.
    """
    if not 0 <= p <= 1:
        raise DataError(f"p is {p}; it is a chance from 0 to 1.", "p=0.5")
    kinds = [f"{images.dtype} {tuple(images.shape)}" for images in modalities]
    if len(set(kinds)) != 1:
        raise DataError(
            f"the modalities are of one shape and type; got {', '.join(kinds) or 'none'}.",
            "repeat the channels of a single one: depth.expand(-1, 3, -1, -1)",
        )
    rng, last = rng_of(generator), is_array(modalities[0])
    height, width = sides(modalities[0])
    out = [images.copy() if last else images.clone() for images in modalities]
    for item in range(len(out[0])):
        switched, lam = rng.random() < p, rng.random()
        box, _ = drawn_box(height, width, lam, rng)
        order = mixing.unlike(len(out), rng)
        if switched:
            scene = mixing.cut_switch([images[item] for images in modalities], box, order, channels_last=last)
            for images, image in zip(out, scene, strict=True):
                images[item] = image
    return out
