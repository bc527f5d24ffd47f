"""Images from prompts."""

from __future__ import annotations

from collections.abc import AsyncIterator, Mapping
from typing import TYPE_CHECKING, Any, ClassVar, Self

from pydantic import Field

from leaven.fields import Column
from leaven.image._painting import Painting, as_its_parent, shown_by
from leaven.operators import Make, Text
from leaven.records import Record

if TYPE_CHECKING:
    from leaven.context import Context
    from leaven.media.image import Image


class Paint(Painting, Make):
    """Paint n images of what a prompt says; the label stays.

    `control` is a field with an image that steers the outlines, such as edges or scribbles (ControlNet, Zhang et al.
    2023, arXiv:2302.05543); the new image takes its size.  `layout` is a field of boxes with labels that say what
    stands where (GLIGEN, Li et al. 2023, arXiv:2301.07093).  `like` is an image that counts as a second prompt, by
    `scale` (IP-Adapter, Ye et al. 2023, arXiv:2308.06721).  Who paints has to be able to: the run stops before it
    paints where not.

    Fields that the prompt names stay true of the new image, and those of `control` and `layout` with what they came
    from; what else is said of the old image is dropped, and where that is boxes, a mask or points, the child is refused
    as `boxes_lost` and so on, unless `holds` names it.  A prompt without a word is refused as `empty`, a record without
    its control, layout or image prompt as `no_control`, `no_layout`, `no_like`.

    Needs what the prompt names.  Makes an image.

    >>> [row] = Paint("a photo of a {{ label }}")({"label": "cat"}, paint="fake:shape")
    >>> row["label"], row["image"]
    ('cat', Image(64 x 64))
    """

    roles: ClassVar[frozenset[str]] = frozenset({"paint"})
    prompt: Text
    """What is to be seen: `a photo of a {{ label }}`."""
    n: int = Field(1, ge=1, le=1000)
    """How many images of each record."""
    into: str = "image"
    """The field that they are written to."""
    control: str | None = None
    """A field with an image whose outlines are followed."""
    layout: str | None = None
    """A field of boxes that say what stands where, in pixels of the image that they were noted on, else of the new
    one, as `layout` draws them."""
    like: str | None = None
    """A field with an image that the new one is to look like."""
    scale: float = Field(0.5, ge=0, le=1)
    """How much that image counts."""
    width: int | None = Field(None, ge=8, le=4096)
    """Pixels from side to side; else as wide as the control, or as the image that the boxes were noted on; else the
    model's own width."""
    height: int | None = Field(None, ge=8, le=4096)
    """Pixels from top to bottom."""

    def bind(self, columns: Mapping[str, Column]) -> Self:
        """What the image is painted from stays true of it."""
        stays = shown_by({*self.prompt.names, *filter(None, (self.control, self.layout))}, self.into, columns)
        return self.model_copy(update={"holds": sorted({*self.holds, *stays})})

    def reads(self) -> frozenset[str]:
        return super().reads() | frozenset(filter(None, (self.control, self.layout, self.like)))

    def changes(self) -> frozenset[str]:
        return frozenset({self.into})

    def writes(self) -> dict[str, Column]:
        return {self.into: Column("image")}

    def asked(self) -> int:
        return self.n

    async def make(self, record: Record, ctx: Context) -> AsyncIterator[Record]:
        parent: Image | None = record.get(self.into)
        given = {"control": self.control, "like": self.like}
        images = {key: record.get(name) for key, name in given.items() if name}
        boxes = record.get(self.layout) if self.layout else None
        lacking = next((key for key, image in images.items() if image is None), "")
        if self.layout and not boxes:
            lacking = "layout"
        about = ("boxes", self.layout) in ctx.noted_on(self.into)  # a drawn layout is of an image yet to come
        size = parent.size if about and parent is not None else (None, None)
        sides = {"width": self.width or size[0], "height": self.height or size[1]}
        how: dict[str, Any] = {**self.how(), **{side: pixels for side, pixels in sides.items() if pixels}}
        if boxes:
            how["boxes"] = [{key: box.get(key) for key in ("x", "y", "w", "h", "label")} for box in boxes]
        if self.like:
            how["scale"] = self.scale
        for _ in range(self.n):
            prompt = ctx.text(self.prompt, record)
            if lacking or not prompt.strip():
                yield record.child({self.into: None}).refuse(f"no_{lacking}" if lacking else "empty")
                continue
            painted = await ctx.paint(prompt, record, images=images, **how)
            like = parent if parent is not None and painted.size == parent.size else None
            yield record.child({self.into: as_its_parent(painted, like)}, drawn={"prompt": prompt})
