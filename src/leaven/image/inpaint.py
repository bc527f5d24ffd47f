"""A part of an image painted anew."""

from __future__ import annotations

from collections.abc import AsyncIterator, Mapping
from math import ceil, floor
from typing import TYPE_CHECKING, Any, ClassVar, Self

from pydantic import Field, model_validator

from leaven.errors import RecipeError
from leaven.image._painting import Painting, as_its_parent, shown_by
from leaven.media.image import Image
from leaven.media.opencv import opencv
from leaven.operators import Expr, Make, Text
from leaven.records import Record, Refuse

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

    from leaven.context import Context
    from leaven.fields import Column


class Inpaint(Painting, Make):
    """Paint a part of an image anew, and leave the rest as it is.

    `area` is a mask (where it is not 0), a box or a list of boxes; `outside` paints all but that.  Pixels outside the
    area stay the parent's (of a JPEG, as far as writing one again leaves them).  At a `strength` below 1 the area is
    painted over what is there.

    Fields that the prompt names stay true, and with `outside` those of `area`.  What else is said of the image is
    dropped, and where that is boxes, a mask or points, the child is refused as `mask_lost` and so on, unless `holds`
    names it.  A prompt without a word is refused as `empty`, an area without a pixel as `no_area`, a mask of another
    size than the image as `area_size`.

    Needs an image.  Makes an image.

    >>> import numpy as np
    >>> from leaven.media.image import Image
    >>> photo = Image.of(np.full((10, 12, 3), 200, np.uint8))
    >>> box = {"x": 0, "y": 0, "w": 6, "h": 10}
    >>> [row] = Inpaint("a red car", area="box")({"image": photo, "box": box}, paint="fake:shape")
    >>> (row["image"].pixels == 200).all(axis=(0, 2)).tolist()
    [False, False, False, False, False, False, True, True, True, True, True, True]
    """

    roles: ClassVar[frozenset[str]] = frozenset({"paint"})
    takes: ClassVar[str] = "image"
    prompt: Text
    """What is to be seen there."""
    area: Expr = Field("mask", validate_default=True)
    """Where: a field with a mask, a box or boxes, or an expression."""
    n: int = Field(1, ge=1, le=1000)
    """How many images of each."""
    grow: int = Field(0, ge=0, le=500)
    """Pixels by which the area is made wider on all sides."""
    outside: bool = False
    """Paint all but the area."""
    strength: float = Field(1.0, gt=0, le=1)
    """How much of what is there goes: at 1 all."""
    on: str | None = None
    """The image to paint in; the main one."""

    @model_validator(mode="after")
    def _some_steps(self) -> Inpaint:
        if not int(self.steps * self.strength):
            raise ValueError(
                RecipeError(f"{self.steps} steps at a strength of {self.strength:g} are none.", "strength: 1")
            )
        return self

    def bind(self, columns: Mapping[str, Column]) -> Self:
        """What the image is painted from stays true of it."""
        names = {*self.prompt.names, *(self.area.names if self.outside else ())}
        stays = shown_by(names, self.on or "image", columns)
        return self.model_copy(update={"holds": sorted({*self.holds, *stays})})

    def asked(self) -> int:
        return self.n

    async def make(self, record: Record, ctx: Context) -> AsyncIterator[Record]:
        import numpy as np

        on = self.on or "image"
        image: Image = record[on]
        try:
            area = self.covered(self.area(ctx.values(record), ctx.rng), image)
        except Refuse as refused:
            for _ in range(self.n):
                yield record.child({on: None}).refuse(refused.reason, refused.detail)
            return
        images = {"image": image, "mask": Image.of_codes(area.astype(np.uint8) * 255)}
        for _ in range(self.n):
            prompt = ctx.text(self.prompt, record)
            if not prompt.strip():
                yield record.child({on: None}).refuse("empty")
                continue
            painted = await ctx.paint(prompt, record, images=images, strength=self.strength, **self.how())
            pixels = np.where(area[..., None], as_its_parent(painted, image).pixels, image.pixels)
            drawn = {"prompt": prompt, "share": round(float(area.mean()), 4)}
            yield record.child({on: Image.of(pixels, image)}, drawn=drawn)

    def covered(self, said: Any, image: Image) -> NDArray[np.bool_]:
        """The pixels to paint, height x width.  Raises Refuse."""
        import numpy as np

        width, height = image.size
        found: NDArray[np.bool_]
        if isinstance(said, Image):
            if said.size != image.size:
                raise Refuse("area_size", f"{said.size[0]} x {said.size[1]}, the image {width} x {height}")
            found = said.codes != 0
        else:
            found = np.zeros((height, width), bool)
            for box in [said] if isinstance(said, Mapping) else said or ():
                left, top = (max(0, floor(box[edge])) for edge in "xy")
                right, bottom = ceil(box["x"] + box["w"]), ceil(box["y"] + box["h"])
                found[top : max(top, bottom), left : max(left, right)] = True
        if self.grow and found.any():
            cv2, wide = opencv(), 2 * self.grow + 1
            kernel = cv2.getStructuringElement(cv2.MORPH_ELLIPSE, (wide, wide))
            found = cv2.dilate(found.astype(np.uint8), kernel) != 0
        if self.outside:
            found = ~found
        if not found.any():
            raise Refuse("no_area")
        return found
