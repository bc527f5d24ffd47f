"""Boxes and points when images are put together: scaled, shifted, cut off at a window, hidden under something.

Boxes are ``{"x", "y", "w", "h", "label", "polygons"}`` and points ``{"x", "y", "label"}`` in pixels, as records hold
them; what comes back is new.
"""

from __future__ import annotations

from collections.abc import Sequence
from math import ceil, floor
from typing import TYPE_CHECKING, Any

from leaven.image.moved import DIGITS, clip, corners, extent, pairs
from leaven.image.outlines import filled, outlines

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

Box = dict[str, Any]
Point = dict[str, Any]
Window = tuple[int, int, int, int]
"""x0, y0, x1, y1."""

LEAST = 0.10
"""The share of a box that must be left of it; with less it is dropped."""


def placed(boxes: Sequence[Box], scale: tuple[float, float], shift: tuple[float, float] = (0.0, 0.0)) -> list[Box]:
    """Boxes of an image that is scaled, then shifted, both as (x, y)."""
    import numpy as np

    found = []
    for box in boxes:
        new = dict(box)
        for axis, at, size in ((0, "x", "w"), (1, "y", "h")):
            new[at] = round(box[at] * scale[axis] + shift[axis], DIGITS)
            new[size] = round(box[size] * scale[axis], DIGITS)
        if box.get("polygons"):
            places = [np.asarray(polygon, np.float64).reshape(-1, 2) for polygon in box["polygons"]]
            new["polygons"] = [(at * scale + shift).round(DIGITS).ravel().tolist() for at in places]
        found.append(new)
    return found


def placed_points(
    points: Sequence[Point], scale: tuple[float, float], shift: tuple[float, float] = (0.0, 0.0)
) -> list[Point]:
    """Points of an image that is scaled, then shifted, both as (x, y)."""
    return [
        {**p, "x": round(p["x"] * scale[0] + shift[0], DIGITS), "y": round(p["y"] * scale[1] + shift[1], DIGITS)}
        for p in points
    ]


def within(boxes: Sequence[Box], window: Window, least: float = LEAST) -> list[Box]:
    """What is seen of boxes through a window, in the same coordinates; those with less than ``least`` of their area
    are dropped."""
    found = []
    for box in boxes:
        x0, y0 = max(box["x"], window[0]), max(box["y"], window[1])
        x1, y1 = min(box["x"] + box["w"], window[2]), min(box["y"] + box["h"], window[3])
        if x0 == box["x"] and y0 == box["y"] and x1 == box["x"] + box["w"] and y1 == box["y"] + box["h"]:
            found.append(dict(box))
            continue
        if x1 <= x0 or y1 <= y0 or (x1 - x0) * (y1 - y0) < least * box["w"] * box["h"]:
            continue
        seen = {**box, "x": x0, "y": y0, "w": x1 - x0, "h": y1 - y0}
        if box.get("polygons"):
            polygons = [cut for polygon in box["polygons"] if (cut := _cut(polygon, window))]
            if not polygons:
                continue
            seen |= {"polygons": polygons, **_about(polygons)}
        found.append(seen)
    return found


def points_within(points: Sequence[Point], window: Window) -> list[Point]:
    x0, y0, x1, y1 = window
    return [dict(p) for p in points if x0 <= p["x"] < x1 and y0 <= p["y"] < y1]


def without(boxes: Sequence[Box], covered: NDArray[np.bool_], least: float = LEAST) -> list[Box]:
    """What is left of boxes where some pixels (height x width, bool) are covered.

    Each becomes the smallest box about its pixels that are still seen; those with less than ``least`` of them are
    dropped.  A box that nothing covers stays as it is.
    """
    found = []
    for box in boxes:
        polygons = box.get("polygons") or [[v for place in corners(box) for v in place]]
        (x, y), hidden = _around(polygons, covered)
        if not hidden.any():
            found.append(dict(box))
            continue
        [here] = placed([{**box, "polygons": polygons}], (1, 1), (-x, -y))
        pixels = filled(here["polygons"], *hidden.shape)
        seen = pixels & ~hidden
        if seen.sum() == pixels.sum():
            found.append(dict(box))
        elif seen.sum() >= max(1, least * pixels.sum()):
            left = {**_trimmed(here, pixels, seen), "polygons": outlines(seen) if box.get("polygons") else None}
            found += placed([left], (1, 1), (x, y))
    return found


def inside(windows: Sequence[Window], size: tuple[int, int]) -> NDArray[np.bool_]:
    """The pixels (height x width) of an image of this size that some window covers."""
    import numpy as np

    covered = np.zeros(size[::-1], bool)
    for x0, y0, x1, y1 in windows:
        covered[y0:y1, x0:x1] = True
    return covered


def points_on(points: Sequence[Point], covered: NDArray[np.bool_]) -> list[Point]:
    """The points that lie on a covered pixel."""
    return [dict(point) for point in points if _on(point, covered)]


def points_without(points: Sequence[Point], covered: NDArray[np.bool_]) -> list[Point]:
    """The points that lie on no covered pixel; those outside of the image stay."""
    return [dict(point) for point in points if not _on(point, covered)]


def _on(point: Point, covered: NDArray[np.bool_]) -> bool:
    height, width = covered.shape
    x, y = floor(point["x"]), floor(point["y"])
    return 0 <= x < width and 0 <= y < height and bool(covered[y, x])


def _around(
    polygons: Sequence[Sequence[float]], covered: NDArray[np.bool_]
) -> tuple[tuple[int, int], NDArray[np.bool_]]:
    """What is covered of the rectangle of whole pixels about some polygons, and its corner (x, y)."""
    left, top, right, bottom = extent(map(pairs, polygons))
    x0, y0 = max(floor(left), 0), max(floor(top), 0)
    return (x0, y0), covered[y0 : max(y0, ceil(bottom)), x0 : max(x0, ceil(right))]


def _trimmed(box: Box, pixels: NDArray[np.bool_], seen: NDArray[np.bool_]) -> Box:
    """A box without the columns and rows at its edges of which nothing is seen any more."""
    import numpy as np

    new = dict(box)
    for axis, at, size in ((0, "x", "w"), (1, "y", "h")):
        before, after = np.flatnonzero(pixels.any(axis)), np.flatnonzero(seen.any(axis))
        end = new[at] + new[size]
        if after[-1] < before[-1]:
            end = float(after[-1] + 1)
        if after[0] > before[0]:
            new[at] = float(after[0])
        new[size] = end - new[at]
    return new


def _about(polygons: Sequence[Sequence[float]]) -> Box:
    x0, y0, x1, y1 = extent(map(pairs, polygons))
    return {"x": x0, "y": y0, "w": x1 - x0, "h": y1 - y0}


def _cut(polygon: Sequence[float], window: Window) -> list[float]:
    """A polygon cut off at the sides of a window; empty where nothing of it is inside."""
    x0, y0, x1, y1 = window
    inside = clip([(x - x0, y - y0) for x, y in pairs(polygon)], (x1 - x0, y1 - y0))
    return [value for x, y in inside for value in (x + x0, y + y0)]
