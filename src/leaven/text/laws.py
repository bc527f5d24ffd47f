"""Laws that the words of a set of texts follow: numbers of a set, not of a text, to hold against those of another set.

Natural language follows them, and so far generated text follows them less: too few rare words, too fast a stop of new
ones (Meister and Cotterell 2021, arXiv:2106.00085).  Compare with a real set of as many words, or better with the real
set split in two: all three change with the size of the set.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import TYPE_CHECKING, NamedTuple

from leaven.text.words import numbered

if TYPE_CHECKING:
    import numpy as np

POINTS = 30
CHUNKS = 12


class Law(NamedTuple):
    """An exponent, and how well the set follows the law: R² of the fitted line in logarithms, 1 where all points lie on
    it.  Both are None of a set with too few words to tell."""

    exponent: float | None
    fit: float | None


def zipf(texts: Iterable[Sequence[str]]) -> Law:
    """How fast frequency falls with rank: s of frequency ~ rank^-s (Zipf 1935), about 1 in long natural texts.

    The exponent is the most likely one for the ranks that were seen (a line through logarithms hangs on the many words
    that stand there once); the fit is that of the line.
    """
    import numpy as np

    tokens, _ = numbered(texts)
    counts = np.sort(np.unique(tokens, return_counts=True)[1])[::-1].astype(float)
    if len(counts) < 3 or counts[0] == counts[-1]:
        return Law(None, None)
    ranks = np.log(np.arange(1, len(counts) + 1))
    mean = float(counts @ ranks / counts.sum())
    low, high = 0.0, 20.0
    for _ in range(60):  # the mean logarithm of the rank falls as s rises: halve until it is that of the set
        s = (low + high) / 2
        weight = np.exp(-s * ranks)
        low, high = (s, high) if weight @ ranks / weight.sum() > mean else (low, s)
    return Law(round(low, 6), _line(ranks, np.log(counts))[1])


def heaps(texts: Iterable[Sequence[str]]) -> Law:
    """How fast new words come: b of distinct words ~ words^b (Heaps 1978), about 0.5 to 0.8 in natural texts.

    The number of distinct words in n words drawn from the set is reckoned, not counted, so that the order of the texts
    does not matter.
    """
    import numpy as np

    tokens, _ = numbered(texts)
    counts, words = np.unique(np.unique(tokens, return_counts=True)[1], return_counts=True)
    total = len(tokens)
    if total < 10 or words.sum() < 3:
        return Law(None, None)
    sizes = np.unique(np.geomspace(max(1, total // 100), total, POINTS).astype(np.int64))
    logs = np.concatenate([[0.0], np.cumsum(np.log(np.arange(1, total + 1)))])  # of factorials
    distinct = []
    for n in sizes.tolist():
        rest = total - counts - n
        # The probability that none of n words is one that stands there `count` times.
        none = logs[total - counts] - logs[np.maximum(rest, 0)] + logs[total - n] - logs[total]
        distinct.append(float(words @ (1 - np.where(rest >= 0, np.exp(none), 0))))
    slope, fit = _line(np.log(sizes), np.log(distinct))
    return Law(round(slope, 6), fit)


def taylor(texts: Iterable[Sequence[str]]) -> Law:
    """How unevenly words are spread: a of deviation ~ mean^a, over words in stretches of equal length (Taylor 1961;
    of texts Kobayashi and Tanaka-Ishii 2018, arXiv:1804.07893): 0.5 where words are drawn by chance, about 0.58 in
    natural texts.  Texts are taken in the order given."""
    import numpy as np

    tokens, _ = numbered(texts)
    stretch = max(1, min(len(tokens) // CHUNKS, 1000))
    pieces = len(tokens) // stretch
    if pieces < CHUNKS:
        return Law(None, None)
    tokens = tokens[: pieces * stretch]
    _, word = np.unique(tokens, return_inverse=True)
    pair, times = np.unique(word * pieces + np.arange(len(tokens)) // stretch, return_counts=True)
    total = np.bincount(pair // pieces, times)
    square = np.bincount(pair // pieces, times.astype(float) ** 2)
    mean = total / pieces
    deviation = np.sqrt(np.maximum(square / pieces - mean**2, 0))
    some = (total >= 2) & (deviation > 0)
    if len(np.unique(mean[some])) < 3:
        return Law(None, None)
    slope, fit = _line(np.log(mean[some]), np.log(deviation[some]))
    return Law(round(slope, 6), fit)


def _line(x: np.ndarray, y: np.ndarray) -> tuple[float, float]:
    """The slope of the line of least squares, and R²."""
    x, y = x - x.mean(), y - y.mean()
    slope = float(x @ y / (x @ x))
    spread = float(y @ y)
    return slope, round(1 - float(((y - slope * x) ** 2).sum()) / spread, 6) if spread > 0 else 1.0
