"""A row of a table that fits the record, drawn by weight."""

from __future__ import annotations

from collections.abc import Mapping
from math import isfinite
from typing import TYPE_CHECKING, Any, ClassVar

from pydantic import Field, model_validator

from leaven.errors import RecipeError
from leaven.expressions import Row
from leaven.fields import VALUE, Column
from leaven.io.side_table import side_table
from leaven.operators import Expr, File, Note
from leaven.records import Record

if TYPE_CHECKING:
    from leaven.context import Context


class Lookup(Note):
    """Take values from a row of a table that fits the record.

    Each record looks at every row of the table: those where `where` is true are candidates, and one of them is drawn by
    `weight`.  In these expressions `row` is the table's.  A record that no row fits gets empty values; a keep after it
    refuses such records: `keep: {that: new, reason: no_concept}`.

    The table is csv, tsv, jsonl, json or yaml (a list of mappings).

    Needs the fields that the expressions name.  Writes those of `into`.

    >>> import tempfile
    >>> from pathlib import Path
    >>> path = Path(tempfile.mkdtemp()) / "near.csv"
    >>> _ = path.write_text("source,target,distance\\nerhu,violin,3\\nkoto,harp,3\\n")
    >>> Lookup(str(path), where="row.target in text", into={"new": "row.source"})({"text": "a violin on a chair"})
    [{'text': 'a violin on a chair', 'new': 'erhu'}]
    """

    gives: ClassVar[frozenset[str]] = frozenset({"row"})
    table: File
    """The file, beside the recipe."""
    where: Expr = Field("true", validate_default=True)
    """Which rows fit, an expression with `row`."""
    weight: Expr = Field(1, validate_default=True)
    """How likely a row is, beside the others that fit."""
    into: dict[str, Expr] = Field(min_length=1)
    """The fields to write, each an expression with `row`."""

    @model_validator(mode="after")
    def _readable(self) -> Lookup:
        side_table(self.table)
        return self

    def writes(self) -> dict[str, Column]:
        return {name: Column(VALUE) for name in self.into}

    def note(self, record: Record, ctx: Context) -> Mapping[str, Any]:
        values = ctx.values(record)
        rng = ctx.rng
        fitting = [seen for row in side_table(self.table) if self.where(seen := {**values, "row": Row(row)}, rng)]
        weights = [self.heavy(self.weight(seen, rng)) for seen in fitting]
        total = sum(weights)
        if not total:
            return dict.fromkeys(self.into)
        chosen = fitting[int(rng.choice(len(fitting), p=[weight / total for weight in weights]))]
        return {name: expression(chosen, rng) for name, expression in self.into.items()}

    def heavy(self, weight: Any) -> float:
        """A weight as a number from 0 on: a distance of 0, say, has no inverse."""
        number = weight if isinstance(weight, int | float) else -1.0
        if not isfinite(number) or number < 0:
            raise RecipeError(
                f"lookup: the weight `{self.weight.source}` is {weight!r}; it is a number from 0 on.",
                'weight: "1 / max(row.distance, 1)"',
            )
        return float(number)
