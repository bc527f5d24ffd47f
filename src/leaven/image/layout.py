"""Boxes drawn for what a text names."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from pydantic import Field, model_validator

from leaven.errors import RecipeError
from leaven.fields import Column
from leaven.operators import Expr, Note
from leaven.records import Record, Refuse

if TYPE_CHECKING:
    import numpy as np

    from leaven.context import Context
    from leaven.image.annotations import Box

DIGITS = 2
"""Of a pixel."""


class Layout(Note):
    """Draw a box for each thing that is to be seen, for a painter that takes boxes (GLIGEN).

    `of` gives the things: texts, or spans with `text` (else their `label`).  Spans with the same value of `same_box`,
    such as the number of a chain of coreference, share one box, which is called as the longest of their texts is: so a
    pronoun stands where its noun does.  Width and height are drawn between the two shares of `size`, then the place, so
    that the box lies within the canvas; boxes may overlap.  SLUMA (ACM MM 2024, 8576-8585) draws boxes at random;
    how large, it does not say.

    A record without a thing is refused as `no_thing`.

    Needs spans, or what `of` names.  Writes `boxes`, in pixels of the canvas: of an image yet to be painted.

    >>> spans = [{"text": "Ann", "chain": 1}, {"text": "a dog", "chain": 2}, {"text": "she", "chain": 1}]
    >>> [row] = Layout(same_box="chain")({"text": "Ann has a dog, she says", "spans": spans}, seed=1)
    >>> [box["label"] for box in row["boxes"]]
    ['Ann', 'a dog']
    """

    of: Expr = Field("spans", validate_default=True)
    """What is to be seen: a field of spans or labels, or an expression that gives a list."""
    same_box: str | None = None
    """The key of spans that share a box where its values are equal; without it each has its own."""
    size: list[float] = [0.1, 0.5]
    """The least and the greatest width and height, as shares of the canvas; ours."""
    canvas: list[int] = [512, 512]
    """Width and height in pixels of the image to come."""

    @model_validator(mode="after")
    def _possible(self) -> Layout:
        if len(self.size) != 2 or not 0 < self.size[0] <= self.size[1] <= 1:
            raise ValueError(RecipeError(f"size is {self.size}; it is two shares from 0 to 1.", "size: [0.1, 0.5]"))
        if len(self.canvas) != 2 or min(self.canvas) < 1:
            raise ValueError(RecipeError(f"canvas is {self.canvas}; it is width and height.", "canvas: [512, 512]"))
        return self

    def writes(self) -> dict[str, Column]:
        return {"boxes": Column("boxes", self.of.names)}

    def note(self, record: Record, ctx: Context) -> Mapping[str, Any]:
        said = self.of(ctx.values(record), ctx.rng)
        things: dict[Any, str] = {}
        for i, item in enumerate([said] if isinstance(said, str | Mapping) else said or ()):
            name = str((item.get("text") or item.get("label") or "") if isinstance(item, Mapping) else item).strip()
            chain = item.get(self.same_box) if self.same_box and isinstance(item, Mapping) else None
            key = ("own", i) if chain is None else ("shared", str(chain))
            if name and len(name) > len(things.get(key, "")):
                things[key] = name
        if not things:
            raise Refuse("no_thing", f"`{self.of.source}` names nothing")
        rng = ctx.rng
        return {"boxes": [self.drawn(name, rng) for name in things.values()]}

    def drawn(self, label: str, rng: np.random.Generator) -> Box:
        """A box somewhere on the canvas."""
        least, most = self.size
        w, h = (round(side * rng.uniform(least, most), DIGITS) for side in self.canvas)
        x, y = (round((side - long) * rng.random(), DIGITS) for side, long in zip(self.canvas, (w, h), strict=True))
        return {"x": x, "y": y, "w": w, "h": h, "label": label, "polygons": None}
