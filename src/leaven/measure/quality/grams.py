"""Words and their n-grams as numbers, so that many draws of texts can be counted fast."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

Ints = NDArray[np.int64]
WORD = re.compile(r"[\u0e00-\u0e7f\u3040-\u30ff\u3400-\u9fff\uac00-\ud7af]|\w+(?:['\u2019-]\w+)*")
"""A word; of scripts without blanks a letter."""


def words(text: str) -> list[str]:
    """The words of a text, case folded."""
    return WORD.findall(text.casefold())


@dataclass(frozen=True)
class Grams:
    """The n-grams of one order of all texts, one after another: ``codes`` names each by a number, ``starts`` says where
    each text's begin (and where the last one's end)."""

    codes: Ints
    starts: Ints

    def of(self, rows: Sequence[int] | Ints) -> tuple[Ints, Ints]:
        """The n-grams of some texts, in that order, and the place (0 ...) of the text that each stands in."""
        at = np.asarray(rows, np.int64)
        lengths = self.starts[at + 1] - self.starts[at]
        place = np.repeat(np.arange(len(at)), lengths)
        ends = np.cumsum(lengths)
        inner = np.arange(int(ends[-1]) if len(ends) else 0) - np.repeat(ends - lengths, lengths)
        return self.codes[np.repeat(self.starts[at], lengths) + inner], place

    @property
    def lengths(self) -> Ints:
        """How many n-grams each text has."""
        return np.diff(self.starts)


def grams(texts: Sequence[Sequence[str]], orders: int) -> list[Grams]:
    """The n-grams of texts (lists of words) for n = 1 ... ``orders``."""
    code: dict[str, int] = {}
    first = np.array([code.setdefault(word, len(code)) for text in texts for word in text], np.int64)
    lengths = np.array([len(text) for text in texts], np.int64)
    found = [Grams(first, _starts(lengths))]
    for _ in range(1, orders):
        last, size = found[-1], found[-1].lengths
        # An n-gram is the (n-1)-gram that begins there, and the word n-1 places on.
        begins = np.ones(len(last.codes), bool)
        begins[last.starts[1:][size > 0] - 1] = False
        text = np.repeat(np.arange(len(texts)), size)
        at = np.flatnonzero(begins)
        place = at - last.starts[text[at]] + len(found) + found[0].starts[text[at]]
        pairs = last.codes[at] * max(1, len(code)) + first[place]
        codes = np.unique(pairs, return_inverse=True)[1].astype(np.int64)
        found.append(Grams(codes, _starts(np.maximum(size - 1, 0))))
    return found


def _starts(lengths: Ints) -> Ints:
    return np.concatenate([np.zeros(1, np.int64), np.cumsum(lengths)])
