"""What rules say of a dialogue: a list of messages, each with a `role` and its `content`.

A dialogue may be its JSON text, as it is in a csv file.  What is no dialogue is a `Wrong`.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Mapping
from itertools import groupby, pairwise
from typing import Any

from leaven._words import Wrong, from_json, items_of, kind, plain_string


def dialogue(value: Any) -> list[tuple[str, str]]:
    """The role and the content of each message."""
    found = []
    for message in items_of(from_json(value)):
        if not isinstance(message, Mapping) or not {"role", "content"} <= message.keys():
            raise Wrong(f"a message is {kind(message)} without `role` and `content`", "[{role: user, content: Hello}]")
        found.append((str(message["role"]), str(message["content"] or "")))
    return found


def turns(value: Any) -> int:
    """The number of messages."""
    return len(dialogue(value))


def alternates(value: Any) -> bool:
    """Whether two roles speak in turn."""
    roles = [role for role, _ in dialogue(value)]
    return len(set(roles)) == 2 and all(one != other for one, other in pairwise(roles))


def in_a_row(value: Any) -> int:
    """The most messages of one role without another between them."""
    return max((len(list(run)) for _, run in groupby(dialogue(value), key=lambda said: said[0])), default=0)


def longest(value: Any) -> int:
    """The words of the longest message."""
    return max((len(content.split()) for _, content in dialogue(value)), default=0)


def balance(value: Any) -> float:
    """The share of all words that the quietest role says; 0 where one role speaks alone."""
    words: Counter[str] = Counter()
    for role, content in dialogue(value):
        words[role] += len(content.split())
    return min(words.values()) / words.total() if len(words) > 1 and words.total() else 0.0


def repeats(value: Any) -> float:
    """The share of messages that say, to the letter, what an earlier one said."""
    said = [content for _, content in dialogue(value)]
    return (len(said) - len(set(said))) / len(said) if said else 0.0


def answered(value: Any, answers: Any) -> list[dict[str, str]]:
    """Questions and their answers as the messages of a dialogue, a user's and an assistant's in turn."""
    asked, said = items_of(value), items_of(answers)
    if len(asked) != len(said):
        raise Wrong(f"there are {len(asked)} questions and {len(said)} answers", "as many of both.")
    pairs = [(("user", question), ("assistant", answer)) for question, answer in zip(asked, said, strict=True)]
    return [{"role": role, "content": plain_string(content)} for pair in pairs for role, content in pair]


FILTERS: dict[str, Callable[..., Any]] = {
    "answered": answered,
    "alternates": alternates, "balance": balance, "in_a_row": in_a_row, "longest": longest, "repeats": repeats,
    "turns": turns,
}  # fmt: skip
"""Filters of a column of messages: ``messages|balance >= 0.3``."""
