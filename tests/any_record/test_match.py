"""The cosine of two fields, or of a field and a text."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from leaven.any_record.match import Match
from leaven.errors import RecipeError

PAIR = {"question": "where is my card", "context": "we sent the card by post", "label": "x"}


def test_two_fields():
    [same] = Match(["question", "question"])(PAIR)
    [other] = Match(["question", "context"])(PAIR)
    [turned] = Match(["context", "question"])(PAIR)
    assert same["match"] == 1.0
    assert 0 < other["match"] < 1
    assert turned == other
    assert {key: other[key] for key in PAIR} == PAIR


def test_nearer_is_higher():
    near, far = ("my card is lost", "the weather in spring")
    assert Match("question", to=near)(PAIR)[0]["match"] > Match("question", to=far)(PAIR)[0]["match"] + 0.1


def test_a_template():
    by_field = Match(["question", "context"])(PAIR)[0]["match"]
    assert Match("question", to="{{ context }}")(PAIR)[0]["match"] == by_field


def test_an_empty_field_fits_nothing():
    assert Match(["question", "context"])({"question": "x", "context": None})[0]["match"] == 0.0


@pytest.mark.parametrize("wrong", [{}, {"on": "text"}, {"on": ["a", "b"], "to": "c"}, {"on": ["a", "b", "c"]}])
def test_needs_two_things(wrong: dict[str, object]):
    with pytest.raises(RecipeError, match="two fields, or one and `to`"):
        Match(**wrong)


def test_similarity_to_the_parent(augmented: Callable[..., list]):
    """A swap of words changes nothing for an embedder that adds words up; of a text with others, it does."""
    data = "text,label\n" + "".join(f"word{i} and then {i} more of it,{i % 2}\n" for i in range(8))
    match = {"match": {"on": "text", "to": "{{ parent.text }}"}}
    rows = augmented(data, [{"edit_words": {"n": 2, "ops": ["swap", "delete"], "p": 0.3}}, match])
    text = {row["_id"]: row["text"] for row in rows}
    made = [row for row in rows if row["_synthetic"]]
    assert len(made) == 16
    for row in made:
        same = sorted(row["text"].split()) == sorted(text[row["_parents"][0]].split())
        assert (row["_scores"]["match"] > 0.99999) == same
    assert {row["_scores"]["match"] > 0.99999 for row in made} == {True, False}
