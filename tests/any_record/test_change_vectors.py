"""mix_vectors, shake_vector and calibrate: what becomes of vectors that the data holds, and of their labels."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from asked import cli
from leaven.any_record.calibrate import Calibrate
from leaven.any_record.mix_vectors import MixVectors
from leaven.any_record.neighbours import Neighbours
from leaven.any_record.shake_vector import ShakeVector
from leaven.errors import DataError, RecipeError
from leaven.keep.unique import Unique

Row = dict[str, Any]
A = {"vector": [0.0, 4.0], "label": "a"}
B = {"vector": [2.0, 0.0], "label": "b"}


def numbers(row: Row) -> list[float]:
    assert row["vector"].dtype == np.float32
    return [float(value) for value in row["vector"]]


def test_between_two_labels_the_larger_share_is_the_label():
    [row] = MixVectors(lam=0.75)(A, source=[B])
    assert numbers(row) == [0.5, 3]
    assert row["label"] == "a"
    assert "label_probs" not in row
    [row] = MixVectors(lam=0.25, soft=True)(A, source=[B])
    assert numbers(row) == [1.5, 1]
    assert (row["label"], row["label_probs"]) == ("b", {"a": 0.25, "b": 0.75})


def test_beyond_is_away_from_the_drawn_one_under_the_own_label():
    [row] = MixVectors(how="beyond")(A, source=[B])
    assert numbers(row) == [-1, 6]
    assert row["label"] == "a"


def test_partners_of_one_label():
    others = [{"vector": [2.0 * i, 0.0], "label": "ab"[i % 2]} for i in range(20)]
    rows = MixVectors(lam=0.5, n=9, draw={"k": 1, "same": "label"})(A, source=others)
    assert all(2 * numbers(row)[0] % 4 == 0 for row in rows)  # 0, 4, 8 ... are of label a
    assert len({numbers(row)[0] for row in rows}) > 3
    [row] = MixVectors(draw={"k": 1, "same": "label"})(A, source=[B])
    assert row["_reason"] == "no_partner"


def test_a_share_needs_a_label():
    [row] = MixVectors(soft=True)(A, source=[{"vector": [1.0, 1.0], "label": None}])
    assert row["_reason"] == "no_label"
    with pytest.raises(RecipeError, match="keeps its own"):
        MixVectors(soft=True, how="beyond")


def test_noise_is_as_wide_as_the_real_rows_are_spread():
    rows = [{"vector": [10.0 * (i % 2), 1.0 * (i % 2), 7.0]} for i in range(8)]
    made = np.array([numbers(row) for row in ShakeVector(n=1000)(rows[0], source=rows)])
    assert made.std(axis=0) == pytest.approx([2.5, 0.25, 0], rel=0.08)
    assert made.mean(axis=0) == pytest.approx([0, 0, 7], abs=0.3)


def test_dropped_numbers_are_zero_and_the_others_keep_their_mean():
    row = {"vector": [4.0] * 50}
    made = np.array([numbers(one) for one in ShakeVector(noise=0, drop=0.2, n=100)(row, source=[row])])
    assert set(np.unique(made)) == {0, 5}
    assert made.mean() == pytest.approx(4, abs=0.1)


MANY = [{"vector": [float(i % 3), 0.0], "label": "low"} for i in range(12)]
MANY += [{"vector": [100.0 + 10 * (i % 2), float(i % 2)], "label": "high"} for i in range(12)]
RARE = {"vector": [9.0, 6.0], "label": "rare"}


def test_a_rare_label_is_spread_as_the_nearest_one():
    how: Row = {"k": 1, "alpha": 0, "power": 1, "few": 1}
    drawn = np.array([numbers(row) for row in Calibrate(n=2000, **how)(RARE, source=[*MANY, RARE])])
    assert drawn.mean(axis=0) == pytest.approx([5, 3], abs=0.1)  # half way to [1, 0]
    assert drawn.var(axis=0) == pytest.approx([8 / 11, 0], abs=0.08)
    moved = np.array([numbers(row) for row in Calibrate(n=2000, **how | {"alpha": 4})(RARE, source=[*MANY, RARE])])
    assert np.cov(moved.T) == pytest.approx(np.array([[4 + 8 / 11, 4], [4, 4]]), abs=0.4)


def test_powers_are_taken_and_brought_back():
    rows = [{"vector": [4.0, -9.0], "label": "many"}] * 9
    drawn = Calibrate(n=3, k=1, alpha=0, few=1)({"vector": [16.0, -1.0], "label": "rare"}, source=[*rows, RARE])
    assert [numbers(row) for row in drawn] == [[9, -4]] * 3  # (2 + 4) / 2 squared, (-3 - 1) / 2 squared


def test_labels_with_many_rows_have_no_child():
    assert Calibrate(few=1)(MANY[0], source=[*MANY, RARE]) == []
    with pytest.raises(DataError, match="2 labels with more than 12 rows, and 0 of the 3"):
        Calibrate(few=12)(RARE, source=[*MANY, RARE])


def test_rows_are_compared_by_vectors_that_they_hold():
    source = [{**A, "_id": "a"}, {**B, "_id": "b"}]
    [row] = Neighbours(1)({"vector": [9.0, 1.0], "label": "x"}, source=source)
    assert row["neighbours"] == ["b"]
    assert row["nearness"] == pytest.approx(9 / 82**0.5, abs=1e-6)
    for near, reason in (([0.0, 4.0], "duplicate"), ([0.01, 8.0], "near_duplicate"), ([4.0, 4.0], None)):
        [row] = Unique(by="vector", at=0.99)({"vector": near, "label": "c"}, source=[A, B])
        assert row.get("_reason") == reason


def test_what_is_no_vector():
    for wrong in ("abc", [], [[1.0]], [float("nan")], ["a"]):
        with pytest.raises(DataError, match="vector"):
            ShakeVector()({"vector": wrong}, source=[A])


def test_try_shows_where_vectors_point(tmp_path: Path):
    rows = [{"embedding": [float(i), 0.25, *[0.0] * 6], "label": "ab"[i % 2]} for i in range(8)]
    (tmp_path / "rows.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows), "utf-8")
    done = cli("try", tmp_path / "rows.jsonl", "-r", "mix-vectors", "-n", "8")
    assert done.code == 0, done.err
    assert "  b  8 numbers: 3.00, 0.25, 0.00, 0.00, 0.00, ..." in done.out
    assert "(nothing)" not in done.out
