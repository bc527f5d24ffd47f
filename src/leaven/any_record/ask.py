"""A question about a record."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any, ClassVar

from pydantic import Field, model_validator

from leaven.asks import Asks
from leaven.errors import RecipeError
from leaven.fields import Column
from leaven.models.shapes import Into, columns, kinds, rows_of, shape_of
from leaven.operators import Note, Text
from leaven.records import Record

if TYPE_CHECKING:
    from leaven.context import Context


class Ask(Asks, Note):
    """Ask a chat model about a record, and note what it answers.

    With ``into`` the answer fills fields of given kinds, such as `{relevant: bool}`; with ``samples`` above 1 each
    column is the list of all answers.  An answer stays when the text changes that it was asked about.

    Needs what the prompt reads.  Writes `ask`, or the fields of `into`.

    >>> [row] = Ask("Is this rude? {{ text }}", into={"rude": "bool"})({"text": "where is it"}, chat="fake:shape")
    >>> row["rude"] in (True, False)
    True
    """

    roles: ClassVar[frozenset[str]] = frozenset({"chat"})
    prompt: Text
    """What is asked."""
    into: Into | None = None
    """The fields that an answer fills: a name, names, or `{name: str, int, float, bool or list}`; the step's name."""
    samples: int = Field(1, ge=1, le=100)
    """How many times each is asked."""
    per: str | None = None
    """`record`: one question about each; a question about a group is not built yet."""

    @model_validator(mode="after")
    def _one_record(self) -> Ask:
        if self.per not in (None, "record"):
            raise ValueError(RecipeError(f"`per: {self.per}` of ask is not built yet.", "leave out `per`."))
        return self

    def writes(self) -> dict[str, Column]:
        fields = kinds(self.into or self.name)
        return columns(dict.fromkeys(fields, "list") if self.samples > 1 else fields)

    async def note(self, record: Record, ctx: Context) -> Mapping[str, Any]:
        fields = kinds(self.into or self.name)
        rows = []
        for _ in range(self.samples):
            if self.into is None:
                rows.append({self.name: await ctx.chat(self.prompt, record)})
            else:
                reply = await ctx.chat(self.prompt, record, shape=shape_of(fields))
                rows += rows_of(reply, fields)
        return rows[0] if self.samples == 1 else {name: [row[name] for row in rows] for name in fields}
