"""Examples for a prompt: which rows of a set a step draws for a record, always the same ones."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any, Literal

from pydantic import BaseModel, ConfigDict, model_validator

from leaven.errors import RecipeError
from leaven.expressions import Row
from leaven.parameters import Expr

if TYPE_CHECKING:
    import numpy as np

    from leaven.context import Context, Rows
    from leaven.records import Record


MOST_HELD = 256
"""Rows that are kept once read: the next record may draw them too."""


class Draw(BaseModel):
    """``draw:`` of a step: the examples that its prompt shows."""

    model_config = ConfigDict(extra="forbid", frozen=True, arbitrary_types_allowed=True, use_attribute_docstrings=True)

    k: Expr
    """How many; with `per`, how many of each."""
    of: Literal["source", "made", "stream"] | list[dict[str, Any]] = "source"
    """From the real rows, from what was made in rounds that ended, from all that comes into the step; or from rows that
    stand here, of one's own for a prompt: `of: [{caption: ..., rewrite: ...}, ...]`."""
    same: str | dict[str, Expr] | None = None
    """Only rows that agree with the record in this field; `{label: EXPR}`: whose label is the value, or among it."""
    other: str | None = None
    """Only rows that differ from the record in this field, no two alike."""
    per: str | None = None
    """Of each value of this field in turn, in the order of `same`."""

    @model_validator(mode="after")
    def _one_way(self) -> Draw:
        if self.same is not None and self.other is not None:
            raise ValueError(RecipeError("`draw` has both `same` and `other`.", "leave out one of the two."))
        if isinstance(self.same, dict) and len(self.same) != 1:
            raise ValueError(RecipeError("`same` names one field.", "same: {label: classes}"))
        if self.per and isinstance(self.same, dict) and self.per not in self.same:
            raise ValueError(RecipeError("`per` and `same` name two fields.", "per: label, same: {label: classes}"))
        return self

    def expressions(self) -> list[Any]:
        return [self.k, *(self.same.values() if isinstance(self.same, dict) else [])]

    def reads(self) -> frozenset[str]:
        """The fields of the record, and the names in the expressions."""
        fields = {name for name in (self.same, self.other) if isinstance(name, str)}
        return frozenset(fields).union(*(e.names for e in self.expressions()))


def rows_here(of: Sequence[Mapping[str, Any]]) -> Rows:
    """The rows that stand in a recipe, as a set to draw from."""
    import pyarrow as pa

    from leaven.context import Rows

    names = [f"example {i}" for i in range(1, len(of) + 1)]
    fields = dict.fromkeys(key for row in of for key in row)
    columns = {key: [row.get(key) for row in of] for key in fields}
    return Rows(pa.table({"_id": names, "_root": names, **columns}))


@dataclass(frozen=True)
class Drawn:
    id: str
    fields: Row


class Draws:
    """Draws from one set.  Rows stand in the order of their ids' places, so that a draw does not hang on the file's."""

    def __init__(self, draw: Draw, rows: Rows) -> None:
        self.how = draw
        self.rows = rows
        self._ids = rows.ids
        self._groups: dict[str, dict[Any, list[int]]] = {}
        self._known: dict[int, Drawn] = {}

    def draw(self, record: Record, values: Mapping[str, Any], ctx: Context, ordinal: int = 0) -> list[Drawn]:
        """The examples for a record (for its n-th child): fewer where the set has fewer, never itself or its root."""
        how = self.how
        rng = ctx.drawing("draw").of(record).rng_of(ordinal)
        k = int(how.k(values, rng))
        if how.other:
            return self._different(record, k, rng)
        if isinstance(how.same, dict):
            [(field, expression)] = how.same.items()
            wanted = expression(values, rng)
            wanted = list(wanted) if isinstance(wanted, list | tuple) else [wanted]
        elif how.same:
            field, wanted = how.same, [record.get(how.same)]
        elif how.per:
            field, wanted = how.per, sorted(self._by(how.per), key=str)
        else:
            return self._some(range(len(self._ids)), record, k, rng)
        if how.per:
            return [row for value in wanted for row in self._some(self._by(field).get(value, []), record, k, rng)]
        return self._some([i for value in wanted for i in self._by(field).get(value, [])], record, k, rng)

    def _different(self, record: Record, k: int, rng: np.random.Generator) -> list[Drawn]:
        """One row of each of k other values, in a drawn order."""
        assert self.how.other
        groups = self._by(self.how.other)
        own = record.get(self.how.other)
        values = [value for value in sorted(groups, key=str) if value != own]
        order = rng.permutation(len(values))[:k]
        return [row for i in order for row in self._some(groups[values[i]], record, 1, rng)]

    def _some(self, among: Sequence[int], record: Record, k: int, rng: np.random.Generator) -> list[Drawn]:
        """k of the rows, none twice, in the order drawn."""
        own = (record.id, record.root)
        found: list[Drawn] = []
        taken: set[int] = set()
        if len(among) > 64 * (k + 2):  # a few of many: draw until they differ, instead of shuffling all
            while len(found) < k:
                i = among[int(rng.integers(len(among)))]
                if i not in taken and self._ids[i] not in own:
                    found.append(self._row(i))
                taken.add(i)
            return found
        fits = [i for i in among if self._ids[i] not in own]
        return [self._row(fits[i]) for i in rng.permutation(len(fits))[:k]]

    def _by(self, field: str) -> dict[Any, list[int]]:
        if field not in self._groups:
            if field not in self.rows:
                which = "rows" if isinstance(self.how.of, list) else f"{self.how.of} rows"
                raise RecipeError(
                    f"draw: the {which} have no field `{field}`.",
                    "name one of the data's fields.",
                )
            groups: dict[Any, list[int]] = defaultdict(list)
            for i, value in enumerate(self.rows.column(field)):
                groups[value].append(i)
            self._groups[field] = dict(groups)
        return self._groups[field]

    def _row(self, i: int) -> Drawn:
        if i not in self._known:
            if len(self._known) >= MOST_HELD:  # images would fill the memory
                self._known.clear()
            self._known[i] = Drawn(self._ids[i], Row(self.rows.row(i)))
        return self._known[i]


def placed(draw: Draw, where: str) -> Draw:
    """The draw, whose expressions name their line in what goes wrong."""

    def put(expression: Any) -> Any:
        return expression if expression.where else replace(expression, where=where)

    same = {n: put(e) for n, e in draw.same.items()} if isinstance(draw.same, dict) else draw.same
    return draw.model_copy(update={"k": put(draw.k), "same": same})
