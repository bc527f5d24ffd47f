"""What made rows measure, beside what the real ones would: the real set split in two, again and again.

Each split has a half A, which plays the real set, and a half B.  B's own rows are measured against A: that is the
null, what a number is where nothing is wrong.  Then as many children of B's rows are measured against A in the same
way.  So nothing is compared with its own parent, but for the measure that is about parents.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from leaven.report.vectors import Some, Vectors

FEWEST = 40
SPLITS = 40
REAL = 1_000
MADE = 3_000
TEST = 2_000
WORST = 5
NEIGHBOURS = 5
TWINS = 10
"""Fewer children of a half than this are too few to measure."""


@dataclass(frozen=True)
class Spread:
    """A number over splits: its mean, the range that holds 95 %, and its standard error."""

    mean: float
    low: float
    high: float
    error: float

    @classmethod
    def over(cls, values: list[float], drawn: float, share: bool) -> Spread:
        """``drawn`` is the share of all rows that each split drew.

        Draws of half of a set differ less than that set and another one of its kind: the spread is widened by as much
        (the finite population correction, Cochran 1977, turned round).
        """
        found = np.asarray(values)
        mean, wider = float(found.mean()), 1 / np.sqrt(1 - drawn)
        low, high = (float(mean + wider * (x - mean)) for x in np.percentile(found, [2.5, 97.5]))
        if share:
            low, high = max(0.0, low), min(1.0, high)
        return cls(mean, low, high, float(found.std() * wider))


@dataclass(frozen=True)
class Measure:
    """One number about made rows, and its null."""

    group: str
    name: str
    says: Mapping[str, str]
    made: Spread
    null: Spread
    share: bool
    worst: list[dict[str, Any]] = field(default_factory=list)

    @property
    def stands(self) -> str:
        """``below`` or ``above`` the null, where the two ranges do not explain the difference; else ``within``."""
        difference = self.made.mean - self.null.mean
        if abs(difference) <= 1.96 * float(np.hypot(self.made.error, self.null.error)):
            return "within"
        return "below" if difference < 0 else "above"


Says = dict[str, str]
OWN: Says = {
    "below": "Made rows lie nearest to their own label less often than real rows do: some may have changed it.",
    "within": "Made rows lie nearest to their own label as often as real rows do.",
    "above": "Made rows lie nearest to their own label more often than real rows do: they may be the easy cases.",
}
PARENT: Says = {
    "below": "Children are farther from their parent than two real rows of a label are from each other.",
    "within": "Children are as far from their parent as two real rows of a label are from each other.",
    "above": "Children are nearer to their parent than two real rows of a label are to each other.",
}
PAIRS: Says = {
    "below": "Made rows repeat word pairs more than real rows do.",
    "within": "Made rows repeat word pairs as much as real rows do.",
    "above": "Made rows repeat word pairs less than real rows do.",
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
NEAR: Says = {
    "below": "Made rows are farther from other real rows than real rows are: new, or strange.",
    "within": "Made rows are as near to other real rows as real rows are.",
    "above": "Made rows are nearer to other real rows than real rows are: safe, and little new.",
}
WORDS: Says = {
    "below": "Made rows are shorter than real rows.",
    "within": "Made rows are as long as real rows.",
    "above": "Made rows are longer than real rows.",
}
LEAK: Says = {
    "below": "Made rows are farther from test rows than real rows are.",
    "within": "Made rows are as near to test rows as real rows are: no sign of a leak.",
    "above": "Made rows are nearer to test rows than real rows are: look at the nearest.",
}


class Splits:
    """The rows, their similarities, and the measures over all splits."""

    def __init__(self, vectors: Vectors, seed: int) -> None:
        self.real = _first(vectors.real, REAL)
        self.made = _first(_of_known(vectors.kept, self.real), MADE)
        self.test = _first(vectors.test, TEST)
        known = {name: i for i, name in enumerate(self.real.ids)}
        self.parent = np.array([known.get(p or "", -1) for p in self.made.parents], np.int64)
        self.names = sorted({x for x in self.real.labels if x is not None})
        code = {name: i for i, name in enumerate(self.names)}
        self.y_real = np.array([code.get(x or "", -1) for x in self.real.labels], np.int64)
        self.y_made = np.array([code.get(x or "", -1) for x in self.made.labels], np.int64)
        self.rr = self.real.vectors @ self.real.vectors.T
        self.mr = self.made.vectors @ self.real.vectors.T
        self.mm = self.made.vectors @ self.made.vectors.T
        self.rt = self.real.vectors @ self.test.vectors.T
        self.mt = self.made.vectors @ self.test.vectors.T
        np.fill_diagonal(self.rr, -1.0)
        np.fill_diagonal(self.mm, -1.0)
        self.of_texts = vectors.kind == "text"
        self.words = [[t.casefold().split() for t in some.texts] for some in (self.real, self.made)]
        self.halves = [self._split(seed, s) for s in range(SPLITS)]

    def _split(self, seed: int, number: int) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
        """The rows of A, as many rows of B as there are children, and children of B."""
        draw = np.random.default_rng([seed, number])
        mixed = draw.permutation(len(self.real))
        mixed = mixed[np.argsort(self.y_real[mixed], kind="stable")]  # every second row: labels are halved too
        a, b = np.sort(mixed[::2]), np.sort(mixed[1::2])
        inside = np.zeros(len(self.real), bool)
        inside[b] = True
        children = np.flatnonzero((self.parent < 0) | inside[self.parent])
        size = min(len(b), len(children), len(self.made) // 2)
        return a, np.sort(draw.permutation(b)[:size]), np.sort(draw.permutation(children)[:size])

    def measures(self) -> list[Measure]:
        """Every measure that these rows allow; none where too few rows are there."""
        if len(self.real) < FEWEST or min((len(kids) for _, _, kids in self.halves), default=0) < TWINS:
            return []
        found = []
        if len(self.names) > 1:
            found.append(self._one("faithful", "nearest to its own label", OWN, self._own, True, self._far_labels()))
        if (self.parent >= 0).any():
            name = "similarity with the parent"
            says = PARENT if self.names else {k: v.replace(" of a label", "") for k, v in PARENT.items()}
            found.append(self._one("faithful", name, says, self._parents, False, self._far_parents()))
        if self.of_texts:
            found.append(self._one("varied", "different word pairs", PAIRS, self._pairs, True, []))
        name = "similarity with the nearest other made row"
        found.append(self._one("varied", name, ALIKE, self._alike, False, self._twins()))
        found.append(self._one("varied", "real rows reached", COVER, self._cover, True, self._lonely()))
        name = "similarity with the nearest other real row"
        found.append(self._one("like the real", name, NEAR, self._near, False, self._far_real()))
        if self.of_texts:
            found.append(self._one("like the real", "words a text", WORDS, self._lengths, False, []))
        if len(self.test):
            name = "similarity with the nearest test row"
            found.append(self._one("leaking", name, LEAK, self._leak, False, self._near_test()))
        return found

    def _one(
        self, group: str, name: str, says: Says,
        measure: Callable[[np.ndarray, np.ndarray, bool], float], share: bool, worst: list[dict[str, Any]]
    ) -> Measure:  # fmt: skip
        null = [measure(a, b, False) for a, b, _ in self.halves]
        made = [measure(a, kids, True) for a, _, kids in self.halves]
        size = float(np.mean([len(b) for _, b, _ in self.halves]))
        return Measure(
            group, name, says,
            Spread.over(made, size / len(self.made), share), Spread.over(null, size / len(self.real), share),
            share, worst
        )  # fmt: skip

    # -- measures: of rows ``s`` (real ones of B, or their children) against the rows ``a`` -----------------------

    def _centres(self, a: np.ndarray) -> np.ndarray:
        """The mean direction of each label's rows; zeros where it has none."""
        ones = self.y_real[a][:, None] == np.arange(len(self.names))
        sums = ones.T.astype(np.float64) @ self.real.vectors[a]
        norms = np.linalg.norm(sums, axis=1, keepdims=True)
        centres: np.ndarray = np.divide(sums, norms, out=np.zeros_like(sums), where=norms > 0)
        return centres

    def _own(self, a: np.ndarray, s: np.ndarray, made: bool) -> float:
        centres = self._centres(a)
        vectors, y = (self.made.vectors[s], self.y_made[s]) if made else (self.real.vectors[s], self.y_real[s])
        return float((np.argmax(vectors @ centres.T, axis=1) == y).mean())

    def _parents(self, a: np.ndarray, s: np.ndarray, made: bool) -> float:
        if made:
            with_parent = s[self.parent[s] >= 0]
            return float(self.mr[with_parent, self.parent[with_parent]].mean()) if len(with_parent) else 0.0
        same = self.y_real[s][:, None] == self.y_real[a][None, :]
        some = same.any(axis=1)
        near = np.where(same, self.rr[np.ix_(s, a)], 0.0).sum(axis=1) / np.maximum(1, same.sum(axis=1))
        return float(near[some].mean()) if some.any() else 0.0

    def _pairs(self, a: np.ndarray, s: np.ndarray, made: bool) -> float:
        pairs = [pair for i in s.tolist() for pair in zip(*(self.words[made][i][k:] for k in (0, 1)), strict=False)]
        return len(set(pairs)) / max(1, len(pairs))

    def _alike(self, a: np.ndarray, s: np.ndarray, made: bool) -> float:
        return float((self.mm if made else self.rr)[np.ix_(s, s)].max(axis=1).mean())

    def _cover(self, a: np.ndarray, s: np.ndarray, made: bool) -> float:
        """The share of A's rows that have one of ``s`` among what would be their five nearest (Naeem et al. 2020)."""
        inner = self.rr[np.ix_(a, a)]
        k = min(NEIGHBOURS, len(a) - 1)
        reach = np.partition(inner, len(a) - k, axis=1)[:, len(a) - k]
        best = (self.mr[np.ix_(s, a)] if made else self.rr[np.ix_(s, a)]).max(axis=0)
        return float((best >= reach).mean())

    def _near(self, a: np.ndarray, s: np.ndarray, made: bool) -> float:
        return float((self.mr if made else self.rr)[np.ix_(s, a)].max(axis=1).mean())

    def _lengths(self, a: np.ndarray, s: np.ndarray, made: bool) -> float:
        return float(np.mean([len(self.words[made][i]) for i in s.tolist()]))

    def _leak(self, a: np.ndarray, s: np.ndarray, made: bool) -> float:
        return float((self.mt if made else self.rt)[s].max(axis=1).mean())

    # -- the five worst rows of each -----------------------------------------------------------------------------------

    def _far_parents(self) -> list[dict[str, Any]]:
        known = np.flatnonzero(self.parent >= 0)
        return self._farthest(self.mr[known, self.parent[known]], known, self.parent[known], self.real, "parent")

    def _far_real(self) -> list[dict[str, Any]]:
        """Far from every real row but its parent."""
        near = self.mr.copy()
        known = np.flatnonzero(self.parent >= 0)
        near[known, self.parent[known]] = -1.0
        return self._farthest(near.max(axis=1), np.arange(len(near)), near.argmax(axis=1), self.real, "real")

    def _near_test(self) -> list[dict[str, Any]]:
        every = np.arange(len(self.made))
        found = self._farthest(-self.mt.max(axis=1), every, self.mt.argmax(axis=1), self.test, "test")
        return [{**row, "value": -row["value"]} for row in found]

    def _farthest(
        self, values: np.ndarray, rows: np.ndarray, at: np.ndarray, other: Some, who: str
    ) -> list[dict[str, Any]]:
        """The made ``rows`` of the lowest values, each beside row ``at`` of the others."""
        return [
            {"text": self.made.texts[rows[i]], "beside": other.texts[at[i]], "who": who, "value": float(values[i]),
             "ids": (self.made.ids[rows[i]], other.ids[at[i]])}
            for i in np.argsort(values, kind="stable")[:WORST].tolist()
        ]  # fmt: skip

    def _far_labels(self) -> list[dict[str, Any]]:
        near = self.made.vectors @ self._centres(np.arange(len(self.real))).T
        known = np.flatnonzero(self.y_made >= 0)
        margin = near[known, self.y_made[known]] - near[known].max(axis=1)
        found = []
        for i in np.argsort(margin, kind="stable")[:WORST].tolist():
            own, nearer = self.names[self.y_made[known[i]]], self.names[int(near[known[i]].argmax())]
            if margin[i] < 0:
                said = f"{own}; nearer: {nearer}"
                text = self.made.texts[known[i]]
                ids = (self.made.ids[known[i]],)
                found.append({"text": text, "beside": said, "who": "label", "value": float(margin[i]), "ids": ids})
        return found

    def _twins(self) -> list[dict[str, Any]]:
        best = self.mm.max(axis=1)
        at = self.mm.argmax(axis=1)
        found: list[dict[str, Any]] = []
        seen: set[int] = set()
        for i in np.argsort(-best, kind="stable").tolist():
            if i in seen:
                continue
            seen |= {i, int(at[i])}
            found.append(
                {"text": self.made.texts[i], "beside": self.made.texts[at[i]], "who": "made", "value": float(best[i]),
                 "ids": (self.made.ids[i], self.made.ids[at[i]])}
            )  # fmt: skip
            if len(found) == WORST:
                break
        return found

    def _lonely(self) -> list[dict[str, Any]]:
        near = self.mr.max(axis=0)
        return [
            {
                "text": self.real.texts[i],
                "beside": self.made.texts[int(self.mr[:, i].argmax())],
                "who": "nearest made",
                "value": float(near[i]),
                "ids": (self.real.ids[i], self.made.ids[int(self.mr[:, i].argmax())]),
            }
            for i in np.argsort(near, kind="stable")[:WORST].tolist()
        ]


def _first(some: Some, most: int) -> Some:
    return Some(
        some.ids[:most], some.texts[:most], some.labels[:most], some.parents[:most], some.vectors[:most], some.of
    )


def _of_known(some: Some, real: Some) -> Some:
    """The made rows whose parent is one of these real ones, and those that have none."""
    known = set(real.ids)
    keep = [i for i, parent in enumerate(some.parents) if parent is None or parent in known]
    return Some(
        [some.ids[i] for i in keep],
        [some.texts[i] for i in keep],
        [some.labels[i] for i in keep],
        [some.parents[i] for i in keep],
        some.vectors[keep],
        some.of,
    )
