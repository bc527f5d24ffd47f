"""Words and phrases of a text in other languages."""

from __future__ import annotations

from itertools import pairwise
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from leaven.errors import RecipeError
from leaven.text.code_switch import CodeSwitch, edited, replaced, switched

LEXICON = """word,lang,translation
dog,swh,mbwa
dog,tam,நாய்
cat,swh,paka
two dogs,swh,mbwa wawili
man playing the violin,swh,mtu anayepiga fidla
the violin,swh,fidla hiyo
"""


@pytest.fixture
def lexicon(tmp_path: Path) -> str:
    path = tmp_path / "words.csv"
    path.write_text(LEXICON, encoding="utf-8")
    return str(path)


def switch(lexicon: str, text: str, seed: int = 0, **parameters: Any) -> str:
    [row] = CodeSwitch(**{"to": ["swh"], "lexicon": lexicon, **parameters})({"text": text}, seed=seed)
    return str(row["text"])


def test_every_word_that_is_known(lexicon: str):
    assert switch(lexicon, "A dog, a cat; a bird.", words=1) == "A mbwa, a paka; a bird."
    assert switch(lexicon, "Dog's dogs. Dog!", words=1) == "Dog's dogs. Mbwa!", "whole words, capitals kept"


def test_the_longest_phrase_first(lexicon: str):
    text = "a man playing the violin and the violin"
    assert switch(lexicon, text, phrases=1, words=0) == "a mtu anayepiga fidla and fidla hiyo"
    assert switch(lexicon, "the, violin", phrases=1, words=0) == "the, violin", "a comma ends a phrase"
    assert switch(lexicon, "Two  dogs", phrases=1, words=0) == "Mbwa wawili"


def test_words_inside_a_phrase_that_was_switched_stay_so(lexicon: str):
    assert switch(lexicon, "two dogs and a dog", phrases=1, words=1) == "mbwa wawili and a mbwa"


def test_with_no_chance_nothing_is_switched(lexicon: str):
    assert switch(lexicon, "two dogs and a dog", phrases=0, words=0) == "two dogs and a dog"


def test_the_share_of_words(lexicon: str):
    text = " ".join(["dog"] * 400)
    switched_ones = sum(switch(lexicon, text, seed=seed, words=0.15).count("mbwa") for seed in range(5))
    assert switched_ones / 2000 == pytest.approx(0.15, abs=0.03)


def test_a_language_among_those_that_have_it(lexicon: str):
    text = " ".join(["dog cat"] * 200)
    out = switch(lexicon, text, to=["tam", "swh", "tur"], words=1)
    assert 60 < out.count("mbwa") < 140
    assert out.count("mbwa") + out.count("நாய்") == 200
    assert out.count("paka") == 200
    assert switch(lexicon, text, to=["tur"], words=1) == text, "what the lexicon does not know stays"


# -- the concept tier -------------------------------------------------------------------------------------------------


def test_a_concept_is_replaced_exactly():
    op = CodeSwitch(replace={"old": "new"}, words=0, phrases=0)
    record = {"text": "A violin; the Violin and violins", "old": "violin", "new": "erhu"}
    assert op(record)[0]["text"] == "A erhu; the erhu and violins"
    assert op.reads() == {"old", "new"}
    assert CodeSwitch(replace={"'dog'": "'cat'"}, words=0, phrases=0)({"text": "a dog"})[0]["text"] == "a cat"


def test_without_a_concept_the_text_stays():
    op = CodeSwitch(replace={"old": "new"}, words=0, phrases=0)
    assert op({"text": "a violin", "old": None, "new": None})[0]["text"] == "a violin"
    assert op({"text": "a drum", "old": "violin", "new": "erhu"})[0]["text"] == "a drum"


def test_what_was_replaced_is_not_switched(lexicon: str):
    op = CodeSwitch(to=["swh"], lexicon=lexicon, replace={"'violin'": "'cat'"}, words=1, phrases=1)
    assert op({"text": "a man playing the violin and a cat"})[0]["text"] == "a man playing the cat and a paka"


# -- all of them ------------------------------------------------------------------------------------------------------

KNOWN = {"dog": {"swh": ["mbwa"]}, "two dogs": {"swh": ["mbwa wawili"]}, "a": {"tam": ["oru"]}}


@given(
    st.lists(st.sampled_from(["dog", "two", "dogs", "a", "cat", "erhu", ",", "  "]), max_size=12).map(" ".join),
    st.integers(0, 999),
    st.floats(0, 1),
)
def test_edits_do_not_overlap_and_leave_the_rest(text: str, seed: int, chance: float):
    taken = replaced(text, [("erhu", "violin"), ("cat", "dog")])
    edits = taken + switched(text, taken, KNOWN, ["swh", "tam"], (chance, chance), np.random.default_rng(seed))
    spans = sorted(edit[:2] for edit in edits)
    assert all(end <= begin for (_, end), (begin, _) in pairwise(spans))
    kept = edited(text, [(begin, end, "", "") for begin, end, *_ in edits])
    left = "".join(
        text[end:begin]
        for end, begin in zip([0, *(e for _, e in spans)], [*(b for b, _ in spans), len(text)], strict=True)
    )
    assert kept == left
    if not chance:
        assert edits == taken


def test_more_children_leave_the_first_ones(lexicon: str):
    text = " ".join(["dog cat"] * 20)
    op = CodeSwitch(to=["swh"], lexicon=lexicon, n=3)
    rows = [row["text"] for row in op({"text": text})]
    assert len(set(rows)) == 3
    assert [row["text"] for row in CodeSwitch(to=["swh"], lexicon=lexicon, n=1)({"text": text})] == rows[:1]


def test_what_it_cannot_do_without(lexicon: str):
    for parameters in ({"to": ["swh"]}, {"lexicon": lexicon}, {"replace": {"'a'": "'b'"}, "words": 0}):
        with pytest.raises(RecipeError, match=r"needs a lexicon .*, and the languages"):
            CodeSwitch(**parameters)({"text": "a dog"})


def test_what_is_wrong_is_said_when_the_step_is_built(tmp_path: Path):
    (tmp_path / "t.csv").write_text("word,translation\ndog,mbwa\n")
    with pytest.raises(RecipeError, match="it has no column `lang`"):
        CodeSwitch(to=["swh"], lexicon=str(tmp_path / "t.csv"))
    with pytest.raises(RecipeError, match=r"old \("):
        CodeSwitch(words=0, phrases=0, replace={"old (": "new"})
