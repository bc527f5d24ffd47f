"""How a measurement looks at images: thumbnails, and the difference hash that tells near copies."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from leaven.image.resized import resized
from leaven.measure.media import View, correlated, key_of, unit

if TYPE_CHECKING:
    from leaven.media.image import Image

SIDE = 32
PLAIN = 8
PRINT = 16
MOST_BITS = 6
LEAST_CORRELATION = 0.98
"""Near to a test image is one whose 64-bit difference hash differs in at most 6 bits and whose thumbnail of 16 x 16
colours correlates by 0.98 or more.  Of all pairs of cifar10, coco-mini and bccd-blood-cells (half a million) that is
one, two photographs of one smear; the next correlates by 0.91, and no other pair differs in less than 6 bits."""


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
        shrunk = resized(pixels, PRINT, PRINT).astype(np.float32).ravel()
        prints = (difference_hash(pixels), shrunk)
        size = (float(pixels.shape[1]), float(pixels.shape[0]))
        return View(key_of(pixels), size, resized(pixels, self.side, self.side).copy(), unit(small), prints)

    def near(self, mine: Sequence[View], test: Sequence[View]) -> NDArray[np.bool_]:
        bits = [np.array([v.prints[0] for v in views], np.uint64) for views in (mine, test)]
        shrunk = [np.stack([v.prints[1] for v in views]) for views in (mine, test)]
        found = np.zeros(len(mine), bool)
        for begin in range(0, len(mine), 1024):
            here = slice(begin, begin + 1024)
            alike = np.bitwise_count(bits[0][here, None] ^ bits[1][None]) <= MOST_BITS
            rows = np.flatnonzero(alike.any(axis=1))
            if len(rows):
                sure = alike[rows] & (correlated(shrunk[0][here][rows], shrunk[1]) >= LEAST_CORRELATION)
                found[begin + rows] = sure.any(axis=1)
        return found


def difference_hash(pixels: NDArray[np.uint8]) -> NDArray[np.uint64]:
    """64 bits: where a pixel of the image shrunk to 9 x 8 grays is darker than its right neighbour (dHash)."""
    gray = (pixels.astype(np.float32) @ np.array([0.299, 0.587, 0.114], np.float32)).round().astype(np.uint8)
    shrunk = resized(gray, 9, 8).astype(np.int16)
    found: NDArray[np.uint64] = np.packbits((shrunk[:, 1:] > shrunk[:, :-1]).ravel()).view(np.uint64)[0]
    return found
