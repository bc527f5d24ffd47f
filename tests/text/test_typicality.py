"""How usual words are, by hand; and that a real row does not speak for itself."""

from __future__ import annotations

from math import log
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from leaven.context import Context, Rows
from leaven.one_record import table
from leaven.records import Record
from leaven.text.typicality import Typicality

DESK = ["my card is lost", "where is my card", "are you open"]  # 11 words, 8 different ones
some = st.lists(st.sampled_from(["a", "b", "c"]), max_size=5).map(" ".join)


def noted(texts: list[str], source: list[str] = DESK, real: bool = False) -> list[tuple[float, float]]:
    op = Typicality().model_copy(update={"on": "text"})
    rows = [{"_id": f"r{i}", "text": text} for i, text in enumerate(source)]
    ctx = Context(state=op.fit({"source": Rows(table(rows))}, Context()))
    records = [Record(f"r{i}" if real else f"c{i}", {"text": text}) for i, text in enumerate(texts)]
    return [(row["typicality"], row["typicality_rank"]) for row in op.notes(records, ctx)]


def test_by_hand():
    [(card, _), (cow, _), (empty, _)] = noted(["My card!", "cow cow", ""])
    assert card == pytest.approx(log(3 / 20), abs=1e-6)
    assert cow == empty == pytest.approx(log(1 / 20), abs=1e-6)


def test_a_real_row_is_judged_without_itself():
    found = noted(DESK, real=True)
    assert found[0][0] == pytest.approx((3 * log(2 / 16) + log(1 / 16)) / 4, abs=1e-6)
    assert found[2][0] == pytest.approx(log(1 / 17), abs=1e-6)
    assert [rank for _, rank in found] == [0.75, 0.75, 0]
    assert noted(DESK)[0][0] > found[0][0]


def test_the_rank_of_what_is_no_real_row():
    assert [rank for _, rank in noted(["my card", "purple cow", "are"])] == [1, 0, 0.333333]


@given(st.lists(some, min_size=1, max_size=6), st.lists(some, max_size=4))
@settings(max_examples=50)
def test_alike_in_any_order(texts: list[str], source: list[str]):
    found = noted(texts, source or [""])
    assert noted(texts[::-1], source or [""]) == found[::-1]
    assert all(value <= 0 and 0 <= rank <= 1 for value, rank in found)


@given(st.text(max_size=30))
@settings(max_examples=40)
def test_any_text(text: str):
    [(value, rank)] = noted([text], [*DESK, text])
    assert value <= 0
    assert 0 <= rank <= 1


def test_in_python():
    rows: list[dict[str, Any]] = [{"text": text} for text in DESK]
    [row] = Typicality()({"text": DESK[2]}, source=rows)
    assert (row["typicality"], row["typicality_rank"]) == noted(DESK, real=True)[2]
