"""How images lie in a batch, and which of them can be mixed."""

from __future__ import annotations

from typing import Any

from leaven.errors import DataError


def check_floats(what: str, images: Any) -> None:
    """Mixing whole numbers would round each pixel, and the labels would say what the image does not show."""
    if "float" not in str(images.dtype):
        raise DataError(f"{what} mixes floats, and the images are {images.dtype}.", "images = images.float() / 255")


def is_array(images: Any) -> bool:
    """True for a numpy array, whose channels come last; a tensor's come before height and width."""
    import numpy as np

    return isinstance(images, np.ndarray)


def sides(images: Any) -> tuple[int, int]:
    """Height and width of a batch."""
    if images.ndim != 4:
        raise DataError(
            f"images are n x channels x height x width (a numpy array: channels last); got {tuple(images.shape)}.",
            "give a batch of images, all of one size.",
        )
    height, width = images.shape[1:3] if is_array(images) else images.shape[2:4]
    return int(height), int(width)
