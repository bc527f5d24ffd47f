"""Which rows lie near to an earlier kept row, or to a row of another set, by the cosine of vectors.

Few rows are compared one with all.  Many are sorted into cells first (k-means), and a row is compared with the cells
that a near one could lie in.  If y is at cosine t of x, then y = t x + sqrt(1 - t^2) u with a unit u across x, and y
can lie in the cell of c rather than in the cell of a, the centre nearest to x, only where

    x . (a - c) <= sqrt(1 / t^2 - 1) u . (c - a).

The right side is |c - a| at most for the worst u, and about |c - a| / sqrt(d) for a u in any of d directions: some
times that is what is looked at (DEVIATIONS), with d as the rows around their centres show it.
"""

from __future__ import annotations

import math
from collections.abc import Iterator
from itertools import pairwise
from typing import TYPE_CHECKING

from leaven.models.backends.one_thread import one_thread

if TYPE_CHECKING:
    import numpy as np

BLOCK = 4096
INNER = 1024
PAIRS = 50_000**2 // 2
"""So many pairs are compared one by one: 50,000 rows with each other."""
CELLS = 2048
A_CELL = 32
"""Rows a cell that the centres are the means of."""
ROUNDS = 5
DEVIATIONS = 5.0
FEWER, MANY = 3.0, 200_000
"""Above so many rows, so many: five look into most cells there, and a million rows took over 13 minutes of CPU."""


class NearVectors:
    """Vectors of unit length, n x d."""

    def __init__(self, vectors: np.ndarray, at: float) -> None:
        self.vectors, self.at = vectors, at

    def to_other(self, rows: np.ndarray, other: np.ndarray) -> np.ndarray:
        """For each of the rows whether its cosine with one of ``other`` is ``at`` or more."""
        import numpy as np

        found = np.zeros(len(rows), bool)
        if not len(other):
            return found
        with one_thread():
            held = Cells(other, self.at, cells_for(len(rows) * len(other), len(other)))
            for begin in range(0, len(other), BLOCK):
                some = np.arange(begin, min(begin + BLOCK, len(other)))
                held.add(some, held.home(other[some]))
            for begin in range(0, len(rows), BLOCK):
                found[begin : begin + BLOCK] = held.near(self.vectors[rows[begin : begin + BLOCK]])[0]
        return found

    def to_earlier(self, rows: np.ndarray) -> np.ndarray:
        """For each of the rows whether its cosine with an earlier one of them that stays is ``at`` or more."""
        import numpy as np

        found = np.zeros(len(rows), bool)
        with one_thread():
            held = Cells(self.vectors, self.at, cells_for(len(rows) ** 2 // 2, len(rows)))
            for begin in range(0, len(rows), BLOCK):
                mine = rows[begin : begin + BLOCK]
                block = self.vectors[mine]
                gone, home = held.near(block)
                gone[~gone] = _near_in_block(block[~gone], held.edge)
                held.add(mine[~gone], home[~gone])
                found[begin : begin + BLOCK] = gone
        return found


def cells_for(pairs: int, rows: int) -> int:
    """How many cells: one, in which all are compared, where that is soon done."""
    return 1 if pairs <= PAIRS else max(1, min(CELLS, rows // (4 * A_CELL)))


def _near_in_block(block: np.ndarray, edge: float) -> np.ndarray:
    """As ``to_earlier``, for rows that are compared one with all."""
    import numpy as np

    gone = np.zeros(len(block), bool)
    for begin in range(0, len(block), INNER):
        end = min(begin + INNER, len(block))
        before = np.flatnonzero(~gone[:begin])
        if len(before):
            gone[begin:end] = (block[begin:end] @ block[before].T).max(axis=1) >= edge
        close = np.tril(block[begin:end] @ block[begin:end].T >= edge, -1)
        for row in np.flatnonzero(close.any(axis=1)):
            if not gone[begin + row]:
                gone[begin + row] = (close[row] & ~gone[begin:end]).any()
    return gone


def _edge(at: float) -> float:
    """What a cosine reaches that is ``at`` or more once it is rounded to five digits: so a threshold of few digits cuts
    alike whatever order a product was added up in."""
    return math.ceil(at * 1e5 - 1e-6) / 1e5 - 0.5e-5


class Cells:
    """Some rows of ``vectors`` (unit length, n x d), by the centre that each is nearest to."""

    def __init__(self, vectors: np.ndarray, at: float, cells: int) -> None:
        import numpy as np

        self.vectors, self.at, self.edge = vectors, at, _edge(at)
        self.centres = centres(vectors, cells)
        self.gaps = self._gaps()
        self.members = [np.empty(0, np.int32) for _ in range(cells)]
        self.sizes = np.zeros(cells, np.int64)
        self.room = np.empty((0, vectors.shape[1]), vectors.dtype)

    def _gaps(self) -> np.ndarray:
        """How much nearer to its own centre than to another a row may be and yet be compared with the other's rows."""
        import numpy as np

        some = self.vectors[:: max(1, len(self.vectors) // BLOCK)][:BLOCK]
        around = some - self.centres[(some @ self.centres.T).argmax(axis=1)]
        spread = np.linalg.eigvalsh(around.T.astype(np.float64) @ around)
        directions = max(1.0, spread.sum() ** 2 / max(np.square(spread).sum(), 1e-12))
        reach = (DEVIATIONS if len(self.vectors) <= MANY else FEWER) * np.sqrt((1 / self.at**2 - 1) / directions)
        apart = np.sqrt(np.maximum(2 - 2 * self.centres @ self.centres.T, 0))
        gaps: np.ndarray = (min(reach, np.sqrt(1 / self.at**2 - 1)) * apart + 1e-5).astype(np.float32)
        return gaps

    def home(self, block: np.ndarray) -> np.ndarray:
        """The cell of each row of ``block``."""
        home: np.ndarray = (block @ self.centres.T).argmax(axis=1)
        return home

    def add(self, rows: np.ndarray, home: np.ndarray) -> None:
        """Let rows of these cells be found from now on."""
        import numpy as np

        for cell, mine in _by_value(home):
            size, more = int(self.sizes[cell]), len(mine)
            if size + more > len(self.members[cell]):
                grown = np.empty(max(2 * size, size + more, 16), np.int32)
                grown[:size] = self.members[cell][:size]
                self.members[cell] = grown
            self.members[cell][size : size + more] = rows[mine]
            self.sizes[cell] += more

    def near(self, block: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """For each row of ``block`` whether a row that was added is near, and its cell."""
        import numpy as np

        found = np.zeros(len(block), bool)
        if len(self.members) == 1:
            self._compare(0, np.arange(len(block)), block, found)
            return found, np.zeros(len(block), np.int64)
        nearness = block @ self.centres.T
        home = nearness.argmax(axis=1)
        nearness -= nearness[np.arange(len(block)), home][:, None]
        nearness += self.gaps[home]
        row, cell = np.nonzero(nearness >= 0)
        for number, mine in _by_value(cell):
            self._compare(number, row[mine], block, found)
        return found, home

    def _compare(self, cell: int, rows: np.ndarray, block: np.ndarray, found: np.ndarray) -> None:
        """Mark those of the rows that a member of a cell is near to."""
        import numpy as np

        rows = rows[~found[rows]]
        size = int(self.sizes[cell])
        for begin in range(0, size if len(rows) else 0, BLOCK):
            members = self.members[cell][begin : min(begin + BLOCK, size)]
            if len(members) > len(self.room):
                self.room = np.empty((min(BLOCK, 2 * len(members)), self.vectors.shape[1]), self.vectors.dtype)
            theirs = np.take(self.vectors, members, axis=0, out=self.room[: len(members)], mode="clip")
            found[rows] |= (block[rows] @ theirs.T).max(axis=1) >= self.edge


def _by_value(values: np.ndarray) -> Iterator[tuple[int, np.ndarray]]:
    """Each value, and where it stands, ascending."""
    import numpy as np

    order = np.argsort(values, kind="stable")
    ordered = values[order]
    edges = [0, *(np.flatnonzero(ordered[1:] != ordered[:-1]) + 1).tolist(), len(values)]
    for begin, end in pairwise(edges if len(values) else []):
        yield int(ordered[begin]), order[begin:end]


def centres(vectors: np.ndarray, cells: int) -> np.ndarray:
    """Unit vectors in the middle of so many cells: k-means over rows evenly spread, ROUNDS times."""
    import numpy as np

    some = vectors[:: max(1, len(vectors) // (cells * A_CELL))]
    found = some[np.linspace(0, len(some) - 1, cells).astype(np.int64)].copy()
    for _ in range(ROUNDS if cells > 1 else 0):
        home = np.concatenate([(some[b : b + BLOCK] @ found.T).argmax(axis=1) for b in range(0, len(some), BLOCK)])
        for cell, mine in _by_value(home):
            middle = some[mine].sum(axis=0)
            length = np.linalg.norm(middle)
            if length > 0:
                found[cell] = middle / length
    return found
