"""A vector moved towards a drawn one, or away from it."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING, Any, ClassVar, Literal

from pydantic import Field, model_validator

from leaven.draws import Draw
from leaven.errors import RecipeError
from leaven.fields import Column
from leaven.label_mass import LABEL, LABEL_PROBS, labels_of
from leaven.mixing import mix
from leaven.operators import Make
from leaven.records import Record

if TYPE_CHECKING:
    from leaven.context import Context


class MixVectors(Make):
    """Mix the record's vector with a drawn one, lam of the one and the rest of the other, or move it away from it.

    With `soft` it is mixup of features (Zhang et al. 2018, arXiv:1710.09412): the child has both labels, by their
    shares, as `label_probs`; `label` is that of the larger share.  With `draw: {k: 1, same: label}` it interpolates
    within a label, and with `how: beyond` it extrapolates: x + (1 - lam) (x - y), under the record's own label
    (DeVries and Taylor 2017, arXiv:1702.05538, with lam 0.5, where y is drawn from the ten nearest).

    A record for which no row with a vector can be drawn is refused as `no_partner`, one without a label, where soft
    labels are asked for, as `no_label`.

    Needs a vector, and a label where `soft`.  Makes a vector and labels.

    >>> MixVectors(lam=0.75)({"vector": [0.0, 4.0]}, source=[{"vector": [4.0, 0.0]}])[0]["vector"].tolist()
    [1.0, 3.0]
    """

    takes: ClassVar[str] = "vector"
    lam: float = Field(0.5, ge=0, le=1)
    """The share of the record's own vector, or an expression such as `beta(0.4, 0.4)`, drawn anew for each record."""
    n: int = Field(1, ge=1, le=1000)
    """How many children, each with another partner drawn."""
    draw: Draw = Draw(k=1)
    """Which row to mix with."""
    how: Literal["between", "beyond"] = "between"
    """Towards the drawn vector, or as far away from it."""
    soft: bool = False
    """Write `label_probs`, the share of each label."""
    on: str | None = None
    """The field to change; the main vector."""

    @model_validator(mode="after")
    def _own_label(self) -> MixVectors:
        if self.soft and self.how == "beyond":
            raise ValueError(
                RecipeError("`soft` shares labels, and a vector that moves away keeps its own.", "leave out `soft`.")
            )
        return self

    @property
    def needs(self) -> frozenset[str]:  # type: ignore[override]
        return frozenset({LABEL}) if self.soft or LABEL in self.draw.reads() else frozenset()

    def writes(self) -> dict[str, Column]:
        return {LABEL_PROBS: Column(LABEL_PROBS)} if self.soft else {}

    def make(self, record: Record, ctx: Context) -> Iterator[Record]:
        field = self.on or "vector"
        for ordinal in range(self.n):
            drawn = [row for row in ctx.partners(record, self.draw, ordinal) if row.get(field) is not None]
            if record.get(field) is None or not drawn:
                yield record.child().refuse("no_partner", "no row with a vector can be drawn for it")
            else:
                yield self.mixed(record, drawn[0], field, ctx)

    def mixed(self, record: Record, partner: Record, field: str, ctx: Context) -> Record:
        import numpy as np

        own, other = (np.asarray(row[field], np.float64) for row in (record, partner))
        said = {"lam": self.lam}
        if self.how == "beyond":
            new: dict[str, Any] = {field: mix(own, other, 2 - self.lam).astype(np.float32)}
            return record.child(new, parents=[record, partner], drawn=said)
        labels = labels_of([(self.lam, record), (1 - self.lam, partner)], ctx, self.soft)
        if labels is None:
            return record.child(parents=[record, partner]).refuse(
                "no_label", "a row without a label has no share of one"
            )
        new = {field: mix(own, other, self.lam).astype(np.float32)}
        return record.child({**new, **labels}, parents=[record, partner], drawn=said)
