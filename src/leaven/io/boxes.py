"""Boxes as annotation files give them, made to lie in their image; and the count of those that had to be changed."""

from __future__ import annotations

import math
import warnings
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from leaven.io.media_files import Warn, some

Size = tuple[int, int]
NEAR = 1.0
"""By how many pixels a box may leave its image without a word: annotation tools round."""


@dataclass
class Boxes:
    """Takes the boxes of one set of annotations, called ``name``; ``tell`` says what was not as it should be."""

    name: str
    clipped: int = 0
    empty: int = 0

    def add(
        self,
        to: list[dict[str, Any]],
        corners: Sequence[float],
        label: str,
        size: Size | None,
        polygons: list[list[float]] | None = None,
    ) -> None:
        """Add the box from x, y, w, h in pixels: what is outside the image is cut off, what is then empty left out."""
        x, y, w, h = map(float, corners)
        if not all(map(math.isfinite, (x, y, w, h))) or w <= 0 or h <= 0:
            self.empty += 1
            return
        if size is not None and (x < 0 or y < 0 or x + w > size[0] or y + h > size[1]):
            out = max(-x, -y, x + w - size[0], y + h - size[1])
            right, below = min(x + w, size[0]), min(y + h, size[1])
            x, y = max(x, 0.0), max(y, 0.0)
            w, h = right - x, below - y
            if w <= 0 or h <= 0:
                self.empty += 1
                return
            self.clipped += out > NEAR
        if polygons and size is not None:
            polygons = [[min(max(v, 0.0), float(size[i % 2])) for i, v in enumerate(line)] for line in polygons]
        to.append({"x": x, "y": y, "w": w, "h": h, "label": label, "polygons": polygons or None})

    def tell(self, warn: Warn) -> None:
        if self.empty:
            these = "box is empty or lies" if self.empty == 1 else "boxes are empty or lie"
            warn(f"{self.name}: {self.empty:,} {these} outside the image: left out")
        if self.clipped:
            these = "box leaves" if self.clipped == 1 else "boxes leave"
            warn(f"{self.name}: {self.clipped:,} {these} the image: cut at its edge")


def around(polygons: Sequence[Sequence[float]]) -> tuple[float, float, float, float]:
    """The box around polygons, as x, y, w, h."""
    xs = [x for line in polygons for x in line[::2]]
    ys = [y for line in polygons for y in line[1::2]]
    return min(xs), min(ys), max(xs) - min(xs), max(ys) - min(ys)


def shown_size(path: Path) -> Size | None:
    """Width and height of an image as it is shown, by its header; None where it cannot be read.

    ``leaven.media.Image`` wants the whole file, and would decode a PNG to see whether it is turned.
    """
    from leaven.media.image import _pillow

    pillow = _pillow()
    try:
        with warnings.catch_warnings(action="ignore"), pillow.open(path) as opened:
            width, height = opened.size
            plain = opened.format == "PNG" and "exif" not in opened.info
            turned = not plain and opened.getexif().get(0x0112, 1) in (5, 6, 7, 8)
    except Exception:  # a decoder may raise anything; whoever reads the image says what is wrong
        return None
    return (height, width) if turned else (width, height)


@dataclass
class Sizes:
    """Compares the sizes that annotations give their images with those of the images."""

    name: str

    def __post_init__(self) -> None:
        self.others: list[str] = []

    def of(self, path: Path, said: Size | None) -> Size | None:
        found = shown_size(path)
        if found and said and found != said:
            self.others.append(path.name)
        return found or said

    def tell(self, warn: Warn) -> None:
        n = len(self.others)
        if n:
            these = "image is" if n == 1 else "images are"
            warn(
                f"{n:,} {these} not of the size that {self.name} gives {some(self.others)}: boxes that were noted"
                " on a turned or scaled copy do not fit"
            )
