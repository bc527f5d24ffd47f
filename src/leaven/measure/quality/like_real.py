"""Measures of how like the real rows made ones are."""

from __future__ import annotations

import numpy as np

from leaven.measure.quality.fidelity import frechet
from leaven.measure.quality.halves import CUBED, Halves, Numbers, Rows
from leaven.measure.quality.spread import Measure, Says

GROUP = "like the real"
NEAR: Says = {
    "below": "Made rows are farther from other real rows than real rows are: new, or strange.",
    "within": "Made rows are as near to other real rows as real rows are.",
    "above": "Made rows are nearer to other real rows than real rows are: safe, and little new.",
}
APART: Says = {
    "below": "Made rows are spread more like other real rows than real rows are.",
    "within": "Made rows are spread as other real rows are.",
    "above": "Made rows are spread otherwise than other real rows are: about another centre, or in other directions.",
}
WORDS: Says = {
    "below": "Made rows are shorter than real rows.",
    "within": "Made rows are as long as real rows.",
    "above": "Made rows are longer than real rows.",
}


def like_real(h: Halves) -> list[Measure]:
    """The Frechet distance, the nearest other real row, and of texts their length."""

    def apart(a: Rows, s: Rows, made: bool) -> Numbers:
        every = np.random.default_rng(0).permutation(a)[:CUBED]
        return (frechet(h.real.vectors[every], (h.made if made else h.real).vectors[s[:CUBED]]),)

    def near(a: Rows, s: Rows, made: bool) -> Numbers:
        return (float((h.mr if made else h.rr)[np.ix_(s, a)].max(axis=1).mean()),)

    nearest = h.strangers.argmax(axis=1)
    middle = h.real.vectors.mean(axis=0)
    off = h.made.vectors.mean(axis=0) - middle
    along = (h.made.vectors - middle) @ (off / max(float(np.linalg.norm(off)), 1e-12))
    n = min(CUBED, h.n)
    name = f"Frechet distance of {n:,} vectors"
    return [
        *h.measures(apart, [(GROUP, name, APART, False, h.worst(-along, nearest, h.real, "real", -1.0))], CUBED),
        *h.measures(
            near,
            [(GROUP, "similarity with the nearest other real row", NEAR, False,
              h.worst(h.strangers.max(axis=1), nearest, h.real, "real"))],
        ),
        *(_lengths(h, nearest) if h.sets.kind == "text" else []),
    ]  # fmt: skip


def _lengths(h: Halves, nearest: Rows) -> list[Measure]:
    real, made = (np.array([len(text) for text in texts], np.float64) for texts in h.words)

    def lengths(a: Rows, s: Rows, of_made: bool) -> Numbers:
        return (float((made if of_made else real)[s].mean()),)

    off = np.abs(np.log1p(made) - np.log1p(np.median(real)))
    worst = h.worst(-off, nearest, h.real, "words, beside real")
    worst = [type(w)(w.text, w.beside, w.who, made[h.made.ids.index(w.ids[0])], w.ids) for w in worst]
    return h.measures(lengths, [(GROUP, "words a text", WORDS, False, worst)])
