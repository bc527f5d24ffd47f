"""Which texts share more of their words, in order, with an earlier kept one or one of another set: ROUGE-L.

F is twice the longest series of words that both have in the same order over the words of both (Lin 2004), so a pair
over the threshold shares so many words at least, and with rare words first in each text, one of the first few of each
is the same (prefix and position filters: Chaudhuri et al. 2006, Xiao et al. 2008).  Nothing is overlooked.
"""

from __future__ import annotations

import re
from collections import Counter
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterable

    import numpy as np

WORD = re.compile(r"[^\W_]+")
LEAST = 1e-9


class NearWords:
    """Texts (n) by their words."""

    def __init__(self, texts: np.ndarray, at: float) -> None:
        self.texts, self.at = texts, at

    def to_other(self, rows: np.ndarray, other: np.ndarray) -> np.ndarray:
        """For each of the rows whether its ROUGE-L with a text of ``other`` is over ``at``."""
        import numpy as np

        held = _Held(rarest_first([other, self.texts]), self.at, len(other))
        for text in other:
            held.add(str(text))
        return np.array([held.near(str(self.texts[row])) for row in rows.tolist()], bool)

    def to_earlier(self, rows: np.ndarray) -> np.ndarray:
        """For each of the rows whether its ROUGE-L with an earlier one of them that stays is over ``at``."""
        import numpy as np

        held = _Held(rarest_first([self.texts]), self.at, len(rows))
        found = np.zeros(len(rows), bool)
        for i, row in enumerate(rows.tolist()):
            text = str(self.texts[row])
            found[i] = held.near(text)
            if not found[i]:
                held.add(text)
        return found


def words(text: str) -> list[str]:
    """The lower-cased runs of letters and digits."""
    return WORD.findall(text.lower())


def rarest_first(sets: Iterable[np.ndarray]) -> dict[str, int]:
    """A number for each word, the lowest for the rarest; of those as rare, for the first in the alphabet."""
    counts: Counter[str] = Counter()
    for texts in sets:
        for text in texts:
            counts.update(words(str(text)))
    ranked = sorted(counts, key=lambda word: (counts[word], word))
    return {word: number for number, word in enumerate(ranked)}


class _Held:
    """Texts to be found by those that share words with them."""

    def __init__(self, numbers: dict[str, int], at: float, most: int) -> None:
        import numpy as np

        self.numbers, self.at = numbers, at
        self.words = np.empty(0, np.int32)
        self.marks = np.zeros(len(numbers), bool)
        self.edges = np.zeros(most + 1, np.int64)
        self.count = 0
        self.posted: dict[tuple[int, int], _Post] = {}

    def add(self, text: str) -> None:
        import numpy as np

        said = [self.numbers[word] for word in words(text)]
        begin, end = int(self.edges[self.count]), int(self.edges[self.count]) + len(said)
        if end > len(self.words):
            grown = np.empty(max(end, len(self.words) * 5 // 4, 1024), np.int32)
            grown[:begin] = self.words[:begin]
            self.words = grown
        self.words[begin:end] = said
        self.edges[self.count + 1] = end
        for place, key in enumerate(self.first(said)):
            self.posted.setdefault(key, _Post()).add(self.count, place, len(said))
        self.count += 1

    def first(self, said: list[int]) -> list[tuple[int, int]]:
        """Of a text's words, rarest first, those of which a near text must share one; the second time that a word
        comes it is another."""
        seen: dict[int, int] = {}
        keys = []
        for word in said:
            seen[word] = seen.get(word, 0) + 1
            keys.append((word, seen[word]))
        shortest = len(said) * self.at / (2 - self.at)  # a near text has more words than that, and so many are shared
        return sorted(keys)[: len(said) - int(shortest + LEAST)]

    def near(self, text: str) -> bool:
        """Whether a text that was added is near."""
        import numpy as np

        said = [self.numbers[word] for word in words(text)]
        found = []
        for place, key in enumerate(self.first(said)):
            post = self.posted.get(key)
            if post is not None:
                rows, places, lengths = post.held()
                # What both may share yet: this word, and what comes after it in the text that has less of it.
                most = 1 + np.minimum(len(said) - place, lengths - places) - 1
                found.append(rows[2 * most > self.at * (lengths + len(said)) + LEAST])
        if not found:
            return False
        own = Counter(said)
        for row in self.sharing(np.unique(np.concatenate(found)), said).tolist():
            other = self.words[self.edges[row] : self.edges[row + 1]].tolist()
            needed = self.at * (len(said) + len(other)) + LEAST
            if 2 * (own & Counter(other)).total() > needed and 2 * in_order(said, other) > needed:
                return True
        return False

    def sharing(self, rows: np.ndarray, said: list[int]) -> np.ndarray:
        """Those of the texts of which enough words stand in ``said``, wherever and however often."""
        import numpy as np

        begins = self.edges[rows]
        lengths = self.edges[rows + 1] - begins
        ends = np.cumsum(lengths)
        self.marks[said] = True
        shared = self.marks[self.words[np.repeat(begins - ends + lengths, lengths) + np.arange(lengths.sum())]]
        self.marks[said] = False
        counts = np.add.reduceat(shared, ends - lengths, dtype=np.int64) if len(rows) else lengths
        enough: np.ndarray = rows[2 * counts > self.at * (lengths + len(said)) + LEAST]
        return enough


class _Post:
    """The texts that have a word among their first: their numbers, at which place, and how many words they have."""

    def __init__(self) -> None:
        import numpy as np

        self.rows = np.empty((3, 2), np.int32)
        self.count = 0

    def add(self, *said: int) -> None:
        import numpy as np

        if self.count == self.rows.shape[1]:
            grown = np.empty((3, 2 * self.count), np.int32)
            grown[:, : self.count] = self.rows
            self.rows = grown
        self.rows[:, self.count] = said
        self.count += 1

    def held(self) -> np.ndarray:
        return self.rows[:, : self.count]


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
