"""Masks that COCO files write as run lengths (RLE), as polygons along the edges of their pixels."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

    Mask = NDArray[np.bool_]

MOST_PIXELS = 64_000_000
MOST_EDGES = 1_000_000


def polygons_of(rle: Any) -> list[list[float]] | None:
    """The outlines of a ``{"size": [height, width], "counts": ...}``; None where it is damaged, empty or too large.

    A hole is filled: a list of polygons has no word for it.
    """
    try:
        height, width = map(int, rle["size"])
        counts = rle["counts"]
        runs = unpacked(counts) if isinstance(counts, str) else [int(n) for n in counts]
    except (KeyError, TypeError, ValueError, IndexError):
        return None
    if height <= 0 or width <= 0 or height * width > MOST_PIXELS:
        return None
    if any(n < 0 for n in runs) or sum(runs) != height * width:
        return None
    return outlines(_mask(runs, height, width)) or None


def unpacked(text: str) -> list[int]:
    """Run lengths from COCO's compressed form: six bits a character, five of them of a number, low bits first; from the
    fourth on each is the difference from the one before the last."""
    runs: list[int] = []
    value = shift = 0
    for sign in text.encode("ascii"):
        bits = sign - 48
        if not 0 <= bits < 64 or shift > 30:
            raise ValueError("no run lengths")
        value |= (bits & 31) << shift
        shift += 5
        if not bits & 32:
            if bits & 16:
                value -= 1 << shift
            runs.append(value + (runs[-2] if len(runs) > 2 else 0))
            value = shift = 0
    return runs


def outlines(mask: Mask) -> list[list[float]]:
    """Closed lines around what is true, along the edges of the pixels: their areas are those of the regions, holes
    filled.  Regions that touch at a corner alone are two."""
    import numpy as np

    framed = np.pad(mask, 1)
    rows = np.diff(framed.astype(np.int8), axis=0)[:, 1:-1]
    columns = np.diff(framed.astype(np.int8), axis=1)[1:-1, :]
    if np.count_nonzero(rows) + np.count_nonzero(columns) > MOST_EDGES:
        return []
    ahead: dict[tuple[int, int], list[tuple[int, int]]] = {}
    for where, (dx, dy) in (
        (rows == 1, (1, 0)),
        (rows == -1, (-1, 0)),
        (columns == -1, (0, 1)),
        (columns == 1, (0, -1)),
    ):
        for y, x in np.argwhere(where).tolist():  # what is true lies on the right hand of each step
            ahead.setdefault((x + (dx < 0), y + (dy < 0)), []).append((dx, dy))
    found = []
    for start in sorted(ahead):
        while ahead[start]:
            line = _walk(ahead, start)
            if _area(line) > 0:  # a hole is walked round the other way
                found.append([float(v) for point in line for v in point])
    return found


def _walk(ahead: dict[tuple[int, int], list[tuple[int, int]]], start: tuple[int, int]) -> list[tuple[int, int]]:
    """The corners of the closed line from a point, each step taken out of ``ahead``."""
    (x, y), line = start, []
    dx = dy = 0
    while ahead[x, y]:
        steps = ahead[x, y]
        right = (-dy, dx)
        step = steps.pop(steps.index(right) if right in steps else 0)
        if step != (dx, dy):
            line.append((x, y))
        dx, dy = step
        x, y = x + dx, y + dy
    return line


def _area(line: list[tuple[int, int]]) -> int:
    return sum(x * v - u * y for (x, y), (u, v) in zip(line, line[1:] + line[:1], strict=True))


def _mask(runs: list[int], height: int, width: int) -> Mask:
    """Runs of false and true by turns, down the columns."""
    import numpy as np

    values = np.arange(len(runs)) % 2 == 1
    return np.repeat(values, runs).reshape(width, height).T
