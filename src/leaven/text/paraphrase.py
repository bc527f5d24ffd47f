"""The same in other words."""

from __future__ import annotations

import re
from collections.abc import AsyncIterator
from typing import TYPE_CHECKING, ClassVar

from pydantic import BaseModel, Field

from leaven.asks import Asks
from leaven.operators import Expr, Make, Text
from leaven.records import Record
from leaven.text.bare import bare

if TYPE_CHECKING:
    from leaven.context import Context

PROMPT = """\
Say the text below in {{ n }} other ways{% if style %}, each of them {{ style }}{% endif %}. \
Each keeps the meaning, stands on its own, and differs from the text and from the others in words and sentence form. \
Write in {{ lang or 'the language of the text' }}.\
{% if lock %} These stay in every one, letter by letter: {{ lock|join(', ') }}.{% endif %}
{% if examples is defined and examples %}
Others have said it in these ways; find new ones:
{% for e in examples %}- {{ e[on] }}
{% endfor %}{% endif %}
Text: {{ record[on] }}"""


class Rewrites(BaseModel):
    """The answer."""

    rewrites: list[str]


class Paraphrase(Asks, Make):
    """Say a text in n other ways; the label stays.

    One call asks for all n.  A text that is empty is refused as `empty`, one that lost what it had to keep as
    `lock_lost`; what repeats another or its parent is left to `unique`.  Dai et al. 2023, AugGPT (arXiv:2302.13007).

    Needs text.  Makes text.

    >>> rows = Paraphrase(2)({"text": "my card is lost", "label": "card"}, chat="fake:shape")
    >>> len(rows), rows[0]["label"], rows[0]["text"] != "my card is lost"
    (2, 'card', True)
    """

    roles: ClassVar[frozenset[str]] = frozenset({"chat"})
    takes: ClassVar[str] = "text"
    n: int = Field(6, ge=1, le=50)
    """How many ways."""
    style: Text | None = None
    """What each of them is: `in the passive`, `a question`, `{{ choice(ways) }}`."""
    lock: Expr | None = None
    """A list of words that each of them has to hold, or a field with such a list."""
    lang: str | None = None
    """The language to write in, where it is not the text's: `Spanish`."""
    prompt: Text = Field(PROMPT, validate_default=True)
    """What is asked."""
    on: str | None = None
    """The field to say anew; the main text."""

    def asked(self) -> int:
        return self.n

    async def make(self, record: Record, ctx: Context) -> AsyncIterator[Record]:
        on = self.on or "text"
        style = ctx.text(self.style, record) if self.style else None
        kept = self.lock(ctx.values(record), ctx.rng) if self.lock else None
        lock = [str(word) for word in ([kept] if isinstance(kept, str) else kept or ())]
        reply = await ctx.chat(self.prompt, record, shape=Rewrites, wanted=self.n, style=style, lock=lock)
        for said in reply.rewrites[: self.n]:
            text = bare(said)
            child = record.child({on: text})
            if not text:
                yield child.refuse("empty")
            elif gone := lost(lock, text):
                yield child.refuse("lock_lost", gone)
            else:
                yield child


def lost(lock: list[str], text: str) -> str:
    """The first of the words that does not stand in the text as a whole: `US` does not stand in `USA`."""
    return next((word for word in lock if not re.search(rf"(?<!\w){re.escape(word)}(?!\w)", text)), "")
