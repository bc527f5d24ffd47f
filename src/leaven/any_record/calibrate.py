"""Vectors for labels with few rows, drawn as labels with many rows are spread."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import TYPE_CHECKING, ClassVar

from pydantic import Field

from leaven.errors import DataError
from leaven.label_mass import LABEL
from leaven.operators import Make, State
from leaven.records import Record
from leaven.train.calibration import Calibration, draw_about, tukey

if TYPE_CHECKING:
    from leaven.context import Context, Rows


class Calibrate(Make):
    """Draw vectors for a label with few rows, spread as the nearest labels with many rows are.

    Distribution calibration (Yang et al. 2021, arXiv:2101.06395): about each vector of a label with few rows lies a
    normal distribution, with the mean of the means of the `k` nearest labels and of the vector itself, and the
    covariance of these labels, to each entry of which `alpha` is added.  All is done with Tukey's `power` of the
    numbers, signs kept, and what is drawn is brought back.  `alpha` stands in the units of these powers: 0.21 is for a
    network's features of about 0 to 1, and vectors of unit length want less.  The paper draws 750 rows a label.
    Records of labels with more rows have no child.

    Needs a vector and a label, `k` labels with more than `few` rows.  Makes a vector.

    >>> rows = [{"vector": [float(x), x % 3.0], "label": "many"} for x in range(9)]
    >>> one = {"vector": [20.0, 1.0], "label": "few"}
    >>> drawn = Calibrate(n=2, k=1, few=1)(one, source=[*rows, one])
    >>> [row["label"] for row in drawn], drawn[0]["vector"].shape
    (['few', 'few'], (2,))
    """

    takes: ClassVar[str] = "vector"
    needs: ClassVar[frozenset[str]] = frozenset({LABEL})
    n: int = Field(10, ge=1, le=10_000)
    """How many children of each row of a label with few."""
    few: int = Field(5, ge=1)
    """A label with so many real rows at most has few; the others are what is learned from."""
    k: int = Field(2, ge=1)
    """How many of the nearest labels to learn from."""
    alpha: float = Field(0.21, ge=0)
    """What is added to each entry of the covariance."""
    power: float = Field(0.5, gt=0, le=1)
    """The power of the numbers; 1 leaves them as they are."""
    on: str | None = None
    """The field to change; the main vector."""

    def fit(self, rows: Mapping[str, Rows], ctx: Context) -> State:
        import numpy as np

        table = rows["source"]
        values, said = table.column(self.on or "vector"), table.column(str(ctx.constants["label_field"]))
        here = [i for i, value in enumerate(values) if value is not None and said[i] is not None]
        labels = np.array([str(said[i]) for i in here], np.str_)
        names, own, counts = np.unique(labels, return_inverse=True, return_counts=True)
        many = counts > self.few
        if many.sum() < self.k:
            raise DataError(
                f"calibrate learns from {self.k} labels with more than {self.few} rows, and {many.sum()} of the"
                f" {len(names)} labels have so many.",
                "calibrate: {few: 1, k: 1}, or give more rows.",
            )
        base = np.flatnonzero(many[own])
        vectors = tukey(np.array([values[here[i]] for i in base]), self.power)
        found = Calibration(vectors, labels[base], k=self.k, alpha=self.alpha)
        return {
            "few": names[~many],
            "means": found.means,
            "deviations": np.concatenate(found.deviations),
            "ends": np.cumsum([len(one) for one in found.deviations])[:-1],
        }

    def make(self, record: Record, ctx: Context) -> Iterator[Record]:
        import numpy as np

        field, state = self.on or "vector", ctx.state
        label = record.get(str(ctx.constants["label_field"]))
        if record.get(field) is None or label is None or str(label) not in state["few"]:
            return
        deviations = np.split(state["deviations"], state["ends"])
        own = tukey(record[field], self.power)
        for ordinal in range(self.n):
            [drawn] = draw_about(own, 1, state["means"], deviations, ctx.rng_of(ordinal), self.k, self.alpha)
            yield record.child({field: tukey(drawn, 1 / self.power).astype(np.float32)})
