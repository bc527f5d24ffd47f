"""Rows that are vectors, as a measurement sees them: each under a key, a hash of its numbers."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from leaven.context import of_unit_length
from leaven.measure.students import AnyStudent, Embed, Floats, held
from leaven.records import digest
from leaven.storage import to_values

if TYPE_CHECKING:
    import pyarrow as pa

NEAR = 0.999
"""The cosine from which a made row counts as near to a test row."""
AT_A_TIME = 4096


class Vectors:
    """The main vector of the data: a student learns from it at unit length, another from each number standardised."""

    student = "vectors + linear"
    baseline = "mix-vectors"

    def __init__(self, field: str) -> None:
        self.fields = [field]
        self.known: dict[str, NDArray[np.float32]] = {}

    def items(self, columns: Sequence[pa.ChunkedArray]) -> list[str | None]:
        """The key of each row's vector; None where it has none."""
        [column] = columns
        found: list[str | None] = []
        for begin in range(0, len(column), AT_A_TIME):
            values = to_values("vector", column.slice(begin, AT_A_TIME).to_pylist())
            keys = [None if value is None else digest(value.tobytes()).hex() for value in values]
            self.known.update((key, value) for key, value in zip(keys, values, strict=True) if key)
            found += keys
        return found

    def embed(self, items: Sequence[str]) -> NDArray[Any]:
        """The vectors at unit length."""
        return of_unit_length([self.known[item] for item in items])

    def same(self, item: str) -> str:
        """What two rows share that are the same: every number."""
        return item

    def near(self, items: Sequence[str], test: Sequence[str]) -> list[bool]:
        """Which point almost where one of the test rows points."""
        if not items or not test:
            return [False] * len(items)
        known = self.embed(list(dict.fromkeys(test))).T
        found: list[bool] = []
        for begin in range(0, len(items), AT_A_TIME):
            found += ((self.embed(items[begin : begin + AT_A_TIME]) @ known).max(axis=1) >= NEAR).tolist()
        return found

    def others(self, items: Sequence[str]) -> list[AnyStudent] | None:
        """The student beside the one over unit vectors."""
        return [Standardised(held({item: self.known[item] for item in items}))]


class Standardised:
    """Vectors as they are, each number less its mean over the arm's rows and divided by its spread there; together of
    about unit length."""

    name = "standardised vectors + linear"

    def __init__(self, embed: Embed) -> None:
        self._embed = embed

    def features(self, train_texts: Sequence[str], test_texts: Sequence[str]) -> tuple[Floats, Floats]:
        train, test = (np.asarray(self._embed(texts), np.float64) for texts in (train_texts, test_texts))
        mean, spread = train.mean(axis=0), train.std(axis=0)
        scale = np.where(spread > 0, spread, 1) * np.sqrt(train.shape[1])
        return (train - mean) / scale, (test - mean) / scale
