"""Are made rows faithful, varied, like the real ones, balanced, and do they leak?  A row a measure, with its null."""

from __future__ import annotations

from collections.abc import Sequence

from leaven.measure.quality.quality import COPY, SPLITS, Measure, Quality, caps
from leaven.measure.quality.rows import Following, Worst
from leaven.measure.quality.show import rates, span, uneven, value
from leaven.report.album import Album
from leaven.report.charts import strip, table
from leaven.report.content import Content
from leaven.report.examined import quality_of
from leaven.report.marked import cut, plain
from leaven.report.vectors import Vectors

SHORT = 300
PICTURED = 3
"""Of each measure's farthest rows, with their pictures."""
PICTURES, CLIPS = 40, 4
SEES = {"image": "edges, texture, colours and their layout", "audio": "the shape of their spectrum over time"}
HEADS = ["measure", "", "#made", "#95 %", "#null", "what it says"]
ASKED = ["step, model", "#answers", "#parsed", "#in the first turn", "#n given", "#usable", "not usable"]


def quality(content: Content, vectors: Vectors, album: Album | None = None) -> str:
    shown = album if vectors.kind != "text" else None
    found = quality_of(content, vectors)
    return f'<section id="quality"><h2>Quality</h2>{_quality(found, vectors, shown)}</section>'


def _quality(found: Quality, vectors: Vectors, album: Album | None) -> str:
    if found.few:
        why = found.few if vectors.there else "No embedder was used"
        head = f'<p class="empty">{why if found.embedder or vectors.column else "No text to measure"}</p>'
    else:
        head = f"<p>{_said(found)}</p>"
    if album:
        _load(found.measures, album)
        head += _besides(found, vectors)
    rows = [
        (
            f"{plain(m.group)}<span>{plain(m.name)}</span>",
            strip(_title(m), m.made.mean, m.made.low, m.made.high, (m.null.low, m.null.high)),
            value(m, m.made.mean),
            span(m, m.made),
            span(m, m.null),
            f'<span class="{m.stands}">{plain(m.says[m.stands])}</span>{_worst(m.worst, album)}',
        )
        for m in found.measures
    ]
    key = '<p class="key"><span class="k dot">made, 95 % bar</span><span class="k band">the null: real rows</span></p>'
    drawn = f"{key}{table('Made rows beside the null', HEADS, rows, kind='quality')}" if rows else ""
    return head + drawn + _balance(found) + _following(found.following) + _missing(found)


def _said(found: Quality) -> str:
    rows = ", ".join(f"{x.share} {'kept' if name == 'made' else name}" for name, x in found.looked.items() if x.of)
    return (
        f"The real rows are split in two, {SPLITS} times. One half stands for the real set. The grey band is where 95 "
        f"% of the draws of {found.n:,} rows of the other half come out against it, dot and bar where as many of their "
        f"kept children do; a difference is named where both ranges do not explain it. {rows} rows; {found.embedder} "
        f"embeds. At most {caps()}. No single number sums them up."
    )


def _title(m: Measure) -> str:
    return f"{m.name}: {value(m, m.made.mean)}, null {span(m, m.null)}"


def _worst(worst: Sequence[Worst], album: Album | None) -> str:
    if not worst:
        return ""
    some = worst[: PICTURED if album else len(worst)]
    pairs = "".join(
        f'<li>{_pair(w, album) if album else ""}<p class="t" dir="auto">{cut(w.text, SHORT)}</p>'
        f'<p class="t beside" dir="auto"><span class="chip">{plain(w.who)}{_number(w)}</span> '
        f"{cut(w.beside, SHORT)}</p></li>"
        for w in some
    )
    return f'<details class="worst"><summary>The {len(some)} farthest out</summary><ol>{pairs}</ol></details>'


def _number(worst: Worst) -> str:
    return f" {worst.value:.2f}" if worst.value else ""


# -- what has no such null ----------------------------------------------------------------------------------------


def _balance(found: Quality) -> str:
    if not found.labels:
        return ""
    before, after = ([x[0] for x in found.labels.values()], [x[1] + x[2] for x in found.labels.values()])
    return f"<p>Labels: {uneven(before)} before, {uneven(after)} after.</p>"


def _following(every: Sequence[Following]) -> str:
    """How models did what steps asked of them."""
    if not every:
        return ""
    rows = [
        (
            plain(f"{f.step}, {f.model}", 160),
            f"{f.answers:,}",
            *("-" if x is None else f"{x * 100:.1f} %" for x in rates(f).values()),
            ", ".join(f"{plain(why, 60)} {n:,}" for why, n in f.unusable.items()) + _worst(f.worst, None),
        )
        for f in every
    ]
    said = "Models and what they were asked for. There is no null: real rows follow no instruction."
    return f"<h3>Instructions followed</h3><p>{said}</p>{table('Answers by step and model', ASKED, rows)}"


def _missing(found: Quality) -> str:
    if not found.missing:
        return ""
    said = "; ".join(f"{plain(what, 80)} ({plain(why)})" for what, why in found.missing.items())
    return f'<p class="cap">Not measured: {said}.</p>'


# -- images and sounds -----------------------------------------------------------------------------------------------


def _load(found: Sequence[Measure], album: Album) -> None:
    """The pictures of the rows that are farthest out, the first of each measure before the second of any."""
    album.open(PICTURES, CLIPS)
    for at in range(PICTURED):
        for m in found:
            album.reserve(own for w in m.worst[at : at + 1] for own in w.ids)
    album.load()


def _pair(worst: Worst, album: Album) -> str:
    scale = album.scale(worst.ids)
    shown = "".join(album.show(own, "farthest out", scale) for own in worst.ids)
    return f'<div class="with">{shown}</div>' if shown else ""


def _besides(found: Quality, vectors: Vectors) -> str:
    """What is said of images and sounds only: copies, and what the embedder does not see."""
    if not found.embedder:
        return ""
    like = ", as of a picture that was only written anew" if vectors.kind == "image" else ""
    what = "images" if vectors.kind == "image" else "sounds"
    return (
        f"<p>{found.nearly_copies:,} of the {found.looked['made'].share} kept rows are nearly a copy of a real row "
        f"(cosine {COPY:g} or more{like}). The embedder sees {what} only by {SEES[vectors.kind]}; no measure here "
        "knows what is in them.</p>"
    )
