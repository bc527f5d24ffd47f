"""How many words are blanked, and which."""

from __future__ import annotations

import pytest

from leaven.text.blanks import BLANK, Blanks, blank


def test_apply():
    assert blank(["my", "card", "is", "lost"], {1, 3}) == "my ____ is ____"


@pytest.mark.parametrize(
    ("words", "ratio", "gone"),
    [(10, 0.5, 5), (10, 0.24, 2), (10, 0.01, 1), (10, 1.0, 9), (5, 0.5, 2), (2, 0.9, 1), (1, 0.1, 1)],
)
def test_the_share_that_goes(words: int, ratio: float, gone: int):
    given = [f"w{i}" for i in range(words)]
    for seed in range(20):
        [row] = Blanks(ratio=ratio)({"text": " ".join(given)}, seed=seed)
        made = row["blanks"].split()
        assert made.count(BLANK) == gone
        assert all(b in (a, BLANK) for a, b in zip(given, made, strict=True))
        assert row["text"] == " ".join(given)


def test_every_word_may_go():
    gone = {
        place
        for seed in range(60)
        for place, word in enumerate(Blanks(ratio=0.2)({"text": "a b c d e"}, seed=seed)[0]["blanks"].split())
        if word == BLANK
    }
    assert gone == set(range(5))


def test_an_empty_text_has_none():
    assert Blanks()({"text": "", "label": "x"}) == [{"text": "", "label": "x", "blanks": ""}]
