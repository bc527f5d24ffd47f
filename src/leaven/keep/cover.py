"""The few that stand for all: rows far from each other, or rows that share what all others hold."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping, Sequence
from functools import partial
from typing import TYPE_CHECKING, ClassVar, Literal, Self

from pydantic import Field, model_validator

from leaven.errors import RecipeError, listed
from leaven.fields import CONTENT
from leaven.keep.dominating import Blocks, dominating
from leaven.keep.middles import most_marginal, nearest_to_middles
from leaven.models.backends.one_thread import one_thread
from leaven.operators import Expr, Keep
from leaven.records import Record, canonical, digest, folded

if TYPE_CHECKING:
    import numpy as np

    from leaven.context import Context
    from leaven.fields import Column

VECTOR = "vector"
ALONE = 2  # the index of alone among the reasons
BLOCK = 2**18  # bytes of texts that are read at a time
CHARACTERS = 3  # of 20 bits each: an item as it travels in a text column
SURROGATES = 0xD800, 0x800  # where code points begin that no text may hold, and how many they are


class Cover(Keep):
    """Keep rows that cover each group: what was left out is near to a kept row, or shares an item with one.

    By ``vector`` and ``how: centres`` the first is the row nearest to the mean, and each further one the row farthest
    from all kept so far (k-centre greedy, Gonzalez 1985).  With ``kmeans`` it is the row nearest to the middle of each
    of n clusters; fewer where fewer rows differ.  With ``mmr`` each is the one with the most balance x worth less
    (1 - balance) x its cosine with the likest of those kept before (maximal marginal relevance, Carbonell and
    Goldstein 1998); a row whose worth is None comes last.

    By a column that holds lists of items, or a text (its words), two rows that share an item are neighbours: taken is
    the row that covers most of what is not covered yet (itself and its neighbours), until all are (the greedy
    dominating set of MinPrompt, Chen et al. 2024).  Ties go to the first in source order.

    1,000 of 100,000 vectors of 256 numbers take 5 to 9 s, and twice the memory of the vectors at most; 100,000 lists of
    3 items 2 s; 100,000 texts of 12 words, where common words link almost all, 30 s.

    Needs a text, an image or a sound for vectors, else the column that `by` names.

    >>> Cover(1)({"text": "lost my card"})
    [{'text': 'lost my card'}]
    """

    n: int | None = Field(None, ge=1)
    """How many of each group; by items at most so many."""
    share: float | None = Field(None, gt=0, le=1)
    """Or which share of each group, rounded down, at least 1."""
    by: str = VECTOR
    """`vector`, or a column of items: a list, or a text for its words."""
    on: str | None = None
    """The field whose vectors are compared; the main text, else the first image or sound."""
    per: str | list[str] = "all"
    """The column or columns that make a group."""
    isolated: Literal["drop", "keep"] = "drop"
    """By items: what becomes of a row that shares none with another."""
    how: Literal["centres", "kmeans", "mmr"] = "centres"
    """By vector: those far from each other, those nearest to the middles of clusters, or those of worth that are unlike
    each other."""
    worth: Expr | None = None
    """With `mmr`: what a row is worth, a column or an expression; from 0 to 1 it weighs as much as a cosine."""
    balance: float = Field(0.5, ge=0, le=1)
    """With `mmr`: 1 goes by worth alone, 0 by unlikeness alone."""

    reasons: ClassVar[tuple[str, ...]] = ("", "covered", "alone")

    @model_validator(mode="after")
    def _how_many(self) -> Cover:
        if self.n is not None and self.share is not None:
            raise ValueError(RecipeError("cover takes n or share, and not both.", "cover: {n: 100}"))
        if self.by == VECTOR and self.n is None and self.share is None:
            raise ValueError(RecipeError("cover by vectors needs n or share.", "cover: {n: 100}"))
        if self.how != "centres" and self.by != VECTOR:
            raise ValueError(RecipeError(f"cover with {self.how} goes by vectors.", "by: vector"))
        if (self.how == "mmr") != (self.worth is not None):
            raise ValueError(RecipeError("cover takes worth with mmr, and only then.", "how: mmr, worth: label_prob"))
        return self

    def scope(self) -> tuple[str, ...]:
        return (self.per,) if isinstance(self.per, str) else tuple(self.per)

    def reads(self) -> frozenset[str]:
        if self.by != VECTOR:
            return frozenset({self.by})
        return frozenset({self.on or ""} - {""}) | (self.worth.names if self.worth else frozenset())

    def bind(self, columns: Mapping[str, Column]) -> Self:
        """Compare the main text where no field is named, else the first image or sound."""
        if self.by != VECTOR or self.on is not None:
            return self
        texts = [name for name, column in columns.items() if column.type in CONTENT and column.written]
        media = [name for name, column in columns.items() if column.type in ("image", "audio", "vector")]
        if not texts and not media:
            raise RecipeError(
                f"cover needs text, image, audio or vector; the data has {listed(columns)}.", "cover: {by: COLUMN}"
            )
        return self.model_copy(update={"on": [*texts, *media][0]})

    def columns(self, records: Sequence[Record], ctx: Context) -> dict[str, np.ndarray]:
        import numpy as np

        if self.by == VECTOR:
            found = {"vector": ctx.vectors(records, [self.on or ""])}
            if self.worth is not None:
                found["worth"] = self.worths(records, ctx)
            return found
        return {"items": np.array([_as_text(self.items(record)) for record in records], np.str_)}

    def worths(self, records: Sequence[Record], ctx: Context) -> np.ndarray:
        """What each row is worth; NaN for None."""
        import numpy as np

        assert self.worth is not None
        found = [self.worth(ctx.values(record), ctx.of(record).rng) for record in records]
        try:
            return np.array([np.nan if value is None else float(value) for value in found], np.float64)
        except (TypeError, ValueError):
            raise RecipeError(
                f"cover goes by the worth `{self.worth.source}`, which is no number.", "worth: label_prob"
            ) from None

    def items(self, record: Record) -> set[int]:
        """A 60-bit hash of each item."""
        value = record.get(self.by)
        if isinstance(value, str):
            value = re.findall(r"\w+", folded(value))
        elif value is not None and not isinstance(value, list | tuple):
            raise RecipeError(
                f"cover goes by `{self.by}`, which is no list of items and no text.",
                "by: vector, or a column of lists.",
            )
        return {int.from_bytes(digest(canonical(item), size=8), "big") >> 4 for item in value or ()}

    def decide(self, columns: Mapping[str, np.ndarray], groups: np.ndarray, ctx: Context) -> np.ndarray:
        import numpy as np

        codes = np.ones(len(groups), np.uint8)
        chosen: list[int] | np.ndarray
        with one_thread():
            for rows in _members(groups):
                found = codes[rows]
                most = len(found)
                if self.share is not None:
                    most = max(1, int(most * self.share + 1e-9))
                elif self.n is not None:
                    most = min(self.n, most)
                if self.by != VECTOR:
                    keys: Blocks = partial(_keys, columns["items"], rows)
                    if found.size * columns["items"].itemsize <= BLOCK:  # a small group is read once
                        keys = list(keys()).__iter__
                    chosen, alone = dominating(keys, most, keep_alone=self.isolated == "keep")
                    found[alone] = ALONE
                elif self.how == "kmeans":
                    chosen = nearest_to_middles(columns[VECTOR][rows], most, ctx.seed)
                elif self.how == "mmr":
                    chosen = most_marginal(columns[VECTOR][rows], columns["worth"][rows], most, self.balance)
                else:
                    chosen = farthest_first(columns[VECTOR][rows], most)
                found[chosen] = 0
                codes[rows] = found
        return codes


def farthest_first(vectors: np.ndarray, n: int) -> list[int]:
    """n rows in the order in which they are taken: the one nearest to the mean, then always the one farthest from its
    nearest so far."""
    import numpy as np

    lengths = np.einsum("ij,ij->i", vectors, vectors)

    def apart(centre: np.ndarray) -> np.ndarray:
        """Squared distances, rounded so that the last bit of a sum breaks no tie."""
        found = vectors @ centre
        found *= -2
        found += lengths
        found += centre @ centre
        rounded: np.ndarray = np.round(found, 6, out=found)
        return rounded

    chosen = [int(apart(vectors.mean(axis=0, dtype=np.float64).astype(vectors.dtype)).argmin())]
    nearest = apart(vectors[chosen[0]])
    nearest[chosen[0]] = -np.inf
    while len(chosen) < n:
        chosen.append(int(nearest.argmax()))
        np.minimum(nearest, apart(vectors[chosen[-1]]), out=nearest)
        nearest[chosen[-1]] = -np.inf
    return chosen


def _members(groups: np.ndarray) -> Iterator[slice | np.ndarray]:
    """The rows of each group, in order."""
    import numpy as np

    if len(groups) and (groups == groups[0]).all():
        yield slice(None)  # of which a column is no copy
        return
    order = np.argsort(groups, kind="stable").astype(np.int32 if len(groups) < 2**31 else np.int64)
    yield from (rows for rows in np.split(order, np.cumsum(np.bincount(groups))[:-1]) if len(rows))


def _as_text(items: set[int]) -> str:
    """Items as a text, which is what a column of uneven rows can be: three characters each, none of them a zero or
    half a character."""
    begin, width = SURROGATES
    bits = [item >> shift & 0xFFFFF for item in sorted(items) for shift in (0, 20, 40)]
    return "".join(chr(1 + bit if 1 + bit < begin else 1 + bit + width) for bit in bits)


def _keys(texts: np.ndarray, rows: slice | np.ndarray) -> Iterator[np.ndarray]:
    """Of these rows some at a time: a row of numbers for each text, one an item, zeros after the last."""
    import numpy as np

    width = texts.dtype.itemsize // 4
    step = max(1, BLOCK // texts.dtype.itemsize)
    some: slice | np.ndarray
    for begin in range(0, len(texts) if isinstance(rows, slice) else len(rows), step):
        some = slice(begin, begin + step) if isinstance(rows, slice) else rows[begin : begin + step]
        block = np.ascontiguousarray(texts[some])
        keys = np.zeros((len(block), width // CHARACTERS), np.uint64)  # none where no row has an item
        if keys.size:
            characters = block.view(np.uint32).reshape(len(block), -1)
            for number in range(CHARACTERS):  # no code point has more than 21 bits
                keys |= characters[:, number::CHARACTERS].astype(np.uint64) << np.uint64(21 * number)
        yield keys
