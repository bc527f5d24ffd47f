"""Measures of whether made rows are true to their label, their parent and their caption."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from leaven.measure.quality.halves import WORST, Halves, Numbers, Rows
from leaven.measure.quality.rows import Fits, Worst
from leaven.measure.quality.spread import Measure, Says, Spread
from leaven.models.backends.linear import fit_linear, predict_proba, stratified_folds
from leaven.records import folded

GROUP = "faithful"
FOLDS = 5
OWN: Says = {
    "below": "A student that saw neither them nor their parents agrees with fewer made labels than real ones: some "
    "rows may have changed theirs.",
    "within": "A student that saw neither them nor their parents agrees with made labels as often as with real ones.",
    "above": "A student that saw neither them nor their parents agrees with more made labels than real ones: they may "
    "be the easy cases.",
}
PARENT: Says = {
    "below": "Children are farther from their parent than two real rows of a label are from each other.",
    "within": "Children are as far from their parent as two real rows of a label are from each other.",
    "above": "Children are nearer to their parent than two real rows of a label are to each other.",
}
FIT: Says = {
    "below": "Made captions fit less well than real ones.",
    "within": "Made captions fit as well as real ones.",
    "above": "Made captions fit better than real ones.",
}


def agreement(h: Halves) -> list[Measure]:
    """How often an out-of-fold student gives a row its own label; nothing where it cannot be told."""
    found = own_probability(h)
    if found is None:
        return []
    (_, right_real), (p_made, right_made), said = found

    def agrees(a: Rows, s: Rows, made: bool) -> Numbers:
        return (_mean((right_made if made else right_real)[s]),)

    order = [i for i in np.argsort(p_made, kind="stable").tolist() if right_made[i] == 0]
    worst = [
        Worst(
            h.made.texts[i], f"{h.made.labels[i]}; the student: {h.names[said[i]]}", "label prob", float(p_made[i]),
            (h.made.ids[i],),
        )
        for i in order[:WORST]
    ]  # fmt: skip
    return h.measures(agrees, [(GROUP, "a student agrees with the label", OWN, True, worst)])


Judged = tuple[NDArray[np.float64], NDArray[np.float64]]


def own_probability(h: Halves) -> tuple[Judged, Judged, Rows] | None:
    """Of each real and each made row the probability of its own label and whether it is the likeliest (NaN where no
    model can tell), by a linear student over the vectors that saw neither it nor its parent; and what it says of made
    rows.  Real rows of equal text are in one fold.  None where no label has two rows."""
    known = np.flatnonzero(h.y_real >= 0)
    texts = h.sets.kind == "text"
    kin = [folded(h.real.texts[i]) if texts else h.real.ids[i] for i in known.tolist()]
    _, first, unit = np.unique(np.array(kin, object), return_index=True, return_inverse=True)
    fold = np.full(len(h.real), -1)
    fold[known] = stratified_folds(h.y_real[known][first], FOLDS, h.sets.seed)[unit] if len(known) else -1
    folds = int(fold.max(initial=-1)) + 1
    if folds < 2 or len(h.names) < 2:
        return None
    judged = np.unique(h.y_real[fold >= 0])  # the only row of a label always trains, and is no null of its like
    lost = np.arange(len(h.made)) % folds  # a row of no known parent: any model will do
    of_made = np.where(h.parent >= 0, fold[h.parent], lost)
    real, made = (np.full((2, n), np.nan) for n in (len(h.real), len(h.made)))
    said = np.zeros(len(h.made), np.int64)
    for number in range(folds):
        taught = known[fold[known] != number]
        model = fit_linear(h.real.vectors[taught], h.y_real[taught], n_labels=len(h.names))
        for into, some, y, where in ((real, h.real, h.y_real, fold), (made, h.made, h.y_made, of_made)):
            rows = np.flatnonzero((where == number) & np.isin(y, np.intersect1d(judged, model.classes)))
            share = predict_proba(model, some.vectors[rows])
            best = share.argmax(axis=1) if len(rows) else np.zeros(0, np.int64)
            into[0, rows] = share[np.arange(len(rows)), y[rows]]
            into[1, rows] = best == y[rows]
            if some is h.made:
                said[rows] = best
    return (real[0], real[1]), (made[0], made[1]), said


def parents(h: Halves) -> list[Measure]:
    """How like its parent a child is; the null is another real row of its label."""
    if not (h.parent >= 0).any():
        return []

    def near(a: Rows, s: Rows, made: bool) -> Numbers:
        if made:
            known = s[h.parent[s] >= 0]
            return (float(h.mr[known, h.parent[known]].mean()) if len(known) else 0.0,)
        same = h.y_real[s][:, None] == h.y_real[a][None, :]
        some = same.any(axis=1)
        means = np.where(same, h.rr[np.ix_(s, a)], 0.0).sum(axis=1) / np.maximum(1, same.sum(axis=1))
        return (float(means[some].mean()) if some.any() else 0.0,)

    values = np.where(h.parent >= 0, h.mr[np.arange(len(h.made)), h.parent], np.nan)
    says = PARENT if h.names else {k: v.replace(" of a label", "") for k, v in PARENT.items()}
    worst = h.worst(values, h.parent, h.real, "parent")
    return h.measures(near, [(GROUP, "similarity with the parent", says, False, worst)])


def captions(fits: Fits, seed: int) -> list[Measure]:
    """How well captions fit, by an encoder that knows both (CLIPScore without its factor 2.5, Hessel et al. 2021,
    arXiv:2104.08718), over equally many rows; the ranges are bootstrapped."""
    n = min(len(fits.real), len(fits.made))
    if n < 2:
        return []
    draw = np.random.default_rng(seed)
    spreads = []
    for values in (fits.made, fits.real):
        some = draw.permutation(values)[:n]
        again = some[draw.integers(0, n, (400, n))].mean(axis=1)
        low, high = np.percentile(again, [2.5, 97.5])
        spreads.append(Spread(float(some.mean()), float(low), float(high), float(again.std())))
    order = np.argsort(fits.made, kind="stable")[:WORST].tolist()
    worst = [Worst(fits.captions[i], "", "cosine", float(fits.made[i]), (fits.ids[i],)) for i in order]
    return [Measure(GROUP, f"captions fit ({fits.model})", FIT, spreads[0], spreads[1], False, worst)]


def _mean(values: NDArray[np.float64]) -> float:
    known = values[np.isfinite(values)]
    return float(known.mean()) if len(known) else 0.0
