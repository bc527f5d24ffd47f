"""A measurement with what it was made on, and as a program reads it."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from leaven.errors import DataError
from leaven.measure.curve import worth
from leaven.measure.described import Described
from leaven.measure.gain import Line, Measurement
from leaven.measure.interval import Interval


@dataclass(frozen=True)
class Measured:
    """A measurement and what it was made on.  Without a label nothing may have been trained: ``trained`` is None."""

    trained: Measurement | None
    test_name: str
    test_rows: int
    copies: int
    near: int
    refused_before: int
    warnings: list[str]
    run: str
    with_: str | None
    baseline: str = "classic-text"
    """The recipe of the arm ``classic``."""
    described: Described | None = None

    @property
    def measurement(self) -> Measurement:
        """What was trained.  Raises DataError where nothing was."""
        if self.trained is None:
            raise DataError("no student was trained: the rows have no label.", "see what is described instead.")
        return self.trained


def as_json(found: Measured) -> dict[str, Any]:
    said = _trained(found.trained) if found.trained else _nothing_trained()
    if found.described:
        said["described"] = _described(found.described)
    return {
        "test": {"rows": found.test_rows, "from": found.test_name},
        **said,
        "with": found.with_,
        "classic": found.baseline,
        "leaks": {"copies": found.copies, "near": found.near, "refused_earlier": found.refused_before},
        "warnings": found.warnings,
    }


def _trained(m: Measurement) -> dict[str, Any]:
    return {
        "rows": [
            {
                "student": x.student,
                "arm": x.arm,
                "ratio": round(x.ratio, 4),
                "weight": x.weight,
                "rows": x.rows,
                **_scores(x, m.metric),
                "gain": _interval(x.gain),
            }
            for x in m.lines
        ],
        "metric": m.metric,
        "student": m.student,
        "verdict": m.verdict,
        "why": m.why,
        "ratio": round(m.ratio, 4),
        "weight": m.weight,
        "knee": None if m.knee is None else round(m.knee, 4),
        "curve": [{"rows": p.rows, "alone": round(p.alone, 12), "gain": _interval(p.gain)} for p in m.curve],
        "worth": worth(m.curve, m.chosen.gain.mean) if m.chosen.gain.low > 0 else None,
        "families": [{"name": f.name, "rows": f.rows, "gain": _interval(f.share)} for f in m.families],
        "slices": [{"column": s.column, "value": s.value, "rows": s.rows, "gain": _interval(s.gain)} for s in m.slices],
        "recalls": [{"label": name, "rows": n, "recall": round(recall, 12)} for name, n, recall in m.recalls],
        "usd": m.usd,
        "labels": [{"label": name, "gain": round(gain, 12)} for name, gain in m.labels_gained],
        "rows_needed": m.rows_needed,
        "smallest_gain_seen": round(m.chosen.gain.high - m.chosen.gain.mean, 12),
        "seeds": m.seeds,
        "fits": m.fits,
    }


def _scores(x: Line, metric: str) -> dict[str, dict[str, float]]:
    if metric in ("accuracy", "macro_f1"):
        return {"accuracy": _interval(x.accuracy), "macro_f1": _interval(x.macro_f1)}
    return {metric: _interval(x.macro_f1)}


def _nothing_trained() -> dict[str, Any]:
    return {"rows": [], "metric": None, "student": None, "verdict": None, "why": "", "ratio": None, "weight": None,
            "knee": None, "curve": [], "worth": None, "families": [], "slices": [], "recalls": [], "usd": None,
            "labels": [], "rows_needed": None, "smallest_gain_seen": None, "seeds": 0, "fits": 0}  # fmt: skip


def _described(found: Described) -> dict[str, Any]:
    return {
        "traits": [
            {
                "of": x.of,
                "what": x.what,
                "real": None if x.real is None else round(x.real, 12),
                "made": None if x.made is None else round(x.made, 12),
                "distance": round(x.distance, 12),
                "null": None if x.null is None else round(x.null, 12),
                "things": list(x.things),
            }
            for x in found.traits
        ],
        "names": [
            {"of": x.of, "what": x.what, "counts": {name: list(pair) for name, pair in x.counts.items()}}
            for x in found.names
            if x.what != "word"
        ],
        "boxes": None if found.boxes is None else {"made": found.boxes[0], "of_their_roots": found.boxes[1]},
        "missing": found.missing,
    }


def _interval(x: Interval) -> dict[str, float]:
    return {"mean": round(x.mean, 12), "low": round(x.low, 6), "high": round(x.high, 6)}
