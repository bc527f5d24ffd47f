"""How expected a text is to a language model."""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any, ClassVar

from pydantic import Field

from leaven.asks import Asks
from leaven.expressions import parse_template
from leaven.fields import SCORE, Column
from leaven.operators import Note, Text
from leaven.records import Record

if TYPE_CHECKING:
    from leaven.context import Context


class Perplexity(Asks, Note):
    """Note the perplexity of a text under a language model: how many tokens seemed as likely as the one that came.

    The server says the log-probability of each token of what it is sent (`/v1/completions` with `echo`, as vLLM has
    it); nothing is written.  With `after` it is that of the text where it follows another, such as a question and its
    answer, for a second call.  Chat models give none.  A text is as fluent as the model is of its kind: compare with
    the real rows, not with a number from elsewhere.

    Needs a text.
    Writes `perplexity`, `exp` of minus the mean natural logarithm of the probabilities, the first token aside where
    nothing stands before it; `perplexity_tokens`, of how many.  Both are None where the model gives none.

    >>> [row] = Perplexity()({"text": "where is my card"}, complete="fake:shape")
    >>> row["perplexity"] is None
    True
    """

    roles: ClassVar[frozenset[str]] = frozenset({"complete"})
    takes: ClassVar[str] = "text"
    after: Text = Field("", validate_default=True)
    """What stands before the text, such as `{{ question }}`."""
    on: str | None = None
    """The field to read; the main text."""

    def sampling(self) -> dict[str, Any]:
        return {"echo": True, "max_tokens": 0}

    def writes(self) -> dict[str, Column]:
        column = Column(SCORE, self.reads(), written=False)
        return {"perplexity": column, "perplexity_tokens": column}

    async def note(self, record: Record, ctx: Context) -> Mapping[str, Any]:
        before, text = ctx.text(self.after, record), str(record.get(self.on or "text") or "")
        whole = await self.sum_of(before + text, record, ctx)
        # A blank between the two is part of the token that follows it.
        begin = await self.sum_of(before.rstrip(), record, ctx) if before.strip() and whole else (0.0, 0)
        if not whole or not begin or whole[1] <= begin[1]:
            return {"perplexity": None, "perplexity_tokens": None}
        count = whole[1] - begin[1]
        mean = (whole[0] - begin[0]) / count
        return {"perplexity": round(math.exp(min(700.0, max(0.0, -mean))), 4), "perplexity_tokens": count}

    async def sum_of(self, text: str, record: Record, ctx: Context) -> tuple[float, int] | None:
        """The sum of the log-probabilities of a text's tokens but the first, and their number."""
        if not text.strip():
            return None
        found = await ctx.complete(PROMPT, record, given=text)
        # A server that knows no `echo`, or must write at least a word, says another text than it was sent.
        if found.logprob is None or not found.tokens or found.text != text.strip():
            return None
        return found.logprob * found.tokens, found.tokens


PROMPT = parse_template("{{ given }}")
