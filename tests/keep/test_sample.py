"""Draws that hang on the seed and the ids alone."""

from __future__ import annotations

from collections import Counter
from typing import Any

import pytest

from leaven.errors import RecipeError
from leaven.keep.sample import Sample

ROWS: list[dict[str, Any]] = [{"_id": f"r{i}", "label": "xyz"[min(2, i // 10)]} for i in range(33)]


def kept(reasons: Any, op: Sample, rows: list[dict[str, Any]] = ROWS, seed: int = 0) -> list[str]:
    found = reasons(op, rows, seed)
    assert set(found) <= {"", "not_drawn"}
    return [row["_id"] for row, reason in zip(rows, found, strict=True) if not reason]


@pytest.mark.parametrize(
    ("op", "sizes"),
    [
        (Sample(4, per="label"), {"x": 4, "y": 4, "z": 4}),
        (Sample(12, per="label"), {"x": 10, "y": 10, "z": 12}),
        (Sample(share=0.25, per="label"), {"x": 2, "y": 2, "z": 3}),
        (Sample(share=0.01, per="label"), {"x": 1, "y": 1, "z": 1}),
    ],
)
def test_sizes(reasons: Any, op: Sample, sizes: dict[str, int]):
    label = {row["_id"]: row["label"] for row in ROWS}
    assert Counter(label[i] for i in kept(reasons, op)) == sizes


def test_hangs_on_seed_and_ids(reasons: Any):
    one = kept(reasons, Sample(8))
    assert len(one) == 8
    assert set(kept(reasons, Sample(8), ROWS[::-1])) == set(one)
    assert set(kept(reasons, Sample(8), seed=1)) != set(one)
    assert set(one) < set(kept(reasons, Sample(9)))


def test_every_record_has_the_same_chance(reasons: Any):
    counts = Counter(i for seed in range(300) for i in kept(reasons, Sample(11), seed=seed))
    assert len(counts) == 33
    assert all(60 < n < 140 for n in counts.values()), "300 draws of 11 of 33: 100 each"


@pytest.mark.parametrize("wrong", [{}, {"n": 2, "share": 0.5}, {"n": 0}, {"share": 0.0}])
def test_one_of_n_and_share(wrong: dict[str, Any]):
    with pytest.raises(RecipeError):
        Sample(**wrong)
