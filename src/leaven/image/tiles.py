"""Images side by side on a canvas: where each lies, and what is seen of it and of its boxes."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from leaven.image.annotations import Box, Window, placed, within
from leaven.media.opencv import opencv

if TYPE_CHECKING:
    from numpy.typing import NDArray

FILL = 114
"""The gray where a mosaic shows no image."""
SMALLEST = 2.0
"""A box in a mosaic must be wider and higher than this, in pixels."""
SEEN, SEEN_OUTLINED = 0.10, 0.01
"""More than this share of its area must be seen of it; with polygons its outline is sure, and less is enough."""
FLATTEST = 100.0
"""Its longer side must be less than this many times the shorter one."""


@dataclass(frozen=True)
class Tile:
    """An image brought to a size (width, height), its corner at ``corner`` (x, y) of the canvas, seen in ``window``."""

    size: tuple[int, int]
    corner: tuple[int, int]
    window: Window


def grid(width: int, height: int) -> list[Tile]:
    """Four tiles that fill an image, two by two; at odd sides the right and lower ones are a pixel larger."""
    half_width, half_height = width // 2, height // 2
    return [
        Tile((x1 - x0, y1 - y0), (x0, y0), (x0, y0, x1, y1))
        for y0, y1 in ((0, half_height), (half_height, height))
        for x0, x1 in ((0, half_width), (half_width, width))
    ]


def mosaic(sizes: Sequence[tuple[int, int]], side: int, centre: tuple[int, int]) -> list[Tile]:
    """Four images about a centre (x, y) on a canvas of twice the side: each is brought to ``side`` at its longer side,
    and one corner of it touches the centre.  Source: YOLOv4, Bochkovskiy et al. 2020, arXiv:2004.10934."""
    cx, cy = centre
    found = []
    for i, size in enumerate(sizes):
        width, height = (max(1, round(v * side / max(size))) for v in size)
        x, y = cx - width * (i % 2 == 0), cy - height * (i < 2)
        seen = (max(x, 0), max(y, 0), min(x + width, 2 * side), min(y + height, 2 * side))
        found.append(Tile((width, height), (x, y), seen))
    return found


def assembled(images: Sequence[NDArray[Any]], tiles: Sequence[Tile], canvas: NDArray[Any]) -> NDArray[Any]:
    """The canvas with the images, each of its tile's size, in their windows."""
    for image, tile in zip(images, tiles, strict=True):
        (x, y), (x0, y0, x1, y1) = tile.corner, tile.window
        canvas[y0:y1, x0:x1] = image[y0 - y : y1 - y, x0 - x : x1 - x]
    return canvas


def cropped(canvas: NDArray[Any], side: int, scale: float, middle: Sequence[float], fill: int) -> NDArray[Any]:
    """A square of a canvas twice as large, which is scaled about its centre, that then lies at ``middle`` (x, y).

    At scale 1 and a middle of whole pixels it is cut out as it is.  Masks (height x width) take the nearest pixel.
    """
    import numpy as np

    cv2 = opencv()
    x, y = (scale * (0.5 - side) + at - 0.5 for at in middle)  # OpenCV counts from the centre of the first pixel
    flags = cv2.INTER_NEAREST if canvas.ndim == 2 else cv2.INTER_LINEAR
    found: NDArray[Any] = cv2.warpAffine(
        canvas,
        np.array([[scale, 0, x], [0, scale, y]]),
        (side, side),
        flags=flags,
        borderMode=cv2.BORDER_CONSTANT,
        borderValue=(fill,) * 3,
    )
    return found


def tiled(boxes: Sequence[Box], size: tuple[int, int], tile: Tile) -> list[Box]:
    """Boxes of an image of this size as they lie on the canvas, cut off at the tile's window."""
    return within(placed(boxes, of_tile(size, tile), tile.corner), tile.window)


def of_tile(size: tuple[int, int], tile: Tile) -> tuple[float, float]:
    """The scale (x, y) at which an image of this size stands in a tile."""
    return tile.size[0] / size[0], tile.size[1] / size[1]


def cropped_boxes(boxes: Sequence[Box], side: int, scale: float, middle: Sequence[float]) -> list[Box]:
    """The boxes of a mosaic's canvas in its crop: cut off, and dropped where too little of them is seen."""
    shift = (middle[0] - scale * side, middle[1] - scale * side)
    found = []
    for box in placed(boxes, (scale, scale), shift):
        for seen in within([box], (0, 0, side, side), least=0):
            w, h = seen["w"], seen["h"]
            share = SEEN_OUTLINED if box.get("polygons") else SEEN
            large = min(w, h) > SMALLEST and w * h > share * box["w"] * box["h"]
            if large and max(w, h) < FLATTEST * min(w, h):
                found.append(seen)
    return found
