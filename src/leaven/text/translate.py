"""Another language, or there and back."""

from __future__ import annotations

import re
from collections.abc import AsyncIterator
from typing import TYPE_CHECKING, ClassVar

from pydantic import model_validator

from leaven.asks import Asks
from leaven.errors import RecipeError
from leaven.fields import VALUE, Column
from leaven.operators import Make, Text
from leaven.records import Record

if TYPE_CHECKING:
    from leaven.context import Context


class Translate(Asks, Make):
    """Translate a text, or send it through another language and back; the label stays.

    With ``to`` the child is in that language, and `lang` says which; with ``via`` two translations come back to the
    language of the text, and what stood between is kept in the child's history.  Languages are named by their ISO
    639-3 codes.  A short text often comes back as it was: follow it with `unique`.  An empty one is refused as
    `empty`.  Sennrich et al. 2016 (arXiv:1511.06709).

    Needs text.  Makes text, and `lang` with ``to``.

    >>> [row] = Translate("spa")({"text": "my card is lost", "label": "card"}, translate="fake:shape")
    >>> row["lang"], row["label"]
    ('spa', 'card')
    """

    roles: ClassVar[frozenset[str]] = frozenset({"translate"})
    takes: ClassVar[str] = "text"
    to: Text | None = None
    """The language of the child: `deu`, or `{{ lang }}`."""
    via: Text | None = None
    """Or the language to pass through, there and back: `spa`, or `{{ choice(['deu', 'fra']) }}`."""
    source: str = "eng"
    """The language of the text."""
    on: str | None = None
    """The field to translate; the main text."""

    @model_validator(mode="after")
    def _one_way(self) -> Translate:
        if (self.to is None) == (self.via is None):
            raise ValueError(RecipeError("translate needs `to` or `via`, and not both.", "translate: {via: spa}"))
        said = self.to or self.via
        assert said is not None
        for code in (self.source, *([] if "{" in said.source else [said.source])):
            if not re.fullmatch(r"[a-z]{3}", code):
                raise ValueError(
                    RecipeError(f"`{code}` is no ISO 639-3 code of a language.", "three letters: eng, spa, deu, zho.")
                )
        return self

    def writes(self) -> dict[str, Column]:
        return {"lang": Column(VALUE)} if self.to else {}

    def asked(self) -> int:
        return 1

    async def make(self, record: Record, ctx: Context) -> AsyncIterator[Record]:
        on = self.on or "text"
        text = str(record.get(on) or "")
        if self.to:
            to = ctx.text(self.to, record).strip()
            said = (await ctx.translate(text, record, to=to, source=self.source)).strip()
            child = record.child({on: said, "lang": to})
        else:
            assert self.via is not None
            via = ctx.text(self.via, record).strip()
            between = (await ctx.translate(text, record, to=via, source=self.source)).strip()
            said = (await ctx.translate(between, record, to=self.source, source=via)).strip() if between else ""
            child = record.child({on: said}, drawn={"via": via, "between": between})
        yield child if said else child.refuse("empty")
