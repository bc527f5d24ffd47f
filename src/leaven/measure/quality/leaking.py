"""Measures of whether made rows give the test set away, or repeat the real rows."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from leaven.keep.near import TextIndex, exact_keys, jaccard, pieces
from leaven.measure.quality.fidelity import reach
from leaven.measure.quality.halves import WORST, Halves, Numbers, Rows
from leaven.measure.quality.rows import Sets, Some, Worst
from leaven.measure.quality.spread import Measure, Says, Spread

GROUP = "leaking"
NEAR = 0.8
"""The overlap of 5-character pieces (Jaccard) from which a text is nearly another: that of the keep ``near_test``."""
COPY = 0.99
"""As like a real image as that one is to itself once it is written anew as a JPEG."""
BLOCK = 2_048
LEAK: Says = {
    "below": "Made rows are farther from test rows than real rows are.",
    "within": "Made rows are as near to test rows as real rows are: no sign of a leak.",
    "above": "Made rows are nearer to test rows than real rows are: look at the nearest.",
}
MEMORY: Says = {
    "below": "Made rows crowd about single other real rows less than real rows do.",
    "within": "Made rows crowd about single other real rows as much as real rows do: no sign of learning by heart.",
    "above": "Made rows crowd about single other real rows more than real rows do: they may be learned by heart.",
}
SAID = {
    "test": {
        "below": "Fewer made rows than real ones are {what} of a test row.",
        "within": "As many made rows as real ones are {what} of a test row.",
        "above": "More made rows than real ones are {what} of a test row: it leaks.",
    },
    "real": {
        "below": "Fewer made rows than real ones are {what} of a real row.",
        "within": "As many made rows as real ones are {what} of another real row.",
        "above": "More made rows than real ones are {what} of a real row: they add nothing, or little.",
    },
}


def leaking(h: Halves) -> list[Measure]:
    """The nearest test row, and the nearest real one against that one's own nearest."""
    found = []
    if len(h.test):

        def leak(a: Rows, s: Rows, made: bool) -> Numbers:
            return (float((h.mt if made else h.rt)[s].max(axis=1).mean()),)

        worst = h.worst(-h.mt.max(axis=1), h.mt.argmax(axis=1), h.test, "test", -1.0)
        found = h.measures(leak, [(GROUP, "similarity with the nearest test row", LEAK, False, worst)])

    def memory(a: Rows, s: Rows, made: bool) -> Numbers:
        near = (h.mr if made else h.rr)[np.ix_(s, a)]
        own = reach(h.rr[np.ix_(a, a)], 1)[near.argmax(axis=1)]
        return (float((near.max(axis=1) > own).mean()),)

    at = h.strangers.argmax(axis=1)
    closer = h.strangers.max(axis=1) - reach(h.rr, 1)[at]
    worst = h.worst(-closer, at, h.real, "real, nearer by", -1.0)
    name = "learned by heart (1 - authenticity)"  # Alaa et al. 2022, arXiv:2102.08921
    return [*found, *h.measures(memory, [(GROUP, name, MEMORY, True, worst)])]


def copies(sets: Sets) -> list[Measure]:
    """Which rows, of all that were read, are copies or nearly copies of a test row, and of a real one (their parent
    counts); real rows beside them, against the test rows and against the other real ones."""
    found = []
    for who, other in (("test", sets.test), ("real", sets.real)):
        if not len(other) or not len(sets.made):
            continue
        mine, base_rows = sets.made.first(LOOKED), sets.real.first(LOOKED)
        made = _matches(mine, other, sets.kind)
        null = _matches(base_rows, other, sets.kind, own=who == "real")
        both = {"copies": "copies", "near": "copies or near copies"}
        names = both if sets.kind == "text" else {"near": "near copies"}
        for level, what in names.items():
            hits, base = (x.copies if level == "copies" else x.near for x in (made, null))
            says = {stand: text.format(what="copies" if level == "copies" else "copies or near copies")
                    for stand, text in SAID[who].items()}  # fmt: skip
            found.append(
                Measure(
                    GROUP, f"{what} of a {who} row", says,
                    Spread.of_count(int(hits.sum()), len(mine)), Spread.of_count(int(base.sum()), len(base_rows)),
                    True, _pairs(mine, other, hits, made, who),
                )
            )  # fmt: skip
    return found


LOOKED = 5_000
"""So many rows are looked at for copies; they come in a drawn order."""
NEIGHBOURS = 8
"""So many near rows of a text are compared with it; texts that are all alike have thousands."""


class _Matches:
    """Which rows are copies of another's, which are at least nearly, and of which row."""

    def __init__(self, rows: int) -> None:
        self.copies, self.near = np.zeros(rows, bool), np.zeros(rows, bool)
        self.of = np.zeros(rows, np.int64)
        self.like = np.zeros(rows)


def _matches(some: Some, other: Some, kind: str, own: bool = False) -> _Matches:
    """``own``: both are the same rows, and none is a copy of itself."""
    return _texts(some, other, own) if kind == "text" else _vectors(some, other, own)


def _texts(some: Some, other: Some, own: bool) -> _Matches:
    found = _Matches(len(some))
    keys, mine = exact_keys(other.texts), exact_keys(some.texts)
    first: dict[int, list[int]] = {}
    for row, key in enumerate(keys.tolist()):
        first.setdefault(key, []).append(row)
    index = TextIndex(NEAR)
    for text in other.texts:
        index.add(text)
    for row, (text, key) in enumerate(zip(some.texts, mine.tolist(), strict=True)):
        same = [i for i in first.get(key, []) if not (own and i == row)]
        near = same or [i for i in index.near(text, NEIGHBOURS) if not (own and i == row)]
        found.copies[row], found.near[row] = bool(same), bool(near)
        if near:
            mine_of = pieces(text)
            like = {i: 1.0 if same else jaccard(mine_of, pieces(other.texts[i])) for i in near}
            found.of[row] = max(near, key=lambda i: (like[i], -i))
            found.like[row] = like[int(found.of[row])]
    return found


def _vectors(some: Some, other: Some, own: bool) -> _Matches:
    found = _Matches(len(some))
    for begin in range(0, len(some), BLOCK):
        block = np.round(some.vectors[begin : begin + BLOCK] @ other.vectors.T, 5)
        if own:
            block[np.arange(len(block)), np.arange(begin, begin + len(block))] = -1.0
        here = slice(begin, begin + len(block))
        found.of[here], found.like[here] = block.argmax(axis=1), block.max(axis=1)
    found.near = found.like >= COPY
    return found


def _pairs(some: Some, other: Some, hits: NDArray[np.bool_], found: _Matches, who: str) -> list[Worst]:
    order = sorted(np.flatnonzero(hits).tolist(), key=lambda i: -found.like[i])[:WORST]
    return [
        Worst(some.texts[i], other.texts[found.of[i]], who, float(found.like[i]), (some.ids[i], other.ids[found.of[i]]))
        for i in order
    ]
