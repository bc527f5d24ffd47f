"""Which texts overlap with an earlier kept one, or with one of another set, by their 5-character pieces.

MinHash proposes (Broder 1997): bands of its values are compared, as many as let no near pair in ten thousand by.  One
byte of each value tells most of those proposed from near ones; the exact overlap (Jaccard) decides.
"""

from __future__ import annotations

from functools import lru_cache
from typing import TYPE_CHECKING

from leaven.keep.near import PERMUTATIONS, PIECE, jaccard, pieces
from leaven.records import folded

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    import numpy as np

BLOCK = 2048
MISSED = 1e-4
SIGMAS = 5


class NearTexts:
    """Texts (n) by sketches of 128 bytes, and 4 a band."""

    def __init__(self, texts: np.ndarray, at: float) -> None:
        self.texts, self.at = texts, at
        self.bands, self.small = sketches(texts, wide(at))
        spread = SIGMAS * (at * (1 - at) / PERMUTATIONS) ** 0.5
        self.alike = (at - spread) * PERMUTATIONS - 1e-6
        self.held = lru_cache(BLOCK)(lambda row: pieces(str(texts[row])))

    def to_other(self, rows: np.ndarray, other: np.ndarray) -> np.ndarray:
        """For each of the rows whether it overlaps with a text of ``other`` by ``at`` or more."""
        import numpy as np

        found = np.zeros(len(rows), bool)
        if not len(other):
            return found
        bands, small = sketches(other, wide(self.at))
        orders = [np.argsort(band, kind="stable") for band in bands]
        held = lru_cache(BLOCK)(lambda row: pieces(str(other[row])))
        for begin in range(0, len(rows), BLOCK):
            some = rows[begin : begin + BLOCK]
            edges = []
            for band, mine, order in zip(bands, self.bands, orders, strict=True):
                ordered = band[order]
                edges.append([np.searchsorted(ordered, mine[some], side) for side in ("left", "right")])
            first, last = np.array(edges).transpose(1, 2, 0)
            for i in np.flatnonzero((first < last).any(axis=1)).tolist():
                runs = [orders[band][first[i, band] : last[i, band]] for band in np.flatnonzero(first[i] < last[i])]
                found[begin + i] = self.near(int(some[i]), np.unique(np.concatenate(runs)), small, held)
        return found

    def to_earlier(self, rows: np.ndarray) -> np.ndarray:
        """For each of the rows whether it overlaps with an earlier one of them that stays by ``at`` or more.

        The bands are used up: each comes to hold, for every row, where the run of rows begins that have its value.  In
        a run stand those that stay, so that a thousand copies are each compared with the first alone.
        """
        import numpy as np

        found = np.zeros(len(rows), bool)
        taken = 0
        begins = self.bands.view(np.int32)[:, : len(rows)]
        for band, into in zip(self.bands, begins, strict=True):
            into[:], taken = _runs(band[rows], taken)
        runs = np.full(taken, -1, np.int32)
        for i in np.flatnonzero((begins >= 0).any(axis=0)).tolist():
            mine = begins[:, i]
            mine = mine[mine >= 0]
            others = [_filled(runs, begin) for begin in mine[runs[mine] >= 0].tolist()]
            if others:
                found[i] = self.near(int(rows[i]), np.unique(np.concatenate(others)), self.small, self.held)
            if not found[i]:
                free = runs[mine] < 0
                runs[mine[free]] = rows[i]
                for begin in mine[~free].tolist():
                    runs[begin + len(_filled(runs, begin))] = rows[i]
        return found

    def near(self, row: int, others: np.ndarray, small: np.ndarray, held: Callable[[int], frozenset[str]]) -> bool:
        """Whether a text of ``others`` is near, of whose sketches ``small`` holds a byte a value."""
        import numpy as np

        equal = np.count_nonzero(small[others] == self.small[row], axis=1)
        likely = np.flatnonzero(equal >= self.alike)
        mine = pieces(str(self.texts[row])) if len(likely) else frozenset[str]()
        likely = likely[np.argsort(-equal[likely], kind="stable")]
        return any(jaccard(mine, held(other)) >= self.at for other in others[likely].tolist())


def wide(at: float) -> int:
    """How many values a band has: the most with which all but MISSED of the pairs at ``at`` share one."""
    fitting = (n for n in range(PERMUTATIONS, 1, -1) if (1 - at**n) ** (PERMUTATIONS // n) <= MISSED)
    return next(fitting, 1)


def sketches(texts: np.ndarray, width: int) -> tuple[np.ndarray, np.ndarray]:
    """Of each text the hashes of its bands of MinHash values (bands x n), and a byte of each value (n x 128)."""
    import numpy as np
    from rensa import RMinHash

    count = PERMUTATIONS // width
    bands = np.empty((count, len(texts)), np.uint32)
    small = np.empty((len(texts), PERMUTATIONS), np.uint8)
    odd = _odd(width)
    for begin in range(0, len(texts), BLOCK):
        hashes, edges = piece_hashes(texts[begin : begin + BLOCK].tolist())
        matrix = RMinHash.digest_matrix_from_flat_token_hashes(hashes, edges, PERMUTATIONS, 1)
        values = np.array(matrix.to_rows(), np.uint64).reshape(-1, PERMUTATIONS)
        small[begin : begin + BLOCK] = values & np.uint64(255)
        banded = values[:, : count * width].reshape(len(values), count, width)
        bands[:, begin : begin + BLOCK] = (_mixed(banded * odd).sum(axis=2) >> np.uint64(32)).T
    return bands, small


def piece_hashes(texts: Sequence[str]) -> tuple[np.ndarray, np.ndarray]:
    """The hashes of the pieces of all texts one after the other, and where each text's begin and end."""
    import numpy as np

    plain = [folded(text) for text in texts]
    padded = "".join(text + "\0" * PIECE for text in plain)
    characters = np.frombuffer(padded.encode("utf-32-le", "surrogatepass"), np.uint32).astype(np.uint64)
    lengths = np.array([len(text) for text in plain], np.int64)
    windows = np.lib.stride_tricks.sliding_window_view(characters, PIECE)
    hashes = np.zeros(len(windows), np.uint64)
    for place, odd in enumerate(_odd(PIECE)):
        hashes += windows[:, place] * odd
    counts = np.maximum(1, lengths - PIECE + 1)
    begins = np.cumsum(lengths + PIECE) - (lengths + PIECE)
    edges = np.concatenate([[0], np.cumsum(counts)]).astype(np.uint64)
    at = np.repeat(begins - edges[:-1].astype(np.int64), counts) + np.arange(int(edges[-1]))
    return _mixed(hashes[at]), edges


def _odd(n: int) -> np.ndarray:
    """Some odd numbers of 64 bits."""
    import numpy as np

    return np.random.Generator(np.random.PCG64(5)).integers(0, 2**64, n, np.uint64) | np.uint64(1)


def _mixed(values: np.ndarray) -> np.ndarray:
    """Every bit of a number made to hang on every other (the end of splitmix64)."""
    import numpy as np

    values = (values ^ (values >> np.uint64(30))) * np.uint64(0xBF58476D1CE4E5B9)
    values = (values ^ (values >> np.uint64(27))) * np.uint64(0x94D049BB133111EB)
    mixed: np.ndarray = values ^ (values >> np.uint64(31))
    return mixed


def _runs(band: np.ndarray, taken: int) -> tuple[np.ndarray, int]:
    """Where the run of each row begins among those of all bands, -1 for a value that no other row has; and how many
    places are taken then."""
    import numpy as np

    order = np.argsort(band, kind="stable")
    ordered = band[order]
    edges = np.flatnonzero(np.concatenate([[True], ordered[1:] != ordered[:-1], [True]])[: len(band) + 1])
    sizes = np.diff(edges)
    places = np.where(sizes > 1, sizes, 0)
    begins = np.where(sizes > 1, taken + np.cumsum(places) - places, -1)
    found = np.empty(len(band), np.int32)
    found[order] = np.repeat(begins, sizes)
    return found, taken + int(places.sum())


def _filled(runs: np.ndarray, begin: int) -> np.ndarray:
    """What stands in a run.  The row that asks is of it and not yet there: an empty place ends it."""
    size = 64
    while True:
        empty = (runs[begin : begin + size] < 0).argmax()
        if runs[begin + empty] < 0:
            return runs[begin : begin + empty]
        size *= 8
