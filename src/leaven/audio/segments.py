"""Segments of a sound (start and end in seconds, label) when its time axis changes."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from leaven.context import Context
    from leaven.records import Record

LOST = 0.5
"""A segment of which more than this share is gone is dropped: what it names can no longer be heard for certain."""

Segments = list[dict[str, Any]]


def noted(ctx: Context, record: Record, field: str) -> dict[str, Segments | None]:
    """What a record's columns say about when something is in a sound, by column."""
    return {name: record.get(name) for kind, name in ctx.noted_on(field) if kind == "segments"}


def moved(
    segments: Sequence[Mapping[str, Any]], seconds: float, to: Callable[[float], float], lost: float = LOST
) -> tuple[Segments, int]:
    """Segments with their times put through ``to`` and cut to 0 ... ``seconds``; and how many were dropped.

    >>> moved([{"start": 1.0, "end": 2.0, "label": "dog"}], 1.5, lambda t: t / 2)
    ([{'start': 0.5, 'end': 1.0, 'label': 'dog'}], 0)
    """
    kept: Segments = []
    for segment in segments:
        start, end = to(float(segment["start"])), to(float(segment["end"]))
        inside = min(max(start, 0.0), seconds), min(max(end, 0.0), seconds)
        there = 0 <= start <= seconds if end <= start else round((inside[1] - inside[0]) / (end - start), 9) >= 1 - lost
        if there:
            kept.append({**segment, "start": round(inside[0], 6), "end": round(inside[1], 6)})
    return kept, len(segments) - len(kept)


def covered(segment: Mapping[str, Any], spans: Sequence[tuple[float, float]]) -> float:
    """The share of a segment that lies under spans of time, which may overlap.

    >>> covered({"start": 0.0, "end": 4.0}, [(1.0, 2.0), (1.5, 3.0)])
    0.5
    """
    start, end = float(segment["start"]), float(segment["end"])
    under, at = 0.0, start
    for low, high in sorted(spans):
        low, high = max(low, at), min(high, end)
        if high > low:
            under += high - low
            at = high
    return round(under / (end - start), 9) if end > start else 0.0
