"""All pairs of near rows in what ``million_keeps.py`` wrote, none overlooked, and which rows go by them.

Each way leaves out only pairs that cannot be near, so nothing is left to chance.  500,000 vectors took under 5 minutes
of CPU; a million texts would take some 10, for they are compared by pieces that are not so rare then.
"""

from __future__ import annotations

import math
from array import array

import numpy as np

SHARED = 6
"""Rare pieces that two texts must share to be compared."""
DIMENSIONS = 384
BLOCK = 2000


def pieces(text: str) -> frozenset[str]:
    text = " ".join(text.casefold().split())
    return frozenset(text[i : i + 5] for i in range(max(1, len(text) - 4)))


def near_texts(texts: list[str], at: float) -> np.ndarray:
    """Pairs (later row, earlier row) whose Jaccard of 5-character pieces is ``at`` or more.

    Texts of s pieces that are near share at s of them at least; so of the s - at s + k that are rarest in all texts
    they share k (the prefix filter, Chaudhuri, Ganti and Kaushik 2006, with k as of Wang, Li and Feng 2012).
    """
    from scipy.sparse import csr_array

    columns, sizes = _numbered(texts)
    edges = np.concatenate([[0], np.cumsum(sizes)])
    row = np.repeat(np.arange(len(texts)), sizes)
    least = np.ceil(at * sizes - 1e-9).astype(np.int64)  # pieces shared with a near text
    k = min(SHARED, int(least.min()))
    rare = np.arange(len(columns)) - edges[row] < (sizes - least + k)[row]
    ones = np.ones(int(rare.sum()), np.int16)
    table = csr_array((ones, (row[rare], columns[rare])), (len(texts), int(columns.max()) + 1))
    del row, rare
    turned = table.T.tocsr()
    found = [np.empty((0, 2), np.int64)]
    for begin in range(0, len(texts), BLOCK):
        both = (table[begin : begin + BLOCK] @ turned).tocoo()
        rows, others = both.coords[0] + begin, both.coords[1]
        likely = (both.data >= k) & (others < rows)
        likely &= np.minimum(sizes[rows], sizes[others]) >= at * np.maximum(sizes[rows], sizes[others]) - 1e-9
        pairs = np.column_stack([rows[likely], others[likely]]).astype(np.int64)
        held = {one: set(columns[edges[one] : edges[one + 1]].tolist()) for one in np.unique(pairs).tolist()}
        near = [jaccard(held[one], held[other]) >= at for one, other in pairs.tolist()]
        found.append(pairs[np.array(near, bool)])
    return np.concatenate(found)


def jaccard(one: set[int], other: set[int]) -> float:
    both = len(one & other)
    return both / (len(one) + len(other) - both)


def _numbered(texts: list[str]) -> tuple[np.ndarray, np.ndarray]:
    """The pieces of all texts as numbers, a text's from the rarest, and how many each text has."""
    numbers: dict[str, int] = {}
    columns, sizes = array("i"), np.empty(len(texts), np.int64)
    for row, text in enumerate(texts):
        mine = pieces(text)
        columns.extend([numbers.setdefault(piece, len(numbers)) for piece in mine])
        sizes[row] = len(mine)
    drawn = np.frombuffer(columns, np.int32)
    rank = np.empty(len(numbers), np.int64)
    rank[np.argsort(np.bincount(drawn), kind="stable")] = np.arange(len(numbers))
    keyed = np.repeat(np.arange(len(texts)), sizes) * len(numbers) + rank[drawn]
    keyed.sort()
    return (keyed % len(numbers)).astype(np.int32), sizes


def near_vectors(vectors: np.ndarray, at: float, whole: int) -> np.ndarray:
    """Pairs (later row, earlier row) of unit vectors whose cosine, rounded to five digits, is ``at`` or more.

    On the sphere an angle is no longer than the two about a third point: rows near to each other, within the angle a,
    lie at angles to a centre that differ by a at most.  Any centre would do; those of the topics let most be left out.
    """
    centres, edge = topics(whole), at - 0.5e-5
    apart = math.acos(edge) + 1e-3  # the products are of single precision
    nearness, home = np.empty(len(vectors), np.float32), np.empty(len(vectors), np.int64)
    for begin in range(0, len(vectors), BLOCK):
        cosines = vectors[begin : begin + BLOCK] @ centres.T
        home[begin : begin + BLOCK] = cosines.argmax(axis=1)
        nearness[begin : begin + BLOCK] = cosines.max(axis=1)
    angle = np.arccos(np.clip(nearness, -1, 1))
    found = [np.empty((0, 2), np.int64)]
    for begin in range(0, len(centres), 64):
        cosines = centres[begin : begin + 64] @ vectors.T
        for centre, cosine in enumerate(cosines, begin):
            members = np.flatnonzero(home == centre)
            members = members[np.argsort(angle[members], kind="stable")]
            for at_most in range(0, len(members), 64):
                mine = members[at_most : at_most + 64]
                others = np.flatnonzero(cosine >= math.cos(min(float(angle[mine[-1]]) + apart, math.pi)))
                others = others[others < mine.max()]
                found += _compared(vectors, mine, others, edge)
    return np.concatenate(found)


def _compared(vectors: np.ndarray, mine: np.ndarray, others: np.ndarray, edge: float) -> list[np.ndarray]:
    pairs = []
    for begin in range(0, len(others), 20_000):
        some = others[begin : begin + 20_000]
        row, other = np.nonzero(vectors[mine] @ vectors[some].T >= edge)
        both = np.column_stack([mine[row], some[other]])
        pairs.append(both[both[:, 1] < both[:, 0]])
    return pairs


def topics(whole: int) -> np.ndarray:
    """The centres that ``million_keeps.vectors`` draws first for so many rows."""
    draw = np.random.default_rng(7)
    scale = (np.arange(1, DIMENSIONS + 1) ** -0.35).astype(np.float32)
    drawn = draw.standard_normal((max(20, whole // 200), DIMENSIONS), np.float32) * scale
    centres: np.ndarray = drawn / np.linalg.norm(drawn, axis=1, keepdims=True)
    return centres


def gone(pairs: np.ndarray, rows: int) -> np.ndarray:
    """Every row in order against all that stay."""
    found = np.zeros(rows, bool)
    for row, other in pairs[np.lexsort((pairs[:, 1], pairs[:, 0]))].tolist():
        found[row] |= not found[other]
    return found
