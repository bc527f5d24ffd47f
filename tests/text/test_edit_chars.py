"""Slips of the finger, one kind at a time."""

from __future__ import annotations

from collections import Counter

import pytest

from leaven.text.edit_chars import BESIDE, EditChars, slip

TEXT = "please cancel my booking for the next weekend in the large hall"


@pytest.mark.parametrize(
    ("kind", "made"), [("swap", "cacnel"), ("drop", "cacel"), ("double", "canncel"), ("beside", "camcel")]
)
def test_apply(kind: str, made: str):
    assert slip("cancel", 2, kind, "m" if kind == "beside" else "") == made


def test_keys_beside():
    assert set(BESIDE["g"]) == set("tyfhvb")
    assert set(BESIDE["q"]) == set("wa")
    assert set(BESIDE["p"]) == set("ol")
    for key, near in BESIDE.items():
        assert near
        assert key not in near
        assert all(key in BESIDE[other] for other in near)


def one_slip(word: str, made: str) -> bool:
    """True where one of the four slips makes ``made`` of ``word``, not at its first letter."""
    found = set()
    for at in range(1, len(word)):
        found |= {slip(word, at, "drop", ""), slip(word, at, "double", ""), slip(word, at, "swap", "")}
        found |= {slip(word, at, "beside", other) for other in BESIDE.get(word[at].lower(), "")}
    return made in found


def test_one_word_in_ten_slips_and_short_words_stay():
    kinds: Counter[int] = Counter()
    words = TEXT.split()
    for seed in range(8):
        for row in EditChars(n=50)({"text": TEXT}, seed=seed):
            pairs = [(a, b) for a, b in zip(words, row["text"].split(), strict=True) if a != b]
            assert len(pairs) == 1  # round(.1 x 12)
            [(word, made)] = pairs
            assert len(word) >= 4
            assert made[0] == word[0]
            assert one_slip(word, made)
            kinds[len(made) - len(word)] += 1
    assert set(kinds) == {-1, 0, 1}
    assert min(kinds.values()) > 60


@pytest.mark.parametrize(("p", "slips"), [(0.01, 1), (0.25, 3), (1.0, 7)])
def test_share_of_words(p: float, slips: int):
    for row in EditChars(n=20, p=p)({"text": TEXT}):
        assert sum(a != b for a, b in zip(TEXT.split(), row["text"].split(), strict=True)) == slips


def test_always_changes_the_text():
    for text in ("aaaa", "book book", "AAAA bbbb", "naïve Ärger"):
        for row in EditChars(n=50)({"text": text}):
            assert row["text"] != text


@pytest.mark.parametrize("text", ["a be cat", "", "我的卡"])
def test_no_word_of_four_letters(text: str):
    assert EditChars(n=2)({"text": text}) == [{"text": text, "_reason": "no_words"}] * 2


def test_one_more_child_leaves_the_others():
    five, six = (EditChars(n=n)({"text": TEXT}) for n in (5, 6))
    assert six[:5] == five
    assert five != EditChars(n=5)({"text": TEXT}, seed=1)
