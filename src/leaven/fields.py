"""Types of fields, and what is about what.

A type says what an operator may do with a field.  ``SCORE`` and ``VALUE`` are the types of columns that notes write:
a number, and anything else (kept as JSON between stages).
"""

from __future__ import annotations

from collections.abc import Collection, Mapping
from dataclasses import dataclass, field

TYPES = frozenset(
    [
        "text",
        "label",
        "label_probs",
        "weight",
        "image",
        "audio",
        "caption",
        "question",
        "answer",
        "choices",
        "context",
        "rationale",
        "messages",
        "spans",
        "boxes",
        "mask",
        "points",
        "segments",
        "vector",
        "sequence",
        "map",
        "lang",
        "group",
        "split",
    ]
)
TEXTS = frozenset({"text", "caption", "question", "answer", "context", "rationale", "label", "lang", "group", "split"})
CONTENT = ("text", "caption", "question", "context", "answer")
"""Types of the texts that a record is about."""
SCORE = "score"
VALUE = "value"


@dataclass(frozen=True)
class Column:
    """One column of the stream: its type, what it is about, and whether the written dataset shows it."""

    type: str
    about: frozenset[str] = field(default_factory=frozenset)
    written: bool = True


def dropped(changed: frozenset[str], columns: Mapping[str, Column], holds: Collection[str] = ()) -> frozenset[str]:
    """The columns that stop being true when the fields in ``changed`` change, whatever is about them included; not
    those that ``holds`` names."""
    gone: set[str] = set()
    frontier = set(changed)
    while frontier:
        frontier = {
            name
            for name, column in columns.items()
            if column.about & frontier and name not in gone and name not in changed and name not in holds
        }
        gone |= frontier
    return frozenset(gone)
