"""The history of a record as a line of HTML: ``warp: rotate 11.2, scale 0.93; 2 boxes moved, 1 dropped``."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from leaven.report.marked import plain
from leaven.show.drawn import SINGULAR, dropped, found_in, values

MOST = 120


def in_words(steps: Iterable[Mapping[str, Any]], moved: str = "") -> str:
    """The steps that made a record, each with what was drawn, as HTML; ``moved`` tells what became of its marks."""
    said, gone = [], []
    for entry in steps:
        found = found_in(entry.get("drawn"))
        gone += dropped(found)
        words = values(found)
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
