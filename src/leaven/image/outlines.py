"""From outlines to pixels and back: which pixels polygons cover, and the polygons about a set of pixels.

A pixel (x, y) is the square from (x, y) to (x + 1, y + 1), and a polygon covers it where it covers its centre; so the
polygons about some pixels cover exactly these.  Polygons are flat lists [x1, y1, x2, y2, ...]; several are a union.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING

from leaven.media.opencv import opencv

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

    Pixels = NDArray[np.bool_]


def filled(polygons: Sequence[Sequence[float]], height: int, width: int) -> Pixels:
    """The pixels (height x width, bool) whose centres some polygon covers, by the even-odd rule."""
    import numpy as np

    covered = np.zeros((height, width), bool)
    for polygon in polygons:
        xy = np.asarray(polygon, np.float64).reshape(-1, 2)
        left, top = np.maximum(np.floor(xy.min(0)).astype(int), 0)
        right, bottom = np.minimum(np.ceil(xy.max(0)).astype(int), (width, height))
        if left >= right or top >= bottom:
            continue
        xs, ys = np.arange(left, right) + 0.5, np.arange(top, bottom) + 0.5
        inside = np.zeros((bottom - top, right - left), bool)
        for (ax, ay), (bx, by) in zip(xy, np.roll(xy, -1, 0), strict=True):
            rows = np.flatnonzero((ys >= min(ay, by)) & (ys < max(ay, by)))
            if len(rows):  # every centre to the right of the edge changes sides
                crossing = ax + (ys[rows] - ay) / (by - ay) * (bx - ax)
                inside[rows] ^= xs[None, :] > crossing[:, None]
        covered[top:bottom, left:right] |= inside
    return covered


def outlines(pixels: Pixels) -> list[list[float]]:
    """Polygons that cover exactly these pixels (height x width, bool), one or more for each part that hangs together.

    A union of polygons can't say that there is a hole: a part with one is cut in two through it.
    """
    import numpy as np

    cv2 = opencv()
    found: list[list[float]] = []
    count, parts = cv2.connectedComponents(pixels.astype(np.uint8), connectivity=4)
    waiting = [parts == i for i in range(1, count)]
    while waiting:
        part = waiting.pop(0)
        loops = list(_loops(part))
        if len(loops) == 1:
            found.append(loops[0])
            continue
        hole = next(loop for loop in loops if _turns(loop) < 0)
        cut = (int(min(hole[::2])) + int(max(hole[::2]))) // 2
        for some in (part & (np.arange(part.shape[1]) < cut), part & (np.arange(part.shape[1]) >= cut)):
            count, parts = cv2.connectedComponents(some.astype(np.uint8), connectivity=4)
            waiting += [parts == i for i in range(1, count)]
    return found


def _loops(pixels: Pixels) -> Iterator[list[float]]:
    """The closed lines between pixels that are in and those that are not, as polygons of their corners; what is in lies
    to the right of the way.  Two pixels that meet at a corner alone are not taken for one part."""
    import numpy as np

    padded = np.pad(pixels, 1)
    inside = padded[1:-1, 1:-1]
    # A pixel's four sides in turn: what lies beyond, the corner where the side begins, the way that it goes.
    sides = [
        (padded[:-2, 1:-1], (0, 0), (1, 0)),
        (padded[1:-1, 2:], (1, 0), (0, 1)),
        (padded[2:, 1:-1], (1, 1), (-1, 0)),
        (padded[1:-1, :-2], (0, 1), (0, -1)),
    ]
    left = {
        (x + at[0], y + at[1], *way): None
        for beyond, at, way in sides
        for y, x in np.argwhere(inside & ~beyond).tolist()
    }
    while left:
        begin = here = next(iter(left))
        corners: list[float] = []
        while True:
            x, y, dx, dy = here
            x, y = x + dx, y + dy
            turns = ((-dy, dx), (dx, dy), (dy, -dx))  # right, on, left
            then = next((x, y, *way) for way in turns if (x, y, *way) in left)
            if then[2:] != here[2:]:
                corners += [float(x), float(y)]
            if here != begin:
                del left[here]
            here = then
            if here == begin:
                del left[begin]
                break
        yield corners


def _turns(loop: list[float]) -> float:
    """Twice the area inside a loop, below 0 where it runs about a hole."""
    import numpy as np

    x, y = np.array(loop[::2]), np.array(loop[1::2])
    return float(x @ np.roll(y, -1) - y @ np.roll(x, -1))
