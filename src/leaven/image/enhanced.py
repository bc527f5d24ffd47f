"""The changes of light and colour that automatic policies draw from, with Pillow's results (within 1 of 255).

Plain functions on height x width x 3 pixels (RGB, uint8).  A factor of 1 changes nothing, 0 gives the plain image that
each starts from: black, the mean gray, gray, blurred.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING

from leaven.media.opencv import opencv

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

    Pixels = NDArray[np.uint8]
    Values = NDArray[np.float32]

CUT = -0.499
"""OpenCV rounds to the nearest where Pillow cuts off what is behind the point."""


def brightness(pixels: Pixels, factor: float) -> Pixels:
    return _by_table(pixels, lambda values: values * _single(factor))


def contrast(pixels: Pixels, factor: float) -> Pixels:
    mean = int(float(_gray(pixels).mean()) + 0.5)
    return _by_table(pixels, lambda values: mean + _single(factor) * (values - mean))


def color(pixels: Pixels, factor: float) -> Pixels:
    return _blended(opencv().merge([_gray(pixels)] * 3), pixels, factor)


def sharpness(pixels: Pixels, factor: float) -> Pixels:
    """The outermost pixels stay, and so does an image of fewer than three a side."""
    import numpy as np

    if min(pixels.shape[:2]) < 3:
        return pixels
    weights = np.array([[1, 1, 1], [1, 5, 1], [1, 1, 1]], np.float32) / 13
    smooth = opencv().filter2D(pixels, -1, weights)
    out = pixels.copy()
    out[1:-1, 1:-1] = _blended(smooth, pixels, factor)[1:-1, 1:-1]
    return out


def posterize(pixels: Pixels, bits: int) -> Pixels:
    """Only the first ``bits`` of each value stay."""
    import numpy as np

    return pixels & np.uint8(0xFF << (8 - bits) & 0xFF)


def solarize(pixels: Pixels, threshold: float) -> Pixels:
    """Values from the threshold on are inverted."""
    import numpy as np

    values = np.arange(256)
    found: Pixels = opencv().LUT(pixels, np.where(values < threshold, values, 255 - values).astype(np.uint8))
    return found


def auto_contrast(pixels: Pixels) -> Pixels:
    """Each channel stretched from its darkest to its lightest value."""
    import numpy as np

    def stretched(counts: NDArray[np.int64]) -> NDArray[np.int64]:
        there = np.flatnonzero(counts)
        low, high = int(there[0]), int(there[-1])
        if high <= low:
            return np.arange(256)
        scale = 255.0 / (high - low)
        return (np.arange(256) * scale - low * scale).astype(np.int64)

    return _by_channel(pixels, stretched)


def equalize(pixels: Pixels) -> Pixels:
    """Each channel's values spread so that all are about as frequent."""
    import numpy as np

    def spread(counts: NDArray[np.int64]) -> NDArray[np.int64]:
        there = counts[counts > 0]
        step = int(there.sum() - there[-1]) // 255
        if len(there) <= 1 or not step:
            return np.arange(256)
        return (step // 2 + np.cumsum(counts) - counts) // step

    return _by_channel(pixels, spread)


def _by_channel(pixels: Pixels, table: Callable[[NDArray[np.int64]], NDArray[np.int64]]) -> Pixels:
    import numpy as np

    cv2 = opencv()
    counts = [cv2.calcHist([pixels], [c], None, [256], [0, 256]).ravel().astype(np.int64) for c in range(3)]
    tables = np.stack([np.clip(table(channel), 0, 255).astype(np.uint8) for channel in counts], -1)
    found: Pixels = cv2.LUT(pixels, tables[None])
    return found


def _by_table(pixels: Pixels, change: Callable[[Values], Values]) -> Pixels:
    import numpy as np

    values = np.clip(change(np.arange(256, dtype=np.float32)), 0, 255)
    found: Pixels = opencv().LUT(pixels, values.astype(np.uint8))
    return found


def _blended(plain: Pixels, pixels: Pixels, factor: float) -> Pixels:
    found: Pixels = opencv().addWeighted(plain, 1 - factor, pixels, factor, CUT)
    return found


def _gray(pixels: Pixels) -> Pixels:
    """Luma as Pillow's mode L has it: 16 bits of weight, rounded."""
    import numpy as np

    found: Pixels = opencv().transform(pixels, np.array([[19595, 38470, 7471]], np.float32) / 65536)
    return found


def _single(factor: float) -> np.float32:
    import numpy as np

    return np.float32(factor)
