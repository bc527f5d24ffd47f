"""How like the real rows others are: precision, recall, density, coverage, the Frechet distance."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.float64]


@dataclass(frozen=True)
class Manifold:
    """Shares: of rows that lie among the real ones (``precision``), of real ones that lie among the rows (``recall``);
    how densely real ones lie about the rows (``density``, 1 as among themselves, no share), and how many real ones have
    one of the rows near (``coverage``)."""

    precision: float
    recall: float
    density: float
    coverage: float


def reach(similar: NDArray[np.floating], k: int) -> Floats:
    """The similarity of each row's k-th nearest other row.

    similar: n x n; the diagonal below all else.  With fewer than k others, that of the farthest.
    """
    at = len(similar) - min(k, len(similar) - 1)
    found: Floats = np.partition(similar, at, axis=1)[:, at]
    return found


def manifold(
    within_real: NDArray[np.floating], between: NDArray[np.floating], within: NDArray[np.floating], near: int, wide: int
) -> Manifold:
    """Four numbers from similarities: real n x n, rows x real m x n, rows m x m (diagonals below all else).

    A ball about a row reaches its k-th nearest other one.  Precision and recall as Kynkaanniemi et al. 2019
    (arXiv:1904.06991) with k = ``near``; density and coverage as Naeem et al. 2020 (arXiv:2002.09797) with
    k = ``wide``.
    """
    small, large = reach(within_real, near), reach(within_real, wide)
    own = reach(within, near)
    inside = between >= large
    return Manifold(
        precision=float((between >= small).any(axis=1).mean()),
        recall=float((between >= own[:, None]).any(axis=0).mean()),
        density=float(inside.sum() / (wide * len(between))),
        coverage=float(inside.any(axis=0).mean()),
    )


def frechet(real: NDArray[np.floating], rows: NDArray[np.floating]) -> float:
    """The Frechet distance, squared, of two normal distributions with the means and covariances of these vectors
    (Heusel et al. 2017, arXiv:1706.08500).

    |m1 - m2|^2 + tr(C1 + C2 - 2 (C1 C2)^(1/2)).  The fewer rows, the higher it is: compare equal numbers of them.
    """
    a, b = np.asarray(real, np.float64), np.asarray(rows, np.float64)
    first, second = a.mean(axis=0), b.mean(axis=0)
    a, b = (a - first) / np.sqrt(max(1, len(a) - 1)), (b - second) / np.sqrt(max(1, len(b) - 1))
    # tr (C1 C2)^(1/2) is the sum of the singular values of A B', where C1 = A'A and C2 = B'B.
    cross = a @ b.T if max(len(a), len(b)) <= 2 * a.shape[1] else _triangle(a) @ _triangle(b).T
    shorter = cross @ cross.T if len(cross) <= cross.shape[1] else cross.T @ cross
    both = np.sqrt(np.maximum(np.linalg.eigvalsh(shorter), 0.0)).sum()
    return max(0.0, float(((first - second) ** 2).sum() + (a * a).sum() + (b * b).sum() - 2 * both))


def _triangle(rows: Floats) -> Floats:
    """R of rows = QR: as good as the rows where only their products count, and smaller."""
    return np.asarray(np.linalg.qr(rows, mode="r"), np.float64)
