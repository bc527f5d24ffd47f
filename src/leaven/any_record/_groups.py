"""Groups of all that comes into a step: by the values of columns, by the real row at the start, or all as one."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

from pydantic import BaseModel, ConfigDict, Field

from leaven.expressions import Row
from leaven.records import Record, canonical

if TYPE_CHECKING:
    import numpy as np

    from leaven.context import Rows

ALL, ROOT = "all", "root"
Per = str | list[str]


class Shown(BaseModel):
    """Which rows of a group a prompt shows: `{n: 20, unique: caption}`."""

    model_config = ConfigDict(extra="forbid", frozen=True, use_attribute_docstrings=True)

    n: int = Field(5, ge=1, le=1000)
    """How many, drawn at random; all where there are no more."""
    unique: str | None = None
    """A field of which each value is shown once."""


def columns_of(per: Per) -> list[str]:
    """The columns whose values make a group."""
    return [name for name in ([per] if isinstance(per, str) else per) if name not in (ALL, ROOT)]


def key_of(per: Per, fields: Mapping[str, Any], root: str) -> str:
    """The name of the group that a record is in."""
    names = [per] if isinstance(per, str) else per
    values = ["" if name == ALL else root if name == ROOT else fields.get(name) for name in names]
    return values[0] if len(values) == 1 and isinstance(values[0], str) else canonical(values).decode()


def grouped(per: Per, rows: Rows) -> dict[str, list[int]]:
    """The rows of each group, by its name."""
    columns = {name: rows.column(name) for name in columns_of(per)}
    found: dict[str, list[int]] = {}
    for i, root in enumerate(rows.roots):
        key = key_of(per, {name: values[i] for name, values in columns.items()}, root)
        found.setdefault(key, []).append(i)
    return found


def shared(rows: Rows, members: Sequence[int], name: str) -> Record:
    """A group as a record: of its columns those that are equal in all of its rows."""
    first = rows.row(members[0])
    if len(members) == 1:
        return Record(name, first, name)
    some = rows.take(members)
    equal = {key: value for key, value in first.items() if _one(some.column(key))}
    return Record(name, equal, name)


def drawn(rows: Rows, members: Sequence[int], how: Shown, rng: np.random.Generator) -> list[Row]:
    """The rows of a group that a prompt shows, in the order in which they were drawn."""
    order = [members[i] for i in rng.permutation(len(members))]
    found: list[Row] = []
    seen: set[str] = set()
    for i in order:
        if len(found) == how.n:
            break
        row = rows.row(i)
        if how.unique is not None:
            said = canonical(row.get(how.unique)).decode()
            if said in seen:
                continue
            seen.add(said)
        found.append(Row(row))
    return found


def _one(values: Sequence[Any]) -> bool:
    return all(value == values[0] for value in values)
