"""New records from a prompt."""

from __future__ import annotations

from collections.abc import AsyncIterator, Mapping
from typing import TYPE_CHECKING, Any, ClassVar, Self

from pydantic import Field

from leaven.asks import Asks
from leaven.fields import Column
from leaven.models.shapes import Into, Kind, columns, kinds, rows_of, shape_of
from leaven.operators import Make, Text
from leaven.records import Record, folded
from leaven.text.bare import bare
from leaven.text.main import main_text

if TYPE_CHECKING:
    from leaven.context import Context


class Write(Asks, Make):
    """Write new texts, or whole records, as a prompt asks.

    A text that is empty is refused as `empty`, a label that the source does not have as `unknown_label`; numbers and
    quotes around texts are taken off.  The prompt never describes the form of the answer: `into` does.

    Needs what the prompt reads.  Makes the fields of `into`.

    >>> ask = "Write {{ n }} short texts about {{ label }}."
    >>> rows = Write(2, prompt=ask)({"text": "my card is lost", "label": "card"}, chat="fake:shape")
    >>> len(rows), rows[0]["label"], rows[0]["text"] != rows[1]["text"]
    (2, 'card', True)
    """

    roles: ClassVar[frozenset[str]] = frozenset({"chat"})
    n: int = Field(1, ge=1, le=50)
    """How many one call asks for."""
    calls: int = Field(1, ge=1, le=1000)
    """How many calls; each may draw other answers."""
    into: Into | None = None
    """The fields that an answer fills: a name, names, or `{name: str, int, float, bool or list}`; the main text."""
    prompt: Text
    """What is asked."""
    system: Text | None = None
    """What the model is told before it: who it is, and what holds for all."""

    def bind(self, columns: Mapping[str, Column]) -> Self:
        return self.model_copy(update={"into": self.into or main_text(columns)})

    def fields(self) -> dict[str, Kind]:
        return kinds(self.into or "text")

    def changes(self) -> frozenset[str]:
        return frozenset(self.fields())

    def writes(self) -> dict[str, Column]:
        return columns(self.fields())

    def asked(self) -> int:
        return self.n * self.calls

    async def make(self, record: Record, ctx: Context) -> AsyncIterator[Record]:
        fields = self.fields()
        many = self.n > 1
        for _ in range(self.calls):
            reply = await ctx.chat(self.prompt, record, shape=shape_of(fields, many), system=self.system, wanted=self.n)
            for row in rows_of(reply, fields, many)[: self.n]:
                yield self.child(record, row, ctx)

    def child(self, record: Record, row: dict[str, Any], ctx: Context) -> Record:
        """The record that an answer makes, refused where it cannot be used."""
        row = {name: bare(value) if isinstance(value, str) else value for name, value in row.items()}
        empty = [name for name, value in row.items() if value == ""]
        if empty:
            return record.child(row).refuse("empty", empty[0])
        label = str(ctx.constants.get("label_field", ""))
        if label in row and ctx.labels:
            said = str(row[label])
            known = {folded(name): name for name in ctx.labels}
            if folded(said) not in known:
                return record.child(row).refuse("unknown_label", said)
            row[label] = known[folded(said)]
        return record.child(row)
