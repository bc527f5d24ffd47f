"""Words and phrases of a text in other languages, by a lexicon."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping, Sequence
from functools import lru_cache
from itertools import pairwise
from typing import TYPE_CHECKING, Any, ClassVar, Self

from pydantic import Field, field_validator, model_validator

from leaven.errors import RecipeError
from leaven.expressions import Expression, parse_expression
from leaven.fields import Column
from leaven.io.side_table import side_table
from leaven.operators import Expr, File, Make
from leaven.records import Record

if TYPE_CHECKING:
    import numpy as np

    from leaven.context import Context

WORD = re.compile(r"\w+(?:['’]\w+)*")
LONGEST, SHORTEST = 5, 2
"""How many words a phrase has."""
COLUMNS = ("word", "lang", "translation")

Lexicon = Mapping[str, Mapping[str, Sequence[str]]]
"""A word or phrase, folded: by language its translations."""
Edit = tuple[int, int, str, str]
"""From where to where of a text, what stands there then, and its language."""


class CodeSwitch(Make):
    """Put some words and phrases of a text into other languages.

    CultureMixup's text side (EMNLP 2023 main.18) in three tiers.  `replace` puts one concept in the place of another,
    exactly, wherever it stands.  Then phrases of five words down to two that the lexicon knows are switched, each with
    the chance `phrases`; then single words, each with the chance `words`.  Each goes into one of the languages `to`
    that have a translation, drawn evenly.  What was replaced stays, and what the lexicon does not know stays.

    The lexicon is a table `word,lang,translation` (csv, tsv, jsonl ...).  The paper asks a translation service for
    phrases, and does not give the two chances: 0.5 and 0.15 are ours.

    Needs text.  Makes text.

    >>> import tempfile
    >>> from pathlib import Path
    >>> path = Path(tempfile.mkdtemp()) / "words.csv"
    >>> _ = path.write_text("word,lang,translation\\ndog,swh,mbwa\\ncat,swh,paka\\n")
    >>> CodeSwitch(to=["swh"], lexicon=str(path), words=1)({"text": "A dog and a cat"})
    [{'text': 'A mbwa and a paka'}]
    """

    takes: ClassVar[str] = "text"
    to: list[str] = []
    """The languages, as the lexicon writes them."""
    lexicon: File | None = None
    """The file of words and phrases, beside the recipe; only replacing needs none."""
    replace: dict[str, Expr] = {}
    """What stands for what: `{old: new}`, two fields, or expressions."""
    words: float = Field(0.15, ge=0, le=1)
    """The chance of each word that the lexicon knows."""
    phrases: float = Field(0.5, ge=0, le=1)
    """The chance of each phrase that the lexicon knows."""
    n: int = Field(1, ge=1, le=50)
    """How many children."""
    on: str | None = None
    """The field to change; the main text."""

    @field_validator("replace")
    @classmethod
    def _expressions(cls, given: dict[str, Any]) -> dict[str, Any]:
        for old in given:
            _parsed(old)
        return given

    @model_validator(mode="after")
    def _readable(self) -> CodeSwitch:
        if self.lexicon:
            lexicon_of(self.lexicon)
        return self

    def bind(self, columns: Mapping[str, Column]) -> Self:
        if (self.words or self.phrases) and not (self.to and self.lexicon):
            raise RecipeError(
                "code_switch needs a lexicon (word,lang,translation), and the languages to switch to.",
                "--set code_switch.lexicon=FILE; or words: 0 and phrases: 0, to replace alone.",
            )
        return self

    def pairs(self) -> list[tuple[Expression, Expression]]:
        return [(_parsed(old), new) for old, new in self.replace.items()]

    def reads(self) -> frozenset[str]:
        return super().reads().union(*(old.names for old, _ in self.pairs()))

    def make(self, record: Record, ctx: Context) -> Iterator[Record]:
        field = self.on or "text"
        text = str(record.get(field) or "")
        values = ctx.values(record)
        concepts = [(old(values, ctx.rng), new(values, ctx.rng)) for old, new in self.pairs()]
        named = [(str(old), str(new)) for old, new in concepts if old and new]
        known: Lexicon = lexicon_of(self.lexicon) if self.lexicon else {}
        for ordinal in range(self.n):
            edits = replaced(text, named)
            edits += switched(text, edits, known, self.to, (self.phrases, self.words), ctx.rng_of(ordinal))
            said = [[text[begin:end], new, lang] for begin, end, new, lang in sorted(edits)]
            yield record.child({field: edited(text, edits)}, drawn={"switched": said})


@lru_cache(maxsize=64)
def _parsed(source: str) -> Expression:
    """An expression that is a key, and so stays the text that it was."""
    return parse_expression(source)


def replaced(text: str, concepts: Sequence[tuple[str, str]]) -> list[Edit]:
    """Each concept where it stands as whole words, in any case; the first of them wins where two overlap."""
    edits: list[Edit] = []
    for old, new in concepts:
        for found in re.finditer(rf"(?<!\w){re.escape(old)}(?!\w)", text, re.IGNORECASE):
            if free(edits, *found.span()):
                edits.append((*found.span(), new, ""))
    return edits


def switched(
    text: str,
    taken: Sequence[Edit],
    known: Lexicon,
    to: Sequence[str],
    chances: tuple[float, float],
    rng: np.random.Generator,
) -> list[Edit]:
    """What is switched of a text: phrases, the longest first, with the first chance, then words with the second."""
    words = list(WORD.finditer(text))
    edits = list(taken)
    for count in range(LONGEST, 0, -1):
        chance = chances[0] if count >= SHORTEST else chances[1]
        for i in range(len(words) - count + 1):
            some = words[i : i + count]
            begin, end = some[0].start(), some[-1].end()
            apart = any(text[a.end() : b.start()].strip() for a, b in pairwise(some))
            if apart or not free(edits, begin, end):
                continue
            into = known.get(" ".join(word[0] for word in some).casefold(), {})
            langs = [lang for lang in to if lang in into]
            if langs and rng.random() < chance:
                lang = langs[int(rng.integers(len(langs)))]
                new = into[lang][int(rng.integers(len(into[lang])))]
                capital = new[:1].upper() + new[1:] if text[begin].isupper() else new
                edits.append((begin, end, capital, lang))
    return edits[len(taken) :]


def free(edits: Sequence[Edit], begin: int, end: int) -> bool:
    return all(end <= before or begin >= after for before, after, *_ in edits)


def edited(text: str, edits: Sequence[Edit]) -> str:
    for begin, end, new, _ in sorted(edits, reverse=True):
        text = text[:begin] + new + text[end:]
    return text


@lru_cache(maxsize=8)
def lexicon_of(file: File) -> Lexicon:
    found: dict[str, dict[str, list[str]]] = {}
    for row in side_table(file, COLUMNS):
        word, lang, translation = (str(row[name] or "").strip() for name in COLUMNS)
        if word and lang and translation:
            found.setdefault(" ".join(word.split()).casefold(), {}).setdefault(lang, []).append(translation)
    return found
