"""What chance decided on the way to a record, in plain words, and the soft label that came of it."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from typing import Any

DROPPED = "_dropped"
SINGULAR = {"boxes": "box", "points": "point", "segments": "segment"}
SOFT = 5
"""Labels of a soft one."""


def found_in(drawn: Any) -> Mapping[str, Any]:
    """What a step drew, by name, as a record's history holds it."""
    if isinstance(drawn, str) and drawn:
        try:
            drawn = json.loads(drawn)
        except ValueError:
            return {"": drawn}
    return drawn if isinstance(drawn, Mapping) else {"": drawn} if drawn not in (None, "") else {}


def values(found: Mapping[str, Any]) -> str:
    """``rotate 11.2, flip horizontal``, without what was dropped."""
    return ", ".join(filter(None, (pair(key, value) for key, value in found.items() if not key.endswith(DROPPED))))


def dropped(found: Mapping[str, Any]) -> list[str]:
    """``1 box dropped``, for each kind of mark of which some are gone."""
    return [_gone(key, n) for key, n in found.items() if key.endswith(DROPPED) and n]


def step(name: str, drawn: Any) -> str:
    """A step and what was drawn for it: ``warp: rotate 11.2, scale 0.93, 1 box dropped``."""
    found = found_in(drawn)
    told = ", ".join(filter(None, [values(found), *dropped(found)]))
    return f"{name}: {told}" if told else name


def pair(key: str, value: Any) -> str:
    name = key.replace("_", " ")
    if value is True:
        return name
    if value is None or value is False or value == {} or value == []:
        return f"no {name}" if value is False else ""
    return f"{name} {_value(value)}".strip()


def soft_label(shares: Sequence[Mapping[str, Any]]) -> str:
    """``cat 0.72, dog 0.28``, the largest first."""
    found = sorted(shares, key=lambda item: -item["prob"])
    said = ", ".join(f"{item['label']} {_share(item['prob'])}" for item in found[:SOFT])
    return said + (f" and {len(found) - SOFT:,} more" if len(found) > SOFT else "")


def _share(p: float) -> str:
    return "under 0.01" if p < 0.005 else f"{p:.3f}" if 0.995 <= p < 1 else f"{p:.2f}"


def _gone(key: str, n: Any) -> str:
    what = key.removesuffix(DROPPED)
    return f"{_value(n)} {SINGULAR.get(what, what) if n == 1 else what} dropped"


def _value(value: Any) -> str:
    if isinstance(value, bool) or value is None:
        return str(value).lower()
    if isinstance(value, int | float):
        return f"{value:,}" if isinstance(value, int) else f"{value:.3g}"
    if isinstance(value, Mapping):
        return "(" + ", ".join(filter(None, (pair(str(k), v) for k, v in value.items()))) + ")"
    if isinstance(value, list):
        inner = [_value(v) for v in value]
        return ", ".join(inner) if all(isinstance(v, list) for v in value) else f"({', '.join(inner)})"
    return str(value)
