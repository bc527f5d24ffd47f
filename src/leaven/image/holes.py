"""Where an image is erased: the masks of random erasing and GridMask, and what they hide.

Plain functions; a hole is True in an array of height x width.
"""

from __future__ import annotations

from collections.abc import Sequence
from math import ceil, exp, hypot, log, sqrt
from typing import TYPE_CHECKING, Any

from leaven.image.outlines import filled
from leaven.media.opencv import opencv

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

    Holes = NDArray[np.bool_]

TRIES = 10


def erased_box(
    size: tuple[int, int], area: tuple[float, float], aspect: tuple[float, float], rng: np.random.Generator
) -> list[int] | None:
    """A box (x, y, w, h) of a drawn share of the area and a drawn form (height to width), smaller than the image; None
    where ten tries find none.  Source: Zhong et al. 2017, arXiv:1708.04896."""
    width, height = size
    for _ in range(TRIES):
        pixels = width * height * rng.uniform(*area)
        form = exp(rng.uniform(log(aspect[0]), log(aspect[1])))
        h, w = round(sqrt(pixels * form)), round(sqrt(pixels / form))
        if 0 < h < height and 0 < w < width:
            return [int(rng.integers(width - w + 1)), int(rng.integers(height - h + 1)), w, h]
    return None


def grid_holes(
    size: tuple[int, int], d: int, offsets: tuple[int, int], ratio: float = 0.6, angle: int = 0, stripes: bool = True
) -> Holes:
    """GridMask: the union of stripes ``ceil(d * ratio)`` wide in steps of d, level and upright, is kept; the squares
    between them are holes.  With ``stripes=False`` only these squares are kept.

    ``offsets`` are where the first level and the first upright stripe begin, ``angle`` degrees turn the grid about the
    middle.  Source: Chen et al. 2020, arXiv:2001.04086.
    """
    import numpy as np

    cv2 = opencv()
    width, height = size
    side = ceil(hypot(width, height))
    wide = ceil(d * ratio)
    level, upright = ((np.arange(side) - offset) % d >= wide for offset in offsets)
    outside = np.outer(level, upright).astype(np.uint8)
    if angle:
        turn = cv2.getRotationMatrix2D(((side - 1) / 2, (side - 1) / 2), angle, 1.0)
        outside = cv2.warpAffine(outside, turn, (side, side), flags=cv2.INTER_NEAREST)
    top, left = (side - height) // 2, (side - width) // 2
    cut: Holes = outside[top : top + height, left : left + width] == (1 if stripes else 0)
    return cut


def hidden(boxes: Sequence[dict[str, Any]], holes: Holes) -> list[float]:
    """The share of each box, or of its polygons, that lies in the holes."""
    height, width = holes.shape
    shares = []
    for box in boxes:
        polygons = [flat for flat in box.get("polygons") or () if len(flat) >= 6]
        x, y = max(0, int(box["x"])), max(0, int(box["y"]))
        right, bottom = min(width, ceil(box["x"] + box["w"])), min(height, ceil(box["y"] + box["h"]))
        covered = holes[y:bottom, x:right]
        if polygons:
            within = filled(polygons, height, width)[y:bottom, x:right]
            covered = covered[within] if within.any() else covered
        shares.append(float(covered.mean()) if covered.size else 0.0)
    return shares
