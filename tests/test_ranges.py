"""A range that falls, or goes beyond what an operator can do: what is said, and what to write instead."""

from __future__ import annotations

import math
from typing import Annotated, Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import BaseModel, ValidationError

from leaven.ranges import Range, within

NUMBERS = st.floats(-1e6, 1e6)


TWO = "it is a range, low and high, from which a number is drawn for each child."
HOW = "two numbers from -180 to 180, the lower first: turn: [LOW, HIGH]"


class Has(BaseModel):
    turn: Annotated[Range, within(-180, 180)] | None = None
    level: Annotated[float | Range, within(-60, 100)] = 0.0


def refused(**wrong: Any) -> str:
    with pytest.raises(ValidationError) as error:
        Has(**wrong)
    return str(error.value.errors()[0]["ctx"]["error"])


@pytest.mark.parametrize(
    ("wrong", "said"),
    [
        ({"turn": [10, -10]}, "turn is [10, -10]; it goes from -180 to 180, the lower first.\n  Fix: turn: [-10, 10]"),
        ({"turn": [0, 200]}, "turn is [0, 200]; it goes from -180 to 180, the lower first.\n  Fix: turn: [0, 180]"),
        (
            {"turn": [200, 300]},
            "turn is [200, 300]; it goes from -180 to 180, the lower first.\n  Fix: turn: [180, 180]",
        ),
        ({"level": 200}, "level is 200; it goes from -60 to 100.\n  Fix: level: 100"),
        ({"level": [20, 5]}, "level is [20, 5]; it goes from -60 to 100, the lower first.\n  Fix: level: [5, 20]"),
        ({"level": math.nan}, "level is nan; it goes from -60 to 100.\n  Fix: level: -60"),
        ({"turn": 5}, f"turn is 5; {TWO}\n  Fix: exactly 5: turn: [5, 5], or from -5 to 5: [-5, 5]"),
        ({"turn": "3"}, f"turn is '3'; {TWO}\n  Fix: exactly 3: turn: [3, 3], or from -3 to 3: [-3, 3]"),
        ({"turn": "normal(0, 5)"}, f"turn is 'normal(0, 5)'; {TWO}\n  Fix: {HOW}"),
        ({"turn": [1, 2, 3]}, f"turn is [1, 2, 3]; {TWO}\n  Fix: {HOW}"),
        ({"turn": [5]}, f"turn is [5]; {TWO}\n  Fix: {HOW}"),
        ({"turn": [1, "much"]}, f"turn is [1, 'much']; {TWO}\n  Fix: {HOW}"),
        ({"turn": 500}, f"turn is 500; {TWO}\n  Fix: {HOW}"),
        ({"turn": True}, f"turn is True; {TWO}\n  Fix: {HOW}"),
        (
            {"level": [1]},
            f"level is [1]; {TWO}\n  Fix: two numbers from -60 to 100, the lower first: level: [LOW, HIGH]",
        ),
    ],
)
def test_what_is_said(wrong: dict[str, Any], said: str):
    assert refused(**wrong) == said


def test_a_text_where_a_number_may_stand_is_left_to_who_reads_expressions():
    with pytest.raises(ValidationError) as error:
        Has(level="uniform(1, 2)")
    assert "float_parsing" in [problem["type"] for problem in error.value.errors()]


@given(st.tuples(NUMBERS, NUMBERS))
def test_what_is_proposed_is_taken(ends: tuple[float, float]):
    low, high = ends
    if -180 <= low <= high <= 180:
        assert Has(turn=ends).turn == ends
    else:
        fix = refused(turn=ends).partition("Fix: turn: ")[2]
        Has(turn=[float(end) for end in fix.strip("[]").split(", ")])
