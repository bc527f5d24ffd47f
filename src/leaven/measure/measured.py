"""A measurement with what it was made on, and as a program reads it."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from leaven.measure.gain import Measurement
from leaven.measure.interval import Interval


@dataclass(frozen=True)
class Measured:
    """A measurement and what it was made on."""

    measurement: Measurement
    test_name: str
    test_rows: int
    copies: int
    near: int
    refused_before: int
    warnings: list[str]
    run: str
    with_: str | None


def as_json(found: Measured) -> dict[str, Any]:
    m = found.measurement
    return {
        "test": {"rows": found.test_rows, "from": found.test_name},
        "rows": [
            {
                "student": x.student,
                "arm": x.arm,
                "ratio": round(x.ratio, 4),
                "rows": x.rows,
                "accuracy": _interval(x.accuracy),
                "macro_f1": _interval(x.macro_f1),
                "gain": _interval(x.gain),
            }
            for x in m.lines
        ],
        "metric": m.metric,
        "student": m.student,
        "verdict": m.verdict,
        "why": m.why,
        "ratio": round(m.ratio, 4),
        "labels": [{"label": name, "gain": round(gain, 6)} for name, gain in m.labels_gained],
        "rows_needed": m.rows_needed,
        "with": found.with_,
        "smallest_gain_seen": round(m.chosen.gain.high - m.chosen.gain.mean, 6),
        "leaks": {"copies": found.copies, "near": found.near, "refused_earlier": found.refused_before},
        "seeds": m.seeds,
        "fits": m.fits,
        "warnings": found.warnings,
    }


def _interval(x: Interval) -> dict[str, float]:
    return {"mean": round(x.mean, 6), "low": round(x.low, 6), "high": round(x.high, 6)}
