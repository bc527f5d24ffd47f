"""Copies of a record, one for each item of a list."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import TYPE_CHECKING, Any

from pydantic import Field, model_validator

from leaven.errors import RecipeError
from leaven.fields import VALUE, Column
from leaven.operators import Expr, Make
from leaven.records import Record

if TYPE_CHECKING:
    from leaven.context import Context


class Copy(Make):
    """Make a child for each item of a list, or n that say the same.

    The steps after it then work on each for itself: on each box of an image, each language, each strength to try.
    Items that are boxes of an image of the record also say their `share` of its area:
    `copy: {each: boxes, into: box}`, then `keep: 0.05 <= box.share <= 0.8`.

    A record whose list is empty is refused as `no_item`.

    Needs nothing but what `each` names.  Makes the field of `into`, where there is one.

    >>> [one, other] = Copy(each=["formal", "curt"], into="style")({"text": "my card is lost"})
    >>> other
    {'text': 'my card is lost', 'style': 'curt'}
    """

    n: int = Field(1, ge=1, le=1000)
    """How many children, of each item."""
    each: Expr | None = None
    """The items: a list, a mapping (its keys), or an expression that gives one."""
    into: str | None = None
    """The field that holds the item."""

    @model_validator(mode="after")
    def _both(self) -> Copy:
        if (self.each is None) != (self.into is None):
            lacks, has = ("into", "each") if self.into is None else ("each", "into")
            raise ValueError(RecipeError(f"copy has `{has}` and no `{lacks}`.", "copy: {each: boxes, into: box}"))
        return self

    def changes(self) -> frozenset[str]:
        return frozenset({self.into} if self.into else ())

    def writes(self) -> dict[str, Column]:
        return {self.into: Column(VALUE, self.each.names if self.each else frozenset())} if self.into else {}

    def make(self, record: Record, ctx: Context) -> Iterator[Record]:
        if self.each is None or self.into is None:
            for _ in range(self.n):
                yield record.child()
            return
        items = self.each(ctx.values(record), ctx.rng)
        if items is not None and not isinstance(items, list | tuple | Mapping):
            raise RecipeError(f"`each` of copy is no list: {items!r}.", "copy: {each: [short, long], into: length}")
        if not items:
            yield record.child().refuse("no_item", f"`{self.each.source}` is empty")
            return
        area = self.area(record, ctx)
        for item in items:
            value = dict(item) if isinstance(item, Mapping) else item
            if area and isinstance(value, dict) and {"w", "h"} <= value.keys():
                value["share"] = round(value["w"] * value["h"] / area, 6)
            for _ in range(self.n):
                yield record.child({self.into: value})

    def area(self, record: Record, ctx: Context) -> int:
        """The pixels of the image that the items are boxes of; 0 where they are no boxes."""
        named: Any = self.each.names if self.each else ()
        for field in ctx.fields_of("image"):
            boxes = {name for kind, name in ctx.noted_on(field) if kind == "boxes"}
            if boxes & named and record.get(field) is not None:
                width, height = record[field].size
                return int(width * height)
        return 0
