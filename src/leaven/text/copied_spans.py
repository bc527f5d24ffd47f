"""Runs of words that two sets of texts share, for texts of any length: by hashes of runs, not by comparing texts."""

from __future__ import annotations

from functools import lru_cache
from typing import TYPE_CHECKING, NamedTuple

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

TABLES = 24


class Table(NamedTuple):
    """The runs of one length in the known texts: sorted hashes, and the first and second text of each (-1: none)."""

    runs: np.ndarray
    first: np.ndarray
    second: np.ndarray


class Known:
    """Texts to compare with: the hashes of their words, and where each begins (as ``words.numbered`` gives them)."""

    def __init__(self, tokens: np.ndarray, ends: np.ndarray) -> None:
        self.tokens, self.ends = tokens, ends
        self.table = lru_cache(maxsize=TABLES)(self._table)

    def _table(self, n: int) -> Table:
        import numpy as np

        hashes, text = runs(self.tokens, self.ends, n)
        order = np.lexsort((text, hashes))
        hashes, text = hashes[order], text[order].astype(np.int32)
        once = np.ones(len(hashes), bool)
        once[1:] = (hashes[1:] != hashes[:-1]) | (text[1:] != text[:-1])
        hashes, text = hashes[once], text[once]
        begin = np.flatnonzero(np.append(True, hashes[1:] != hashes[:-1])[: len(hashes)])
        several = np.diff(np.append(begin, len(hashes))) > 1
        second = np.full(len(begin), -1, np.int32)
        second[several] = text[begin[several] + 1]
        return Table(hashes[begin], text[begin], second)

    def holders(self, hashes: np.ndarray, n: int, own: np.ndarray) -> np.ndarray:
        """For each run of n words the first text but ``own`` that holds it; -1 where none does."""
        import numpy as np

        table = self.table(n)
        found = np.full(len(hashes), -1, np.int64)
        if len(table.runs):
            at = np.minimum(np.searchsorted(table.runs, hashes), len(table.runs) - 1)
            held = table.runs[at] == hashes
            found[held] = np.where(table.first[at] == own, table.second[at], table.first[at])[held]
        return found


def runs(tokens: np.ndarray, ends: np.ndarray, n: int) -> tuple[np.ndarray, np.ndarray]:
    """The hash of every run of n words that lies in one text, and the text of each; in order."""
    import numpy as np

    text = np.repeat(np.arange(len(ends) - 1), np.diff(ends))
    if len(tokens) < n:
        return tokens[:0], text[:0]
    hashes, size = tokens, 1
    while 2 * size <= n:
        hashes = _both(hashes[: len(hashes) - size], hashes[size:])
        size *= 2
    if size < n:  # two runs of a power of two, laid over each other
        hashes = _both(hashes[: len(tokens) - n + 1], hashes[n - size : len(tokens) - size + 1])
    inside = text[: len(tokens) - n + 1] == text[n - 1 :]
    return hashes[inside], text[: len(tokens) - n + 1][inside]


def _both(a: NDArray[np.uint64], b: NDArray[np.uint64]) -> NDArray[np.uint64]:
    """One hash of two in their order (the finaliser of splitmix64 over a sum with odd factors)."""
    import numpy as np

    x = a * np.uint64(0x9E3779B97F4A7C15) + b * np.uint64(0xC2B2AE3D27D4EB4F) + np.uint64(0x165667B19E3779F9)
    x ^= x >> np.uint64(30)
    x *= np.uint64(0xBF58476D1CE4E5B9)
    x ^= x >> np.uint64(27)
    x *= np.uint64(0x94D049BB133111EB)
    x ^= x >> np.uint64(31)
    return x


def unseen(known: Known, tokens: np.ndarray, ends: np.ndarray, own: np.ndarray, n: int) -> np.ndarray:
    """Of each text the share of its runs of n words that no other known text holds; of a shorter text, all its words
    are one run.  0 of a text without words."""
    import numpy as np

    length = np.diff(ends)
    share = np.zeros(len(length))
    for size in range(1, n + 1):
        some = np.flatnonzero(length == size) if size < n else np.flatnonzero(length >= n)
        if len(some):
            words, borders = _chosen(tokens, ends, some)
            hashes, text = runs(words, borders, size)
            new = known.holders(hashes, size, own[some][text]) < 0
            share[some] = np.bincount(text, new, len(some)) / np.bincount(text, minlength=len(some))
    return share


def longest(known: Known, tokens: np.ndarray, ends: np.ndarray, own: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Of each text the length of the longest run of words that another known text holds, and the first such text (-1
    without any).

    A shared run of n words holds shared ones of all shorter lengths: lengths are doubled, then halved.
    """
    import numpy as np

    length = np.diff(ends)
    low, high = np.zeros(len(length), np.int64), length + 1  # shared runs of `low` words, none of `high`
    holder = np.full(len(length), -1, np.int64)
    while True:
        doubling = np.where(low == 0, 1, 2 * low)
        trial = np.where(doubling < high, doubling, (low + high) // 2)
        going = np.flatnonzero(high - low > 1)
        if not len(going):
            break
        for n in np.unique(trial[going]).tolist():
            some = going[trial[going] == n]
            words, borders = _chosen(tokens, ends, some)
            hashes, text = runs(words, borders, n)
            held = known.holders(hashes, n, own[some][text])
            hits = np.flatnonzero(held >= 0)
            order = hits[np.lexsort((held[hits], text[hits]))]
            there, at = np.unique(text[order], return_index=True)
            low[some[there]], holder[some[there]] = n, held[order[at]]
            missed = np.ones(len(some), bool)
            missed[there] = False
            high[some[missed]] = n
    return low, holder


def _chosen(tokens: np.ndarray, ends: np.ndarray, some: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """The words of some texts, and where each begins."""
    import numpy as np

    length = np.diff(ends)[some]
    borders = np.concatenate([[0], np.cumsum(length)])
    at = np.arange(borders[-1]) - np.repeat(borders[:-1] - ends[:-1][some], length)
    return tokens[at], borders
