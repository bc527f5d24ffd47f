"""Where a detector sees something in an image."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any, ClassVar, Self

from pydantic import Field

from leaven.errors import RecipeError
from leaven.fields import VALUE, Column
from leaven.operators import Expr, Note
from leaven.records import Record

if TYPE_CHECKING:
    from leaven.context import Context


class Boxes(Note):
    """Note the boxes in which a detector sees each of some phrases.

    A phrase is what a detector with open vocabulary looks for: `a red car`, a class, a name that a step before noted.
    Each box is called what was asked, and is in pixels of the image.  A phrase that is not seen has no box; a record in
    which nothing is seen has an empty list: `keep: {that: boxes, reason: not_seen}`.

    Needs an image, and a label or `phrases`; a model for `detect`.
    Writes `boxes`, the surest first, and `boxes_scores`, how sure the model is of each, from 0 to 1.

    >>> import numpy as np
    >>> row = {"image": np.zeros((30, 40, 3), np.uint8), "label": "cup"}
    >>> [seen] = Boxes()(row, detect="fake:shape")
    >>> [box["label"] for box in seen["boxes"]], len(seen["boxes_scores"])
    (['cup'], 1)
    """

    roles: ClassVar[frozenset[str]] = frozenset({"detect"})
    takes: ClassVar[str] = "image"
    phrases: Expr | None = None
    """What to look for, an expression: a text or a list of texts; the main label."""
    at_least: float = Field(0.3, ge=0, le=1)
    """How sure the model must be of a box; what is right hangs on the model."""
    on: str | None = None
    """The image to look at; the main image."""
    model: str | None = None
    """A second model of the role by its nick: `model: other` is `--model detect.other=URI`."""

    def bind(self, columns: Mapping[str, Column]) -> Self:
        if self.phrases is not None:
            return self
        labels = [name for name, column in columns.items() if column.type == "label" and column.written]
        if not labels:
            raise RecipeError("boxes needs phrases to look for; the data has no label.", "phrases: [a person, a dog]")
        name = "label" if "label" in labels else labels[0]
        return type(self)(**{**self.model_dump(), "phrases": name})

    def writes(self) -> dict[str, Column]:
        about = frozenset({self.on or "image"})
        return {"boxes": Column("boxes", about), "boxes_scores": Column(VALUE, about, written=False)}

    async def note(self, record: Record, ctx: Context) -> Mapping[str, Any]:
        phrases = phrases_of(self.phrases(ctx.values(record), ctx.rng) if self.phrases else None)
        image = record[self.on or "image"]
        found = await ctx.detect(image, phrases, record, at_least=self.at_least) if phrases else []
        places = [{**{key: box[key] for key in ("x", "y", "w", "h", "label")}, "polygons": None} for box in found]
        return {"boxes": places, "boxes_scores": [box["score"] for box in found]}


def phrases_of(value: Any) -> list[str]:
    """What an expression says is looked for: each phrase once, in its order, blank ones left out."""
    items = [value] if isinstance(value, str) else [] if value is None else value
    if not isinstance(items, list | tuple) or not all(isinstance(item, str | int) for item in items):
        raise RecipeError(f"`phrases` of boxes is no text and no list of texts: {value!r}.", "phrases: objects")
    return [phrase for phrase in dict.fromkeys(str(item).strip() for item in items) if phrase]
