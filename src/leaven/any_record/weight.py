"""How much a record should count."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import TYPE_CHECKING, Any, Literal

from leaven.any_record._by_student import ByStudent
from leaven.fields import SCORE, Column
from leaven.operators import State
from leaven.records import Record

if TYPE_CHECKING:
    from leaven.context import Context, Rows


class Weight(ByStudent):
    """Note a weight for training: how probable a student finds the record's label, having seen neither it nor its root.

    The student is that of `prediction`, fitted on the real rows; a row whose label no other row has is judged by
    models that saw it, as there.

    Needs texts, images or sounds, and labelled rows to learn from.
    Writes `weight`, from 0 to 1; None where the record has no label, or one that no real row has.

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

    by: Literal["confidence"] = "confidence"
    """What to weigh by: the student's probability of the record's own label."""

    def writes(self) -> dict[str, Column]:
        return {"weight": Column(SCORE, self.reads() | {self.target}, written=False)}

    def fit(self, rows: Mapping[str, Rows], ctx: Context) -> State:
        return self.student().fit(rows, ctx)

    def notes(self, records: Sequence[Record], ctx: Context) -> Iterator[Mapping[str, Any]]:
        for noted in self.student().notes(records, ctx):
            probability = noted["label_prob"]
            yield {"weight": None if probability is None else min(1.0, max(0.0, probability))}
