"""Another label, for a model to write towards."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import TYPE_CHECKING, Literal, Self

from pydantic import Field

from leaven.errors import RecipeError
from leaven.fields import Column
from leaven.operators import Expr, Make
from leaven.records import Record

if TYPE_CHECKING:
    from leaven.context import Context


class Retarget(Make):
    """Give a record another label: a child for each, whose text still says what it said.

    A step after it writes the text anew for that label, as SuperGen, FlipDA and STraTA do.  Scores that hang on the
    label are dropped.

    Needs a label, or `among` and `into`.  Makes the field of `into`.

    >>> [row] = Retarget("random", among=["yes", "no"])({"text": "it rains", "label": "yes"})
    >>> row
    {'text': 'it rains', 'label': 'no'}
    """

    to: Literal["each", "other", "random"] = "each"
    """A child for each label, its own too; for each other label; or for one other, drawn."""
    among: Expr = Field("labels", validate_default=True)
    """The labels to choose from: a list, or an expression."""
    into: str | None = None
    """The field to set; the main label."""

    def bind(self, columns: Mapping[str, Column]) -> Self:
        labels = [name for name, column in columns.items() if column.type == "label" and column.written]
        found = self.into or ("label" if "label" in labels else next(iter(labels), ""))
        if not found:
            raise RecipeError("retarget needs a label; the data has none.", "name a field: into: relation")
        return self.model_copy(update={"into": found})

    def changes(self) -> frozenset[str]:
        return frozenset({self.into or "label"})

    def writes(self) -> dict[str, Column]:
        return {self.into or "label": Column("label")}

    def make(self, record: Record, ctx: Context) -> Iterator[Record]:
        field = self.into or "label"
        among = self.among(ctx.values(record), ctx.rng)
        if not isinstance(among, list | tuple | Mapping):
            raise RecipeError(f"`among` of retarget is no list of labels: {among!r}.", "among: [yes, no]")
        own = record.get(field)
        names = [name for name in map(str, among) if self.to == "each" or name != own]
        if self.to == "random":
            names = [names[int(ctx.rng_of(1).integers(len(names)))]] if names else []
        for name in names:
            yield record.child({field: name})
