"""What was refused, by which step and for which reason, and some rows of each beside their parent."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Sequence

from leaven.report.album import Album
from leaven.report.charts import bars, figure, table
from leaven.report.content import Content
from leaven.report.fit import within
from leaven.report.marked import plain
from leaven.report.rows import even
from leaven.report.samples import child, family_class, parent_side, parents, taken

REASONS = 12
OPEN = 5
MOST = 50
BYTES = 1_100_000
PICTURES, CLIPS = 60, 8


def refused(content: Content, album: Album | None = None) -> str:
    return f'<section id="refused"><h2>Refused</h2>{_refused(content, album)}</section>'


def _refused(content: Content, album: Album | None) -> str:
    rows = content.refused
    if not len(rows):
        return '<p class="empty">Nothing was refused, which is unusual: a recipe without a keep takes what it gets.</p>'
    found = Counter(zip(map(str, rows.steps), map(str, rows.reasons), strict=True)).most_common()
    shown = found[:REASONS]
    total, made = len(rows), content.count("made") or len(rows)
    (step, reason), most = found[0]
    said = (
        f"{total:,} of {made:,} made rows were refused ({total / made * 100:.0f} %); most by {plain(step, 60)}, as "
        f"{plain(reason, 60)}: {most:,}."
    )
    if len(found) > REASONS:
        said += f" {len(found) - REASONS:,} rarer reasons are in the table only."
    numbers = table(
        "Refused rows by step and reason",
        ["step", "reason", "#rows"],
        [(plain(s, 80), plain(r, 80), f"{n:,}") for (s, r), n in found[:200]],
    )
    title = "Refused rows by step and reason"
    drawing = bars(title, [(f"{s}: {r}", n) for (s, r), n in shown], "refused")
    share = BYTES // len(shown)
    groups = [_group(content, key, n, share, i == 0, album, len(shown)) for i, (key, n) in enumerate(shown)]
    return figure(drawing, said, numbers) + "".join(groups)


def _group(
    content: Content, key: tuple[str, str], n: int, most: int, unfold: bool, album: Album | None, groups: int
) -> str:
    """Rows of one reason, even by label, each beside its parent: five, and up to fifty to unfold; of those with
    pictures as many as these have room."""
    rows = content.refused
    here = [i for i, pair in enumerate(zip(rows.steps, rows.reasons, strict=True)) if tuple(map(str, pair)) == key]
    picked = [here[i] for i in even([rows.ids[i] for i in here], [rows.labels[i] for i in here], MOST)]
    if album:
        picked = _pictured(content, picked, album, groups)
    found = taken(content, rows, picked)
    known = parents(content, [p for i in picked if (p := rows.parents[i])])

    def pairs() -> Iterator[str]:
        for i, row in zip(picked, found, strict=True):
            parent = known.get(rows.parents[i] or "")
            label = str(parent.get(content.label) or "") if parent and content.label else ""
            scale = album.scale([row["_id"], rows.parents[i] or "", *row.get("_partners", ())]) if album else None
            kid = child(content, row, parent, False, album, scale)
            yield (
                f'<article class="{family_class(album)}"><div class="parent">'
                f"{parent_side(content, parent, label, album, scale)}</div><div><ul>{kid}</ul></div></article>"
            )

    shown, _ = album.within(pairs(), most) if album else within(pairs(), most)
    first, rest = shown[:OPEN], shown[OPEN:]
    cap = f'<p class="cap">{len(shown):,} of {n:,} rows, even by label; all: refused/</p>' if len(shown) < n else ""
    more = (
        f'<details class="rest"><summary>{len(rest):,} more</summary>'
        f'<div class="families">{"".join(rest)}</div></details>'
        if rest
        else ""
    )
    return (
        f'<details class="reason"{" open" if unfold else ""}><summary><strong>{plain(key[1], 60)}</strong> '
        f"{plain(key[0], 60)}, {n:,}</summary>{cap}"
        f'<div class="families">{"".join(first)}</div>{more}</details>'
    )


def _pictured(content: Content, picked: Sequence[int], album: Album, groups: int) -> list[int]:
    """The first rows whose pictures fit into their reason's share of the section's, with these loaded."""
    rows = content.refused
    album.open(PICTURES // groups, max(2, CLIPS // groups))
    found = []
    for i in picked:
        if not album.reserve([rows.ids[i], *filter(None, [rows.parents[i]]), *rows.partners.get(i, ())]):
            break
        found.append(i)
    album.load()
    return found
