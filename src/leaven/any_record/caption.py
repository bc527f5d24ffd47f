"""What an image shows or a sound holds, in words."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any, ClassVar

from pydantic import Field

from leaven.asks import Asks
from leaven.fields import Column
from leaven.operators import Note, Text
from leaven.records import Record, Refuse

if TYPE_CHECKING:
    from leaven.context import Context


class Caption(Asks, Note):
    """Note a caption of an image or a sound.

    A captioner goes on from the prompt, and what follows is the caption; a model that chats is asked the prompt.  A
    record without the image is refused as `nothing_to_show`.

    Needs image or audio.  Writes `caption`, about it.

    >>> import numpy as np
    >>> from leaven.media.image import Image
    >>> red = Image.of(np.full((8, 8, 3), (200, 20, 20), np.uint8))
    >>> [row] = Caption("a photo of")({"image": red, "label": "red"}, caption="fake:shape")
    >>> type(row["caption"]), row["label"]
    (<class 'str'>, 'red')
    """

    roles: ClassVar[frozenset[str]] = frozenset({"caption"})
    takes: ClassVar[str] = "image or audio"
    prompt: Text = Field("", validate_default=True)
    """What the caption begins with, or what a model that chats is asked; it is asked for one sentence where nothing is
    said."""
    on: str | None = None
    """The image or sound; the main one."""
    top_k: int | None = Field(None, ge=1)
    """Draw from so many of the likeliest tokens."""
    repetition_penalty: float | None = Field(None, gt=0)
    """Above 1, tokens that stand in the caption are less likely to come again."""
    min_tokens: int | None = Field(None, ge=1)
    """The shortest caption."""
    adapter: str | None = None
    """The step that fitted the captioner to the data: `adapter: own` after `adapter as own: {role: caption, ...}`."""

    def writes(self) -> dict[str, Column]:
        return {"caption": Column("caption", frozenset({self.on or "image"}))}

    async def note(self, record: Record, ctx: Context) -> Mapping[str, Any]:
        on = self.on or "image"
        item = record.get(on)
        if item is None:
            raise Refuse("nothing_to_show", on)
        beside = {name: getattr(self, name) for name in ("top_k", "repetition_penalty", "min_tokens")}
        how = {name: value for name, value in beside.items() if value is not None}
        prompt = ctx.text(self.prompt, record)
        return {"caption": await ctx.caption(item, record, prompt=prompt, **how)}
