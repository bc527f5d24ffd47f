"""Which labels gained, which lost, and how many real and made rows each has."""

from __future__ import annotations

from collections import Counter
from statistics import median

from leaven.report.charts import gain_bar, stack, table
from leaven.report.content import Content
from leaven.report.marked import plain

MOST = 200
WORTH = 0.005
"""A label gained or lost from half a point on; less is unclear."""


def labels(content: Content) -> str:
    return f'<section id="labels"><h2>Labels</h2>{_labels(content)}</section>'


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
    said = f"{len(balance):,} labels; {min(made):,} to {max(made):,} made rows each."
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
