"""The phrases of a text that tell most, with blanks for the rest."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping, Sequence
from typing import TYPE_CHECKING, Any, ClassVar

from pydantic import Field

from leaven.fields import Column
from leaven.operators import Note
from leaven.records import Record
from leaven.text.blanks import BLANK

if TYPE_CHECKING:
    from leaven.context import Context

WORD = re.compile(r"\w+(?:['’-]\w+)*")
_IDLE = (
    "a about after all also am an and any are as at be because been before being but by can could did do does for from"
    " had has have he her hers him his how i if in into is it its me my no nor not of on or our ours out over she so"
    " some such than that the their them then there these they this those to too under up us was we were what when"
    " where which who whom why will with would you your yours"
)
IDLE = frozenset(_IDLE.split())
"""English words that say nothing alone: none of them is a phrase by itself."""


class Sketch(Note):
    """Note a text's most telling phrases where they stand, with a blank for each stretch between them.

    Phrases are runs of one to ``ngram`` words.  Those count as telling whose vectors are nearest to the mean of the
    text's vector and that of its label's meaning: as many as a ``keep`` of its words, at least one, ``most`` at most
    (Guo et al. 2022, GENIUS, arXiv:2211.10330).  Phrases that share words are common.  A model then writes the rest
    anew: `write: {prompt: "... {{ sketch }}"}`.

    Needs text.  Writes `sketch`, with ____ for each stretch that is gone.

    >>> [row] = Sketch()({"text": "my bank card is lost since Sunday", "label": "card"})
    >>> row["sketch"]
    '____ card ____'
    """

    roles: ClassVar[frozenset[str]] = frozenset({"embed"})
    takes: ClassVar[str] = "text"
    keep: float = Field(0.2, gt=0, le=1)
    """How many phrases, as a share of the words."""
    ngram: int = Field(3, ge=1, le=5)
    """The words of the longest phrase."""
    most: int = Field(40, ge=1)
    """The most phrases."""
    on: str | None = None
    """The text; the main text."""

    def writes(self) -> dict[str, Column]:
        return {"sketch": Column("text", frozenset({self.on or "text"}), written=False)}

    def notes(self, records: Sequence[Record], ctx: Context) -> Iterator[Mapping[str, Any]]:
        import numpy as np

        label = ctx.constants.get("label_field", "")
        for record in records:
            text = str(record[self.on or "text"])
            found = phrases(text, self.ngram)
            if not found:
                yield {"sketch": BLANK}
                continue
            aspects = [text]
            if record.get(label):
                aspects.append(str(ctx.labels.get(str(record[label]), record[label])))
            vectors = ctx.embed([*found, *aspects])
            near = vectors[: len(found)] @ vectors[len(found) :].mean(axis=0)
            k = min(max(int(len(text.split(" ")) * self.keep), 1), self.most)
            best = np.argsort(-near, kind="stable")[:k]
            yield {"sketch": sketched(text, [found[i] for i in best])}


def phrases(text: str, ngram: int) -> list[str]:
    """All runs of one to n words with nothing but blanks between them, each once; no idle word alone."""
    words = list(WORD.finditer(text))
    found: dict[str, None] = {}
    for i, first in enumerate(words):
        for n, last in enumerate(words[i : i + ngram]):
            if n and text[words[i + n - 1].end() : last.start()].strip():
                break
            if n or first[0].casefold() not in IDLE:
                found[" ".join(word[0] for word in words[i : i + n + 1])] = None
    return list(found)


def sketched(text: str, kept: Sequence[str]) -> str:
    """The text with a blank for each stretch that stands in none of the phrases, wherever these stand."""
    words = list(WORD.finditer(text))
    stays = [False] * len(words)
    for run in (phrase.split(" ") for phrase in kept):
        for i in range(len(words) - len(run) + 1):
            if [word[0] for word in words[i : i + len(run)]] == run:
                stays[i : i + len(run)] = [True] * len(run)
    found, end = "", 0
    for word, stay in zip(words, stays, strict=True):
        if stay:
            gap = text[end : word.start()]
            found += gap if end and not gap.strip() else f" {BLANK} " if gap.strip() else ""
            found += word[0]
            end = word.end()
    return (found + (f" {BLANK}" if text[end:].strip() else "")).strip()
