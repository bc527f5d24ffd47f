"""Which made rows join the real ones."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from leaven.blend.blend import Blend, choose, equal_shares

counts = st.lists(st.integers(0, 60), min_size=1, max_size=8)


@given(counts, st.integers(0, 400))
def test_equal_shares(have: list[int], total: int):
    share = equal_shares(np.array(have), total)
    assert share.sum() == min(total, sum(have))
    assert (share >= 0).all()
    assert (share <= have).all()
    free = [s for s, h in zip(share, have, strict=True) if s < h]
    if free:  # those that could give more differ by one at most, and nobody got more than they
        assert max(free) - min(free) <= 1
        assert max(share) <= min(free) + 1


def test_equal_shares_by_hand():
    assert equal_shares(np.array([10, 10, 10]), 8).tolist() == [3, 3, 2]
    assert equal_shares(np.array([1, 10, 10]), 8).tolist() == [1, 4, 3]
    assert equal_shares(np.array([0, 2, 1]), 8).tolist() == [0, 2, 1]


def taken(real: list[int], made: list[int], **blend: Any) -> list[int]:
    """How many made rows of each label (and of none) enter."""
    labels = np.repeat([*range(len(real)), -1], [*made, *[0] * (len(real) + 1 - len(made))])
    keys = np.random.default_rng(0).permutation(len(labels)).astype(np.uint64)
    chosen = choose(Blend(**blend), np.array(real), labels, keys)
    return np.bincount(np.where(labels < 0, len(real), labels)[chosen], minlength=len(real) + 1).tolist()


@pytest.mark.parametrize(
    ("blend", "expected"),
    [
        ({}, [50, 30, 5, 2]),
        ({"ratio": 0.5}, [6, 5, 5, 2]),  # 18 of 36 real rows, shared evenly
        ({"ratio": 0}, [0, 0, 0, 0]),
        ({"ratio": 1000}, [50, 30, 5, 2]),
        ({"most": 4}, [1, 1, 1, 1]),
        ({"cap": 3}, [3, 3, 3, 2]),
        ({"cap": 3, "ratio": 0.25}, [3, 2, 2, 2]),
        ({"per_label": "median"}, [0, 0, 4, 0]),  # the real counts are 20, 10 and 6: up to 10
        ({"per_label": "equal"}, [0, 10, 5, 0]),
        ({"per_label": 25}, [5, 15, 5, 0]),
        ({"per_label": 3}, [0, 0, 0, 0]),
        ({"per_label": "match"}, [16, 8, 5, 0]),  # 5 of the smallest: in the shares 20 : 10 : 6
        ({"per_label": 25, "most": 9}, [3, 3, 3, 0]),
        ({"per_label": 25, "cap": 6, "ratio": 0.1}, [2, 1, 1, 0]),
    ],
)
def test_rules(blend: dict[str, Any], expected: list[int]):
    assert taken([20, 10, 6], [50, 30, 5, 2], **blend) == expected


@settings(max_examples=60, deadline=None)
@given(
    counts,
    st.data(),
    st.fixed_dictionaries(
        {},
        optional={
            "ratio": st.floats(0, 5),
            "cap": st.integers(1, 20),
            "most": st.integers(1, 100),
            "per_label": st.sampled_from(["median", "equal", "match", 7]),
        },
    ),
)
def test_never_more_than_asked(real: list[int], data: st.DataObject, blend: dict[str, Any]):
    if not sum(real):
        real = [*real, 1]
    made = data.draw(st.lists(st.integers(0, 40), min_size=len(real), max_size=len(real)))
    found = taken(real, made, **blend)
    assert all(f <= m for f, m in zip(found, made, strict=False))
    assert max(found) <= blend.get("cap", 40)
    assert sum(found) <= blend.get("most", 10**6)
    if "ratio" in blend:
        assert sum(found) <= round(blend["ratio"] * sum(real))
    if blend.get("per_label") == "equal":
        assert all(r + f <= max(real) for r, f in zip(real, found, strict=False))
    if set(blend) == {"ratio"}:
        assert sum(found) == min(sum(made), round(blend["ratio"] * sum(real)))


def test_in_the_order_of_the_keys():
    labels, keys = np.zeros(5, int), np.array([4, 0, 3, 1, 2], np.uint64)
    for n, expected in ((1, {1}), (2, {1, 3}), (3, {1, 3, 4})):
        assert set(np.flatnonzero(choose(Blend(most=n), np.array([9]), labels, keys))) == expected


def test_more_rows_keep_those_chosen_before():
    labels = np.repeat([0, 1], 20)
    keys = np.random.default_rng(1).permutation(40).astype(np.uint64)
    few, many = (choose(Blend(ratio=r), np.array([8, 8]), labels, keys) for r in (0.5, 1.0))
    assert few.sum() == 8
    assert many.sum() == 16
    assert (many >= few).all()


def test_without_labels_and_without_rows():
    assert taken([7], [0], ratio=1) == [0, 0]
    chosen = choose(Blend(ratio=0.5), np.array([10]), np.zeros(8, int), np.arange(8, dtype=np.uint64))
    assert chosen.sum() == 5


@pytest.mark.parametrize("wrong", [{"ratio": -1}, {"cap": 0}, {"per_label": "most"}, {"real": "some"}, {"share": 2}])
def test_what_is_no_blend(wrong: dict[str, Any]):
    with pytest.raises(ValueError):
        Blend(**wrong)


def test_match_and_invert():
    assert taken([30, 10], [60, 60], per_label="match") == [60, 20, 0]
    assert taken([30, 10], [60, 60], per_label="invert") == [20, 60, 0]
    assert taken([30, 10], [12, 60], per_label="invert") == [12, 36, 0]
    assert taken([30, 10], [60, 60], per_label="invert", most=24) == [6, 18, 0]
    assert taken([30, 10], [60, 60], per_label="match", ratio=1) == [30, 10, 0]
    assert taken([30, 10], [60, 60], per_label="invert", cap=15) == [15, 15, 0]
