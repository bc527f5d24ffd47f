"""What the functions of a group come to, and keeps that hold a record against its group."""

from __future__ import annotations

import copy
from dataclasses import replace
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from leaven.errors import RecipeError
from leaven.expressions import parse_grouped
from leaven.keep.keep import KeepIf
from leaven.keep.of_group import of_groups

NAN = float("nan")
VALUES = np.array([3.0, 1.0, NAN, 10.0, 2.0, NAN])
GROUPS = np.array([0, 0, 0, 1, 0, 2])


@pytest.mark.parametrize(
    ("function", "q", "expected"),
    [
        ("count", 0.5, [3, 1, 0]),
        ("sum", 0.5, [6, 10, 0]),
        ("mean", 0.5, [2, 10, NAN]),
        ("median", 0.5, [2, 10, NAN]),
        ("quantile", 0.75, [2.5, 10, NAN]),
        ("quantile", 0.0, [1, 10, NAN]),
        ("quantile", 1.0, [3, 10, NAN]),
    ],
)
def test_each(function: str, q: float, expected: list[float]):
    np.testing.assert_array_equal(of_groups(function, VALUES, GROUPS, q), expected)


def test_nothing_at_all():
    assert of_groups("median", np.zeros(0), np.zeros(0, np.int64)).tolist() == []


@given(
    st.lists(st.tuples(st.integers(0, 3), st.floats(-1e6, 1e6)), min_size=1),
    st.floats(0, 1),
)
def test_quantiles_are_numpys(rows: list[tuple[int, float]], q: float):
    groups, values = np.array([g for g, _ in rows]), np.array([v for _, v in rows])
    found = of_groups("quantile", values, groups, q)
    for group in np.unique(groups):
        assert found[group] == np.quantile(values[groups == group], q)


def kept(reasons: Any, that: str, rows: list[dict[str, Any]], reason: str = "") -> list[int]:
    found = reasons(KeepIf(that, reason=reason), rows)
    assert set(found) <= {"", reason or KeepIf(that).word()}
    return [i for i, said in enumerate(found) if not said]


ROWS: list[dict[str, Any]] = [
    {"_root": "a", "label": "x", "size": 1, "text": "one"},
    {"_root": "a", "label": "x", "size": 2, "text": ""},
    {"_root": "b", "label": "x", "size": 3, "text": "three"},
    {"_root": "b", "label": "y", "size": 9, "text": "nine"},
    {"_root": "b", "label": "y", "size": None, "text": "none"},
]


@pytest.mark.parametrize(
    ("that", "expected"),
    [
        ("size > mean(size, per='label')", [2]),
        ("size >= mean(size, per='label')", [1, 2, 3]),
        ("size > mean(size)", [3]),
        ("size == sum(size, per='root') - 1", [1]),
        ("count(per='label') > 2", [0, 1, 2]),
        ("count(size and size > 1, per='label') == 2", [0, 1, 2]),
        ("count() == 5", [0, 1, 2, 3, 4]),
        ("size < median(size, per=['label', 'root'])", [0]),
        ("text and size <= quantile(size, 0.5, per='label')", [0, 3]),
        ("not text or 2 * (size or 0) > max(1, mean(size, per='label'))", [1, 2, 3]),
        ("label == 'y' and size >= mean(size, per='label')", [3]),
        ("size is none or size > quantile(size, 0.75)", [3, 4]),
        ("(size if label == 'x' else 0) > mean(size, per='label') - 1", [1, 2]),
    ],
)
def test_a_record_against_its_group(reasons: Any, that: str, expected: list[int]):
    assert kept(reasons, that, ROWS) == expected
    op = KeepIf(that)
    one_by_one = replace(op.that, split=replace(op.that.split, columns=None))
    assert reasons(KeepIf(one_by_one), ROWS) == reasons(op, ROWS), "all at once as one by one"


@pytest.mark.parametrize(
    ("that", "at_once"),
    [
        ("not 1 < 2 * size - 1 <= mean(size) / 2 + 3 or size == sum(size)", True),
        ("size > max(1, mean(size))", False),
        ("mean(size) in [1, 2]", False),
        ("mean(size) // 2 > 1", False),
    ],
)
def test_which_are_worked_out_all_at_once(that: str, at_once: bool):
    assert (KeepIf(that).that.split.columns is not None) is at_once


def test_a_zero_that_another_part_guards(reasons: Any):
    rows = [{"size": 0.0}, {"size": 2.0}]
    assert kept(reasons, "size == 0 or mean(size) / size < 1", rows) == [0, 1]
    with pytest.raises(RecipeError, match="divides by zero"):
        kept(reasons, "mean(size) / size < 1", rows)


def test_a_draw_is_one_a_place(reasons: Any):
    rows = [{"_id": f"r{i}", "size": i} for i in range(200)]
    none = kept(reasons, "uniform(0, 1) < 0.5 and uniform(0, 1) > 0.5 and size <= sum(size)", rows)
    assert 20 < len(none) < 80, "two draws, not the same twice"


def test_the_word(reasons: Any):
    that = "size > quantile(size, 0.75, per='label')"
    assert reasons(KeepIf(that), ROWS) == ["size", "size", "", "size", "size"]
    assert reasons(KeepIf(that, reason="easy"), ROWS) == ["easy", "easy", "", "easy", "easy"]


def test_one_record_is_a_group_of_one():
    op = KeepIf("size >= mean(size, per='label')")
    assert op({"size": 1, "label": "x"}) == [{"size": 1, "label": "x"}]
    assert op({"size": None, "label": "x"}) == [{"size": None, "label": "x", "_reason": "size"}]


def test_it_travels():
    that = copy.deepcopy(KeepIf("size > mean(size, per='label')").that)
    assert that == parse_grouped("size > mean(size, per='label')")
    assert that.names == {"size", "label"}
    assert that.split.per == ("label",)


@pytest.mark.parametrize(
    ("that", "words"),
    [
        ("mean(size, per='label') > mean(size, per='root')", "its functions are of two groups"),
        ("size > mean(size) + count(per='label')", "its functions are of two groups"),
        ("size > mean()", "it is written mean(x, per='label')"),
        ("size > mean(size, 'label')", "it is written mean(x, per='label')"),
        ("size > mean(size, by='label')", "it is written mean(x, per='label')"),
        ("size > mean(size, per=label)", "it is written mean(x, per='label')"),
        ("size > quantile(size, 75)", "`quantile` takes a number from 0 to 1"),
        ("size > quantile(size, size)", "`quantile` takes a number from 0 to 1"),
        ("size > mean(median(size))", "stands around another function of a group"),
        ("count('made') > 3", "`count('made')`, the rows of a set, is not built yet"),
        ("diff(size, per='label') > 3", "`diff(...)`, over a group of records, is not built yet"),
        ("__part0 > mean(size)", "which expressions may not"),
        ("__group0 > mean(size)", "which expressions may not"),
        ("sizes.__class__ > mean(size)", "which expressions may not"),
        ("size > mean(size|medium)", "there is no filter `medium`"),
    ],
)
def test_wrong_at_parsing(that: str, words: str):
    with pytest.raises(RecipeError) as caught:
        KeepIf(that)
    assert words in str(caught.value)


def test_wrong_at_a_record(reasons: Any):
    with pytest.raises(RecipeError, match="work on numbers, and a part is a text"):
        reasons(KeepIf("size > mean(text)"), ROWS)
    with pytest.raises(RecipeError, match="`sizes` in `sizes > mean\\(size\\)` names no field"):
        reasons(KeepIf("sizes > mean(size)"), ROWS)
    with pytest.raises(RecipeError, match="divides by zero"):
        reasons(KeepIf("size / (count() - 5) > 1"), ROWS)
