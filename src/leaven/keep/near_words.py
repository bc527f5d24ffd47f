"""Which texts share more of their words, in order, with an earlier kept one or one of another set: ROUGE-L.

F is twice the longest series of words that both have in the same order over the words of both (Lin 2004), so a pair
over the threshold shares so many words at least, and with rare words first in each text, two of the first few of each
are the same (prefix filters: Chaudhuri et al. 2006; by more than one word: Wang et al. 2012); where texts are long, and
the pairs of their first words many, one of the first few.  Of texts that share such a pair, those go on whose words'
bits differ in no more places than those of a near one could (Sandes et al. 2020).  Nothing is overlooked.
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterator, Sequence
from itertools import combinations, pairwise
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    import numpy as np

WORD = re.compile(r"[^\W_]+")
LEAST = 1e-9
BLOCK = 512
"""Texts that are looked for together."""
PAIRS = 32
"""Pairs of words that stand for a text, at most and on average; where there would be more, single words do."""
A_BIT, MOST_BITS = 12, 16
"""Words a 64 bits, and the most times 64 bits that a text has."""
SPREAD = 2**21
"""Candidates that are laid out at a time."""
LARGEST = 2**22
"""Keys of a sorted run that no other is merged into."""


class NearWords:
    """Texts (n) by their words."""

    def __init__(self, texts: np.ndarray, at: float) -> None:
        self.texts, self.at = texts, at

    def to_other(self, rows: np.ndarray, other: np.ndarray) -> np.ndarray:
        """For each of the rows whether its ROUGE-L with a text of ``other`` is over ``at``."""
        import numpy as np

        mine, theirs = numbered([(self.texts, rows), (other, np.arange(len(other)))], self.at)
        held = Held(theirs)
        for block in _blocks(len(theirs)):
            held.add(block)
        found = np.zeros(len(rows), bool)
        for block in _blocks(len(rows)):
            for text, candidates in held.candidates(mine, block):
                found[text] = any(held.near(mine, text, candidates))
        return found

    def to_earlier(self, rows: np.ndarray) -> np.ndarray:
        """For each of the rows whether its ROUGE-L with an earlier one of them that stays is over ``at``."""
        import numpy as np

        [mine] = numbered([(self.texts, rows)], self.at)
        found = np.zeros(len(rows), bool)
        held = Held(mine)
        for block in _blocks(len(rows)):
            beside = Held(mine)
            beside.add(block)
            earlier = dict(held.candidates(mine, block))
            same = dict(beside.candidates(mine, block))
            for text in block.tolist():
                if text in earlier:
                    found[text] = any(held.near(mine, text, earlier[text]))
                if text in same and not found[text]:
                    staying = same[text][same[text] < text]
                    found[text] = any(held.near(mine, text, staying[~found[staying]]))
            held.add(block[~found[block]])
        return found


def words(text: str) -> list[str]:
    """The lower-cased runs of letters and digits."""
    return WORD.findall(text.lower())


class Numbered:
    """Texts as the numbers of their words, the rarest lowest, beside what tells near ones quickly."""

    def __init__(self, said: np.ndarray, edges: np.ndarray, at: float, *, words: int, paired: bool, bits: int) -> None:
        import numpy as np

        self.said, self.edges, self.at, self.words, self.paired = said, edges, at, words, paired
        self.lengths = np.diff(edges).astype(np.int32)
        self.bits = np.zeros((len(self), bits), np.uint64)
        for block in _blocks(len(self)):
            self._mark(block)

    def __len__(self) -> int:
        return len(self.edges) - 1

    def of(self, text: int) -> list[int]:
        """The words of a text, in its order."""
        found: list[int] = self.said[self.edges[text] : self.edges[text + 1]].tolist()
        return found

    def sorted(self, texts: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """The words of some texts, each text's rarest first, and of which of the texts each is.

        The second time that a word comes in a text it is another.
        """
        import numpy as np

        lengths = self.lengths[texts].astype(np.int64)
        ends = np.cumsum(lengths)
        owner = np.repeat(np.arange(len(texts)), lengths)
        flat = self.said[np.arange(lengths.sum()) + np.repeat(self.edges[texts] - ends + lengths, lengths)]
        flat = flat.astype(np.int64)
        flat = flat[np.lexsort((flat, owner))]
        first = np.ones(len(flat), bool)
        first[1:] = (flat[1:] != flat[:-1]) | (owner[1:] != owner[:-1])
        at = np.arange(len(flat))
        again = at - np.maximum.accumulate(np.where(first, at, 0))
        flat += again * self.words
        return flat[np.lexsort((flat, owner))], owner

    def keys(self, texts: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """What a near text has one of too, a number each, and of which of the texts (by its place) each is."""
        import numpy as np

        flat, _ = self.sorted(texts)
        lengths = self.lengths[texts].astype(np.int64)
        begins = np.cumsum(lengths) - lengths
        few = np.floor(lengths * self.at / (2 - self.at) + LEAST).astype(np.int64) + 1  # a near text shares so many
        keys, of = [], []
        for length in np.unique(lengths[lengths > 0]).tolist():
            mine = np.flatnonzero(lengths == length)
            rows = flat[begins[mine][:, None] + np.arange(length)].astype(np.uint64)
            shared = int(few[mine[0]])
            if not self.paired or length + 1 < 2 / self.at:  # with so short a text one word may be all that is shared
                singles = rows[:, : length - shared + 1]
                keys.append(_mixed(singles, singles).ravel())
                of.append(np.repeat(mine, singles.shape[1]))
            if self.paired and length > 1:
                places = np.array(list(combinations(range(_first(length, shared)), 2)), np.int64)
                keys.append(_mixed(rows[:, places[:, 0]], rows[:, places[:, 1]]).ravel())
                of.append(np.repeat(mine, len(places)))
        if not keys:
            return np.zeros(0, np.uint64), np.zeros(0, np.int64)
        return np.concatenate(keys), np.concatenate(of)

    def _mark(self, texts: np.ndarray) -> None:
        """Turn a bit for each word of a text: of two texts as many bits differ at most as words do."""
        import numpy as np

        flat, owner = self.sorted(texts)
        which = _mixed(flat.astype(np.uint64), flat.astype(np.uint64)) % np.uint64(64 * self.bits.shape[1])
        place = (which // np.uint64(64)).astype(np.int64)
        np.bitwise_xor.at(self.bits, (texts[owner], place), np.uint64(1) << which % np.uint64(64))


def numbered(sets: Sequence[tuple[np.ndarray, np.ndarray]], at: float) -> list[Numbered]:
    """Several sets, texts and which of them, by the same numbers.

    Of words as rare as each other, the first in the alphabet is lower.
    """
    import numpy as np

    known: dict[str, int] = {}
    flats, edges = [], []
    for texts, rows in sets:
        edge = np.zeros(len(rows) + 1, np.int64)
        blocks = []
        for block in _blocks(len(rows)):
            said: list[int] = []
            for place, text in enumerate(texts[rows[block]].tolist(), int(block[0])):
                said += [known.setdefault(word, len(known)) for word in words(text)]
                edge[place + 1] = len(said)
            edge[block + 1] += edge[block[0]]
            blocks.append(np.array(said, np.int32))
        flats.append(np.concatenate([np.zeros(0, np.int32), *blocks]))
        edges.append(edge)
    counts = sum(np.bincount(flat, minlength=len(known)) for flat in flats)
    number = np.zeros(len(known), np.int32)
    alphabet = np.argsort(np.array(list(known), np.str_), kind="stable") if known else np.zeros(0, np.int64)
    number[alphabet[np.argsort(np.asarray(counts)[alphabet], kind="stable")]] = np.arange(len(known), dtype=np.int32)
    lengths = np.concatenate([np.diff(edge) for edge in edges])
    paired = _pairs(lengths, at) <= PAIRS * len(lengths)
    bits = min(MOST_BITS, max(1, round(float(lengths.mean()) / A_BIT))) if len(lengths) else 1
    return [
        Numbered(number[flat], edge, at, words=len(known), paired=paired, bits=bits)
        for flat, edge in zip(flats, edges, strict=True)
    ]


class Held:
    """Some of the texts of a set, to be found by those that share words with them."""

    def __init__(self, texts: Numbered) -> None:
        self.texts = texts
        self.runs: list[tuple[np.ndarray, np.ndarray]] = []
        """Sorted keys, and the texts that have them."""

    def add(self, texts: np.ndarray) -> None:
        import numpy as np

        keys, of = self.texts.keys(texts)
        order = np.argsort(keys, kind="stable")
        self.runs.append((keys[order], texts[of[order]].astype(np.int32)))
        while len(self.runs) > 1 and len(self.runs[-2][0]) <= min(2 * len(self.runs[-1][0]), LARGEST):
            (one, first), (two, second) = self.runs[-2:]
            keys = np.concatenate([one, two])
            order = np.argsort(keys, kind="stable")  # of two sorted runs: a merge
            self.runs[-2:] = [(keys[order], np.concatenate([first, second])[order])]

    def candidates(self, asked: Numbered, texts: np.ndarray) -> Iterator[tuple[int, np.ndarray]]:
        """For each of the texts of which some are held that could be near: those, in order."""
        import numpy as np

        keys, of = asked.keys(texts)
        order = np.argsort(keys, kind="stable")
        keys, of = keys[order], of[order]
        found = []
        for run, rows in self.runs:
            left = np.searchsorted(run, keys, "left")
            counts = np.searchsorted(run, keys, "right") - left
            some = np.flatnonzero(counts)
            for part in _parts(counts[some]):
                mine, many = some[part], counts[some[part]]
                ends = np.cumsum(many)
                who = np.repeat(of[mine], many)
                held = rows[np.repeat(left[mine] - ends + many, many) + np.arange(ends[-1])]
                close = self._close(asked, texts[who], held)
                found.append(np.unique(who[close] * np.int64(len(self.texts)) + held[close]))
        codes = np.unique(np.concatenate([np.zeros(0, np.int64), *found]))
        who, held = np.divmod(codes, max(1, len(self.texts)))
        edges = np.flatnonzero(np.diff(who, prepend=-1, append=-1))
        for begin, end in pairwise(edges.tolist()):
            yield int(texts[who[begin]]), held[begin:end]

    def _close(self, asked: Numbered, texts: np.ndarray, held: np.ndarray) -> np.ndarray:
        """Which pairs may share enough words, by their lengths and by the bits in which they differ."""
        import numpy as np

        both = asked.lengths[texts] + self.texts.lengths[held]
        shorter = np.minimum(asked.lengths[texts], self.texts.lengths[held])
        needed = self.texts.at * both + LEAST
        close = np.flatnonzero(2 * shorter > needed)
        differ = np.bitwise_count(asked.bits[texts[close]] ^ self.texts.bits[held[close]]).sum(axis=1, dtype=np.int32)
        kept: np.ndarray = close[both[close] - differ > needed[close]]
        return kept

    def near(self, asked: Numbered, text: int, candidates: np.ndarray) -> Iterator[bool]:
        """Of each candidate whether it is near."""
        said = asked.of(text)
        own = Counter(said)
        for candidate in candidates.tolist():
            other = self.texts.of(candidate)
            needed = self.texts.at * (len(said) + len(other)) + LEAST
            yield 2 * (own & Counter(other)).total() > needed and 2 * in_order(said, other) > needed


def in_order(one: list[int], other: list[int]) -> int:
    """The length of the longest series that stands in both in the same order: a bit a place of ``one`` (Hyyrö 2004)."""
    where: dict[int, int] = {}
    for place, word in enumerate(one):
        where[word] = where.get(word, 0) | 1 << place
    every = (1 << len(one)) - 1
    row = every
    for word in other:
        same = row & where.get(word, 0)
        row = (row + same | row - same) & every
    return len(one) - row.bit_count()


def _first(length: int, shared: int) -> int:
    """Of a text's words, rarest first, so many hold two that a near text has, where it shares two or more."""
    return min(length, length - max(shared, 2) + 2)


def _pairs(lengths: np.ndarray, at: float) -> int:
    """The pairs of words that stand for texts of these lengths."""
    import numpy as np

    found = 0
    for length, texts in zip(*np.unique(lengths, return_counts=True), strict=True):
        first = _first(int(length), int(length * at / (2 - at) + LEAST) + 1)
        found += int(texts) * first * (first - 1) // 2
    return found


def _mixed(one: np.ndarray, other: np.ndarray) -> np.ndarray:
    """Two numbers as one of 64 bits; where two pairs fall on one, more is compared."""
    import numpy as np

    found: Any = one * np.uint64(0x9E3779B97F4A7C15) ^ (other + np.uint64(1)) * np.uint64(0xC2B2AE3D27D4EB4F)
    found ^= found >> np.uint64(29)
    mixed: np.ndarray = found * np.uint64(0xBF58476D1CE4E5B9)
    mixed ^= mixed >> np.uint64(32)
    return mixed


def _blocks(n: int) -> Iterator[np.ndarray]:
    import numpy as np

    for begin in range(0, n, BLOCK):
        yield np.arange(begin, min(begin + BLOCK, n))


def _parts(counts: np.ndarray) -> Iterator[slice]:
    """Slices whose counts add up to about ``SPREAD`` at most."""
    import numpy as np

    if len(counts):
        part = np.cumsum(counts) // SPREAD
        edges = [0, *(np.flatnonzero(np.diff(part)) + 1).tolist(), len(counts)]
        yield from (slice(begin, end) for begin, end in pairwise(edges))
