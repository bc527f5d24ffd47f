"""How varied a set is: distinct n-grams, self-BLEU, the Vendi score."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from leaven.measure.quality.grams import Grams, Ints

Floats = NDArray[np.float64]
EPSILON = 0.1
"""What no n-gram in common counts: smoothing 1 of Chen and Cherry 2014, as Texygen has it."""


def distinct(codes: Ints) -> float:
    """Different n-grams, as a share of all (distinct-n, Li et al. 2016, arXiv:1510.03055); 0 without one.

    The more n-grams, the lower it is: compare equal numbers of them.
    """
    return len(np.unique(codes)) / max(1, len(codes))


def self_bleu(orders: Sequence[Grams], rows: Sequence[int] | Ints) -> Floats:
    """The BLEU of each of some texts against all of the others (Zhu et al. 2018, arXiv:1802.01886); n = 1 ... 4.

    1 is a text whose every n-gram stands in others as often.  Exact, in time that grows with the words, not with their
    square: of an n-gram only the two highest counts are needed, a text's own left out.
    """
    n = len(rows)
    logs = np.zeros(n)
    none = np.zeros(n, bool)
    for order, grams in enumerate(orders, 1):
        codes, place = grams.of(rows)
        hits = np.bincount(place, _clipped(codes, place, n), minlength=n)
        total = np.maximum(np.bincount(place, minlength=n), 1)
        if order == 1:
            none = hits == 0
        logs += np.log(np.where(hits > 0, hits, EPSILON) / total) / len(orders)
    lengths = orders[0].lengths[np.asarray(rows, np.int64)]
    found: Floats = np.where(none, 0.0, np.exp(logs) * _brevity(lengths))
    return found


def _clipped(codes: Ints, place: Ints, n: int) -> Floats:
    """Of each n-gram of each text as many as another text has, spread over its occurrences."""
    if not len(codes):
        return np.zeros(0)
    pair, inverse, count = np.unique(codes * n + place, return_inverse=True, return_counts=True)
    code = pair // n
    order = np.lexsort((-count, code))
    ordered, sizes = code[order], count[order]
    begins = np.concatenate([[True], ordered[1:] != ordered[:-1]])
    first = np.flatnonzero(begins)
    group = np.cumsum(begins) - 1
    several = np.diff(np.append(first, len(ordered))) > 1
    second = np.where(several, sizes[np.minimum(first + 1, len(sizes) - 1)], 0)
    others = np.where(begins, second[group], sizes[first][group])
    clipped = np.empty(len(pair))
    clipped[order] = np.minimum(sizes, others) / sizes
    found: Floats = clipped[inverse]
    return found


def _brevity(lengths: Ints) -> Floats:
    """BLEU's penalty of texts shorter than the other text that is nearest in length (the shorter of two)."""
    if len(lengths) < 2:
        return np.ones(len(lengths))
    ordered, counts = np.unique(lengths, return_counts=True)
    at = np.searchsorted(ordered, lengths)
    below = np.where(at > 0, ordered[np.maximum(at - 1, 0)], -(2**31))
    above = np.where(at + 1 < len(ordered), ordered[np.minimum(at + 1, len(ordered) - 1)], 2**31)
    nearest = np.where(lengths - below <= above - lengths, below, above)
    nearest = np.where(counts[at] > 1, lengths, nearest)
    short = lengths < nearest
    found: Floats = np.where(short, np.exp(1 - nearest / np.maximum(lengths, 1)), 1.0)
    return np.where(lengths == 0, 0.0, found)


def vendi(vectors: NDArray[np.floating]) -> float:
    """The effective number of different rows (Friedman and Dieng 2023, arXiv:2210.02410): exp of the entropy of the
    eigenvalues of K / n, K the cosines.  n where none is like another, 1 where all are one; it grows with n.

    vectors: n x d, unit length.
    """
    rows = np.asarray(vectors, np.float64)
    gram = rows @ rows.T if len(rows) <= rows.shape[1] else rows.T @ rows  # the same eigenvalues but zeros
    values = np.linalg.eigvalsh(gram / len(rows))
    values = values[values > 1e-12]
    return float(np.exp(-(values * np.log(values)).sum()))
