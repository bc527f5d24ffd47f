"""Which labels gained, which lost, and how many real and made rows each has."""

from __future__ import annotations

from collections import Counter
from statistics import median

import numpy as np

from leaven.report.album import Album
from leaven.report.charts import figure, gain_bar, shares, stack, table
from leaven.report.content import Content
from leaven.report.marked import plain
from leaven.report.marks import Marked

MOST = 200
WORTH = 0.005
"""A label gained or lost from half a point on; less is unclear."""


def labels(content: Content, album: Album | None = None) -> str:
    found = album.marked if album else []
    marks = "".join(map(_marks, found))
    body = '<p class="empty">No label column</p>' if found and not content.label else _labels(content)
    return f'<section id="labels"><h2>Labels</h2>{body}{marks}</section>'


def counts(content: Content) -> dict[str, tuple[int, int]]:
    """Real and made rows of each label in train/."""
    train = content.train
    found = Counter((str(label), bool(made)) for label, made in zip(train.labels, train.made, strict=True))
    names = dict.fromkeys([*content.dataset.labels, *(label for label, _ in found)])
    return {name: (found[name, False], found[name, True]) for name in names}


def target(content: Content) -> float | None:
    """How many rows the blend gives each label; None where the recipe names no number."""
    blend = content.recipe.blend if content.recipe else None
    real = [n for n in content.dataset.labels.values() if n]
    if blend is None or not real:
        return None
    if blend.per_label is not None and blend.per_label != "match":
        return float({"median": median(real), "equal": max(real)}.get(str(blend.per_label), 0) or blend.per_label)
    if blend.ratio is not None and blend.per_label is None and len(set(real)) == 1:
        return real[0] * (1 + blend.ratio)
    return None


def _labels(content: Content) -> str:
    if not content.label:
        return '<p class="empty">No label column</p>'
    balance = counts(content)
    if not sum(map(sum, balance.values())):
        return '<p class="empty">Nothing is written to train/ yet</p>'
    gains = {str(x["label"]): float(x["gain"]) for x in content.measured.get("labels", [])}
    order = sorted(balance, key=lambda name: (-gains.get(name, 0.0), sum(balance[name]), name))
    shown = [*order[: MOST // 2], *order[-(MOST // 2) :]] if len(order) > MOST else order
    most, aim = max(map(sum, balance.values())), target(content)
    reach = max([0.01, *map(abs, gains.values())])
    heads = ["label", *(["#gain", ""] if gains else []), "#real", "#made", ""]
    rows = []
    for name in shown:
        real, made = balance[name]
        gain = gains.get(name)
        cells = [plain(name, 80).replace("_", "_<wbr>")]
        if gains:
            said = "-" if gain is None else f"{gain * 100:+.1f}"
            cells += [said, gain_bar(f"{name[:80]}: {said} points", gain or 0.0, reach)]
        cells += [f"{real:,}", f"{made:,}", stack(f"{name[:80]}: {real} real, {made} made", real, made, most, aim)]
        rows.append(cells)
    caption = "Gain in recall at the chosen ratio, in points, and rows in train/" if gains else "Rows in train/"
    key = '<span class="k real">real</span><span class="k made">made</span>'
    key += f'<span class="k cut">target {aim:g}</span>' if aim else ""
    first = "by gain" if gains else "fewest first"
    return (
        f'<p class="says-it">{_sentence(balance, gains)}</p>{_cap(len(order))}'
        f'<p class="controls" hidden><label>sort <select id="sort"><option value="">{first}</option>'
        '<option value="name">by name</option><option value="rows">by rows</option></select></label></p>'
        f'<p class="key">{key}</p><div class="tall">{table(caption, heads, rows, kind="labels")}</div>'
    )


def _sentence(balance: dict[str, tuple[int, int]], gains: dict[str, float]) -> str:
    made = [m for _, m in balance.values()]
    each = " to ".join(dict.fromkeys(f"{n:,}" for n in (min(made), max(made))))
    one, row = "" if len(balance) == 1 else "s", "row" if max(made) == 1 else "rows"
    said = f"{len(balance):,} label{one}; {each} made {row} each."
    if none := sum(m == 0 for m in made):
        said += f" {none:,} got none."
    if gains:
        up, down = sum(g > WORTH for g in gains.values()), sum(g < -WORTH for g in gains.values())
        said = f"{up:,} gained, {down:,} lost, {len(gains) - up - down:,} unclear (less than half a point). {said}"
    return said


def _cap(n: int) -> str:
    if n <= MOST:
        return ""
    return f'<p class="cap">{MOST} of {n:,} labels: those at both ends of the order; all: the rows of train/</p>'


# -- what is marked in images and sounds -----------------------------------------------------------------------------


def _marks(found: Marked) -> str:
    """Boxes, points or segments by label, and how large boxes are."""
    real, made = found.labels
    what = {"boxes": "boxes", "points": "points"}.get(found.kind, "segments")
    if not real and not made:
        return f'<h3>{plain(found.column, 60)}</h3><p class="empty">No {what}</p>'
    names = found.names
    most = max(real[name] + made[name] for name in names)
    rows = [
        (
            plain(name, 80).replace("_", "_<wbr>"),
            f"{real[name]:,}",
            f"{made[name]:,}",
            stack(f"{name[:80]}: {real[name]} real, {made[name]} made", real[name], made[name], most, None),
        )
        for name in names[:MOST]
    ]
    said = ", ".join(
        f"{side.total():,} {what} in {n:,} {word} {'row' if n == 1 else 'rows'} ({side.total() / n:.1f} each)"
        for side, n, word in ((real, found.rows[0], "real"), (made, found.rows[1], "made"))
        if n
    )
    cap = f'<p class="cap">{MOST} of {len(names):,} labels, the most frequent</p>' if len(names) > MOST else ""
    key = '<p class="key"><span class="k real">real</span><span class="k made">made</span></p>'
    heads = ["label", "#real", "#made", ""]
    numbers = f'<div class="tall">{table(f"{what.capitalize()} in train/", heads, rows, kind="labels")}</div>'
    return f'<h3>{plain(found.column, 60)}</h3><p class="says-it">{said}.</p>{cap}{key}{numbers}{_sizes(found)}'


def _sizes(found: Marked) -> str:
    """How large boxes are, in bins that double."""
    sides = [np.concatenate(some) if some else np.zeros(0) for some in found.sides]
    every = np.concatenate(sides)
    if not len(every):
        return ""
    low, high = (int(np.log2(max(1.0, x))) for x in np.percentile(every, [0.5, 99.5]))
    low = min(low, max(0, high - 3))  # four bins or more
    edges = [float(2**k) for k in range(low, max(low + 3, high) + 2)]
    inside = [np.histogram(np.clip(side, edges[0], edges[-1]), edges)[0] for side in sides]
    shared = [(n / max(1, n.sum())).tolist() for n in inside]
    medians = [float(np.median(side)) if len(side) else 0.0 for side in sides]
    said = "How large boxes are: the root of their area."
    said += "".join(
        f" {word}: median {m:.0f} pixels."
        for word, m, side in zip(("Real", "Made"), medians, sides, strict=True)
        if len(side)
    )
    numbers = table(
        "Boxes by the root of their area, in pixels",
        ["#from", "#to", "#real", "#made"],
        [
            (f"{edges[i]:g}", f"{edges[i + 1]:g}", f"{inside[0][i]:,}", f"{inside[1][i]:,}")
            for i in range(len(edges) - 1)
        ],
    )
    return figure(shares("Boxes by size", edges, shared[0], shared[1], "pixels, doubling"), said, numbers)
