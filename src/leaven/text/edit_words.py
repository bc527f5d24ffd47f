"""Words swapped, dropped, or parted by punctuation."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING, ClassVar, Literal

from pydantic import Field

from leaven.errors import DataError
from leaven.operators import Make
from leaven.records import Record
from leaven.text.thesaurus import read_thesaurus

if TYPE_CHECKING:
    import numpy as np

    from leaven.context import Context

MARKS = (".", ",", "!", "?", ";", ":")

Op = Literal["swap", "delete", "punctuation", "replace", "insert"]


def swap(words: Sequence[str], pairs: Sequence[tuple[int, int]]) -> list[str]:
    """Exchange the words at each pair of places, one pair after the other."""
    out = list(words)
    for a, b in pairs:
        out[a], out[b] = out[b], out[a]
    return out


def delete(words: Sequence[str], keep: Sequence[bool]) -> list[str]:
    """The words marked to stay."""
    return [word for word, stays in zip(words, keep, strict=True) if stays]


def punctuate(words: Sequence[str], marks: dict[int, str]) -> list[str]:
    """A mark before the word at each place."""
    return [piece for i, word in enumerate(words) for piece in ((marks[i], word) if i in marks else (word,))]


def replace(words: Sequence[str], new: dict[int, str]) -> list[str]:
    """Another word at each place."""
    return [new.get(i, word) for i, word in enumerate(words)]


def insert(words: Sequence[str], new: Sequence[tuple[int, str]]) -> list[str]:
    """Each new word before the place given, one after the other; a place may be the end."""
    out = list(words)
    for at, word in new:
        out.insert(at, word)
    return out


def _swap_unlike(words: Sequence[str], rng: np.random.Generator) -> list[str] | None:
    """One exchange of two words that differ, where a drawn one changed nothing; None where all are equal."""
    a = int(rng.integers(len(words)))
    others = [i for i, word in enumerate(words) if word != words[a]]
    return swap(words, [(a, others[int(rng.integers(len(others)))])]) if others else None


class EditWords(Make):
    """Change a few words of a text by rule; the label stays.

    Each child is made by one operation drawn from ``ops``: `swap` exchanges two words, max(1, int(p x words)) times,
    and never gives the text back; `delete` drops each word with probability ``p`` and never all (Wei and Zou 2019,
    EDA, arXiv:1901.11196); `punctuation` puts one of six marks before 1 to int(.3 x words + 1) words (Karimi et al.
    2021, AEDA, arXiv:2108.13230); `replace` and `insert` take synonyms from a thesaurus file (EDA).
    Case, digits and marks of the text stay, unlike in EDA's code; blanks become single ones.

    Helps a weak student on few rows; does little for a strong one, and harms where word order is the label.
    A text of one word, such as one in a script without blanks, is refused as `no_words`, and so is a swap of equal
    words.

    Needs text.  Makes text.

    >>> EditWords(n=1, ops=["swap"])({"text": "card lost", "label": "card"})
    [{'text': 'lost card', 'label': 'card'}]
    """

    takes: ClassVar[str] = "text"
    n: int = Field(1, ge=1, le=50)
    """How many children."""
    p: float = Field(0.1, gt=0, le=1)
    """The share of words that one operation touches; of `punctuation` always up to .3."""
    ops: list[Op] = Field(["swap", "delete", "punctuation"], min_length=1)
    """The operations to draw from."""
    thesaurus: str | None = None
    """A MyThes `.dat` or WordNet `data.*` file, for `replace` and `insert`."""
    on: str | None = None
    """The field to change; the main text."""

    def make(self, record: Record, ctx: Context) -> Iterator[Record]:
        field = self.on or "text"
        words = str(record[field]).split()
        for ordinal in range(self.n):
            rng = ctx.rng_of(ordinal)
            if len(words) < 2:
                yield record.child().refuse("no_words", "a text of one word")
                continue
            op = self.ops[int(rng.integers(len(self.ops)))]
            edited = self.draw(op, words, rng)
            if edited is None and op == "swap":
                yield record.child(drawn={"op": op}).refuse("no_words", "a text of equal words")
            elif edited is None:
                yield record.child(drawn={"op": op}).refuse("no_synonym", "the thesaurus knows no word of the text")
            else:
                yield record.child({field: " ".join(edited)}, drawn={"op": op})

    def draw(self, op: Op, words: list[str], rng: np.random.Generator) -> list[str] | None:
        """The words after one operation; None where all are equal, or the thesaurus has nothing to give."""
        length = len(words)
        times = max(1, int(self.p * length))
        if op == "swap":
            pairs = []
            for _ in range(times):
                a = int(rng.integers(length))
                b = int(rng.integers(length - 1))
                pairs.append((a, b + (b >= a)))
            swapped = swap(words, pairs)
            return swapped if swapped != words else _swap_unlike(words, rng)
        if op == "delete":
            keep = (rng.random(length) > self.p).tolist()
            if not any(keep):
                keep[int(rng.integers(length))] = True
            return delete(words, keep)
        if op == "punctuation":
            most = int(0.3 * length + 1)
            places = rng.permutation(length)[: int(rng.integers(1, most + 1))]
            return punctuate(words, {int(i): MARKS[int(rng.integers(len(MARKS)))] for i in places})
        known = self._synonyms(words)
        if not known:
            return None
        if op == "replace":  # every occurrence of a drawn word, as EDA does
            drawn = [known[int(i)] for i in rng.permutation(len(known))[:times]]
            new = {w: s[int(rng.integers(len(s)))] for w, s in drawn}
            return replace(words, {i: new[w] for i, w in enumerate(words) if w in new})
        inserted = []
        for extra in range(times):
            _, synonyms = known[int(rng.integers(len(known)))]
            inserted.append((int(rng.integers(length + extra + 1)), synonyms[int(rng.integers(len(synonyms)))]))
        return insert(words, inserted)

    def _synonyms(self, words: list[str]) -> list[tuple[str, list[str]]]:
        if self.thesaurus is None:
            raise DataError(
                "the operations replace and insert need a thesaurus file.",
                "edit_words: {thesaurus: FILE}; Debian's mythes-en-us and wordnet-base have one",
            )
        table = read_thesaurus(self.thesaurus)
        return [(w, s) for w in dict.fromkeys(words) if (s := table.get(w.lower()))]
