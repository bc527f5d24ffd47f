"""Where another threshold would cut: how scores are spread among kept and refused rows."""

from __future__ import annotations

import re

import numpy as np

from leaven.report.charts import figure, histogram, table
from leaven.report.content import Content
from leaven.report.marked import plain
from leaven.report.vectors import Vectors

BINS = 32
MOST = 8
COMPARED = re.compile(r"\b([A-Za-z_]\w*)\s*(?:<=|>=|<|>)\s*(-?\d*\.?\d+)\b")


def scores(content: Content, vectors: Vectors) -> str:
    return f'<section id="scores"><h2>Scores</h2>{_scores(content, vectors)}</section>'


def thresholds(content: Content) -> dict[str, float]:
    """Where the recipe's ``keep`` steps cut a score: ``keep: label_prob > 0.7``."""
    found: dict[str, float] = {}
    for step in content.recipe.steps() if content.recipe else ():
        for expression in step.expressions() if step.op.name == "keep" else ():
            for name, value in COMPARED.findall(getattr(expression, "source", "")):
                found.setdefault(name, float(value))
    return found


def _scores(content: Content, vectors: Vectors) -> str:
    train, refused = content.train, content.refused
    kept, other = train.scores(), refused.scores()
    cuts = thresholds(content)
    drawn, flat = [], []
    for name in list(dict.fromkeys([*kept, *other])):
        a = kept[name][train.made] if name in kept else np.zeros(0)
        b = other.get(name, np.zeros(0))
        values = _distinct(a, b)
        if len(values) < 3:
            if len(values):
                flat.append(f"{plain(name)} is {' or '.join(f'{v:g}' for v in values)} in every row")
            continue
        drawn.append(_chart(name.replace("_", " "), a, b, cuts.get(name), "all made rows"))
    if vectors.there and (len(vectors.kept) or len(vectors.refused)):
        said = f"{vectors.kept.share} kept and {vectors.refused.share} refused rows"
        near = [vectors.parent_similarity(some) for some in (vectors.kept, vectors.refused)]
        if len(_distinct(*near)) > 2:
            drawn.append(_chart(f"parent similarity (cosine, {vectors.name})", near[0], near[1], None, said))
        far = [1 - vectors.nearest_real(some) for some in (vectors.kept, vectors.refused)]
        if len(_distinct(*far)) > 2:
            drawn.append(_chart("novelty (1 - cosine with the nearest real row)", far[0], far[1], None, said))
    if not drawn:
        return '<p class="empty">No step scored</p>'
    note = f'<p class="cap">{"; ".join(flat)}.</p>' if flat else ""
    if len(drawn) > MOST:
        note += f'<p class="cap">{MOST} of {len(drawn)} scores.</p>'
    key = '<p class="key"><span class="k made">kept</span><span class="k refused">refused</span></p>'
    return f'{key}<div class="pair">{"".join(drawn[:MOST])}</div>{note}'


def _distinct(a: np.ndarray, b: np.ndarray) -> np.ndarray:
    both = np.concatenate([a, b])
    found: np.ndarray = np.unique(both[np.isfinite(both)])
    return found


def _chart(name: str, kept: np.ndarray, refused: np.ndarray, cut: float | None, of: str) -> str:
    kept, refused = kept[np.isfinite(kept)], refused[np.isfinite(refused)]
    both = np.concatenate([kept, refused])
    low, high = float(both.min()), float(both.max())
    if low >= 0 and high <= 1 and high - low > 0.5:
        low, high = 0.0, 1.0
    edges = np.linspace(low, high, BINS + 1)
    n_kept = np.histogram(kept, edges)[0].tolist()
    n_refused = np.histogram(refused, edges)[0].tolist()
    said = f"<strong>{plain(name)}</strong>, {of}."
    if len(kept):
        said += f" Kept: median {np.median(kept):.2f}."
    if len(refused):
        said += f" Refused: median {np.median(refused):.2f}."
    if cut is not None:
        said += f" {int((both < cut).sum()):,} rows below {cut:g}, {int((both >= cut).sum()):,} at or above."
    numbers = table(
        f"{plain(name)}: rows in {BINS} bins",
        ["#from", "#to", "#kept", "#refused"],
        [
            (f"{edges[i]:.3f}", f"{edges[i + 1]:.3f}", f"{n_kept[i]:,}", f"{n_refused[i]:,}")
            for i in range(BINS)
            if n_kept[i] or n_refused[i]
        ],
    )
    unit = name if len(name) < 60 else name[:57] + "..."
    return figure(histogram(f"Rows by {name}", edges.tolist(), n_kept, n_refused, cut, unit), said, numbers)
