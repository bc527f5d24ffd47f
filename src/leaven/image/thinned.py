"""The middle lines of a region."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray


def thinned(region: NDArray[np.bool_]) -> NDArray[np.bool_]:
    """A region (height x width) thinned to lines of one pixel that hang together as it does.

    Layer by layer, pixels are taken off that are no end of a line and hold nothing together.  A region that these rules
    would wear away whole, such as a square of two pixels, keeps the pixel that is left last.  Source: Zhang and Suen
    1984, doi:10.1145/357994.358023.
    """
    import numpy as np

    found = np.pad(region.astype(bool), 1)
    while True:
        before = found
        for first in (True, False):
            taken = _edge(found, first)
            found = found & ~taken
        if (found == before).all():
            break
    whole = np.pad(region.astype(bool), 1)
    return _with_all_parts(whole, found)[1:-1, 1:-1]


def _edge(found: NDArray[np.bool_], first: bool) -> NDArray[np.bool_]:
    """The pixels of one layer that may go: on the south and east in the first half of a turn, then north and west."""
    import numpy as np

    # The neighbours from the north, clockwise.
    around: list[Any] = [
        np.roll(found, (y, x), (0, 1))
        for y, x in ((1, 0), (1, -1), (0, -1), (-1, -1), (-1, 0), (-1, 1), (0, 1), (1, 1))
    ]
    north, _, east, _, south, _, west, _ = around
    many = sum(one.astype(np.uint8) for one in around)
    turns = sum((~one & other).astype(np.uint8) for one, other in zip(around, [*around[1:], around[0]], strict=True))
    free = (
        ~(north & east & south) & ~(east & south & west)
        if first
        else (~(north & east & west) & ~(north & south & west))
    )
    edge: NDArray[np.bool_] = found & (many >= 2) & (many <= 6) & (turns == 1) & free
    return edge


def _with_all_parts(region: NDArray[np.bool_], lines: NDArray[np.bool_]) -> NDArray[np.bool_]:
    """The lines, and the middle pixel of each part of the region that has none."""
    import numpy as np

    from leaven.media.opencv import opencv

    count, parts = opencv().connectedComponents(region.astype(np.uint8), connectivity=8)
    found = lines.copy()
    for part in sorted(set(range(1, count)) - set(np.unique(parts[lines]).tolist())):
        places = np.argwhere(parts == part)
        found[tuple(places[len(places) // 2])] = True
    return found
