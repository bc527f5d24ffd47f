"""Which column is the text, which the label: named by the user, else guessed from names and values, and said aloud."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from leaven.errors import DataError, suggest
from leaven.fields import TYPES, VALUE

if TYPE_CHECKING:
    from leaven.io.tables import Table

TEXT_NAMES = ("text", "sentence", "utterance", "question", "content", "review", "comment", "message", "query", "body")
LABEL_NAMES = ("label", "labels", "category", "class", "intent", "target", "topic", "tag", "sentiment", "y")
OURS = frozenset({"_id", "_parents", "_steps", "_scores", "_synthetic", "_weight"})
SPLIT_NAMES = {
    "train": "train", "training": "train",
    "test": "test", "testing": "test",
    "dev": "dev", "validation": "dev", "valid": "dev", "val": "dev", "eval": "dev",
}  # fmt: skip
SAMPLE = 1000


@dataclass(frozen=True)
class Mapped:
    """``columns`` maps a field (the recipe's name) to the user's column; ``guessed`` says why, where it was a guess."""

    columns: Mapping[str, str]
    types: Mapping[str, str]
    guessed: Mapping[str, str] = field(default_factory=dict)


def map_columns(table: Table, fields: Mapping[str, str], named: Mapping[str, str]) -> Mapped:
    """Find the column of each field.  ``fields`` are the recipe's (name -> type), ``named`` the user's choices."""
    wanted = {name: kind for name, kind in fields.items() if kind in TYPES}
    types = {**wanted, **{name: name if name in TYPES else VALUE for name in named if name not in wanted}}
    columns: dict[str, str] = {}
    guessed: dict[str, str] = {}
    for name, column in named.items():
        if column not in table.columns:
            raise DataError(
                f"{table.name} has no column `{column}`; it has {', '.join(table.columns)}.", _way(name, column, table)
            )
        columns[name] = column
    free = [c for c in table.columns if c not in columns.values() and c not in OURS and c.lower() != "split"]
    for name in [n for n in types if n not in columns and n in free]:
        columns[name] = name
        free.remove(name)
        guessed[name] = "guessed: called so"
    missing = [n for n in types if n not in columns]
    if missing:
        rows = _sample(table)
        for name in sorted(missing, key=lambda n: types[n] != "label"):  # a label is easier to tell than a text
            column, why = _guess(types[name], free, rows, len(free))
            if column:
                columns[name] = column
                guessed[name] = why
                free.remove(column)
    return Mapped({n: columns[n] for n in types if n in columns}, types, guessed)


def _way(name: str, column: str, table: Table) -> str:
    rows = _sample(table)
    kind = {"text": "text", "label": "label"}.get(name)
    likely, _ = _guess(kind, [c for c in table.columns if c not in OURS], rows, 0) if kind else ("", "")
    option = f"--{name}" if kind else f"--field {name}="
    if likely:
        return f"{option} {likely}" if kind else f"{option}{likely}"
    return f"{suggest(column, table.columns)}."


def _sample(table: Table) -> dict[str, list[Any]]:
    found: dict[str, list[Any]] = {}
    for batch in table.batches():
        found = {name: batch.column(name).to_pylist() for name in batch.schema.names}
        break
    return {name: values[:SAMPLE] for name, values in found.items()}


def _guess(kind: str, free: Sequence[str], rows: Mapping[str, list[Any]], _: int) -> tuple[str, str]:
    """The likeliest column of a type and the reason, or two empty texts."""
    texts = {c: [str(v) for v in rows.get(c, []) if v not in (None, "")] for c in free}
    texts = {c: v for c, v in texts.items() if v}
    if kind == "label":
        named = [c for c in texts if c.lower() in LABEL_NAMES]
        few = [c for c, v in texts.items() if 2 <= len(set(v)) <= max(2, 0.5 * len(v)) and _mean_length(v) <= 60]
        for column in named + few:
            values = len(set(texts[column]))
            each = max(1, round(len(texts[column]) / values))
            rows_each = "row" if each == 1 else "rows"
            return column, f"guessed: {values} values, {each} {rows_each} each"
        return "", ""
    if kind in ("text", "question", "context", "caption", "answer"):
        named = [c for c in texts if c.lower() in TEXT_NAMES]
        long = sorted((c for c in texts if isinstance(rows[c][0], str)), key=lambda c: -_mean_length(texts[c]))
        for column in named + long:
            distinct = len(set(texts[column])) / len(texts[column])
            varied = "nearly all different" if distinct > 0.9 else f"{distinct:.0%} different"
            return column, f"guessed: {'called so' if column in named else 'the longest'}, {varied}"
    return "", ""


def _mean_length(values: Sequence[str]) -> float:
    return sum(map(len, values)) / len(values)
