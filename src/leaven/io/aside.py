"""Test rows: set aside by hash, and kept out of the source."""

from __future__ import annotations

from typing import TYPE_CHECKING

from leaven.errors import DataError

if TYPE_CHECKING:
    import numpy as np

    from leaven.io.sets import RowSet


def set_aside(source: RowSet, share: float, seed: int, name: str) -> np.ndarray:
    """Which rows of the source go into the test set: by hash, per label; equal rows and groups stay together."""
    import numpy as np

    if source.rows < 4:
        raise DataError(f"{name} has too few rows to set {share:.0%} aside.", "give a test set: --test FILE")
    texts = np.concatenate(source.texts)
    together = np.concatenate(source.groups) if source.groups else texts
    labels = np.concatenate(source.labels) if source.labels else np.zeros(source.rows, np.int32)
    with np.errstate(over="ignore"):  # a multiplicative hash of (key, seed): the same for equal rows
        mixed = (together ^ np.uint64(seed * 0x9E3779B97F4A7C15 & (2**64 - 1))) * np.uint64(0xBF58476D1CE4E5B9)
        mixed ^= mixed >> np.uint64(31)
    moved = np.zeros(source.rows, bool)
    all_of_one = [together[labels == code] for code in np.unique(labels)]
    pinned = np.array([rows[0] for rows in all_of_one if (rows == rows[0]).all()], np.uint64)
    for code in np.unique(labels):
        mine = np.flatnonzero(labels == code)
        free = mine[~np.isin(together[mine], pinned)]  # the others stand beside rows that are all of their label
        order = free[np.argsort(mixed[free], kind="stable")]
        take = min(len(mine) - 1, max(1 if len(mine) > 1 else 0, round(share * len(mine))))
        moved[order[:take]] = True
    moved = np.isin(together, together[moved])
    for code in np.unique(labels):  # a group may have taken all rows of a label along: leave it whole in the source
        mine = labels == code
        if moved[mine].all():
            moved[np.isin(together, together[mine])] = False
    if not moved.any():
        raise DataError(
            f"no row of {name} can be set aside: each label would lose all its rows.", "give a test set: --test FILE"
        )
    return moved


def leaks(source: RowSet, test: RowSet, name: str, warnings: list[str]) -> np.ndarray | None:
    """Source rows that stand in the test set too (case and blanks folded): they leave the source."""
    import numpy as np

    gone = np.isin(np.concatenate(source.texts), np.concatenate(test.texts))
    if not gone.any():
        return None
    if gone.all():
        raise DataError(f"{name}: every row stands in the test set too.", "give other rows with --test FILE.")
    n = int(gone.sum())
    rows = "row stands" if n == 1 else "rows stand"
    warnings.append(f"{n} source {rows} in the test set too; left out of the source")
    return gone
