"""Plain data as the text of a recipe, which ``plain_yaml`` reads back as the same data."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from leaven.plain_yaml import scalar

WIDE = 100
BARE = re.compile(r"[A-Za-z0-9_][A-Za-z0-9_ .+*/()<>=-]*(?<! )")
"""Texts that stand without quotes, in a list or mapping in one line too."""
LINES = re.compile(r"[^\s\x00-\x1f](?:[\x20-\x7e\xa0-\ud7ff]*(?<! ))?(?:\n+[\x20-\x7e\xa0-\ud7ff]*(?<! ))*\n?")
"""Texts of several lines that stand below a `|`: the first not indented, none with blanks at its end."""


def write(data: Mapping[str, Any]) -> str:
    """A mapping as YAML: short values in one line, prompts as they were written."""
    return "".join(f"{line}\n" for line in _mapping(data))


def _mapping(data: Mapping[str, Any]) -> Iterator[str]:
    for key, value in data.items():
        yield from _under(f"{_text(str(key))}:", value)


def _under(head: str, value: Any) -> Iterator[str]:
    """A value beside its key where it fits, else below it."""
    if isinstance(value, str) and "\n" in value and LINES.fullmatch(value) and not value.endswith("\n\n"):
        yield f"{head} |" + ("" if value.endswith("\n") else "-")
        yield from (f"  {line}" if line else "" for line in value.removesuffix("\n").split("\n"))
        return
    said = _inline(value)
    nested = isinstance(value, Mapping | list | tuple) and value
    if nested and (
        len(head) + len(said) > WIDE or any("\n" in text for text in _texts(value)) or head == "steps:" or _steps(value)
    ):
        yield head
        for line in _mapping(value) if isinstance(value, Mapping) else _list(value):
            yield f"  {line}" if line else ""
    else:
        yield head if value is None else f"{head} {said}"


def _list(items: Sequence[Any]) -> Iterator[str]:
    for item in items:
        if isinstance(item, Mapping) and item:
            lines = list(_mapping(item))
        elif isinstance(item, list | tuple) and _steps(item):
            lines = list(_list(item))
        else:
            lines = [_inline(item)]
        yield f"- {lines[0]}"
        yield from (f"  {line}" if line else "" for line in lines[1:])


def _steps(value: Any) -> bool:
    """True for a list that is read better with a line for each entry: of steps, or of lists of them."""
    return isinstance(value, list | tuple) and any(isinstance(item, Mapping | list | tuple) for item in value)


def _texts(value: Any) -> list[str]:
    """All texts within a value."""
    if isinstance(value, Mapping):
        return [text for item in value.values() for text in _texts(item)]
    if isinstance(value, list | tuple):
        return [text for item in value for text in _texts(item)]
    return [value] if isinstance(value, str) else []


def _inline(value: Any) -> str:
    if isinstance(value, Mapping):
        return "{" + ", ".join(f"{_text(str(key))}: {_inline(item)}" for key, item in value.items()) + "}"
    if isinstance(value, list | tuple):
        return "[" + ", ".join(map(_inline, value)) + "]"
    if value is None:
        return "null"
    if isinstance(value, bool):
        return "true" if value else "false"
    return _text(value) if isinstance(value, str) else repr(value)


def _text(text: str) -> str:
    if BARE.fullmatch(text) and scalar(text) == text and text.count("(") == text.count(")"):
        return text
    quoted = json.dumps(text, ensure_ascii=False)
    return re.sub(r"[\x7f-\x9f\u2028\u2029\ufeff\ufffe\uffff]", lambda sign: f"\\u{ord(sign[0]):04x}", quoted)
