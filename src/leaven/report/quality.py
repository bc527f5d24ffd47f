"""Are made rows faithful, varied, like the real ones, and do they leak?  A row a measure, each with its null."""

from __future__ import annotations

from leaven.report.charts import strip, table
from leaven.report.content import Content
from leaven.report.marked import cut, plain
from leaven.report.nulls import FEWEST, SPLITS, TWINS, Measure, Splits
from leaven.report.vectors import Vectors

SHORT = 300


def quality(content: Content, vectors: Vectors) -> str:
    return f'<section id="quality"><h2>Quality</h2>{_quality(content, vectors)}</section>'


def _quality(content: Content, vectors: Vectors) -> str:
    if not content.texts:
        return '<p class="empty">No text to measure</p>'
    if not vectors.there:
        return '<p class="empty">No embedder was used</p>'
    if content.dataset.counts.get("source", 0) < FEWEST:
        return f'<p class="empty">Too few rows for a null (under {FEWEST})</p>'
    splits = Splits(vectors, int(content.said.get("seed", 0)))
    found = splits.measures()
    if not found:
        return f'<p class="empty">Too few made rows to measure (under {TWINS} of one half of the real rows)</p>'
    rows = [
        (
            f"{plain(m.group)}<span>{plain(m.name)}</span>",
            strip(_title(m), m.made.mean, m.made.low, m.made.high, (m.null.low, m.null.high)),
            _value(m, m.made.mean),
            f"{_value(m, m.made.low)} to {_value(m, m.made.high)}",
            f"{_value(m, m.null.low)} to {_value(m, m.null.high)}",
            f'<span class="{m.stands}">{plain(m.says[m.stands])}</span>{_worst(m)}',
        )
        for m in found
    ]
    said = (
        f"The real rows are split in two, {SPLITS} times. One half stands for the real set. The grey band is where "
        "95 % of such halves come out against another, dot and bar where as many of their kept children do; a "
        f"difference is named where both ranges do not explain it. {splits.real.share} real, {splits.made.share} kept"
        f"{f', {splits.test.share} test' if len(splits.test) else ''} rows; {vectors.name} embeds. "
        "No single number sums them up."
    )
    key = '<p class="key"><span class="k dot">made, 95 % bar</span><span class="k band">the null: real rows</span></p>'
    heads = ["measure", "", "#made", "#95 %", "#null", "what it says"]
    return f"<p>{said}</p>{key}{table('Made rows beside the null', heads, rows, kind='quality')}"


def _title(m: Measure) -> str:
    return f"{m.name}: {_value(m, m.made.mean)}, null {_value(m, m.null.low)} to {_value(m, m.null.high)}"


def _value(m: Measure, value: float) -> str:
    return f"{value * 100:.0f} %" if m.share else f"{value:.2f}" if abs(value) < 5 else f"{value:.1f}"


def _worst(m: Measure) -> str:
    if not m.worst:
        return ""
    pairs = "".join(
        f'<li><p class="t" dir="auto">{cut(w["text"], SHORT)}</p>'
        f'<p class="t beside" dir="auto"><span class="chip">{plain(w["who"])} {w["value"]:.2f}</span> '
        f"{cut(w['beside'], SHORT)}</p></li>"
        for w in m.worst
    )
    return f'<details class="worst"><summary>The {len(m.worst)} farthest out</summary><ol>{pairs}</ol></details>'
