"""Ranks with ties, without scores, by group."""

from __future__ import annotations

from typing import Any
from unittest import mock

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from leaven.errors import RecipeError
from leaven.keep.top import Top, top


def test_ties_go_to_the_first():
    by = np.array([1.0, 3.0, 3.0, 3.0, 0.0])
    assert top(by, np.zeros(5, int), np.array([2])).tolist() == [False, True, True, False, False]
    assert top(by, np.zeros(5, int), np.array([4]), lowest=True).tolist() == [True, True, True, False, True]


def test_without_a_score_last():
    by = np.array([np.nan, -np.inf, 2.0, np.inf])
    for n, kept in ((1, {3}), (2, {2, 3}), (3, {1, 2, 3}), (4, {0, 1, 2, 3})):
        assert set(np.flatnonzero(top(by, np.zeros(4, int), np.array([n])))) == kept
    for n, kept in ((1, {1}), (3, {1, 2, 3}), (4, {0, 1, 2, 3})):
        assert set(np.flatnonzero(top(by, np.zeros(4, int), np.array([n]), lowest=True))) == kept


def test_by_group():
    by, groups = np.array([5.0, 1, 2, 9, 3]), np.array([0, 1, 1, 0, 1])
    assert top(by, groups, np.array([1, 2])).tolist() == [False, False, True, True, True]


SCORES = st.one_of(st.integers(0, 4).map(float), st.just(float("nan")), st.just(float("inf")))


@given(st.lists(st.tuples(SCORES, st.integers(0, 5)), min_size=1, max_size=60), st.booleans(),
       st.sampled_from([1, 3, 8, 1 << 16]), st.lists(st.integers(0, 6), min_size=6, max_size=6))  # fmt: skip
def test_as_plain_sorting_says_however_many_are_ranked_at_once(
    rows: list[tuple[float, int]], lowest: bool, block: int, n: list[int]
):
    by, groups = np.array([score for score, _ in rows]), np.array([group for _, group in rows])
    expected = np.zeros(len(rows), bool)
    for group in set(groups.tolist()):
        mine = [i for i in range(len(rows)) if groups[i] == group]
        mine.sort(key=lambda i: (np.isnan(by[i]), 0.0 if np.isnan(by[i]) else by[i] if lowest else -by[i], i))
        expected[mine[: n[group]]] = True
    with mock.patch("leaven.keep.top.BLOCK", block):
        assert top(by, groups, np.array(n), lowest=lowest).tolist() == expected.tolist()


ROWS: list[dict[str, Any]] = [
    {"_root": "a", "label": "x", "score": 0.1},
    {"_root": "a", "label": "x", "score": 0.9},
    {"_root": "a", "label": "y", "score": 0.5},
    {"_root": "b", "label": "y", "score": 0.2},
    {"_root": "b", "label": "x", "score": None},
]


def kept(reasons: Any, op: Top) -> list[int]:
    found = reasons(op, ROWS)
    assert set(found) <= {"", "below_top_k"}
    return [i for i, reason in enumerate(found) if not reason]


@pytest.mark.parametrize(
    ("parameters", "expected"),
    [
        ({"n": 2}, [1, 2]),
        ({"n": 9}, [0, 1, 2, 3, 4]),
        ({"n": 1, "per": "root"}, [1, 3]),
        ({"n": 1, "per": "label"}, [1, 2]),
        ({"n": 2, "per": "label"}, [0, 1, 2, 3]),
        ({"n": 1, "per": ["root", "label"]}, [1, 2, 3, 4]),
        ({"n": 1, "lowest": True, "per": "root"}, [0, 3]),
        ({"share": 0.5}, [1, 2]),  # of five, rounded down
        ({"share": 0.1}, []),  # int(0.5)
        ({"share": 0.5, "per": "root"}, [1, 3]),  # int(1.5), int(1.0)
        ({"share": 0.4, "per": "root"}, [1]),  # int(1.2), int(0.8)
        ({"share": 0.6, "per": "root"}, [1, 3]),  # int(1.8), int(1.2)
        ({"share": 1.0, "per": "root"}, [0, 1, 2, 3, 4]),
        ({"share": 1.0, "per": "root", "equal": True}, [1, 2, 3, 4]),
        ({"n": 3, "per": "label", "equal": True}, [0, 1, 2, 3]),
        ({"n": 1, "per": "label", "equal": True}, [1, 2]),
        ({"share": 0.8, "per": "label", "equal": True}, [0, 1, 2, 3]),  # int(4.0) // 2 of each
        ({"share": 0.6, "per": "label", "equal": True}, [1, 2]),  # int(3.0) // 2
        ({"share": 0.2, "per": "label", "equal": True}, []),  # int(1.0) // 2
    ],
)
def test_groups(reasons: Any, parameters: dict[str, Any], expected: list[int]):
    assert kept(reasons, Top(by="score", **parameters)) == expected


def test_an_expression():
    assert "_reason" not in Top(1, by="-score if score else none")({"score": 1})[0]
    with pytest.raises(RecipeError, match="ranks by `text`, which is no number"):
        Top(1, by="text")({"text": "x"})


def test_strata_counts(reasons: Any):
    """The share is the floor of a float, as in the reference's code: .58 of 100 are 57, .29 are 28."""
    rows = [{"score": i} for i in range(100)]
    for share, n in ((0.8, 80), (0.57, 56), (0.58, 57), (0.29, 28), (0.285, 28), (0.5, 50)):
        found = reasons(Top(share=share, by="score"), rows)
        assert [i for i, reason in enumerate(found) if not reason] == list(range(100 - n, 100)), share


@pytest.mark.parametrize("wrong", [{}, {"n": 2, "share": 0.5}, {"n": 0}, {"share": 1.5}])
def test_one_of_n_and_share(wrong: dict[str, Any]):
    with pytest.raises(RecipeError):
        Top(by="score", **wrong)
