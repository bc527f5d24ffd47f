"""Which rows are the same as an earlier one, by hash; which texts overlap with those of a small set."""

from __future__ import annotations

from collections.abc import Sequence
from hashlib import blake2b
from typing import TYPE_CHECKING

from leaven.records import folded

if TYPE_CHECKING:
    import numpy as np
    from rensa import RMinHash

PIECE = 5
PERMUTATIONS = 128
BLOCK = 2048


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


PROPOSED = 4
"""So many proposals are looked at for each text that is wanted."""


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

    def near(self, text: str, most: int | None = None) -> list[int]:
        """The numbers, ascending, of the texts added that overlap by at least ``at``.

        With ``most`` only so many, among the first proposals: of texts that are all alike every pair is proposed.
        """
        found, near = pieces(text), []
        proposed = sorted(self._index.query(_sketch(found)))
        for key in proposed if most is None else proposed[: PROPOSED * most]:
            if jaccard(found, self._held[key]) >= self.at:
                near.append(key)
                if len(near) == most:
                    break
        return near


def _sketch(found: frozenset[str]) -> RMinHash:
    from rensa import RMinHash

    sketch = RMinHash(num_perm=PERMUTATIONS, seed=1)
    sketch.update(sorted(found))
    return sketch
