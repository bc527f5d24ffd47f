"""Fill blanks with an n-gram model of the user's own texts: no weights, no network, any language with blanks."""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Iterable, Mapping, Sequence
from itertools import pairwise
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import numpy as np

START, END = "\x02", "\x03"
OWN = 0.85
"""The weight of the label's own counts; the rest is all labels'."""
FEW = 4
"""Below this many candidates beside a blank, the label's words at large are candidates too."""

Pairs = dict[str, Counter[str]]


class NgramFill:
    """Which word stands between two others, counted over the source, each label for itself and all together.

    A blank is filled from left to right.  A candidate's weight is its count after the word on the left times its count
    before the word on the right (each plus a little, so that one side may be new), the label's counts weighing OWN.
    """

    def __init__(self, texts: Sequence[str], labels: Sequence[str | None]) -> None:
        self.after: dict[str | None, Pairs] = {}
        self.before: dict[str | None, Pairs] = {}
        self.words: dict[str | None, Counter[str]] = {}
        for text, label in zip(texts, labels, strict=True):
            words = [START, *text.split(), END]
            if len(words) == 2:
                continue
            for key in {label, None}:
                after = self.after.setdefault(key, defaultdict(Counter))
                before = self.before.setdefault(key, defaultdict(Counter))
                for left, right in pairwise(words):
                    after[left.lower()][right] += 1
                    before[right.lower()][left] += 1
                self.words.setdefault(key, Counter()).update(words[1:-1])

    def fill(self, text: str, *, blank: str, label: str | None, rng: np.random.Generator) -> str:
        """The text with each blank filled; an unknown label is filled from all.  Blanks stay where no word is known."""
        if not self.words:
            return text
        key = label if label in self.words else None
        words = [START, *text.split(), END]
        for i, word in enumerate(words):
            if word == blank:
                right = words[i + 1] if words[i + 1] != blank else None
                words[i] = self.draw(words[i - 1], right, key, rng)
        return " ".join(words[1:-1])

    def draw(self, left: str, right: str | None, label: str | None, rng: np.random.Generator) -> str:
        weights: dict[str, float] = {}
        for key, share in ((label, OWN), (None, 1 - OWN)):
            if key is None and label is None:
                share = 1.0
            self._weigh(weights, key, share, left, right)
            if key == label is None:
                break
        if len(weights) < FEW:
            for word, count in self.words[label].items():
                weights[word] = weights.get(word, 0.0) + 0.01 * count
        return _drawn(weights, rng)

    def _weigh(self, weights: dict[str, float], label: str | None, share: float, left: str, right: str | None) -> None:
        follow: Mapping[str, int] = self.after[label].get(left.lower(), {})
        precede: Mapping[str, int] = self.before[label].get(right.lower(), {}) if right else {}
        for word in _union(follow, precede):
            if word not in (START, END):
                fits = (follow.get(word, 0) + 0.1) * (precede.get(word, 0) + 0.1 if right else 1.0)
                weights[word] = weights.get(word, 0.0) + share * fits


def _union(a: Iterable[str], b: Iterable[str]) -> Iterable[str]:
    return dict.fromkeys([*a, *b])


def _drawn(weights: dict[str, float], rng: np.random.Generator) -> str:
    point = rng.random() * sum(weights.values())
    for word, weight in weights.items():
        point -= weight
        if point < 0:
            return word
    return next(reversed(weights))
