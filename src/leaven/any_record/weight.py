"""How much a record should count."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import TYPE_CHECKING, Any, Literal

from pydantic import Field

from leaven.any_record._by_student import ByStudent
from leaven.errors import DataError
from leaven.fields import SCORE, Column
from leaven.operators import State
from leaven.records import Record, place

if TYPE_CHECKING:
    from leaven.context import Context, Rows


class Weight(ByStudent):
    """Note a weight for training: how probable a student finds the record's label, having seen neither it nor its root.

    The student is that of `prediction`, fitted on the real rows; a row whose label no other row has is judged by
    models that saw it, as there.

    With ``by: bilevel`` no clean row is needed: the weights of the rows of ``of`` themselves are learned, such that a
    student of the weighted rows makes a noise-robust loss of the heaviest of them low (SunGen: Gao et al. 2023,
    arXiv:2205.12679).  They say little of fewer than some hundred rows, and less than a student does: of 1,000 rows of
    SNIPS, a fifth with a wrong label, they put 0.85 of the pairs of a right and a wrong row in order, a student's
    out-of-fold confidence 0.99; of BANKING77 0.74 and 0.98.

    Needs texts, images or sounds, and labelled rows to learn from.
    Writes `weight`, from 0 to 1; None where the record has no label, or one that no real row has, and with
    `by: bilevel` where it is none of the rows of ``of``.

    >>> desk = [
    ...     {"text": "lost my card", "label": "card"},
    ...     {"text": "card stolen today", "label": "card"},
    ...     {"text": "open on sunday", "label": "hours"},
    ...     {"text": "opening time today", "label": "hours"},
    ... ]
    >>> [right], [wrong] = (Weight()({"text": "my card", "label": x}, source=desk) for x in ("card", "hours"))
    >>> right["weight"] > 0.5 > wrong["weight"]
    True
    """

    by: Literal["confidence", "bilevel"] = "confidence"
    """What to weigh by: the student's probability of the record's own label, or weights that are learned."""
    of: Literal["given", "source", "made"] = "given"
    """Of `bilevel`: the rows to weigh, candidates made elsewhere, the real rows, or what ended chains made."""
    rounds: int = Field(100, ge=1, le=10_000)
    """Of `bilevel`: how often the student is fitted anew and the weights are moved."""
    outer_n: int = Field(50_000, ge=1)
    """Of `bilevel`: how many rows, drawn once, the noise-robust loss is taken over."""
    outer_lr: float = Field(0.25, gt=0)
    """Of `bilevel`: how far the weights move in a round."""
    inner_lr: float = Field(0.001, gt=0)
    """Of `bilevel`: how far the student moves in a step."""
    share: float = Field(0.9, gt=0, le=1)
    """Of `bilevel`: the share of rows, the heaviest, that the noise-robust loss counts."""

    def writes(self) -> dict[str, Column]:
        return {"weight": Column(SCORE, self.reads() | {self.target}, written=False)}

    def fits_on(self) -> tuple[str, ...]:
        return (self.of,) if self.by == "bilevel" else self.student().fits_on()

    def fit(self, rows: Mapping[str, Rows], ctx: Context) -> State:
        if self.by == "confidence":
            return self.student().fit(rows, ctx)
        import numpy as np

        from leaven.models.backends.bilevel import bilevel_weights

        [table] = rows.values()
        given = table.column(self.target) if self.target in table else []
        at = [i for i, label in enumerate(given) if label is not None]
        if not at:
            raise DataError(
                f"weight finds no {self.of} row with a `{self.target}`.", "weight: {by: bilevel, of: source}"
            )
        some = table.take(at)
        names, y = np.unique([str(given[i]) for i in at], return_inverse=True)
        weights = bilevel_weights(
            ctx.vectors(some, self.student().inputs()),
            y,
            n_labels=len(names),
            rounds=self.rounds,
            outer_n=self.outer_n,
            outer_lr=self.outer_lr,
            inner_lr=self.inner_lr,
            share=self.share,
            seed=ctx.seed,
        )
        places = np.array([place(name) for name in some.ids], np.uint64)
        order = np.argsort(places, kind="stable")
        return {"place": places[order], "weight": weights[order]}

    def notes(self, records: Sequence[Record], ctx: Context) -> Iterator[Mapping[str, Any]]:
        if self.by == "bilevel":
            yield from self.learned(records, ctx)
            return
        for noted in self.student().notes(records, ctx):
            probability = noted["label_prob"]
            yield {"weight": None if probability is None else min(1.0, max(0.0, probability))}

    def learned(self, records: Sequence[Record], ctx: Context) -> Iterator[Mapping[str, Any]]:
        import numpy as np

        held = ctx.state["place"]
        for record in records:
            at = np.uint64(place(record.id))
            i = min(int(np.searchsorted(held, at)), len(held) - 1)
            yield {"weight": round(float(ctx.state["weight"][i]), 6) if held[i] == at else None}
