"""The embedder without weights: character n-grams hashed into buckets, reduced by an SVD fitted on the
source.

It needs no file and no language, and is what remains where WordLlama is weak: other scripts, codes, product
names.
"""

from __future__ import annotations

import hashlib
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from leaven.models.backends.one_thread import one_thread

BUCKETS = 2**14
DIMENSIONS = 128
MOST_TEXTS = 5_000  # the SVD's directions hardly move beyond
BLOCK = 4096


class Hashed:
    """Text to unit vectors of at most 128 float32 numbers, after ``fit`` on the source's texts."""

    name = "hashed"

    def __init__(self, components: NDArray[np.float32]) -> None:
        """``components`` are the directions, dimensions x 2**14; ``fit`` or ``from_arrays`` make them."""
        self._components = np.ascontiguousarray(components, dtype=np.float32)

    def arrays(self) -> dict[str, NDArray[Any]]:
        """The state as named arrays, for an npz file."""
        return {"components": self._components}

    @classmethod
    def from_arrays(cls, arrays: Mapping[str, NDArray[Any]]) -> Hashed:
        """The inverse of ``arrays``; other names in it are not read."""
        return cls(arrays["components"])

    @classmethod
    def fit(cls, texts: Sequence[str], seed: int = 0) -> Hashed:
        """Fit the directions on at most 5,000 distinct texts, chosen and ordered by hash of (seed, text).

        So neither the order of the source nor a repeated row changes a byte.
        """
        from sklearn.decomposition import TruncatedSVD

        chosen = sorted(set(texts), key=lambda text: _key(seed, text))[:MOST_TEXTS]
        counts = _hash(chosen or [""])
        counts = counts[np.flatnonzero(np.diff(counts.indptr))]  # an empty text has no direction
        rank = min(DIMENSIONS, counts.shape[0])
        if rank == 0:
            return cls(np.zeros((1, BUCKETS), dtype=np.float32))
        svd = TruncatedSVD(rank, n_iter=2, random_state=seed % 2**32)
        with one_thread():  # two threads give other bytes, and are slower
            svd.fit(counts)
        return cls(svd.components_)

    def embed(self, texts: Sequence[str]) -> NDArray[np.float32]:
        """Vectors of ``texts``: n x (at most 128), float32, unit length; zeros for an unknown text."""
        out = np.zeros((len(texts), len(self._components)), dtype=np.float32)
        across = np.ascontiguousarray(self._components.T)
        for begin in range(0, len(texts), BLOCK):
            block = [texts[i] for i in range(begin, min(begin + BLOCK, len(texts)))]
            projected = _hash(block) @ across  # sparse times dense: each row by itself, in a fixed order
            norms = np.sqrt(np.einsum("ij,ij->i", projected, projected, dtype=np.float64))[:, None]
            np.divide(projected, norms, out=out[begin : begin + len(block)], where=norms > 1e-6)
        return out


def _hash(texts: Sequence[str]) -> Any:
    from sklearn.feature_extraction.text import HashingVectorizer

    vectorizer = HashingVectorizer(
        analyzer="char_wb", ngram_range=(2, 4), n_features=BUCKETS, dtype=np.float32, decode_error="replace"
    )
    return vectorizer.transform(texts)


def _key(seed: int, text: str) -> bytes:
    text_bytes = text.encode("utf-8", "surrogatepass")
    return hashlib.blake2b(text_bytes, digest_size=16, key=str(seed).encode()).digest()
