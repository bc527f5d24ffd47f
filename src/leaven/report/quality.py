"""Are made rows faithful, varied, like the real ones, and do they leak?  A row a measure, each with its null."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from leaven.report.album import Album
from leaven.report.charts import strip, table
from leaven.report.content import Content
from leaven.report.marked import cut, plain
from leaven.report.nulls import FEWEST, SPLITS, TWINS, Measure, Splits
from leaven.report.vectors import Vectors

SHORT = 300
PICTURED = 3
"""Of each measure's farthest rows, with their pictures."""
PICTURES, CLIPS = 40, 4
COPY = 0.99
"""As like a real row as that row is to itself once it is written anew as a JPEG."""
SEES = {"image": "edges, texture, colours and their layout", "audio": "the shape of their spectrum over time"}


def quality(content: Content, vectors: Vectors, album: Album | None = None) -> str:
    shown = album if vectors.kind != "text" else None
    return f'<section id="quality"><h2>Quality</h2>{_quality(content, vectors, shown)}</section>'


def _quality(content: Content, vectors: Vectors, album: Album | None) -> str:
    if not content.texts and not album:
        return '<p class="empty">No text to measure</p>'
    if not vectors.there:
        return '<p class="empty">No embedder was used</p>'
    if content.dataset.counts.get("source", 0) < FEWEST:
        return f'<p class="empty">Too few rows for a null (under {FEWEST})</p>'
    splits = Splits(vectors, int(content.said.get("seed", 0)))
    found = splits.measures()
    if not found:
        return f'<p class="empty">Too few made rows to measure (under {TWINS} of one half of the real rows)</p>'
    if album:
        _load(found, album)
    rows = [
        (
            f"{plain(m.group)}<span>{plain(m.name)}</span>",
            strip(_title(m), m.made.mean, m.made.low, m.made.high, (m.null.low, m.null.high)),
            _value(m, m.made.mean),
            _range(m, m.made.low, m.made.high),
            _range(m, m.null.low, m.null.high),
            f'<span class="{m.stands}">{plain(m.says[m.stands])}</span>{_worst(m, album)}',
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
    more = _besides(vectors) if album else ""
    return f"<p>{said}</p>{more}{key}{table('Made rows beside the null', heads, rows, kind='quality')}"


def _title(m: Measure) -> str:
    return f"{m.name}: {_value(m, m.made.mean)}, null {_range(m, m.null.low, m.null.high)}"


def _range(m: Measure, low: float, high: float) -> str:
    ends = dict.fromkeys((_value(m, low), _value(m, high)))
    return " to ".join(ends)


def _value(m: Measure, value: float) -> str:
    return f"{value * 100:.0f} %" if m.share else f"{value:.2f}" if abs(value) < 5 else f"{value:.1f}"


def _worst(m: Measure, album: Album | None) -> str:
    if not m.worst:
        return ""
    worst = m.worst[: PICTURED if album else len(m.worst)]
    pairs = "".join(
        f'<li>{_pair(w, album) if album else ""}<p class="t" dir="auto">{cut(w["text"], SHORT)}</p>'
        f'<p class="t beside" dir="auto"><span class="chip">{plain(w["who"])} {w["value"]:.2f}</span> '
        f"{cut(w['beside'], SHORT)}</p></li>"
        for w in worst
    )
    return f'<details class="worst"><summary>The {len(worst)} farthest out</summary><ol>{pairs}</ol></details>'


# -- images and sounds -----------------------------------------------------------------------------------------------


def _load(found: list[Measure], album: Album) -> None:
    """The pictures of the rows that are farthest out, the first of each measure before the second of any."""
    album.open(PICTURES, CLIPS)
    for place in range(PICTURED):
        for m in found:
            album.reserve(own for w in m.worst[place : place + 1] for own in w["ids"])
    album.load()


def _pair(worst: Mapping[str, Any], album: Album) -> str:
    scale = album.scale(worst["ids"])
    shown = "".join(album.show(own, "farthest out", scale) for own in worst["ids"])
    return f'<div class="with">{shown}</div>' if shown else ""


def _besides(vectors: Vectors) -> str:
    """What is said of images and sounds only: copies, what could not be decoded, and what is not measured."""
    copies = int((vectors.nearest_real(vectors.kept) >= COPY).sum())
    like = ", as of a picture that was only written anew" if vectors.kind == "image" else ""
    said = [
        f"{copies:,} of the {vectors.kept.share} kept rows are nearly a copy of a real row (cosine {COPY:g} or "
        f"more{like})."
    ]
    if vectors.broken:
        said.append(f"{vectors.broken:,} could not be decoded and are left out.")
    what = "images" if vectors.kind == "image" else "sounds"
    said.append(
        f"The embedder sees {what} only by {SEES[vectors.kind]}; no measure here knows what is in them, and captions, "
        "boxes and masks are not measured."
    )
    return f"<p>{' '.join(said)}</p>"
