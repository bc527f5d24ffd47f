"""Which rows are the same as an earlier one: by hash, by overlap of character pieces, by cosine."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from hashlib import blake2b
from typing import TYPE_CHECKING

from leaven.records import folded

if TYPE_CHECKING:
    import numpy as np
    from rensa import RMinHash

PIECE = 5
PERMUTATIONS = 128
BLOCK = 2048
NEAR = 2  # the index of near_duplicate among the reasons of ``unique``
NEAR_TEST = 3


def exact_keys(texts: Sequence[str]) -> np.ndarray:
    """A 64-bit hash of each text with case and blanks folded."""
    import numpy as np

    keys = [
        blake2b(folded(text).encode("utf-8", "surrogatepass"), digest_size=8, person=b"exact").digest()
        for text in texts
    ]
    return np.frombuffer(b"".join(keys), np.uint64)


def seen_before(keys: np.ndarray) -> np.ndarray:
    """True where an equal key stands in an earlier row."""
    import numpy as np

    order = np.argsort(keys, kind="stable")
    ordered = keys[order]
    found = np.zeros(len(keys), bool)
    found[order[1:][ordered[1:] == ordered[:-1]]] = True
    return found


def one_of(known: np.ndarray, keys: np.ndarray) -> np.ndarray:
    """True where a key is one of ``known``, which is sorted; a block at a time, so that it takes no memory to speak
    of (np.isin takes ten times that of the keys)."""
    import numpy as np

    found = np.zeros(len(keys), bool)
    if len(known):
        for begin in range(0, len(keys), BLOCK):
            block = keys[begin : begin + BLOCK]
            at = np.minimum(np.searchsorted(known, block), len(known) - 1)
            found[begin : begin + BLOCK] = known[at] == block
    return found


def pieces(text: str) -> frozenset[str]:
    """The 5-character pieces of a folded text; a shorter text is one piece."""
    text = folded(text)
    return frozenset(text[i : i + PIECE] for i in range(max(1, len(text) - PIECE + 1)))


def jaccard(a: frozenset[str], b: frozenset[str]) -> float:
    return len(a & b) / len(a | b)


def first_of_near(
    near: np.ndarray, others: Mapping[str, tuple[np.ndarray, np.ndarray]], at: float, among: bool, texts: bool
) -> np.ndarray:
    """For each row 0, or the code of its reason: near to a row of ``others``, or (``among``) to an earlier kept row.

    ``near`` holds vectors (n x d, unit length), or texts where ``texts`` is true; ``others`` the same of each set, and
    which rows are compared with it.
    """
    import numpy as np

    codes = np.zeros(len(near), np.uint8)
    pairs = _near_texts if texts else _near_vectors
    for name, (other, mine) in others.items():
        rows = np.flatnonzero(mine)
        for row, _ in pairs(near[rows], other, at):
            codes[rows[row]] = NEAR_TEST if name == "test" else max(codes[rows[row]], NEAR)
    if among:
        for row, earlier in pairs(near, None, at):  # by ascending row: whether the earlier one stays is settled
            if not codes[row] and not codes[earlier]:
                codes[row] = NEAR
    return codes


def _near_vectors(near: np.ndarray, other: np.ndarray | None, at: float) -> Iterator[tuple[int, int]]:
    """Pairs whose cosine reaches ``at``, by ascending first index; without ``other``, pairs (row, earlier row)."""
    import numpy as np
    from threadpoolctl import threadpool_limits

    against = near if other is None else other
    with threadpool_limits(1):
        for begin in range(0, len(near), BLOCK):
            end = len(against) if other is not None else min(len(near), begin + BLOCK)
            # Rounded, so that a threshold cuts alike whatever order a product was added up in.
            cosine = np.round(near[begin : begin + BLOCK] @ against[:end].T, 5)
            rows, columns = np.nonzero(cosine >= at)
            for row, column in zip((rows + begin).tolist(), columns.tolist(), strict=True):
                if other is not None or column < row:
                    yield row, column


def _near_texts(near: np.ndarray, other: np.ndarray | None, at: float) -> Iterator[tuple[int, int]]:
    index = TextIndex(at)
    for text in [] if other is None else other.tolist():
        index.add(text)
    for row, text in enumerate(near.tolist()):
        for key in index.near(text):
            yield row, key
        if other is None:
            index.add(text)


class TextIndex:
    """Texts by their 5-character pieces: MinHash proposes (Broder 1997), the exact overlap (Jaccard) decides."""

    def __init__(self, at: float) -> None:
        from rensa import RMinHashLSH

        self.at = at
        # Many narrow bands: a pair at the threshold is proposed all but surely, and false ones cost one comparison.
        bands = 32 if at >= 0.75 else 64 if at >= 0.45 else 128
        self._index = RMinHashLSH(threshold=at, num_perm=PERMUTATIONS, num_bands=bands)
        self._held: list[frozenset[str]] = []

    def add(self, text: str) -> None:
        found = pieces(text)
        self._index.insert(len(self._held), _sketch(found))
        self._held.append(found)

    def near(self, text: str) -> list[int]:
        """The numbers, ascending, of the texts added that overlap by at least ``at``."""
        found = pieces(text)
        return [key for key in sorted(self._index.query(_sketch(found))) if jaccard(found, self._held[key]) >= self.at]


def _sketch(found: frozenset[str]) -> RMinHash:
    from rensa import RMinHash

    sketch = RMinHash(num_perm=PERMUTATIONS, seed=1)
    sketch.update(sorted(found))
    return sketch
