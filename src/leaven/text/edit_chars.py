"""Slips of the finger: letters exchanged, dropped, doubled, or hit beside the key."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING, ClassVar

from pydantic import Field

from leaven.operators import Make
from leaven.records import Record

if TYPE_CHECKING:
    import numpy as np

    from leaven.context import Context

ROWS = ("1234567890", "qwertyuiop", "asdfghjkl", "zxcvbnm")
KINDS = ("swap", "drop", "double", "beside")


def _beside() -> dict[str, str]:
    """The keys next to each letter on a QWERTY keyboard: left, right, and the two above and below."""
    at = {key: (y, x + 0.5 * (y > 1) + 0.25 * (y > 2)) for y, row in enumerate(ROWS) for x, key in enumerate(row)}
    return {
        key: "".join(o for o, (v, u) in at.items() if o != key and abs(v - y) <= 1 and abs(u - x) <= 1 and o.isalpha())
        for key, (y, x) in at.items()
        if key.isalpha()
    }


BESIDE = _beside()


def slip(word: str, at: int, kind: str, other: str) -> str:
    """The word with one slip at a letter: exchanged with the next, dropped, doubled, or ``other`` in its place."""
    if kind == "swap":
        return word[:at] + word[at + 1 : at + 2] + word[at] + word[at + 2 :]
    if kind == "drop":
        return word[:at] + word[at + 1 :]
    if kind == "double":
        return word[: at + 1] + word[at:]
    return word[:at] + other + word[at + 1 :]


class EditChars(Make):
    """Put typing errors into a share of the words; the label stays.

    A slip exchanges a letter with the next, drops it, doubles it, or hits a key beside it (QWERTY).  Words of fewer
    than four letters stay, and so does the first letter of every word: readers, and embedders, lean on it.

    Helps where users type with errors and the training rows have none.
    A text without a word of four letters is refused as `no_words`.

    Needs text.  Makes text.

    >>> len(EditChars(n=3)({"text": "my card is lost"}))
    3
    """

    takes: ClassVar[str] = "text"
    n: int = Field(1, ge=1, le=50)
    """How many children."""
    p: float = Field(0.1, gt=0, le=1)
    """The share of words with a slip; at least one word."""
    on: str | None = None
    """The field to change; the main text."""

    def make(self, record: Record, ctx: Context) -> Iterator[Record]:
        field = self.on or "text"
        words = str(record[field]).split()
        long = [i for i, word in enumerate(words) if len(word) >= 4]
        for ordinal in range(self.n):
            if not long:
                yield record.child().refuse("no_words", "no word of four letters")
                continue
            yield record.child({field: " ".join(self.draw(words, long, ctx.rng_of(ordinal)))})

    def draw(self, words: list[str], long: list[int], rng: np.random.Generator) -> list[str]:
        out = list(words)
        times = max(1, round(self.p * len(words)))
        for place in rng.permutation(len(long))[:times]:
            word = words[long[int(place)]]
            at = int(rng.integers(1, len(word)))
            kind = KINDS[int(rng.integers(len(KINDS)))]
            near = BESIDE.get(word[at].lower(), "")
            if kind == "beside" and not near:
                kind = "double"
            if kind == "swap" and (at + 1 >= len(word) or word[at] == word[at + 1]):
                kind = "drop"
            other = near[int(rng.integers(len(near)))] if kind == "beside" else ""
            out[long[int(place)]] = slip(word, at, kind, other)
        return out
