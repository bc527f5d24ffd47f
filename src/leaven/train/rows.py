"""The rows that are drawn from: what the draw goes by, and each row as a dict."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Protocol

from leaven.errors import DataError

ROW = '[{"text": "...", "label": "..."}, {"text": "...", "label": "...", "_synthetic": True, "_parents": ["0"]}]'


@dataclass(frozen=True)
class Heads:
    """Of each row its id, whether it was made, its label (as a text), and the id of the real row that it goes back to.

    ``roots`` are None where that is not known.
    """

    ids: list[str]
    made: list[bool]
    labels: list[str | None]
    roots: list[str | None]


class Source(Protocol):
    """Rows by number; it goes to worker processes with the dataset."""

    columns: list[str]
    name: str

    def heads(self) -> Heads: ...

    def numbers(self, name: str) -> list[float | None]:
        """A column of numbers, or a score that a step wrote; raises DataError where there is none of that name."""
        ...

    def row(self, number: int) -> dict[str, Any]:
        """The user's columns of a row; images and sounds stay encoded until somebody looks at them."""
        ...


class Listed:
    """Dicts that the caller holds.  ``_synthetic`` tells the made ones, ``_id`` and ``_parents`` whose children they
    are; without an id a row goes by its place in the list."""

    name = "the list"

    def __init__(self, rows: Sequence[Mapping[str, Any]]) -> None:
        for number, row in enumerate(rows):
            if not isinstance(row, Mapping):
                raise DataError(f"row {number} of the list is a {type(row).__name__}, not a dict.", f"rows = {ROW}")
        self.rows = rows
        self.columns = list(dict.fromkeys(name for row in rows for name in row if not name.startswith("_")))

    def heads(self) -> Heads:
        ids = [str(row.get("_id", number)) for number, row in enumerate(self.rows)]
        parents = {i: str(row["_parents"][0]) for i, row in zip(ids, self.rows, strict=True) if row.get("_parents")}
        own = set(ids)
        roots = [row.get("_root") or _root(i, parents, own) for i, row in zip(ids, self.rows, strict=True)]
        labels = [row.get("label") for row in self.rows]
        return Heads(
            ids,
            [bool(row.get("_synthetic")) for row in self.rows],
            [None if label is None else str(label) for label in labels],
            [None if root is None else str(root) for root in roots],
        )

    def numbers(self, name: str) -> list[float | None]:
        if not any(name in row or name in (row.get("_scores") or {}) for row in self.rows):
            raise no_numbers(name, self.name)
        return [row.get(name, (row.get("_scores") or {}).get(name)) for row in self.rows]

    def row(self, number: int) -> dict[str, Any]:
        return {name: value for name, value in self.rows[number].items() if not name.startswith("_")}


def no_numbers(name: str, where: str) -> DataError:
    """The rows have no such column of numbers."""
    return DataError(f"the rows have no number `{name}`.", "name a column, or a score that a step wrote.", where=where)


def _root(own: str, parents: Mapping[str, str], ids: set[str]) -> str | None:
    """The start of a row's line; None where a parent on the way is not among the rows."""
    met = {own}
    while own in parents:
        own = parents[own]
        if own in met or own not in ids:
            return None
        met.add(own)
    return own
