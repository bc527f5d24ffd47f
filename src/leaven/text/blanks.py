"""A text with holes."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any, ClassVar

from pydantic import Field

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
    """Note the text with a share of its words blanked out, at random; `fill` writes them anew.

    At least one word is blanked and, where there are two or more, at least one stays.
    Zhou et al. 2022, FlipDA (arXiv:2108.06332), blanks half of the words.

    Needs text.  Writes `blanks`, with ____ for each word gone.

    >>> [row] = Blanks(ratio=0.5)({"text": "my card is lost"})
    >>> row["blanks"].split().count("____")
    2
    """

    takes: ClassVar[str] = "text"
    ratio: float = Field(0.5, gt=0, le=1)
    """The share of words to blank."""
    on: str | None = None
    """The field to read; the main text."""

    def writes(self) -> dict[str, Column]:
        return {"blanks": Column("text", frozenset({self.on or "text"}), written=False)}

    def note(self, record: Record, ctx: Context) -> Mapping[str, Any]:
        words = str(record[self.on or "text"]).split()
        times = max(1, min(round(self.ratio * len(words)), max(1, len(words) - 1)))
        return {"blanks": blank(words, set(ctx.rng.permutation(len(words))[:times].tolist()))}
