"""The middle lines of a region."""

from __future__ import annotations

from functools import cache
from typing import TYPE_CHECKING

from leaven.media.opencv import opencv

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

AROUND = ((1, 2, 3), (0, 0, 4), (7, 6, 5))
"""The neighbours of a pixel, numbered clockwise from the left upper one, 1; 0 is the left one, and the pixel itself."""


def thinned(region: NDArray[np.bool_]) -> NDArray[np.bool_]:
    """A region (height x width) thinned to lines of one pixel that hang together as it does.

    Layer by layer, pixels are taken off that are no end of a line and hold nothing together.  A part that these rules
    would wear away whole, such as a square of two pixels, keeps its middle one.  Source: Zhang and Suen 1984,
    doi:10.1145/357994.358023.
    """
    import numpy as np

    cv2 = opencv()
    weights = np.array([[2.0**place for place in row] for row in AROUND])
    weights[1, 1] = 0
    whole = np.pad(region.astype(np.uint8), 1)
    lines, before = whole.copy(), None
    while before is None or (lines != before).any():
        before = lines.copy()
        for free in _free():
            # What stands around each pixel as one number of eight bits.
            around = cv2.filter2D(lines, cv2.CV_8U, weights, borderType=cv2.BORDER_CONSTANT)
            lines &= ~free[around] & 1
    count, parts = cv2.connectedComponents(whole, connectivity=8)
    for part in sorted(set(range(1, count)) - set(np.unique(parts[lines > 0]).tolist())):
        places = np.argwhere(parts == part)
        lines[tuple(places[len(places) // 2])] = 1
    found: NDArray[np.bool_] = lines[1:-1, 1:-1] > 0
    return found


@cache
def _free() -> tuple[NDArray[np.uint8], NDArray[np.uint8]]:
    """For each of 256 ways in which a pixel's neighbours may stand: 1 where it may go, on the south and east in the
    first half of a turn, on the north and west in the second."""
    import numpy as np

    halves = (np.zeros(256, np.uint8), np.zeros(256, np.uint8))
    for around in range(256):
        on = [around >> place & 1 for place in range(8)]
        west, north, east, south = on[0], on[2], on[4], on[6]
        starts = sum(not on[i - 1] and on[i] for i in range(8))
        if 2 <= sum(on) <= 6 and starts == 1:
            halves[0][around] = not (north and east and south) and not (east and south and west)
            halves[1][around] = not (north and east and west) and not (north and south and west)
    return halves
