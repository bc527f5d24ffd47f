"""The laws of words, on sets that follow them exactly and on sets that do not."""

from __future__ import annotations

from itertools import islice, product
from math import log

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from leaven.text.laws import Law, heaps, taylor, zipf


def drawn(exponent: float, words: int, distinct: int) -> list[list[str]]:
    """Words by chance, of a frequency that falls with rank."""
    rng = np.random.Generator(np.random.Philox(key=5))
    p = np.arange(1, distinct + 1.0) ** -exponent
    return [[f"w{i}" for i in rng.choice(distinct, words, p=p / p.sum())]]


@pytest.mark.parametrize("exponent", [0.7, 1.0, 1.4])
def test_zipf_finds_the_exponent(exponent: float):
    counts = (10_000 * np.arange(1, 301.0) ** -exponent).round().astype(int)
    found = zipf([[f"w{i}"] * count for i, count in enumerate(counts)])
    assert found.exponent == pytest.approx(exponent, abs=0.005)
    assert found.fit == pytest.approx(1, abs=0.005)


def test_zipf_by_hand():
    """Three words, 4, 2 and 1 times: the mean logarithm of the rank is that of s."""
    s = zipf([["a", "a", "b", "a"], ["b", "a", "c"]]).exponent
    assert s is not None
    weights = [1, 2**-s, 3**-s]
    assert (weights[1] * log(2) + weights[2] * log(3)) / sum(weights) == pytest.approx(
        (2 * log(2) + log(3)) / 7, abs=1e-6
    )


def test_heaps_of_words_that_all_differ_and_of_few():
    every = [["".join(word)] for word in islice(product("abcdefghij", repeat=3), 500)]
    assert heaps(every) == (pytest.approx(1), pytest.approx(1))
    few = heaps([["a", "b", "c"] * 1000]).exponent
    assert few is not None
    assert few < 0.05
    natural = heaps(drawn(1.0, 20_000, 50_000)).exponent
    assert natural is not None
    assert 0.5 < natural < 0.9


def test_heaps_reckons_what_drawing_would_show():
    """Of 10 words, 5 of them a: two drawn words hold 1.777 different ones."""
    from math import comb

    texts = [["a"] * 5 + ["b", "c", "d", "e", "f"]]
    expected = [sum(1 - comb(10 - c, n) / comb(10, n) for c in (5, 1, 1, 1, 1, 1)) for n in range(1, 11)]
    x, y = np.log(np.arange(1, 11)), np.log(expected)
    assert heaps(texts).exponent == pytest.approx(np.polyfit(x, y, 1)[0], abs=1e-6)


def test_taylor_of_chance_and_of_topics():
    chance = taylor(drawn(1.0, 30_000, 3000)).exponent
    assert chance == pytest.approx(0.5, abs=0.03)

    mixed = drawn(1.0, 30_000, 3000)[0]
    sorted_by_chance = [[word] for word in sorted(mixed)]
    assert (taylor(sorted_by_chance).exponent or 0) > 0.8


@pytest.mark.parametrize("texts", [[], [[]], [["a"]], [["a", "b"]], [["a"] * 5]])
def test_too_few_words_to_tell(texts: list[list[str]]):
    assert zipf(texts) == heaps(texts) == taylor(texts) == Law(None, None)


@given(st.lists(st.lists(st.sampled_from("abcdefg"), max_size=9), max_size=9), st.randoms())
@settings(max_examples=50)
def test_the_order_of_texts_does_not_matter(texts: list[list[str]], random: object):
    other = texts[::-1]
    assert zipf(texts) == zipf(other)
    assert heaps(texts) == heaps(other)
    found = zipf(texts)
    assert found.exponent is None or found.exponent >= 0
