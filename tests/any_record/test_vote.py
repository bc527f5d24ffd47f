"""What answers agree on, by hand."""

from __future__ import annotations

from math import log2
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from leaven.any_record.vote import Vote
from leaven.errors import RecipeError


def vote(given: Any) -> tuple[Any, float, float]:
    [row] = Vote("answers")({"answers": given})
    return row["vote"], row["vote_share"], row["vote_entropy"]


@pytest.mark.parametrize(
    ("given", "found"),
    [
        (["a", "a", "b", "a"], ("a", 0.75, round(-0.75 * log2(0.75) + 0.5, 6))),
        (["b", "a"], ("b", 0.5, 1)),
        (["a", "a"], ("a", 1, 0)),
        ([3, 3.5, 3], (3, 0.666667, 0.918296)),
        ([True, 1, True], (True, 0.666667, 0.918296)),
        ([["x", "y"], ["x", "y"], ["y"]], (["x", "y"], 0.666667, 0.918296)),
        (["a", None, None], ("a", 1, 0)),
        ([None], (None, 0, 0)),
        ([], (None, 0, 0)),
        (None, (None, 0, 0)),
        ({"a": 0.5, "b": 0.25, "c": 0.25}, ("a", 0.5, 1.5)),
        ({"a": 3, "b": 1}, ("a", 0.75, 0.811278)),
        ({"a": 1.0, "b": 0.0}, ("a", 1, 0)),
        ({"a": 0.0}, (None, 0, 0)),
    ],
)
def test_by_hand(given: Any, found: tuple[Any, float, float]):
    assert vote(given) == found


def test_of_several_columns():
    [row] = Vote("[one, two, three]")({"one": "x", "two": "y", "three": "y"})
    assert (row["vote"], row["vote_share"]) == ("y", 0.666667)


@pytest.mark.parametrize("given", ["card", 3, {"a": "b"}, {"a": -1}, {"a": True}])
def test_what_is_no_vote(given: Any):
    with pytest.raises(RecipeError, match="vote reads"):
        vote(given)


@given(st.lists(st.sampled_from("abc") | st.none(), max_size=9))
@settings(max_examples=60)
def test_any_answers(answers: list[str | None]):
    said, share, bits = vote(answers)
    assert 0 <= share <= 1
    assert 0 <= bits <= log2(3) + 1e-6
    assert vote(answers[::-1])[1:] == (share, bits)
    assert (said is None) == (not any(answers))
