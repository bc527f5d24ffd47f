"""Texts that a language model goes on with."""

from __future__ import annotations

from collections.abc import AsyncIterator, Mapping
from typing import TYPE_CHECKING, ClassVar, Self

from pydantic import Field

from leaven.asks import Asks
from leaven.fields import SCORE, VALUE, Column
from leaven.models.shapes import columns
from leaven.operators import Make, Text
from leaven.records import Record
from leaven.text.main import main_text

if TYPE_CHECKING:
    from leaven.context import Context


class Continue(Asks, Make):
    """Let a language model go on with a prompt; how it goes on is the new text.

    `stop` says where a text ends, `draw` which rows the prompt shows before it.  A chat model can stand in, and is
    told to go on; it gives no log-probabilities.  A text that is empty is refused as `empty`, if
    not said otherwise.

    Needs what the prompt reads.  Makes text; `logprob`, the mean log-probability of its tokens, and `tokens`, how many
    these are; `finish`, why it ended: `stop`, or `length` where it was cut (None where the model does not say).

    >>> begun = "Short questions about a {{ label }}:\\n- {{ text }}\\n-"
    >>> [row] = Continue(prompt=begun, stop="\\n")({"text": "my card is lost", "label": "card"}, complete="fake:shape")
    >>> row["label"], row["logprob"]
    ('card', None)
    """

    roles: ClassVar[frozenset[str]] = frozenset({"complete"})
    calls: int = Field(1, ge=1, le=1000)
    """How many times; each makes one child."""
    into: str | None = None
    """The field that the text becomes; the main text."""
    prompt: Text
    """The text to go on from."""
    frequency_penalty: float | None = Field(None, ge=-2, le=2)
    """Above 0, words that were said already come more seldom."""

    adapter: str | None = None
    """The step that fitted the model to the data: `adapter: own` after `adapter as own: {role: complete, ...}`."""
    empty: bool = False
    """Let a text that is empty go on, for a later step to mend, instead of refusing it."""

    def bind(self, columns: Mapping[str, Column]) -> Self:
        return self.model_copy(update={"into": self.into or main_text(columns)})

    def field(self) -> str:
        return self.into or "text"

    def changes(self) -> frozenset[str]:
        return frozenset({self.field()})

    def writes(self) -> dict[str, Column]:
        score, value = Column(SCORE, self.changes(), written=False), Column(VALUE, self.changes(), written=False)
        return {**columns({self.field(): "str"}), "logprob": score, "tokens": score, "finish": value}

    def asked(self) -> int:
        return self.calls

    async def make(self, record: Record, ctx: Context) -> AsyncIterator[Record]:
        for _ in range(self.calls):
            found = await ctx.complete(self.prompt, record)
            text = found.text.strip()
            said = {"logprob": found.logprob, "tokens": found.tokens, "finish": found.finish}
            child = record.child({self.field(): text, **said})
            yield child if text or self.empty else child.refuse("empty")
