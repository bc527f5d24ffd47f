"""Noise on a vector, and features left out."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import TYPE_CHECKING, ClassVar

from pydantic import Field

from leaven.operators import Make, State
from leaven.records import Record

if TYPE_CHECKING:
    from leaven.context import Context, Rows


class ShakeVector(Make):
    """Add noise to each number of a vector, as wide as that number is spread over the real rows, and drop some.

    Normal noise of `noise` times the standard deviation over all real rows (DeVries and Taylor 2017,
    arXiv:1702.05538, with 0.5).  Each number is zero with the chance `drop`; those that stay are divided by 1 - `drop`,
    as dropout does.  The label stays.

    Needs a vector.  Makes a vector.

    >>> rows = [{"vector": [0.0, 5.0]}, {"vector": [2.0, 5.0]}]
    >>> [row] = ShakeVector(noise=0.5)(rows[0], source=rows)
    >>> float(row["vector"][0]) != 0, float(row["vector"][1])
    (True, 5.0)
    """

    takes: ClassVar[str] = "vector"
    noise: float = Field(0.5, ge=0, le=10)
    """Standard deviation of the noise, as a share of that of each number over the real rows."""
    drop: float = Field(0.0, ge=0, lt=1)
    """The chance of each number to be zero."""
    n: int = Field(1, ge=1, le=1000)
    """How many children."""
    on: str | None = None
    """The field to change; the main vector."""

    def fit(self, rows: Mapping[str, Rows], ctx: Context) -> State:
        import numpy as np

        found = [value for value in rows["source"].column(self.on or "vector") if value is not None]
        return {"spread": np.array(found, np.float64).std(axis=0)}

    def make(self, record: Record, ctx: Context) -> Iterator[Record]:
        import numpy as np

        field = self.on or "vector"
        if record.get(field) is None:
            yield record.child().refuse("no_vector", f"`{field}` is empty")
            return
        own = np.asarray(record[field], np.float64)
        for ordinal in range(self.n):
            rng = ctx.rng_of(ordinal)
            shaken = own + self.noise * ctx.state["spread"] * rng.standard_normal(len(own))
            if self.drop:
                shaken = shaken * (rng.random(len(own)) >= self.drop) / (1 - self.drop)
            yield record.child({field: shaken.astype(np.float32)})
