"""Pixels and masks in another size."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from leaven.media.opencv import opencv

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray


def resized(pixels: NDArray[np.uint8], width: int, height: int) -> NDArray[np.uint8]:
    """Height x width x 3 pixels in another size: averaged where it is smaller, between its neighbours where larger."""
    cv2 = opencv()
    if pixels.shape[:2] == (height, width):
        return pixels
    smaller = height * width < pixels.shape[0] * pixels.shape[1]
    found: NDArray[np.uint8] = cv2.resize(
        pixels, (width, height), interpolation=cv2.INTER_AREA if smaller else cv2.INTER_LINEAR
    )
    return found


def resized_codes(codes: NDArray[Any], width: int, height: int) -> NDArray[Any]:
    """A mask (height x width) in another size: each pixel takes the nearest one's number."""
    cv2 = opencv()
    if codes.shape == (height, width):
        return codes
    found: NDArray[Any] = cv2.resize(codes, (width, height), interpolation=cv2.INTER_NEAREST_EXACT)
    return found
