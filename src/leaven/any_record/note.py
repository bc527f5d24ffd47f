"""The general note: fields and expressions."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any, ClassVar

from leaven.fields import VALUE, Column
from leaven.operators import Expr, Note
from leaven.records import Record

if TYPE_CHECKING:
    from leaven.context import Context


class NoteFields(Note):
    """Set fields to the values of expressions: relabel, repair, derive.

    Overwrites a field that is there; the old value stays in the record's history.

    Needs the fields that the expressions name.  Writes those on the left.

    >>> NoteFields({"label": "prediction"})({"text": "x", "label": "a", "prediction": "b"})
    [{'text': 'x', 'label': 'b', 'prediction': 'b'}]
    """

    name: ClassVar[str] = "note"
    fields: dict[str, Expr]
    """The fields to set, each an expression."""

    def writes(self) -> dict[str, Column]:
        return {name: Column(VALUE) for name in self.fields}

    def note(self, record: Record, ctx: Context) -> Mapping[str, Any]:
        values = ctx.values(record)
        return {name: expression(values, ctx.rng) for name, expression in self.fields.items()}
