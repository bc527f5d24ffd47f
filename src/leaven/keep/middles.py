"""Rows that stand for all by their vectors: the nearest to each middle, or each worth much and unlike those before."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import numpy as np

A_MIDDLE = 64
LEAST = 20_000
STARTS, ROUNDS = 3, 25
AT_A_TIME = 2**22
"""Distances that are worked out together."""


def nearest_to_middles(vectors: np.ndarray, n: int, seed: int) -> list[int]:
    """The row nearest to each of n middles (k-means), ascending; fewer where fewer rows differ.

    The middles are those of at most 20,000 rows, or 64 a middle, evenly spread: scikit-learn's, the best of 3 starts.
    """
    import warnings

    import numpy as np
    from sklearn.cluster import KMeans
    from sklearn.exceptions import ConvergenceWarning

    some = vectors[:: -(-len(vectors) // max(A_MIDDLE * n, LEAST))]
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", ConvergenceWarning)  # fewer rows differ than there are to be middles
        fitted = KMeans(min(n, len(some)), n_init=STARTS, max_iter=ROUNDS, random_state=seed % 2**32).fit(some)
    middles = fitted.cluster_centers_.astype(vectors.dtype)
    lengths = np.einsum("ij,ij->i", middles, middles)
    best, row_of = np.full(len(middles), np.inf), np.full(len(middles), -1)
    step = max(1, AT_A_TIME // len(middles))
    for begin in range(0, len(vectors), step):
        block = vectors[begin : begin + step]
        apart = block @ middles.T
        apart *= -2
        apart += lengths
        home = apart.argmin(axis=1)
        far = apart[np.arange(len(block)), home].astype(np.float64) + np.einsum("ij,ij->i", block, block)
        far = np.round(far, 6)  # so that the last bit of a sum breaks no tie
        order = np.lexsort((np.arange(len(block)), far, home))
        cells, first = np.unique(home[order], return_index=True)
        nearest = order[first]
        nearer = far[nearest] < best[cells]
        best[cells[nearer]], row_of[cells[nearer]] = far[nearest[nearer]], begin + nearest[nearer]
    return sorted(row_of[row_of >= 0].tolist())


def most_marginal(vectors: np.ndarray, worth: np.ndarray, n: int, balance: float) -> list[int]:
    """n rows in the order in which they are taken: each the one with the most ``balance`` x worth less the rest x its
    cosine with the likest of those taken before (vectors are of unit length).  A row whose worth is NaN comes last."""
    import numpy as np

    nothing = np.isnan(worth)
    valued = np.where(nothing, -np.finfo(np.float64).max / 4, balance * worth)
    chosen = [int(valued.argmax())]
    alike = np.round(vectors @ vectors[chosen[0]], 6)
    valued[chosen[0]] = -np.inf
    while len(chosen) < n:
        chosen.append(int((valued - (1 - balance) * alike).argmax()))
        np.maximum(alike, np.round(vectors @ vectors[chosen[-1]], 6), out=alike)
        valued[chosen[-1]] = -np.inf
    return chosen
