"""How usual the words of a text are among the real rows."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import TYPE_CHECKING, Any, ClassVar

from leaven.fields import SCORE, Column
from leaven.operators import Note, State
from leaven.records import Record
from leaven.text.words import numbered, words

if TYPE_CHECKING:
    import numpy as np

    from leaven.context import Context, Rows


class Typicality(Note):
    """Note how usual the words of a text are, by how often the real rows use each.

    The law is that of single words, one added to each count (Laplace).  A real row is judged without itself, so that
    real and made rows compare.  Low is what the real rows do not talk of, or not in these words; very high says
    nothing but what all say.  Order does not count: a text of shuffled words is as typical.

    Needs a text.
    Writes `typicality`, the mean natural logarithm of the probability of its words (of an unknown word where it has
    none), and `typicality_rank`, the share of the real rows that are less typical, from 0 to 1, ties by half.

    >>> desk = [{"text": "where is my card"}, {"text": "my card is lost"}, {"text": "open on sunday"}]
    >>> usual, odd = (Typicality()({"text": text}, source=desk)[0] for text in ("is my card here", "a purple cow"))
    >>> usual["typicality"], odd["typicality"], odd["typicality_rank"]
    (-2.171773, -2.995732, 0.0)
    """

    takes: ClassVar[str] = "text"
    on: str | None = None
    """The field to read; the main text."""

    def writes(self) -> dict[str, Column]:
        column = Column(SCORE, frozenset({self.on or "text"}), written=False)
        return {"typicality": column, "typicality_rank": column}

    def fit(self, rows: Mapping[str, Rows], ctx: Context) -> State:
        """How often each word stands in the real rows, in the order of their hashes; each row's own value, sorted."""
        import numpy as np

        [table] = rows.values()
        tokens, ends = numbered(words(text) for block in table.blocks() for text in block.texts([self.on or "text"]))
        known, counts = np.unique(tokens, return_counts=True)
        own = values(tokens, ends, known, counts, np.ones(len(table), bool))
        return {"words": known, "counts": counts, "own": np.sort(own), "ids": np.sort(np.array(table.ids, np.str_))}

    def notes(self, records: Sequence[Record], ctx: Context) -> Iterator[Mapping[str, Any]]:
        import numpy as np

        state = ctx.state
        tokens, ends = numbered(words(str(record.get(self.on or "text") or "")) for record in records)
        real = np.isin([record.id for record in records], state["ids"]) & [not record.parents for record in records]
        found = values(tokens, ends, state["words"], state["counts"], real)
        less, most = (np.searchsorted(state["own"], found, side) for side in ("left", "right"))
        # A real row is among those that it is compared with, and ties with itself.
        rank = (less + most - real) / 2 / np.maximum(len(state["own"]) - real, 1)
        for value, share in zip(found.tolist(), np.round(rank, 6).tolist(), strict=True):
            yield {"typicality": value, "typicality_rank": share}


def values(tokens: np.ndarray, ends: np.ndarray, known: np.ndarray, counts: np.ndarray, own: np.ndarray) -> np.ndarray:
    """The mean logarithm of the probability of each text's words; where ``own``, without the text's own words."""
    import numpy as np

    text = np.repeat(np.arange(len(ends) - 1), np.diff(ends))
    if len(known):
        at = np.minimum(np.searchsorted(known, tokens), len(known) - 1)
        count = np.where(known[at] == tokens, counts[at], 0)
    else:
        count = np.zeros(len(tokens), np.int64)
    order = np.lexsort((tokens, text))
    new = np.ones(len(tokens), bool)
    new[1:] = (tokens[order][1:] != tokens[order][:-1]) | (text[order][1:] != text[order][:-1])
    group = np.cumsum(new) - 1
    within = np.empty(len(tokens), np.int64)
    within[order] = np.bincount(group)[group] if len(group) else group
    length = np.diff(ends)
    total = counts.sum() + len(known) + 1 - np.where(own, length, 0)
    said = np.log((count + 1 - np.where(own[text], within, 0)) / total[text])
    unknown = -np.log(total)
    mean = np.bincount(text, said, len(length)) / np.maximum(length, 1)
    rounded: np.ndarray = np.round(np.where(length > 0, mean, unknown), 6)
    return rounded
