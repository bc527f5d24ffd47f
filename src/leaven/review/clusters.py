"""Which rows lie together, so that a threshold can say how much of what was made it still covers."""

from __future__ import annotations

import numpy as np

from leaven.report.vectors import Vectors
from leaven.review.made import Made

MOST = 256
ROWS = 12
"""Rows of a cluster, about, where there are few."""
FITTED = 4_096
ROUNDS = 8
BLOCK = 4_096


def clusters(made: Made) -> tuple[np.ndarray, int]:
    """For each row the number of its cluster, -1 for one that was not embedded, and how many clusters there are.

    k-means by cosine over a draw of what was made; of a large set the report's draw of it is looked at.
    """
    vectors = Vectors(made.content)
    found = np.full(len(made), -1, np.int16)
    if not vectors.there:
        return found, 0
    numbers, stacked = [], []
    for some in (vectors.kept, vectors.refused):
        for own, vector in zip(some.ids, some.vectors, strict=True):
            if own in made.number:
                numbers.append(made.number[own])
                stacked.append(vector)
    if len(numbers) < 2 * ROWS:
        return found, 0
    points = np.asarray(stacked, np.float32)
    points /= np.maximum(np.linalg.norm(points, axis=1, keepdims=True), 1e-9)
    centres = _centres(points[:: max(1, len(points) // FITTED)], min(MOST, len(numbers) // ROWS))
    at = _nearest(points, centres)
    names, codes = np.unique(at, return_inverse=True)  # a centre that no row is nearest to is no cluster
    found[np.array(numbers)] = codes
    return found, len(names)


def _centres(points: np.ndarray, k: int) -> np.ndarray:
    draw = np.random.Generator(np.random.PCG64(0))
    centres = points[draw.choice(len(points), k, replace=False)].copy()
    for _ in range(ROUNDS):
        at = _nearest(points, centres)
        sums = np.zeros_like(centres)
        np.add.at(sums, at, points)
        size = np.linalg.norm(sums, axis=1, keepdims=True)
        centres = np.where(size > 0, sums / np.maximum(size, 1e-9), centres)
    return centres


def _nearest(points: np.ndarray, centres: np.ndarray) -> np.ndarray:
    found = [(points[begin : begin + BLOCK] @ centres.T).argmax(axis=1) for begin in range(0, len(points), BLOCK)]
    return np.concatenate(found)
