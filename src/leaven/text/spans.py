"""Names in a text, and what each of them is."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any, ClassVar

from pydantic import Field

from leaven.fields import VALUE, Column
from leaven.operators import Note
from leaven.records import Record

if TYPE_CHECKING:
    from leaven.context import Context


class Spans(Note):
    """Note what stands where in a text: persons, places, whatever the tagger knows.

    Each span is {start, end, text, label}, in characters, in the order of the text.  A model that chats names them
    where no tagger is at hand; what it names and the text does not hold is left out.

    Needs a text.  Writes `spans`, an empty list where nothing is found; it is about the text.

    >>> [row] = Spans(labels=["PERSON"])({"text": "who is it", "label": "x"}, tag="fake:shape")
    >>> row["spans"][0]["label"], row["text"]
    ('PERSON', 'who is it')
    """

    roles: ClassVar[frozenset[str]] = frozenset({"tag"})
    takes: ClassVar[str] = "text"
    labels: list[str] | None = Field(None, min_length=1)
    """What is looked for, such as `[PERSON]`; all that the tagger knows."""
    on: str | None = None
    """The field to read; the main text."""
    model: str | None = None
    """A second model of the role by its nick: `model: other` is `--model tag.other=URI`."""

    def writes(self) -> dict[str, Column]:
        return {"spans": Column(VALUE, frozenset({self.on or "text"}))}

    async def note(self, record: Record, ctx: Context) -> Mapping[str, Any]:
        text = str(record.get(self.on or "text") or "")
        return {"spans": await ctx.tag(text, self.labels or [], record) if text.strip() else []}
