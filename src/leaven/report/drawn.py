"""What chance decided on the way to a record, in words: ``warp: rotate 11.2, scale 0.93; 2 boxes moved, 1 dropped``."""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from leaven.report.marked import plain

MOST = 120
DROPPED = "_dropped"
SINGULAR = {"boxes": "box", "points": "point", "segments": "segment"}


def in_words(steps: Iterable[Mapping[str, Any]], moved: str = "") -> str:
    """The steps that made a record, each with what was drawn, as HTML; ``moved`` tells what became of its marks."""
    said, gone = [], []
    for entry in steps:
        drawn = _loaded(entry.get("drawn"))
        found = drawn if isinstance(drawn, dict) else {} if drawn is None else {"": drawn}
        gone += [_gone(key, n) for key, n in found.items() if key.endswith(DROPPED) and n]
        values = [_pair(key, value) for key, value in found.items() if not key.endswith(DROPPED)]
        words = ", ".join(filter(None, values))
        cut = words if len(words) <= MOST else words[:MOST] + " ..."
        said.append(plain(entry["step"], 60) + (f": {plain(cut, MOST + 4)}" if cut else ""))
    rest = ", ".join([*([moved] if moved else []), *map(plain, gone)])
    return " &gt; ".join(said) + (f"; {rest}" if rest else "")


def moved(before: Sequence[Mapping[str, Any]], after: Sequence[Mapping[str, Any]], what: str) -> str:
    """How many marks are elsewhere than before: ``2 boxes moved``; nothing where none is, or none was there."""
    left = [_place(mark) for mark in before]
    n = 0
    for mark in map(_place, after):
        if mark in left:
            left.remove(mark)
        else:
            n += 1
    return f"{n:,} {SINGULAR.get(what, what) if n == 1 else what} moved" if n and before else ""


def _place(mark: Mapping[str, Any]) -> tuple[Any, ...]:
    return tuple(None if mark.get(k) is None else round(mark[k], 2) for k in ("x", "y", "w", "h", "start", "end"))


def _loaded(drawn: Any) -> Any:
    if not isinstance(drawn, str) or not drawn:
        return drawn or None
    try:
        return json.loads(drawn)
    except ValueError:
        return drawn


def _gone(key: str, n: Any) -> str:
    what = key.removesuffix(DROPPED)
    return f"{_value(n)} {SINGULAR.get(what, what) if n == 1 else what} dropped"


def _pair(key: str, value: Any) -> str:
    name = key.replace("_", " ")
    if value is True:
        return name
    if value is None or value is False or value == {} or value == []:
        return f"no {name}" if value is False else ""
    return f"{name} {_value(value)}".strip()


def _value(value: Any) -> str:
    if isinstance(value, bool) or value is None:
        return str(value).lower()
    if isinstance(value, int | float):
        return f"{value:,}" if isinstance(value, int) else f"{value:.3g}"
    if isinstance(value, Mapping):
        return "(" + ", ".join(filter(None, (_pair(str(k), v) for k, v in value.items()))) + ")"
    if isinstance(value, list):
        inner = [_value(v) for v in value]
        return ", ".join(inner) if all(isinstance(v, list) for v in value) else f"({', '.join(inner)})"
    return str(value)
