"""EDA's and AEDA's rules with numbers."""

from __future__ import annotations

from collections import Counter
from itertools import pairwise
from pathlib import Path
from typing import Any

import pytest

from leaven.errors import DataError
from leaven.text.edit_words import MARKS, EditWords, delete, insert, punctuate, replace, swap

TEN = "alpha beta gamma delta epsilon zeta eta theta iota kappa"
TWENTY_FIVE = " ".join(f"w{i}" for i in range(25))


def texts(op: EditWords, text: str, seeds: int = 1) -> list[str]:
    rows = [row for seed in range(seeds) for row in op({"text": text}, seed=seed)]
    assert not any("_reason" in row for row in rows)
    return [row["text"] for row in rows]


def refused(op: EditWords, text: str) -> set[str]:
    return {row["_reason"] for row in op({"text": text})}


def is_part(few: list[str], many: list[str]) -> bool:
    rest = iter(many)
    return all(word in rest for word in few)


def test_apply():
    words = ["a", "b", "c"]
    assert swap(words, [(0, 2), (0, 1)]) == ["b", "c", "a"]
    assert delete(words, [True, False, True]) == ["a", "c"]
    assert punctuate(words, {0: "!", 2: ";"}) == ["!", "a", "b", ";", "c"]
    assert replace(words, {1: "x"}) == ["a", "x", "c"]
    assert insert(words, [(3, "z"), (0, "y")]) == ["y", "a", "b", "c", "z"]
    assert words == ["a", "b", "c"]


def test_swap_keeps_the_words_and_changes_their_order():
    op = EditWords(n=20, ops=["swap"])
    for text in (TEN, TWENTY_FIVE, "card lost", "no no yes", "no no no no no no no no no yes"):
        for made in texts(op, text, 5):
            assert Counter(made.split()) == Counter(text.split())
            assert made != text


@pytest.mark.parametrize(("text", "moved"), [("a b c d", {2}), (TEN, {2}), (TWENTY_FIVE, {3, 4})])
def test_swap_as_often_as_eda(text: str, moved: set[int]):
    """max(1, int(.1 L)) exchanges: L = 4 and 10 one, L = 25 two, which move three or four words.

    (Where the second takes the first back, one in 300, another follows and moves two.)
    """
    words = text.split()
    made = texts(EditWords(n=50, ops=["swap"]), text, 20)
    counts = Counter(sum(a != b for a, b in zip(words, m.split(), strict=True)) for m in made)
    assert moved <= set(counts) <= moved | {2}
    assert counts[2] == 1000 or counts[2] < 20


def test_swap_of_equal_words_is_refused():
    assert refused(EditWords(n=3, ops=["swap"]), "no no no") == {"no_words"}


def test_delete_leaves_a_part_and_never_nothing():
    for p in (0.1, 0.5, 1.0):
        for text in (TEN, "card lost"):
            for made in texts(EditWords(n=50, ops=["delete"], p=p), text, 3):
                assert made
                assert is_part(made.split(), text.split())


def test_delete_drops_each_word_with_probability_p():
    made = texts(EditWords(n=50, ops=["delete"], p=0.3), TWENTY_FIVE, 40)
    gone = sum(25 - len(m.split()) for m in made) / (25 * len(made))
    assert gone == pytest.approx(0.3, abs=0.01)
    assert {m.split()[0] for m in made} >= {"w0", "w1"}


@pytest.mark.parametrize(("length", "most"), [(2, 1), (3, 1), (4, 2), (6, 2), (7, 3), (10, 4), (20, 7)])
def test_punctuation_as_aeda(length: int, most: int):
    words = [f"w{i}" for i in range(length)]
    made = texts(EditWords(n=50, ops=["punctuation"], p=0.9), " ".join(words), 8)
    counts = []
    for text in made:
        pieces = text.split()
        marks = [i for i, piece in enumerate(pieces) if piece in MARKS]
        assert [piece for piece in pieces if piece not in MARKS] == words
        assert pieces[-1] == words[-1]
        assert all(b - a > 1 for a, b in pairwise(marks))
        counts.append(len(marks))
    assert set(counts) == set(range(1, most + 1))
    assert sum(counts) / len(counts) == pytest.approx((1 + most) / 2, abs=0.15)
    assert {piece for text in made for piece in text.split()} >= set(MARKS)
    assert any(text.split()[0] in MARKS for text in made)


def test_case_digits_and_marks_stay():
    text = "I'm a 3rd-year Student."
    assert [p for p in texts(EditWords(ops=["punctuation"]), text)[0].split() if p not in MARKS] == text.split()


@pytest.mark.parametrize("text", ["hello", "我的卡丢了，怎么办？", "", "   "])
@pytest.mark.parametrize("op", ["swap", "delete", "punctuation"])
def test_one_word_is_refused(text: str, op: Any):
    rows = EditWords(n=2, ops=[op])({"text": text, "label": "x"})
    assert rows == [{"text": text, "label": "x", "_reason": "no_words"}] * 2


def test_all_operations_are_drawn():
    made = texts(EditWords(n=50), TEN, 4)
    assert any(set(MARKS) & set(m.split()) for m in made)
    assert any(len(m.split()) < 10 for m in made)
    assert any(m != TEN and Counter(m.split()) == Counter(TEN.split()) for m in made)


def test_one_more_child_leaves_the_others():
    five, six = (texts(EditWords(n=n), TEN) for n in (5, 6))
    assert six[:5] == five


def test_another_field():
    [row] = EditWords(n=1, ops=["swap"], on="title")({"text": "a b", "title": "c d"})
    assert row == {"text": "a b", "title": "d c"}


# -- with a thesaurus --------------------------------------------------------------------------------------------------

MYTHES = """UTF-8
good|2
(adj)|fine|well (similar term)|bad (antonym)
(noun)|goodness
day|1
(noun)|24-hour interval|Daytime
the|1
(noun)|article
"""
WORDNET = """  1 This software and database is being provided to you
  2 under a licence.
00001740 03 n 02 good 0 goodness 0 001 @ 00001930 n 0000 | that which is pleasing
00002098 00 a 03 fine 0 good(p) 1 ok 0 000 | all right
00003000 03 n 03 day 0 twenty-four_hours 0 the 0 000 | time
"""


@pytest.fixture
def mythes(tmp_path: Path) -> str:
    (tmp_path / "th_test.dat").write_text(MYTHES)
    return str(tmp_path / "th_test.dat")


@pytest.fixture
def wordnet(tmp_path: Path) -> str:
    (tmp_path / "data.noun").write_text(WORDNET)
    return str(tmp_path / "data.noun")


GOOD = {"mythes": {"fine", "well", "goodness"}, "wordnet": {"goodness", "fine", "ok"}}
DAY = {"mythes": {"24-hour interval", "daytime"}, "wordnet": {"twenty-four hours", "the"}}


@pytest.mark.parametrize("form", ["mythes", "wordnet"])
def test_replace_takes_every_occurrence(form: str, request: pytest.FixtureRequest):
    op = EditWords(n=30, ops=["replace"], thesaurus=request.getfixturevalue(form))
    made = set(texts(op, "good day good", 3))
    assert made == {f"{w} day {w}" for w in GOOD[form]} | {f"good {w} good" for w in DAY[form]}


def test_replace_n_words(mythes: str):
    """L = 25 at p = .1: two distinct words; a stop word stays though the file knows it."""
    text = "good day the " + " ".join(f"w{i}" for i in range(22))
    for made in texts(EditWords(n=10, ops=["replace"], thesaurus=mythes), text):
        assert "good" not in made.split()
        assert "day" not in made.split()
        assert " the w0 w1" in made


@pytest.mark.parametrize("form", ["mythes", "wordnet"])
def test_insert_keeps_the_text_and_adds(form: str, request: pytest.FixtureRequest):
    op = EditWords(n=40, ops=["insert"], thesaurus=request.getfixturevalue(form))
    for made in texts(op, "good day now"):
        assert is_part(["good", "day", "now"], made.split())
        assert len(made.split()) > 3
    one = set(texts(op, "good now"))
    assert one == {t for w in GOOD[form] for t in (f"{w} good now", f"good {w} now", f"good now {w}")}


def test_insert_n_words(mythes: str):
    text = "good " + " ".join(f"w{i}" for i in range(24))
    assert {len(m.split()) for m in texts(EditWords(n=10, ops=["insert"], thesaurus=mythes), text)} == {27}


def test_no_synonym(mythes: str):
    for op in ("replace", "insert"):
        assert refused(EditWords(n=2, ops=[op], thesaurus=mythes), "the kraken") == {"no_synonym"}


def test_the_encoding_that_a_file_names(tmp_path: Path):
    (tmp_path / "th_de.dat").write_bytes("ISO8859-1\nhübsch|1\n-|schön\n".encode("latin-1"))
    op = EditWords(n=1, ops=["replace"], thesaurus=str(tmp_path / "th_de.dat"))
    assert texts(op, "sehr Hübsch") == ["sehr schön"]


def test_a_thesaurus_that_cannot_be_used(tmp_path: Path):
    with pytest.raises(DataError, match="need a thesaurus file"):
        EditWords(ops=["replace"])({"text": "good day"})
    with pytest.raises(DataError, match="there is no such thesaurus"):
        EditWords(ops=["insert"], thesaurus=str(tmp_path / "none.dat"))({"text": "good day"})
    (tmp_path / "odd.dat").write_text("UTF-8\nthis is a novel\n")
    with pytest.raises(DataError, match="line 2 is no entry"):
        EditWords(ops=["insert"], thesaurus=str(tmp_path / "odd.dat"))({"text": "good day"})
