"""What people answered about records in another tool, and what several of them want together."""

from __future__ import annotations

from collections import Counter
from collections.abc import Hashable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, TypeVar

from leaven.errors import DataError

GIVEN, SKIPPED, DRAFT = "given", "skipped", "draft"
T = TypeVar("T", bound=Hashable)
V = TypeVar("V")


@dataclass(frozen=True)
class Answer:
    """What one person said about one record, as it stands in a file: nothing of it is checked yet.

    ``label`` is the option, ``texts`` are by the name of the field; ``time`` is empty where the tool tells none.
    """

    id: str
    content: str
    who: str
    state: str
    decision: Any
    label: Any = None
    texts: Mapping[str, Any] = field(default_factory=dict)
    time: str = ""


@dataclass(frozen=True)
class Wish:
    """What becomes of a record: kept or not, and another label or other texts (by column) where they change."""

    keep: bool
    label: str | None = None
    texts: Mapping[str, str] = field(default_factory=dict)


def together(wishes: Sequence[Wish]) -> tuple[Wish, bool, bool]:
    """What most want, question by question, and where as many want something else the later; whether they disagreed,
    and whether it was as many.  The later ones come last."""
    keep, split = _most([wish.keep for wish in wishes])
    tied = split
    label: str | None = None
    texts: dict[str, str] = {}
    if keep:
        those = [wish for wish in wishes if wish.keep]
        label, split = _most([wish.label for wish in those])
        tied |= split
        for column in sorted({column for wish in those for column in wish.texts}):
            text, split = _most([wish.texts.get(column) for wish in those])
            tied |= split
            if text is not None:
                texts[column] = text
    return Wish(keep, label, texts), any(wish != wishes[0] for wish in wishes), tied


def _most(values: Sequence[T]) -> tuple[T, bool]:
    """The most frequent value, the later of several; and whether there were several."""
    counts = Counter(values)
    best = max(counts.values())
    top = [value for value in values if counts[value] == best]
    return top[-1], len(set(top)) > 1


def need(value: Any, kind: type[V], what: str, where: str) -> V:
    """The value, or a DataError where it is of another kind."""
    if not isinstance(value, kind):
        raise DataError(f"{what}: no {'list' if kind is list else 'object'}.", "export it again.", where=where)
    return value
