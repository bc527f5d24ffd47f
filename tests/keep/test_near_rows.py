"""What is near to an earlier kept row, or to a row of another set: many rows as few, and each as its definition."""

from __future__ import annotations

import random
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from leaven.any_record.overlap import shared
from leaven.errors import RecipeError
from leaven.keep import near_texts, near_vectors, near_words
from leaven.keep.near import jaccard, pieces
from leaven.keep.near_texts import NearTexts, sketches, wide
from leaven.keep.near_vectors import NearVectors, cells_for
from leaven.keep.near_words import NearWords, in_order, words
from leaven.keep.unique import Unique

Near = Callable[[Any, Any], bool]


def rouge(one: str, other: str) -> float:
    a, b = words(one), words(other)
    return 2 * shared(a, b) / (len(a) + len(b)) if a and b else 0.0


def greedy(rows: list[Any], near: Near) -> list[bool]:
    """The plain way: each row against all that stay."""
    kept: list[Any] = []
    gone = []
    for row in rows:
        gone.append(any(near(row, other) for other in kept))
        if not gone[-1]:
            kept.append(row)
    return gone


def unit(n: int, of: int, spread: float) -> np.ndarray:
    """Vectors around some centres, one in five near to an earlier one."""
    draw = np.random.default_rng(3)
    found = draw.standard_normal((of, 24))[draw.integers(of, size=n)] + spread * draw.standard_normal((n, 24))
    for row in range(5, n, 5):
        found[row] = found[draw.integers(row)] + 0.2 * draw.standard_normal(24)
    return (found / np.linalg.norm(found, axis=1, keepdims=True)).astype(np.float32)


def test_cells_find_what_all_pairs_do(monkeypatch: Any):
    monkeypatch.setattr(near_vectors, "BLOCK", 256)
    vectors = unit(2000, 40, 0.6)
    whole, rows = np.round(vectors @ vectors.T, 5), np.arange(2000)
    plain = greedy(list(rows), lambda one, other: whole[one, other] >= 0.9)
    assert NearVectors(vectors, 0.9).to_earlier(rows).tolist() == plain
    first = (whole[1000:, :1000] >= 0.9).any(axis=1)
    near = NearVectors(vectors[1000:], 0.9)
    assert near.to_other(np.arange(1000), vectors[:1000]).tolist() == first.tolist()
    monkeypatch.setattr(near_vectors, "PAIRS", 0)
    assert cells_for(2000 * 1000, 2000) == 15
    assert NearVectors(vectors, 0.9).to_earlier(rows).tolist() == plain
    assert near.to_other(np.arange(1000), vectors[:1000]).tolist() == first.tolist()


def test_a_million_copies_are_each_compared_with_one(monkeypatch: Any):
    """What stays is all that is held: else so many pairs would take hours."""
    monkeypatch.setattr(near_vectors, "PAIRS", 0)
    one = np.zeros((20_000, 8), np.float32)
    one[:, 0] = 1
    assert NearVectors(one, 0.9).to_earlier(np.arange(20_000)).sum() == 19_999
    same = np.array(["my card was stolen on the train"] * 3000)
    assert NearTexts(same, 0.8).to_earlier(np.arange(3000)).sum() == 2999


def test_how_many_cells():
    assert [cells_for(50_000**2 // 2, 50_000), cells_for(10**6 * 1000, 1000)] == [1, 1]
    assert [cells_for(60_000**2 // 2, 60_000), cells_for(10**12, 10**6)] == [468, 2048]


SOME = [
    "i",
    "lost",
    "my",
    "card",
    "a",
    "new",
    "one",
    "please",
    "where",
    "is",
    "it",
    "now",
    "when",
    "the",
    "bank",
    "opens",
]


@settings(max_examples=60, deadline=None)
@given(st.lists(st.lists(st.sampled_from(SOME), max_size=7).map(" ".join), max_size=12), st.integers(3, 9))
def test_each_refused_text_has_a_kept_one_near(texts: list[str], tenths: int):
    at = tenths / 10
    held = {text: pieces(text) for text in texts}
    for kind, near in (
        (NearTexts, lambda a, b: jaccard(held[a], held[b]) >= at),
        (NearWords, lambda a, b: rouge(a, b) > at + 1e-9),
    ):
        rows = np.array(texts, np.str_)
        found = kind(rows, at).to_earlier(np.arange(len(texts))).tolist()
        kept = [text for text, gone in zip(texts, found, strict=True) if not gone]
        assert not any(near(a, b) for i, a in enumerate(kept) for b in kept[:i])
        assert found == greedy(texts, near)
        half = len(texts) // 2
        compared = kind(rows[half:], at).to_other(np.arange(len(texts) - half), rows[:half]).tolist()
        assert compared == [any(near(text, other) for other in texts[:half]) for text in texts[half:]]


def test_blocks_of_texts_change_nothing(monkeypatch: Any):
    texts = np.array([f"{a} card {b}" for a in SOME for b in SOME])
    whole = sketches(texts, 4), NearTexts(texts, 0.6).to_earlier(np.arange(len(texts)))
    monkeypatch.setattr(near_texts, "BLOCK", 7)
    parts = sketches(texts, 4), NearTexts(texts, 0.6).to_earlier(np.arange(len(texts)))
    assert (whole[0][0] == parts[0][0]).all()
    assert (whole[0][1] == parts[0][1]).all()
    assert whole[1].tolist() == parts[1].tolist()
    assert 0 < whole[1].sum() < len(texts)


@pytest.mark.parametrize(("longest", "many", "at"), [(4, 30, 0.5), (14, 200, 0.7), (14, 9, 0.9), (60, 400, 0.6)])
def test_rouge_of_texts_in_blocks_is_that_of_every_pair(longest: int, many: int, at: float, monkeypatch: Any):
    monkeypatch.setattr(near_words, "BLOCK", 40)
    monkeypatch.setattr(near_words, "SPREAD", 50)
    draw = random.Random(longest)
    texts = [
        " ".join(f"w{min(int(draw.expovariate(3 / many)), many)}" for _ in range(draw.randint(0, longest)))
        for _ in range(130)
    ]
    for i in range(1, 130, 3):  # near ones, some of them across two blocks
        said = texts[draw.randrange(i)].split()
        for _ in range(draw.randint(0, 2 + longest // 10)):
            if said:
                said[draw.randrange(len(said))] = f"x{draw.randint(0, 5)}"
        texts[i] = " ".join(said)
    rows = np.array(texts)
    found = NearWords(rows, at).to_earlier(np.arange(len(rows))).tolist()
    assert found == greedy(texts, lambda a, b: rouge(a, b) > at + 1e-9)
    assert 10 < sum(found) < 120
    other = NearWords(rows, at).to_other(np.arange(50, 130), rows[:50]).tolist()
    assert other == [any(rouge(text, before) > at + 1e-9 for before in texts[:50]) for text in texts[50:]]


def test_how_wide_a_band_is():
    """At 0.8 a band of five: (1 - 0.8^5)^25 is 5 in 100,000; of six, 2 in 1,000."""
    assert [wide(at) for at in (0.05, 0.3, 0.5, 0.7, 0.8, 0.9, 1.0)] == [1, 1, 2, 3, 5, 7, 128]


def test_longest_series_in_both():
    assert in_order([1, 2, 3, 4], [2, 9, 4, 1]) == 2
    assert in_order([], [1]) == in_order([1], [2]) == 0
    assert in_order(list(range(90)), list(range(90))) == 90


WORKED = ["write a short poem about the sea", "write a short poem about the moon", "list five fruits"]


def test_rouge(reasons: Any):
    """The worked values of Self-Instruct: 6 of 7 words are F .857; 2 of 3 .667; and .7 itself stays."""
    rows = [{"text": text} for text in [*WORKED, "name five fruits", "List, FIVE fruits!", "...", "..?"]]
    op = Unique(on="text", by="rouge", at=0.7, against=["stream"])
    assert reasons(op, rows) == ["", "near_duplicate", "", "", "near_duplicate", "", ""]
    ten = [{"text": "a b c d e f g h i j"}, {"text": "a b c d e f g x y z"}, {"text": "z y x g f e d c b a"}]
    assert reasons(op, ten) == ["", "", ""]
    assert reasons(Unique(on="text", by="rouge", at=0.69, against=["stream"]), ten) == ["", "near_duplicate", ""]


def test_rouge_against_other_sets(reasons: Any):
    op = Unique(on="text", by="rouge", at=0.7, against=["source", "made", "test"])
    rows = [{"text": text} for text in [*WORKED, "open on sunday"]]
    sets = {"source": [{"text": "Write a short poem about the sky"}], "test": [{"text": "list five red fruits"}]}
    assert reasons(op, rows, **sets) == ["near_duplicate", "near_duplicate", "near_test", ""]
    made = [{"text": "we open on sunday"}]
    assert reasons(op, rows, made=made, source=[{"text": "other"}]) == ["", "", "", "near_duplicate"]


def test_nothing_is_over_one():
    with pytest.raises(RecipeError, match="nothing is over 1"):
        Unique(by="rouge")
