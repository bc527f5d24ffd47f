"""Where the gain is: at which number of real rows, by which made rows, on which parts of the test set."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from leaven.report.charts import line, svg, table
from leaven.report.content import Content
from leaven.report.marked import plain
from leaven.report.measured import interval, not_measured

MOST = 20
"""Labels that are shown of those which are found least."""


def where(content: Content) -> str:
    """At how many real rows, by which made rows, on which test rows; and which labels need real rows."""
    found = content.measured
    tables = [part for part in (_sizes(found), _families(found), _slices(found), _recalls(found)) if part]
    body = "".join(f"<div>{part}</div>" for part in tables)
    empty = not_measured(content) if not found else '<p class="empty">No student was trained</p>'
    return f'<section id="where"><h2>Where</h2>{f"""<div class="pair">{body}</div>""" if body else empty}</section>'


def _sizes(found: Mapping[str, Any]) -> str:
    points = found.get("curve") or ()
    if len(points) < 2:
        return ""
    rows = [(f"{p['rows']:,}", f"{p['alone'] * 100:.1f}", _strip(f"{p['rows']} real rows", p["gain"], points),
             interval(p["gain"])) for p in points]  # fmt: skip
    worth = found.get("worth")
    said = (
        f"<p>The made rows are worth about {worth:,} more real rows, if the curve goes on as it did last.</p>"
        if worth
        else ""
    )
    heads = ["#real rows", "#alone %", "", "#gain with made rows"]
    return said + table("The gain at smaller numbers of real rows", heads, rows, kind="sizes")


def _families(found: Mapping[str, Any]) -> str:
    some = found.get("families") or ()
    rows = [(plain(f["name"], 80), f"{f['rows']:,}", _strip(str(f["name"]), f["gain"], some), interval(f["gain"]))
            for f in sorted(some, key=lambda f: -f["gain"]["mean"])]  # fmt: skip
    if not rows:
        return ""
    heads = ["made by", "#rows", "", "#lost without them"]
    return table("What of the gain goes with each family of made rows, left out in turn", heads, rows, kind="families")


def _slices(found: Mapping[str, Any]) -> str:
    some = found.get("slices") or ()
    rows = [(plain(f"{s['column']} {s['value']}", 40), f"{s['rows']:,}",
             _strip(f"{s['column']} {s['value']}", s["gain"], some), interval(s["gain"])) for s in some]  # fmt: skip
    if not rows:
        return ""
    heads = ["test rows with", "#rows", "", "#gain of accuracy"]
    return table("The gain on parts of the test set", heads, rows, kind="slices")


def _recalls(found: Mapping[str, Any]) -> str:
    every = found.get("recalls") or ()
    rows = [(plain(r["label"], 36), f"{r['rows']:,}", f"{r['recall'] * 100:.0f}") for r in every[:MOST]]
    if not rows:
        return ""
    said = f", the {MOST} least of {len(every)}" if len(every) > MOST else ""
    caption = f"Which labels need real rows: the share of each that is found out of fold, without made rows{said}"
    return table(caption, ["label", "#real rows", "#found %"], rows, kind="recalls")


def _strip(title: str, gain: Mapping[str, float], beside: Sequence[Mapping[str, Any]]) -> str:
    """Dot and bar of an interval, on the scale of its whole table; a line where there is no gain."""
    width, height = 220, 24
    low = min(0.0, *(x["gain"]["low"] for x in beside))
    span = max(0.0, *(x["gain"]["high"] for x in beside)) - low or 1.0

    def at(value: float) -> float:
        return 8.0 + float((value - low) / span) * (width - 16)

    inner = [
        line(at(0.0), 0, at(0.0), height, "zero"),
        f'<g class="dot">{line(at(gain["low"]), 12, at(gain["high"]), 12, "bar")}'
        f'<circle cx="{at(gain["mean"]):.1f}" cy="12" r="4.5"/></g>',
    ]
    return svg(f"{title}: {interval(gain)} points", width, height, inner, kind="strip")
