"""The 3 x 3 matrices of changes that were drawn: where a place in the image goes."""

from __future__ import annotations

from collections.abc import Mapping
from math import cos, radians, sin, tan
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

    Numbers = NDArray[np.float64]


def matrix_of(drawn: Mapping[str, Any], size: tuple[int, int]) -> Numbers:
    """The matrix of what was drawn: tilted, cut, mirrored; turned, scaled and sheared about the middle; shifted."""
    import numpy as np

    width, height = size
    m = np.eye(3)
    if "perspective" in drawn:  # first: only places in the image are sure to lie before the eye
        m = _tilted(size, drawn["perspective"])
    if "crop" in drawn:
        x, y, w, h = drawn["crop"]
        m = np.array([[width / w, 0, -x * width / w], [0, height / h, -y * height / h], [0, 0, 1]]) @ m
    flip = drawn.get("flip")
    if flip in ("horizontal", "both"):
        m = np.array([[-1.0, 0, width], [0, 1, 0], [0, 0, 1]]) @ m
    if flip in ("vertical", "both"):
        m = np.array([[1.0, 0, 0], [0, -1, height], [0, 0, 1]]) @ m
    if drawn.keys() & {"rotate", "scale", "shear"}:
        turn, scale = radians(drawn.get("rotate", 0.0)), drawn.get("scale", 1.0)
        sx, sy = (tan(radians(angle)) for angle in drawn.get("shear", (0.0, 0.0)))
        c, s, x, y = scale * cos(turn), scale * sin(turn), width / 2, height / 2
        xx, xy, yx, yy = c + s * sy, s + c * sx, c * sy - s, c - s * sx  # turned, after it was sheared
        m = np.array([[xx, xy, x - xx * x - xy * y], [yx, yy, y - yx * x - yy * y], [0, 0, 1]]) @ m
    if "shift" in drawn:
        m = np.array([[1, 0, drawn["shift"][0] * width], [0, 1, drawn["shift"][1] * height], [0, 0, 1]]) @ m
    return m


def _tilted(size: tuple[int, int], inward: list[float]) -> Numbers:
    """The matrix that brings the image's corners inward by shares of its sides (x and y of each corner in turn)."""
    import numpy as np

    width, height = size
    rows, right = [], []
    for i, (x, y) in enumerate(((0, 0), (width, 0), (width, height), (0, height))):
        u = x + (1 if x == 0 else -1) * inward[2 * i] * width
        v = y + (1 if y == 0 else -1) * inward[2 * i + 1] * height
        rows += [[x, y, 1, 0, 0, 0, -x * u, -y * u], [0, 0, 0, x, y, 1, -x * v, -y * v]]
        right += [u, v]
    found: Numbers = np.append(np.linalg.solve(np.array(rows, np.float64), np.array(right)), 1.0).reshape(3, 3)
    return found


def slanted(how: str, by: float) -> Numbers:
    """``shear_x``, ``shear_y``: lines lean by a slope, about the upper left corner; ``translate_x``, ``translate_y``:
    shifted by pixels.  Signs are Pillow's."""
    import numpy as np

    m = np.eye(3)
    if how == "shear_x":
        m[0, 1] = -by
    elif how == "shear_y":
        m[1, 0] = -by
    else:
        m[0 if how == "translate_x" else 1, 2] = by
    return m
