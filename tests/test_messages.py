"""What rules say of a dialogue."""

from __future__ import annotations

import json
from typing import Any

import pytest

from leaven.errors import RecipeError
from leaven.expressions import parse_expression

TALK = [
    {"role": "user", "content": "I am so tired."},
    {"role": "assistant", "content": "Why?"},
    {"role": "user", "content": "Work."},
    {"role": "user", "content": "Work."},
]
TURNS = [{"role": role, "content": "So it is."} for role in ("a", "b", "a")]


def of(filter_: str, messages: Any) -> Any:
    return parse_expression(f"messages|{filter_}")({"messages": messages})


@pytest.mark.parametrize(
    ("filter_", "talk", "turns", "nothing"),
    [
        ("turns", 4, 3, 0),
        ("alternates", False, True, False),
        ("in_a_row", 2, 1, 0),
        ("longest", 4, 3, 0),
        ("balance", 1 / 7, 1 / 3, 0.0),
        ("repeats", 0.25, 2 / 3, 0.0),
    ],
)
def test_each(filter_: str, talk: Any, turns: Any, nothing: Any):
    assert of(filter_, TALK) == of(filter_, json.dumps(TALK)) == talk
    assert of(filter_, TURNS) == turns
    assert of(filter_, []) == nothing


def test_one_who_speaks_alone_balances_nothing():
    assert of("balance", TALK[:1]) == 0
    assert of("alternates", TALK[:1]) is False
    assert of("alternates", [{**TALK[0], "role": role} for role in "abc"]) is False, "three are no pair"


@pytest.mark.parametrize("wrong", ["hello", [{"speaker": "a", "text": "b"}], ["a"], 3, "[1]"])
def test_no_dialogue(wrong: Any):
    with pytest.raises(RecipeError):
        of("turns", wrong)
