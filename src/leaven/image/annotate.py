"""A number for every pixel of an image, as a strong model gives it."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any, ClassVar, Literal, Self

from pydantic import Field

from leaven.errors import RecipeError
from leaven.fields import Column
from leaven.operators import Note
from leaven.records import Record, Refuse

if TYPE_CHECKING:
    from leaven.context import Context


class Annotate(Note):
    """Note a number for every pixel of an image: its depth or its class, as a model gives it.

    PromptMix (arXiv:2301.12914) lets a heavy model annotate painted images for a light one to learn from.  The map has
    the size of the image.  What its numbers mean hangs on the model, and has to be what they mean in your own maps:

    - depths in metres (GLPN, the metric models of Depth Anything) are whole numbers, `metre` for each metre;
    - other depths run from 0 to `top` within each image, the nearest the greatest for DPT and Depth Anything;
    - classes (SegFormer and its kin) are the model's own numbers.

    A record without the image is refused as `no_image`.

    Needs an image; a model for `map`.  Writes `into`, about the image, and the model's name as `into`_by.

    >>> import numpy as np
    >>> photo = np.array([[[0, 0, 0], [90, 90, 90], [180, 180, 180]]], np.uint8)
    >>> [row] = Annotate(top=200)({"image": photo}, map="fake:shape")
    >>> row["map"].codes.tolist(), row["map_by"]
    ([[0, 100, 200]], 'fake')
    """

    roles: ClassVar[frozenset[str]] = frozenset({"map"})
    takes: ClassVar[str] = "image"
    into: str = Field("map", min_length=1)
    """The field that the map is written to."""
    metre: float | None = Field(None, gt=0, le=65535)
    """What a metre counts in your maps (256 in KITTI's, 1000 in most of rooms), for a model that measures; without it
    1000 for such a model."""
    top: int = Field(65535, ge=1, le=65535)
    """The greatest depth of a model that does not measure: 255 for maps of 8 bits."""
    type: Literal["map", "mask"] | None = None
    """`mask` for classes, which steps that move images move along; what `into` is in the data, else `map`."""
    on: str | None = None
    """The image; the main image."""
    model: str | None = None
    """A second model of the role by its nick: `model: other` is `--model map.other=URI`."""

    def bind(self, columns: Mapping[str, Column]) -> Self:
        if self.type is not None:
            return self
        there = columns[self.into].type if self.into in columns else "map"
        if there not in ("map", "mask"):
            raise RecipeError(
                f"annotate writes a number for every pixel, and `{self.into}` is a field of type {there}.",
                "into: FIELD of type map or mask, or a new one.",
            )
        return self.model_copy(update={"type": there})

    def writes(self) -> dict[str, Column]:
        map_ = Column(self.type or "map", frozenset({self.on or "image"}))
        return {self.into: map_, f"{self.into}_by": Column("group")}  # true of a map that is moved, too

    async def note(self, record: Record, ctx: Context) -> Mapping[str, Any]:
        image = record.get(self.on or "image")
        if image is None:
            raise Refuse("no_image", f"`{self.on or 'image'}` is empty")
        found, by = await ctx.map(image, record, metre=self.metre, top=self.top)
        return {self.into: found, f"{self.into}_by": by}
