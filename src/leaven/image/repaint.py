"""Images painted over."""

from __future__ import annotations

from collections.abc import AsyncIterator, Mapping
from typing import TYPE_CHECKING, Annotated, Any, ClassVar, Self

from pydantic import Field, model_validator

from leaven.errors import RecipeError
from leaven.image._painting import Painting, as_its_parent, shown_by
from leaven.operators import Make, Text
from leaven.ranges import Range, drawn_from, within
from leaven.records import Record

if TYPE_CHECKING:
    from leaven.context import Context
    from leaven.fields import Column
    from leaven.media.image import Image


class Repaint(Painting, Make):
    """Paint an image over, so that it comes nearer to a prompt; the label stays.

    The image is noised as far as `strength` says, and painted from there (SDEdit, Meng et al. 2022, arXiv:2108.01073):
    near 0 it stays, at 1 little of it is left.  With `instruct` the prompt is what to do (`make it snowy`), and
    `image_guidance` says how much of the image stays (InstructPix2Pix, Brooks et al. 2023, arXiv:2211.09800).  With
    `control` a second image steers the outlines (ControlNet, Zhang et al. 2023, arXiv:2302.05543).

    Fields that the prompt names stay true, and `control` with what it came from.  What else is said of the image is
    dropped, and where that is boxes, a mask or points, the child is refused as `boxes_lost` and so on, unless `holds`
    names it: at a low strength things stay where they are.  A prompt without a word is refused as `empty`, a record
    without its control as `no_control`.

    Needs an image.  Makes an image, of the same size.

    >>> import numpy as np
    >>> from leaven.media.image import Image
    >>> photo = Image.of(np.full((10, 12, 3), 200, np.uint8))
    >>> [row] = Repaint("a photo of a {{ label }} in the snow")({"image": photo, "label": "cat"}, paint="fake:shape")
    >>> row["image"], bool((row["image"].pixels != photo.pixels).any())
    (Image(12 x 10), True)
    """

    roles: ClassVar[frozenset[str]] = frozenset({"paint"})
    takes: ClassVar[str] = "image"
    prompt: Text
    """What is to be seen, or with `instruct` what is to be done."""
    n: int = Field(1, ge=1, le=1000)
    """How many images of each."""
    strength: Annotated[float | Range, within(0, 1)] = 0.6
    """How much is painted anew: a number, or low and high to draw from."""
    control: str | None = None
    """A field with an image whose outlines are followed."""
    instruct: bool = False
    """The prompt is an instruction."""
    image_guidance: float = Field(1.5, ge=1, le=20)
    """With `instruct`, how closely the image is kept to."""
    on: str | None = None
    """The image to paint over; the main one."""
    size: int | None = Field(None, ge=8, le=2048, multiple_of=8)
    """Pixels a side that it is painted at, whatever its shape, before it gets its own size again: a model of large
    images makes nothing of small ones. Without it the image's own."""

    @model_validator(mode="after")
    def _some_steps(self) -> Repaint:
        low = self.strength[0] if isinstance(self.strength, tuple) else self.strength
        if not self.instruct and not int(self.steps * low):
            raise ValueError(
                RecipeError(
                    f"{self.steps} steps at a strength of {low:g} are none.",
                    f"strength: {min(1, 1.5 / self.steps):.2g}",
                )
            )
        return self

    def bind(self, columns: Mapping[str, Column]) -> Self:
        """What the image is painted from stays true of it."""
        stays = shown_by({*self.prompt.names, *filter(None, [self.control])}, self.on or "image", columns)
        return self.model_copy(update={"holds": sorted({*self.holds, *stays})})

    def reads(self) -> frozenset[str]:
        return super().reads() | frozenset(filter(None, [self.control]))

    def asked(self) -> int:
        return self.n

    async def make(self, record: Record, ctx: Context) -> AsyncIterator[Record]:
        on = self.on or "image"
        image: Image = record[on]
        images = {"image": image, **({"control": record.get(self.control)} if self.control else {})}
        for ordinal in range(self.n):
            prompt = ctx.text(self.prompt, record)
            if images.get("control", image) is None or not prompt.strip():
                yield record.child({on: None}).refuse("empty" if images.get("control", image) else "no_control")
                continue
            how: dict[str, Any] = self.how()
            if self.size:
                how |= {"width": self.size, "height": self.size}
            drawn: dict[str, Any] = {"prompt": prompt}
            if self.instruct:
                how |= {"instruct": True, "image_guidance": self.image_guidance}
            else:
                drawn["strength"] = how["strength"] = drawn_from(self.strength, ctx.rng_of(ordinal))
            painted = await ctx.paint(prompt, record, images=images, **how)
            yield record.child({on: as_its_parent(painted, image)}, drawn=drawn)
