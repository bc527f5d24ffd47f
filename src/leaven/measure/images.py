"""How a measurement looks at images: thumbnails, and the print that tells near copies."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from leaven.image.resized import resized
from leaven.keep.prints import KnownImages, image_print
from leaven.measure.media import View, key_of, unit

if TYPE_CHECKING:
    from leaven.media.image import Image

SIDE = 32
PLAIN = 8


class Images:
    """Frozen image features, and a thumbnail of 8 x 8 colours."""

    kind = "image"
    student = "image features + linear"
    plain = "thumbnail + linear"
    baseline = "trivial-augment"

    def __init__(self, side: int = SIDE) -> None:
        self.side = side
        """Of the picture that a convolutional student sees."""

    def view(self, value: Image) -> View:
        pixels = value.pixels
        small = resized(pixels, PLAIN, PLAIN).astype(np.float32).ravel() / 127.5 - 1.0
        size = (float(pixels.shape[1]), float(pixels.shape[0]))
        picture = resized(pixels, self.side, self.side).copy()
        return View(key_of(pixels), size, picture, unit(small), image_print(pixels))

    def near(self, mine: Sequence[View], test: Sequence[View]) -> NDArray[np.bool_]:
        bits, small = zip(*(view.prints for view in test), strict=True)
        known = KnownImages(np.array(bits, np.uint64), np.stack(small))
        return np.array([known.near(view.prints) for view in mine], bool)
