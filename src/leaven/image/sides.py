"""Things of a mask as maps of their sides, and the things again out of such maps.

A map is an image whose red says where a thing is, whose green how far left or right in it a pixel lies, and whose blue
how far up or down: from 0 at its leftmost (uppermost) pixel over 128 at its centre of mass to 255.  Where two things
touch, the colour jumps.  Source: HoVer-Net (Graham et al. 2019, arXiv:1812.06499), as Nudiff (arXiv:2310.14197) draws
nuclei.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from itertools import product
from typing import TYPE_CHECKING, Any

from leaven.media.opencv import opencv

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

SLOPE = 21
"""Pixels over which a jump is looked for."""
JUMP = 0.4
"""How steep a jump is that parts two things, beside the steepest."""
OPENED = 5
"""Pixels across of what is worn off the middles of things, so that thin bridges between them break."""


def sides(codes: NDArray[Any], numbers: Sequence[int]) -> NDArray[np.uint8]:
    """The map (height x width x 3) of the things of these numbers."""
    import numpy as np

    drawn = np.zeros((*codes.shape, 3), np.uint8)
    drawn[..., 1:] = 128
    for number in numbers:
        places = np.argwhere(codes == number)
        drawn[tuple(places.T)] = [255, *(128, 128)]
        for axis, colour in ((1, 1), (0, 2)):
            off = places[:, axis] - places[:, axis].mean()
            # Each side has its own scale: the farthest pixel of both is 1.
            most = np.where(off < 0, max(-off.min(), 1e-9), max(off.max(), 1e-9))
            drawn[*places.T, colour] = np.rint(127.5 + 127.5 * np.clip(off / most, -1, 1))
    return drawn


def things(drawn: NDArray[np.uint8], smallest: int, *, turned: bool = False) -> NDArray[np.uint16]:
    """Numbers of the things in a map (height x width), from 1.

    ``turned`` also reads it as if it were mirrored or its two colours exchanged, as painted maps may be, and takes the
    way in which most things are found; of equals the first.
    """
    import numpy as np

    bodies = _large((drawn[..., 0] >= 128).astype(np.uint8), smallest) > 0
    level, upright = (drawn[..., place] / 127.5 - 1 for place in (1, 2))
    ways: list[tuple[Any, Any]] = [(level, upright)]
    if turned:
        ways = [
            (sign * one, other_sign * other)
            for one, other in ((level, upright), (upright, level))
            for sign, other_sign in product((1, -1), repeat=2)
        ]
    found = [_parted(bodies, *way, smallest) for way in ways]
    best = max(found, key=lambda one: int(one.max()))
    return best.astype(np.uint16)


def _parted(bodies: NDArray[np.bool_], level: Any, upright: Any, smallest: int) -> NDArray[np.int32]:
    import numpy as np

    cv2 = opencv()
    if not bodies.any():
        return np.zeros(bodies.shape, np.int32)
    jumps = np.maximum(*_jumps(level, upright, bodies))
    middles = (bodies & (jumps < JUMP)).astype(np.uint8)
    middles = _filled(middles)
    disk = cv2.getStructuringElement(cv2.MORPH_ELLIPSE, (OPENED, OPENED))
    markers = _large(cv2.morphologyEx(middles, cv2.MORPH_OPEN, disk), smallest)
    # OpenCV floods from the markers over an image of jumps; the background is a marker of its own.
    flooded = markers.astype(np.int32)
    flooded[~bodies] = markers.max() + 1
    hills = np.rint(255 * cv2.GaussianBlur(jumps, (3, 3), 0)).astype(np.uint8)
    cv2.watershed(np.stack([hills] * 3, -1), flooded)
    flooded[flooded > markers.max()] = 0
    # It leaves lines between things, and the border of the image, to nobody: they go to the nearest.
    _, nearest = cv2.distanceTransformWithLabels(
        (flooded <= 0).astype(np.uint8), cv2.DIST_L2, cv2.DIST_MASK_5, labelType=cv2.DIST_LABEL_PIXEL
    )
    owner = np.zeros(int(nearest.max()) + 1, np.int32)
    owner[nearest[flooded > 0]] = flooded[flooded > 0]
    reached = _reached(bodies, markers)
    found: NDArray[np.int32] = np.where(reached, owner[nearest], 0)
    return found


def _jumps(level: Any, upright: Any, bodies: NDArray[np.bool_]) -> Iterator[Any]:
    """How steeply each map falls where it should rise, from 0 to 1 at the steepest."""
    import numpy as np

    cv2 = opencv()
    for values, way in ((level, (1, 0)), (upright, (0, 1))):
        spread = float(values.max() - values.min()) or 1.0
        slope = cv2.Sobel((values - values.min()) / spread, cv2.CV_64F, *way, ksize=SLOPE)
        reach = float(slope.max() - slope.min()) or 1.0
        yield np.where(bodies, 1 - (slope - slope.min()) / reach, 0)


def _large(pixels: NDArray[np.uint8], smallest: int) -> NDArray[np.int32]:
    """The connected parts of at least so many pixels, numbered from 1."""
    import numpy as np

    count, parts = opencv().connectedComponents(pixels, connectivity=4)
    sizes = np.bincount(parts.ravel(), minlength=count)
    kept = [part for part in range(1, count) if sizes[part] >= smallest]
    anew = np.zeros(count, np.int32)
    anew[kept] = np.arange(1, len(kept) + 1)
    found: NDArray[np.int32] = anew[parts]
    return found


def _filled(pixels: NDArray[np.uint8]) -> NDArray[np.uint8]:
    """The same without holes: what is off and hangs together with no edge of the image is a hole."""
    import numpy as np

    _, parts = opencv().connectedComponents(np.pad(1 - pixels, 1, constant_values=1), connectivity=4)
    found: NDArray[np.uint8] = (parts[1:-1, 1:-1] != parts[0, 0]).astype(np.uint8)
    return found


def _reached(bodies: NDArray[np.bool_], markers: NDArray[np.int32]) -> NDArray[np.bool_]:
    """The bodies that have a middle."""
    import numpy as np

    _, parts = opencv().connectedComponents(bodies.astype(np.uint8), connectivity=4)
    found: NDArray[np.bool_] = bodies & np.isin(parts, parts[markers > 0])
    return found
