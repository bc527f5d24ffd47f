"""Measures of how varied made rows are."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from leaven.measure.quality.diversity import distinct, self_bleu, vendi
from leaven.measure.quality.fidelity import manifold, reach
from leaven.measure.quality.grams import Grams
from leaven.measure.quality.halves import CUBED, WORST, Halves, Numbers, Rows
from leaven.measure.quality.rows import Worst
from leaven.measure.quality.spread import Measure, Says

GROUP = "varied"
NEAR, WIDE = 3, 5
"""The neighbours that make a ball: of precision and recall, of density and coverage, as their papers have them."""
SINGLE: Says = {
    "below": "Made rows repeat words more than real rows do.",
    "within": "Made rows repeat words as much as real rows do.",
    "above": "Made rows repeat words less than real rows do.",
}
PAIRS: Says = {
    "below": "Made rows repeat word pairs more than real rows do.",
    "within": "Made rows repeat word pairs as much as real rows do.",
    "above": "Made rows repeat word pairs less than real rows do.",
}
BLEU: Says = {
    "below": "Made rows share fewer phrases with each other than real rows do.",
    "within": "Made rows share as many phrases with each other as real rows do.",
    "above": "Made rows share more phrases with each other than real rows do.",
}
KINDS: Says = {
    "below": "As many made rows are worth fewer different ones than real rows are.",
    "within": "As many made rows are worth as many different ones as real rows are.",
    "above": "As many made rows are worth more different ones than real rows are.",
}
ALIKE: Says = {
    "below": "Made rows are less like each other than real rows are.",
    "within": "Made rows are as like each other as real rows are.",
    "above": "Made rows are more like each other than real rows are.",
}
COVER: Says = {
    "below": "Made rows reach fewer of the other real rows than real rows do.",
    "within": "Made rows reach as many of the other real rows as real rows do.",
    "above": "Made rows reach more of the other real rows than real rows do.",
}
RECALL: Says = {
    "below": "Fewer of the other real rows lie among made rows than among real ones.",
    "within": "As many of the other real rows lie among made rows as among real ones.",
    "above": "More of the other real rows lie among made rows than among real ones: made rows are spread wider.",
}
AMONG: Says = {
    "below": "Fewer made rows lie among the other real rows than real rows do: some are strange.",
    "within": "As many made rows lie among the other real rows as real rows do.",
    "above": "More made rows lie among the other real rows than real rows do: the ordinary cases.",
}
DENSE: Says = {
    "below": "Made rows lie where real rows are sparser than real rows do.",
    "within": "Made rows lie where real rows are as dense as real rows do.",
    "above": "Made rows lie where real rows are denser than real rows do: the ordinary cases.",
}


def phrases(h: Halves) -> list[Measure]:
    """distinct-1, distinct-2 and self-BLEU; of texts only."""
    first = len(h.real)

    def of(s: Rows, made: bool) -> Rows:
        return s + first if made else s

    null, new = [], []
    for _, b, kids in h.halves:
        pair: list[list[float]] = [[], []]
        for order in h.grams[:2]:
            some = [order.of(of(s, made))[0] for s, made in ((b, False), (kids, True))]
            equal = min(map(len, some))
            for into, codes in zip(pair, some, strict=True):
                into.append(distinct(codes[:equal]))
        null.append(tuple(pair[0]))
        new.append(tuple(pair[1]))
    common = [_common(h, order) for order in h.grams[:2]]
    found = h.spread(
        null, new,
        [(GROUP, "different words (distinct-1)", SINGLE, True, common[0]),
         (GROUP, "different word pairs (distinct-2)", PAIRS, True, common[1])],
    )  # fmt: skip

    def bleu(a: Rows, s: Rows, made: bool) -> Numbers:
        return (float(self_bleu(h.grams, of(s[:CUBED], made)).mean()),)

    every = self_bleu(h.grams, np.arange(len(h.made)) + first)
    worst = h.worst(-every, h.mm.argmax(axis=1), h.made, "made", -1.0)
    return [*found, *h.measures(bleu, [(GROUP, "phrases in common (self-BLEU)", BLEU, False, worst)], CUBED)]


def _common(h: Halves, order: Grams) -> list[Worst]:
    """The made rows whose n-grams stand in the largest share of all made rows."""
    n = len(h.made)
    codes, place = order.of(np.arange(n) + len(h.real))
    if not len(codes):
        return []
    once = np.unique(codes * n + place)
    here, inverse = np.unique(codes, return_inverse=True)
    rows = np.bincount(np.searchsorted(here, once // n), minlength=len(here)) / n
    size = np.bincount(place, minlength=n)
    share = np.bincount(place, rows[inverse], minlength=n) / np.maximum(size, 1)
    return h.worst(np.where(size > 0, -share, np.nan), h.mm.argmax(axis=1), h.made, "made", -1.0)


def spread_out(h: Halves) -> list[Measure]:
    """The Vendi score, and how near the nearest other made row is."""

    def kinds(a: Rows, s: Rows, made: bool) -> Numbers:
        return (vendi((h.made if made else h.real).vectors[s[:CUBED]]),)

    def alike(a: Rows, s: Rows, made: bool) -> Numbers:
        return (float((h.mm if made else h.rr)[np.ix_(s, s)].max(axis=1).mean()),)

    n = min(CUBED, h.n)
    middle = h.made.vectors @ h.made.vectors.mean(axis=0)
    typical = h.worst(-middle, h.mm.argmax(axis=1), h.made, "made", -1.0)
    return [
        *h.measures(kinds, [(GROUP, f"different rows of {n:,} (Vendi score)", KINDS, False, typical)], CUBED),
        *h.measures(alike, [(GROUP, "similarity with the nearest other made row", ALIKE, False, twins(h))]),
    ]


def reached(h: Halves) -> tuple[list[Measure], list[Measure]]:
    """Coverage and recall; precision and density."""

    def four(a: Rows, s: Rows, made: bool) -> Numbers:
        within, between = (h.mm, h.mr) if made else (h.rr, h.rr)
        found = manifold(h.rr[np.ix_(a, a)], between[np.ix_(s, a)], within[np.ix_(s, s)], NEAR, WIDE)
        return found.coverage, found.recall, found.precision, found.density

    far = h.strangers - reach(h.rr, NEAR)[None, :]
    inside = (h.strangers >= reach(h.rr, WIDE)[None, :]).sum(axis=1) / WIDE
    nearest = h.strangers.argmax(axis=1)
    sparse = h.worst(inside + 1e-6 * h.strangers.max(axis=1), nearest, h.real, "real")
    found = h.measures(
        four,
        [
            (GROUP, "real rows reached (coverage)", COVER, True, _lonely(h, h.mr.max(axis=0))),
            (GROUP, "real rows among made ones (recall)", RECALL, True,
             _lonely(h, (h.mr - reach(h.mm, NEAR)[:, None]).max(axis=0))),
            ("like the real", "made rows among real ones (precision)", AMONG, True,
             h.worst(far.max(axis=1), far.argmax(axis=1), h.real, "real")),
            ("like the real", "real rows about a made one (density)", DENSE, False, sparse),
        ],
    )  # fmt: skip
    return found[:2], found[2:]


def twins(h: Halves) -> list[Worst]:
    """The pairs of made rows that are most alike, no row in two of them."""
    best, at = h.mm.max(axis=1), h.mm.argmax(axis=1)
    found: list[Worst] = []
    seen: set[int] = set()
    for i in np.argsort(-best, kind="stable").tolist():
        other = int(at[i])
        if i in seen:
            continue
        seen |= {i, other}
        ids = (h.made.ids[i], h.made.ids[other])
        found.append(Worst(h.made.texts[i], h.made.texts[other], "made", float(best[i]), ids))
        if len(found) == WORST:
            break
    return found


def _lonely(h: Halves, near: Sequence[float] | np.ndarray) -> list[Worst]:
    """The real rows with the lowest numbers, each beside the nearest made one."""
    values = np.asarray(near)
    found = []
    for i in np.argsort(values, kind="stable")[:WORST].tolist():
        at = int(h.mr[:, i].argmax())
        ids = (h.real.ids[i], h.made.ids[at])
        found.append(Worst(h.real.texts[i], h.made.texts[at], "nearest made", float(values[i]), ids))
    return found
