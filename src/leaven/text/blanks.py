"""A text with holes."""

from __future__ import annotations

import json
import math
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any, ClassVar, Literal

from pydantic import Field, model_validator

from leaven._tagged import places
from leaven._words import Wrong
from leaven.errors import RecipeError
from leaven.fields import Column
from leaven.operators import Note
from leaven.records import Record

if TYPE_CHECKING:
    from leaven.context import Context

BLANK = "____"


def blank(words: list[str], gone: set[int]) -> str:
    """The words with a blank for each one gone."""
    return " ".join(BLANK if i in gone else word for i, word in enumerate(words))


class Blanks(Note):
    """Note the text with a share of it blanked out, at random; `fill` writes that anew.

    - `choose: random` blanks words, at least one, and leaves at least one where there are two or more.  Zhou et al.
      2022, FlipDA (arXiv:2108.06332), blanks half of the words.
    - `choose: spans` blanks the spans of a column, such as `spans` writes, one blank each, and nothing else: they are
      left out at random, one after the other, until those that stay are at most the share of the text's words or
      characters (blanks do not count).  A span of one character, or of marks alone, is never blanked; of spans that
      share characters the longest counts.  After CFT-CLIP (ACL Findings 2024).

    Needs text.  Writes `blanks`, with ____ for each word or span gone; None where no span stays.

    >>> [row] = Blanks(ratio=0.5)({"text": "my card is lost"})
    >>> row["blanks"].split().count("____")
    2
    >>> row = {"text": "Ann Lee met us on Monday at the old harbour", "spans": [{"start": 0, "end": 7}]}
    >>> [row] = Blanks(ratio=0.3, choose="spans", unit="characters")(row)
    >>> row["blanks"]
    '____ met us on Monday at the old harbour'
    """

    takes: ClassVar[str] = "text"
    ratio: float = Field(0.5, gt=0, le=1)
    """The share of words to blank; of spans the most."""
    choose: Literal["random", "spans"] = "random"
    """What is blanked: words, or spans."""
    spans: str = "spans"
    """The column of spans."""
    unit: Literal["words", "characters"] = "words"
    """What the share of spans is counted in."""
    on: str | None = None
    """The field to read; the main text."""

    @model_validator(mode="after")
    def _of_spans(self) -> Blanks:
        said = [name for name in ("spans", "unit") if name in self.model_fields_set]
        changed = [name for name in said if getattr(self, name) != type(self).model_fields[name].default]
        if changed and self.choose == "random":
            raise ValueError(RecipeError(f"`{changed[0]}` of blanks is for spans.", "blanks: {choose: spans, ...}"))
        return self

    def reads(self) -> frozenset[str]:
        return super().reads() | (frozenset({self.spans}) if self.choose == "spans" else frozenset())

    def writes(self) -> dict[str, Column]:
        return {"blanks": Column("text", frozenset({self.on or "text"}), written=False)}

    def note(self, record: Record, ctx: Context) -> Mapping[str, Any]:
        text = str(record[self.on or "text"])
        if self.choose == "spans":
            return {"blanks": self._without(text, record.get(self.spans), ctx)}
        words = text.split()
        times = max(1, min(round(self.ratio * len(words)), max(1, len(words) - 1)))
        return {"blanks": blank(words, set(ctx.rng.permutation(len(words))[:times].tolist()))}

    def _without(self, text: str, spans: Any, ctx: Context) -> str | None:
        """The text with a blank for each of the spans that fit the share; None where none does."""
        marked = json.loads(spans) if isinstance(spans, str) else spans  # as lines of JSON hold them
        try:
            found = [(start, end) for start, end, _ in places(marked, text)]
        except Wrong as wrong:
            raise RecipeError(f"{wrong.what}.", f"name the column of spans: spans: {self.spans}") from None
        found = [(a, b) for a, b in found if b - a > 1 and any(map(str.isalnum, text[a:b]))]
        room = math.floor(self.ratio * self._size(text) + 1e-9)  # 0.29 * 100 is 28.999...
        while found and sum(self._size(text[a:b]) for a, b in found) > room:
            found.pop(int(ctx.rng.integers(len(found))))
        if not found:
            return None
        for start, end in reversed(found):  # from right to left: the places before stay true
            text = text[:start] + BLANK + text[end:]
        return text

    def _size(self, text: str) -> int:
        words = text.split()
        return len(words) if self.unit == "words" else sum(map(len, words))
