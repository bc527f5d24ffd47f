"""Parts of an image hidden: random erasing, cutout, GridMask."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING, Annotated, Any, ClassVar, Literal

from pydantic import Field, model_validator

from leaven.errors import RecipeError
from leaven.image.annotations import points_without
from leaven.image.carried import noted
from leaven.image.holes import erased_box, grid_holes, hidden
from leaven.media.image import Image
from leaven.media.opencv import opencv
from leaven.operators import Make
from leaven.ranges import Range, within
from leaven.records import Record

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

    from leaven.context import Context

PAPER = (96 / 224, 1.0)
"""GridMask's unit, 96 to 223 pixels of 224, as a share of the shorter side."""


class Erase(Make):
    """Hide a part of an image under gray, its mean colour, or noise; what is hidden loses its box.

    `box` is random erasing (Zhong et al. 2017, arXiv:1708.04896): `count` boxes of a drawn area and form, each tried
    ten times; where all fail, the child is refused as `no_room`.  `grid` is GridMask (Chen et al. 2020,
    arXiv:2001.04086): squares in a regular, turned grid, of which a share of (1 - ratio) ^ 2 is hidden, .16 by default.
    (In the paper the chance that an image is masked grows with the epochs of training: here every child is.)

    A box of which more than `covered` is hidden is dropped, a hidden point too, and the history counts them.  The label
    stays, and the mask: it says what is under the gray.

    Needs an image.  Makes an image; boxes, masks and points move along.

    >>> import numpy as np
    >>> from leaven.media.image import Image
    >>> photo = Image.of(np.full((10, 10, 3), 200, np.uint8))
    >>> [row] = Erase(area=(0.25, 0.25), aspect=(1, 1), fill=0)({"image": photo})
    >>> int((row["image"].pixels[..., 0] == 0).sum())
    25
    """

    takes: ClassVar[str] = "image"
    moves: ClassVar[frozenset[str]] = frozenset({"boxes", "mask", "points"})
    area: Annotated[Range, within(0, 1)] = (0.02, 0.2)
    """The share of the image that each box hides, low and high."""
    n: int = Field(1, ge=1, le=50)
    """How many children."""
    aspect: Annotated[Range, within(0.01, 100)] = (0.3, 3.3)
    """Height to width of a box, drawn evenly from the logarithms."""
    count: int = Field(1, ge=1, le=100)
    """How many boxes."""
    fill: Literal["mean", "noise"] | Annotated[int, Field(ge=0, le=255)] = "mean"
    """A gray, the mean colour of the image, or noise of all colours."""
    how: Literal["box", "grid"] = "box"
    """Boxes anywhere, or GridMask."""
    d: tuple[int, int] | None = None
    """The unit of the grid in pixels, low and (excluded) high; else 3/7 of the shorter side to all of it, which is the
    paper's 96 to 224 where that is 224."""
    ratio: float = Field(0.6, gt=0, lt=1)
    """The share of a unit that is kept whole."""
    rotate: int = Field(360, ge=0, le=360)
    """The grid is turned by a whole number of degrees below this."""
    stripes: bool = True
    """Keep what any stripe covers, .84 of the image; else only what none does, .16."""
    covered: float = Field(0.6, ge=0, le=1)
    """The share of a box that may be hidden."""
    on: str | None = None
    """The image to change; the main one."""

    @model_validator(mode="after")
    def _in_order(self) -> Erase:
        if self.d is not None and not 2 <= self.d[0] < self.d[1]:
            raise ValueError(RecipeError(f"d of erase is {list(self.d)}; it begins at 2 and rises.", "d: [96, 224]"))
        return self

    def make(self, record: Record, ctx: Context) -> Iterator[Record]:
        on = self.on or "image"
        image: Image = record[on]
        there = noted(record, ctx, on, self.moves)
        for ordinal in range(self.n):
            rng = ctx.rng_of(ordinal)
            holes, drawn = self.draw(image.size, rng)
            if not drawn.get("boxes", True):
                yield record.child().refuse("no_room", "no box of this area is smaller than the image")
                continue
            new: dict[str, Any] = {on: Image.of(self.filled(image, holes, rng), image)}
            for kind, name in there:
                marks = record[name]
                if kind == "mask":
                    new[name] = marks
                    continue
                if kind == "boxes":
                    new[name] = [box for box, share in zip(marks, hidden(marks, holes)) if share <= self.covered]
                else:
                    new[name] = points_without(marks, holes)
                if len(new[name]) < len(marks):
                    drawn[f"{name}_dropped"] = len(marks) - len(new[name])
            yield record.child(new, drawn=drawn)

    def draw(self, size: tuple[int, int], rng: np.random.Generator) -> tuple[NDArray[np.bool_], dict[str, Any]]:
        """What is hidden (height x width), and the numbers that say so."""
        import numpy as np

        width, height = size
        if self.how == "grid":
            low, high = self.d or (max(2, round(min(size) * PAPER[0])), max(3, round(min(size) * PAPER[1])))
            d = int(rng.integers(low, high))
            offsets = int(rng.integers(d)), int(rng.integers(d))
            angle = int(rng.integers(self.rotate)) if self.rotate else 0
            holes = grid_holes(size, d, offsets, self.ratio, angle, self.stripes)
            return holes, {"d": d, "offsets": list(offsets), "angle": angle}
        holes = np.zeros((height, width), bool)
        boxes = [box for _ in range(self.count) if (box := erased_box(size, self.area, self.aspect, rng))]
        for x, y, w, h in boxes:
            holes[y : y + h, x : x + w] = True
        return holes, {"boxes": boxes}

    def filled(self, image: Image, holes: NDArray[np.bool_], rng: np.random.Generator) -> NDArray[np.uint8]:
        """The pixels with the holes filled."""
        import numpy as np

        pixels = image.pixels.copy()
        if self.fill == "noise":
            layers = 1 if image.kind.endswith("gray") else 3  # a gray image stays gray
            pixels[holes] = rng.integers(0, 256, (int(holes.sum()), layers), np.uint8)
        elif self.fill == "mean":
            pixels[holes] = np.rint(opencv().mean(pixels)[:3]).astype(np.uint8)
        else:
            pixels[holes] = self.fill
        return pixels
