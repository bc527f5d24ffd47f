"""A caption that says another genre, instrument, mood: a hard negative."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from functools import lru_cache
from typing import TYPE_CHECKING, Any, ClassVar, Self

from pydantic import Field, model_validator

from leaven.errors import RecipeError
from leaven.fields import VALUE, Column
from leaven.io.side_table import side_table
from leaven.operators import File, Make
from leaven.records import Record

if TYPE_CHECKING:
    from leaven.context import Context

COLUMNS = ("term", "category")


@dataclass(frozen=True)
class Terms:
    """The vocabulary: each term's category, each category's terms, and what finds them, the longest first."""

    category: Mapping[str, str]
    of: Mapping[str, Sequence[str]]
    named: re.Pattern[str]


class SwapTerms(Make):
    """Exchange one term of a text for another of the same category.

    TextSwap of Augment, Drop & Swap (Manco, Salamon and Nieto 2024, arXiv:2409.11498): a caption that differs in one
    attribute is a hard negative of contrastive training.  The new term is none that the text names, and none of the
    record's own tags: a piece with flute and violin would make it true.  How many terms the paper exchanges is not
    known to us; here it is one.

    The terms are a table `term,category` (csv, tsv, jsonl ...).  With `into` the text stays, and the exchanged one
    stands beside it; of several captions one is drawn.  A text without a known term is refused as `no_term`, one of
    whose categories has no other as `no_other_term`.

    Needs text.  Makes text.

    >>> import tempfile
    >>> from pathlib import Path
    >>> path = Path(tempfile.mkdtemp()) / "terms.csv"
    >>> _ = path.write_text("term,category\\nflute,instrument\\nbass guitar,instrument\\ncalm,mood\\n")
    >>> SwapTerms(str(path), into="negative")({"text": "a flute solo"})
    [{'text': 'a flute solo', 'negative': 'a bass guitar solo'}]
    """

    takes: ClassVar[str] = "text or caption"
    table: File | None = None
    """The file of terms, beside the recipe; it cannot do without."""
    tags: str | None = None
    """The field of the record's own terms: a list, or a text with commas."""
    into: str | None = None
    """The field for the exchanged text; without it, the text itself is changed."""
    n: int = Field(1, ge=1, le=50)
    """How many children."""
    on: str | None = None
    """The field to read, and to change; the main text."""

    @model_validator(mode="after")
    def _readable(self) -> SwapTerms:
        if self.table:
            terms_of(self.table)
        return self

    def bind(self, columns: Mapping[str, Column]) -> Self:
        if not self.table:
            raise RecipeError("swap_terms needs a table of terms (term,category).", "--set swap_terms.table=FILE")
        return self

    def changes(self) -> frozenset[str]:
        return frozenset({self.into}) if self.into else super().changes()

    def writes(self) -> dict[str, Column]:
        return {self.into: Column(VALUE, frozenset({self.on or "text"}))} if self.into else {}

    def reads(self) -> frozenset[str]:
        return super().reads() | ({self.tags} if self.tags else set())

    def make(self, record: Record, ctx: Context) -> Iterator[Record]:
        field = self.on or "text"
        value = record.get(field)
        texts = [str(text or "") for text in (value if isinstance(value, list) else [value])]
        assert self.table
        terms = terms_of(self.table)
        places = [found for text in texts for found in terms.named.finditer(text)]
        own = {found[0].casefold() for found in places} | tags_of(record.get(self.tags) if self.tags else None)
        ways = [(found, [term for term in others(terms, found[0]) if term.casefold() not in own]) for found in places]
        open_ways = [(found, new) for found, new in ways if new]
        for ordinal in range(self.n):
            if not places:
                yield record.child().refuse("no_term", "no term of the table")
                continue
            if not open_ways:
                yield record.child().refuse("no_other_term", "the categories have no term that is not its own")
                continue
            rng = ctx.rng_of(ordinal)
            found, new = open_ways[int(rng.integers(len(open_ways)))]
            term = new[int(rng.integers(len(new)))]
            said = {"from": found[0], "to": term, "category": terms.category[found[0].casefold()]}
            put = term[:1].upper() + term[1:] if found[0][:1].isupper() else term
            exchanged = found.string[: found.start()] + put + found.string[found.end() :]
            several = [exchanged if text is found.string else text for text in texts]
            in_place = several if isinstance(value, list) else exchanged
            yield record.child({self.into: exchanged} if self.into else {field: in_place}, drawn=said)


def others(terms: Terms, term: str) -> Sequence[str]:
    """All terms of the same category."""
    return terms.of[terms.category[term.casefold()]]


def tags_of(value: Any) -> set[str]:
    """A record's own terms, folded: of a list, of one in JSON or Python (as a table's cell holds it), of a text with
    commas."""
    if isinstance(value, str) and value.startswith("["):
        with suppress(ValueError):
            value = json.loads(value)
    some = value.strip("[]").split(",") if isinstance(value, str) else value or ()
    return {str(tag).strip(" '\"").casefold() for tag in some}


@lru_cache(maxsize=8)
def terms_of(file: File) -> Terms:
    """The table's terms; of one that stands in two categories the first counts."""
    category: dict[str, str] = {}
    of: dict[str, list[str]] = {}
    for row in side_table(file, COLUMNS):
        term, kind = (str(row[name] or "").strip() for name in COLUMNS)
        if term and kind and term.casefold() not in category:
            category[term.casefold()] = kind
            of.setdefault(kind, []).append(term)
    longest = sorted(category, key=len, reverse=True)
    known = "|".join(map(re.escape, longest)) or r"(?!)"
    return Terms(category, of, re.compile(rf"(?<!\w)(?:{known})(?!\w)", re.IGNORECASE))
