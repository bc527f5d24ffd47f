"""The contents of one box handed round among several images of the same scene."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import TYPE_CHECKING, ClassVar, Self

from pydantic import Field

from leaven.errors import RecipeError
from leaven.fields import VALUE, Column
from leaven.media.image import Image
from leaven.mixing import cut_switch, cutmix_box, unlike
from leaven.operators import Make
from leaven.records import Record

if TYPE_CHECKING:
    import numpy as np

    from leaven.context import Context


class CutSwitch(Make):
    """Cut one box from each of several images of a scene, and put the pieces back in other images.

    Cut-Switch, from AMF (Yang, Wang and Yin 2020, doi:10.1145/3394171.3413538), for pictures of one thing by several
    sensors (colour, depth, heat) that lie pixel on pixel: no pixel is lost, and labels, boxes, masks and points stay
    true.  The box's area is CutMix's: its sides are sqrt(1 - lam) of the image's, lam drawn from 0 to 1, cut off at the
    edges; the paper's own law and share of switched ones are not known to us.

    Bring the images to one range of values before: else the piece shows by its brightness which image it came from.
    Images of different sizes are refused as `sizes_differ`, a record that lacks one as `no_image`.

    Needs two images or more, of one size.  Makes the same images.

    >>> import numpy as np
    >>> a, b = (Image.of(np.full((1, 2, 3), value, np.uint8)) for value in (1, 2))
    >>> [row] = CutSwitch(on=["left", "right"], p=1)({"left": a, "right": b})
    >>> sorted([*row["left"].pixels[0, :, 0].tolist(), *row["right"].pixels[0, :, 0].tolist()])
    [1, 1, 2, 2]
    """

    moves: ClassVar[frozenset[str]] = frozenset({"boxes", "mask", "points", "map"})
    on: list[str] = Field(min_length=2)
    """The fields of the images."""
    p: float = Field(0.5, ge=0, le=1)
    """The chance that a child is switched; else it is as the record."""
    n: int = Field(1, ge=1, le=50)
    """How many children."""

    def bind(self, columns: Mapping[str, Column]) -> Self:
        for name in self.on:
            if name in columns and columns[name].type not in ("image", VALUE):  # a value that is not there has no type
                raise RecipeError(
                    f"cut_switch: `{name}` is no image, it is {columns[name].type}.", "on: [IMAGE, IMAGE], two or more"
                )
        if len(set(self.on)) < len(self.on):
            raise RecipeError(f"cut_switch: `on` names a field twice: {', '.join(self.on)}.", "name each once.")
        return self

    def make(self, record: Record, ctx: Context) -> Iterator[Record]:
        images = [image for name in self.on if isinstance(image := record.get(name), Image)]
        lacking = [name for name in self.on if not isinstance(record.get(name), Image)]
        for ordinal in range(self.n):
            rng = ctx.rng_of(ordinal)
            if lacking:
                yield record.child().refuse("no_image", f"it lacks {', '.join(lacking)}")
            elif len({image.size for image in images}) > 1:
                yield record.child().refuse("sizes_differ", ", ".join(f"{i.size[0]} x {i.size[1]}" for i in images))
            elif rng.random() >= self.p:
                yield record.child(drawn={"box": None, "permutation": list(range(len(images)))})
            else:
                yield self.switched(record, images, ctx, rng)

    def switched(self, record: Record, images: list[Image], ctx: Context, rng: np.random.Generator) -> Record:
        width, height = images[0].size
        lam, cy, cx = float(rng.random()), int(rng.integers(height)), int(rng.integers(width))
        y0, y1, x0, x1, _ = cutmix_box(height, width, lam, cy, cx)
        order = unlike(len(images), rng)
        arrays = cut_switch([image.pixels for image in images], (y0, y1, x0, x1), order)
        gray = all(image.kind.endswith("gray") for image in images)
        new = {}
        for name, array, image in zip(self.on, arrays, images, strict=True):
            # An image that was gray takes on another's colours; as a PNG it loses none of them.
            new[name] = Image.of(array, image if gray or not image.kind.endswith("gray") else None)
        held = {name: record.get(name) for field in self.on for kind, name in ctx.noted_on(field) if kind in self.moves}
        return record.child({**new, **held}, drawn={"box": [x0, y0, x1, y1], "permutation": order})
