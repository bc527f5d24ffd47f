"""Which column is the text, which the label: named by the user, else guessed from names and values, and said aloud."""

from __future__ import annotations

import json
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, field
from itertools import islice
from typing import TYPE_CHECKING, Any

from leaven.errors import DataError, brief, listed, nearest
from leaven.fields import TYPES, VALUE
from leaven.io.media_columns import media_of_paths

if TYPE_CHECKING:
    from leaven.io.table import Table

TEXT_NAMES = ("text", "sentence", "utterance", "question", "content", "review", "comment", "message", "query", "body")
LABEL_NAMES = ("label", "labels", "category", "class", "intent", "target", "topic", "tag", "sentiment", "y")
OURS = frozenset({"_id", "_parents", "_steps", "_scores", "_synthetic", "_weight"})
BY_NAME = "guessed: by its name"
SAMPLE, BATCHES = 1000, 16


@dataclass(frozen=True)
class Mapped:
    """``columns`` maps a field (the recipe's name) to the user's column; ``guessed`` says why, where it was a guess."""

    columns: Mapping[str, str]
    types: Mapping[str, str]
    guessed: Mapping[str, str] = field(default_factory=dict)


def map_columns(
    table: Table,
    fields: Mapping[str, str],
    named: Mapping[str, str],
    *,
    guess: bool = True,
    optional: Collection[str] = (),
) -> Mapped:
    """Find the column of each field.  ``fields`` are the recipe's (name -> type), ``named`` the user's choices.

    A column that says itself what it holds (``table.kinds``) is a field, also where the recipe names none of its type.
    Without ``guess`` only a column that bears a field's name is taken for it; a field in ``optional`` is guessed by
    its name alone.
    """
    wanted = {name: kind for name, kind in fields.items() if kind in TYPES}
    types = {**wanted, **{name: name if name in TYPES else VALUE for name in named if name not in wanted}}
    columns: dict[str, str] = {}
    guessed: dict[str, str] = {}
    for name, column in named.items():
        if column not in table.columns:
            raise DataError(
                f"{table.name} has no column `{brief(column)}`; it has {listed(table.columns)}.",
                _way(name, column, table),
            )
        if column in columns.values():
            other = next(n for n, c in columns.items() if c == column)
            raise DataError(
                f"the {other} and the {name} are both the column `{brief(column)}`.",
                "name a column of its own for each.",
            )
        columns[name] = column
    free = [c for c in table.columns if c not in columns.values() and c not in OURS and c.lower() != "split"]
    for name, kind in types.items():
        fitting = [c for c in free if table.kinds.get(c) == kind]
        if fitting and name not in columns:
            columns[name] = name if name in fitting else fitting[0]
            free.remove(columns[name])
    for column in [c for c in free if c in table.kinds and c not in types]:
        columns[column] = column
        types[column] = table.kinds[column]
        free.remove(column)
    for name in [n for n in types if n not in columns and n in free]:
        columns[name] = name
        free.remove(name)
        guessed[name] = BY_NAME
    missing = [n for n in types if n not in columns]
    if missing and guess:
        rows = sample(table)
        for name in sorted(missing, key=lambda n: types[n] != "label"):  # a label is easier to tell than a text
            likely = [c for c in free if c.strip().lower() in LABEL_NAMES] if name in optional else free
            column, why = _guess(types[name], likely, rows)
            if column:
                columns[name] = column
                guessed[name] = why
                free.remove(column)
    return Mapped({n: columns[n] for n in types if n in columns}, types, guessed)


def _way(name: str, column: str, table: Table) -> str:
    """The option with the column that was likely meant: of a name like it, else of its kind."""
    option = f"--{name} " if name in ("text", "label") else f"--field {name}="
    likely = nearest(column, table.columns) or ""
    if not likely and name in ("text", "label"):
        likely, _ = _guess(name, [c for c in table.columns if c not in OURS], sample(table))
    return f"{option}{likely or 'COLUMN'}"


def sample(table: Table) -> dict[str, list[Any]]:
    """Some rows of each of the first batches: a file sorted by label has but one in its first thousand rows."""
    found: dict[str, list[Any]] = {}
    for batch in islice(table.batches(), BATCHES):
        some = batch.slice(0, SAMPLE if not found else SAMPLE // BATCHES)
        for name in batch.schema.names:
            found.setdefault(name, []).extend(some.column(name).to_pylist())
    return found


def _guess(kind: str, free: Sequence[str], rows: Mapping[str, list[Any]]) -> tuple[str, str]:
    """The likeliest column of a type and the reason, or two empty texts."""
    if kind == "vector":
        column = next((c for c in free if _all_numbers(rows.get(c, []))), "")
        return column, "guessed: lists of numbers" if column else ""
    texts = {c: [str(v) for v in rows.get(c, []) if v not in (None, "")] for c in free}
    texts = {c: v for c, v in texts.items() if v}
    if kind == "label":
        named = [c for c in texts if c.strip().lower() in LABEL_NAMES]
        few = [c for c, v in texts.items() if 2 <= len(set(v)) <= max(2, 0.5 * len(v)) and _mean_length(v) <= 60]
        for column in named + few:
            values = len(set(texts[column]))
            each = max(1, round(len(texts[column]) / values))
            rows_each = "row" if each == 1 else "rows"
            return column, f"guessed: {values} values, {each} {rows_each} each"
        return "", ""
    if kind in ("text", "question", "context", "caption", "answer"):
        texts = {c: v for c, v in texts.items() if not media_of_paths(v)}  # names of files are no texts
        named = [c for c in texts if c.strip().lower() in TEXT_NAMES]
        long = sorted((c for c in texts if isinstance(rows[c][0], str)), key=lambda c: -_mean_length(texts[c]))
        for column in named + long:
            distinct = len(set(texts[column])) / len(texts[column])
            varied = "nearly all different" if distinct > 0.9 else f"{distinct:.0%} different"
            return column, f"guessed: {'by its name' if column in named else 'the longest'}, {varied}"
    return "", ""


def _all_numbers(values: Sequence[Any]) -> bool:
    """True where all values are lists of numbers, or JSON of such."""
    found = [value for value in values if value not in (None, "")]
    try:
        lists = [json.loads(value) if isinstance(value, str) else value for value in found]
    except ValueError:
        return False
    return bool(lists) and all(
        isinstance(one, list) and one and all(isinstance(n, int | float) and not isinstance(n, bool) for n in one)
        for one in lists
    )


def _mean_length(values: Sequence[str]) -> float:
    return sum(map(len, values)) / len(values)
