"""What of a text is new, and what is copied from a real row."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from functools import lru_cache
from typing import TYPE_CHECKING, Any, ClassVar

from pydantic import Field

from leaven.fields import SCORE, VALUE, Column
from leaven.operators import Note, State
from leaven.records import Record
from leaven.text.copied_spans import Known, longest, unseen
from leaven.text.words import numbered, words

if TYPE_CHECKING:
    from leaven.context import Context, Rows


class Novelty(Note):
    """Note how much of a text stands in no real row, and the longest run of words that it copies from one.

    Case and punctuation do not count; in scripts without blanks a character is a word.  A real row is not compared
    with itself, a child is compared with its parent as with all others: a long copied run is what shows that a model
    recites (Carlini et al. 2023, arXiv:2202.07646, count runs of 50 tokens), or that a rewrite rewrites little.

    Needs a text.
    Writes `novelty`, the share of its runs of n words that no real row holds (0 of a text without words);
    `copied`, how many words the longest run has that a real row holds; `copied_share`, these over all its words;
    `copied_from`, the id of that row, the first where several hold it.

    >>> desk = [{"text": "I have lost my card, please block it"}, {"text": "Are you open on Sunday?"}]
    >>> [row] = Novelty()({"text": "I lost it, please block it now"}, source=desk)
    >>> row["novelty"], row["copied"], row["copied_share"]
    (0.8, 3, 0.428571)
    """

    takes: ClassVar[str] = "text"
    n: int = Field(3, ge=1, le=20)
    """How many words a run has of which `novelty` tells; a shorter text is one run."""
    on: str | None = None
    """The field to compare; the main text."""

    def writes(self) -> dict[str, Column]:
        about = frozenset({self.on or "text"})
        score, value = Column(SCORE, about, written=False), Column(VALUE, about, written=False)
        return {"novelty": score, "copied": score, "copied_share": score, "copied_from": value}

    def fit(self, rows: Mapping[str, Rows], ctx: Context) -> State:
        import numpy as np

        [table] = rows.values()
        tokens, ends = numbered(words(text) for block in table.blocks() for text in block.texts([self.on or "text"]))
        return {"tokens": tokens, "ends": ends, "ids": np.array(table.ids, np.str_)}

    def notes(self, records: Sequence[Record], ctx: Context) -> Iterator[Mapping[str, Any]]:
        import numpy as np

        known, at = _known(_Held(ctx.state))
        tokens, ends = numbered(words(str(record.get(self.on or "text") or "")) for record in records)
        own = np.array([-1 if record.parents else at.get(record.id, -1) for record in records], np.int64)
        share = np.round(unseen(known, tokens, ends, own, self.n), 6).tolist()
        copied, holder = longest(known, tokens, ends, own)
        of_all = np.round(copied / np.maximum(np.diff(ends), 1), 6).tolist()
        for new, count, part, where in zip(share, copied.tolist(), of_all, holder.tolist(), strict=True):
            named = str(ctx.state["ids"][where]) if where >= 0 else None
            yield {"novelty": new, "copied": count, "copied_share": part, "copied_from": named}


class _Held:
    """A state as a key of a cache: the same one is the same object for as long as a stage runs."""

    def __init__(self, state: State) -> None:
        self.state = state

    def __hash__(self) -> int:
        return id(self.state)

    def __eq__(self, other: object) -> bool:
        return isinstance(other, _Held) and other.state is self.state


@lru_cache(maxsize=2)
def _known(held: _Held) -> tuple[Known, dict[str, int]]:
    state = held.state
    return Known(state["tokens"], state["ends"]), {str(name): i for i, name in enumerate(state["ids"])}
