"""A drawn picture in the place of what a box of the record holds."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING, Any, ClassVar, Literal

from pydantic import Field

from leaven.draws import Draw
from leaven.expressions import Row
from leaven.image.annotations import Box, Window, inside, points_without, without
from leaven.image.like import like
from leaven.image.partners import alone, partners
from leaven.image.resized import resized
from leaven.image.seams import feathered, poisson
from leaven.media.image import Image
from leaven.operators import Expr, Make
from leaven.records import Record

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

    from leaven.context import Context

SEAMS = {"feather": feathered, "poisson": poisson}


class Paste(Make):
    """Put a drawn picture into boxes of the record's image, brought to their size.

    CultureMixup's image side (EMNLP 2023 main.18): what a concept's box holds gives way to another culture's.  The seam
    is feathered, or fitted to the colours around it (`poisson`, Perez et al. 2003), or left as it is; outside of the
    boxes no pixel changes.  The boxes stay, without polygons, and may be called anew; others lose what is covered.
    Label and texts stay.

    A record with no such box is refused as `no_box`, one for which no picture can be drawn as `no_partner`, one with a
    mask, which knows no outline of the picture, as `mask_lost`.

    Needs an image and boxes.  Makes an image, boxes and points.

    >>> import numpy as np
    >>> lute = {"x": 1.0, "y": 0.0, "w": 2.0, "h": 1.0, "label": "lute", "polygons": None}
    >>> record = {"image": np.zeros((2, 4, 3), np.uint8), "boxes": [lute]}
    >>> [row] = Paste(seam="none", label="'oud'")(record, source=[{"image": np.full((9, 9, 3), 7, np.uint8)}])
    >>> row["image"].pixels[..., 0].tolist(), row["boxes"][0]["label"]
    ([[0, 7, 7, 0], [0, 0, 0, 0]], 'oud')
    """

    takes: ClassVar[str] = "image"
    needs: ClassVar[frozenset[str]] = frozenset({"boxes"})
    moves: ClassVar[frozenset[str]] = frozenset({"boxes", "points"})
    gives: ClassVar[frozenset[str]] = frozenset({"box"})
    into: str = "boxes"
    """The field of boxes."""
    where: Expr = Field("true", validate_default=True)
    """Which of them: an expression with `box`, such as `box.label == old`."""
    label: Expr | None = None
    """What they are called afterwards, an expression; without it, they keep their names."""
    seam: Literal["feather", "poisson", "none"] = "feather"
    """How the picture meets what is around it."""
    n: int = Field(1, ge=1, le=50)
    """How many children, each with another picture drawn."""
    draw: Draw = Draw(k=1)
    """Which row's picture to put in."""
    on: str | None = None
    """The field to change; the main image."""

    def reads(self) -> frozenset[str]:
        return super().reads() | {self.into}

    def make(self, record: Record, ctx: Context) -> Iterator[Record]:
        field = self.on or "image"
        values = ctx.values(record)
        boxes = record.get(self.into) or []
        chosen = [i for i, box in enumerate(boxes) if self.where({**values, "box": Row(box)}, ctx.rng)]
        for ordinal in range(self.n):
            drawn = partners(record, self.draw, ordinal, field, ctx)
            if not chosen or not drawn:
                yield alone(record) if chosen else record.child().refuse("no_box", "no box is meant")
                continue
            own, other = record[field], drawn[0][field]
            windows = [window_of(boxes[i], own.size) for i in chosen]
            pixels = pasted(own.pixels, other.pixels, windows, self.seam)
            new: dict[str, Any] = {field: Image.of(pixels, like(own, other))}
            covered = inside(windows, own.size)
            rest = without([box for i, box in enumerate(boxes) if i not in chosen], covered)
            new[self.into] = [*self.renamed([boxes[i] for i in chosen], values, ctx), *rest]
            for kind, name in ctx.noted_on(field):
                if kind == "points" and record.get(name) is not None:
                    new[name] = points_without(record[name], covered)
            said = {"boxes": [list(window) for window in windows]}
            yield record.child(new, parents=[record, drawn[0]], drawn=said)

    def renamed(self, boxes: Sequence[Box], values: dict[str, Any], ctx: Context) -> list[Box]:
        if self.label is None:
            return [{**box, "polygons": None} for box in boxes]
        named = self.label
        return [{**b, "polygons": None, "label": named({**values, "box": Row(b)}, ctx.rng)} for b in boxes]


def window_of(box: Box, size: tuple[int, int]) -> Window:
    """A box in whole pixels, at least one, within an image of this size."""
    found: list[int] = []
    for at, length, side in (("x", "w", size[0]), ("y", "h", size[1])):
        begin = min(max(round(box[at]), 0), side - 1)
        found += [begin, min(max(round(box[at] + box[length]), begin + 1), side)]
    return found[0], found[2], found[1], found[3]


def pasted(
    pixels: NDArray[np.uint8], picture: NDArray[np.uint8], windows: Sequence[Window], seam: str
) -> NDArray[np.uint8]:
    """The image with the picture in each window."""
    out = pixels.copy()
    for x0, y0, x1, y1 in windows:
        patch = resized(picture, x1 - x0, y1 - y0)
        out[y0:y1, x0:x1] = SEAMS[seam](out[y0:y1, x0:x1], patch) if seam in SEAMS else patch
    return out
