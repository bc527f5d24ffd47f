"""Intervals: a point only of one model against itself, right 95 times in 100."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from sklearn.metrics import f1_score

from leaven.measure.interval import accuracy, f1, f1_gain, gain, macro_f1, nothing, of_statistic, rows_needed

tables = st.integers(1, 5).flatmap(
    lambda seeds: st.integers(2, 30).flatmap(
        lambda rows: st.lists(st.lists(st.integers(0, 1), min_size=rows, max_size=rows), min_size=seeds, max_size=seeds)
    )
)


@settings(deadline=None)
@given(tables)
def test_arms_that_agree_may_differ_elsewhere_by_the_rule_of_three(table: list[list[int]]):
    """Had one row in so many differed, 19 of 20 test sets of this size would hold such a row."""
    rows = len(table[0])
    found = gain(table, table)
    assert found.mean == 0
    assert found.high == -found.low == pytest.approx(1 - 0.05 ** (1 / rows))
    assert gain(table, table, group=np.arange(rows) // 2).high > found.high


@pytest.mark.parametrize(("rows", "high"), [(32, 0.0894), (100, 0.0295), (298, 0.0100), (299, 0.00997), (3000, 0.001)])
def test_the_rule_of_three(rows: int, high: float):
    assert gain(np.ones(rows), np.ones(rows)).high == pytest.approx(high, rel=0.005)


def test_arms_that_are_one_model_gain_exactly_nothing():
    same = nothing(30, 5)
    assert (same.mean, same.low, same.high, same.se, same.row_se) == (0, 0, 0, 0, 0)
    assert (same.rows, same.seeds) == (30, 5)


def test_a_number_that_no_resample_changes():
    found = of_statistic([0.0, 0.0], np.zeros(400), 32)
    assert found.high == -found.low == pytest.approx(1 - 0.05 ** (1 / 32))


@settings(deadline=None)
@given(tables, st.integers(0, 99))
def test_swapped_arms_mirror_and_order_of_rows_is_nothing(table: list[list[int]], seed: int):
    a = np.array(table)
    b = np.random.default_rng(seed).integers(0, 2, a.shape)
    one, other = gain(a, b), gain(b, a)
    assert one.mean == pytest.approx(-other.mean)
    assert one.low == pytest.approx(-other.high)
    order = np.random.default_rng(seed).permutation(a.shape[1])
    assert gain(a[:, order], b[:, order]).low == pytest.approx(one.low)
    assert one.low <= one.mean <= one.high


@settings(deadline=None)
@given(tables)
def test_accuracy_stays_inside_and_is_no_point(table: list[list[int]]):
    found = accuracy(table)
    assert 0 <= found.low <= found.mean <= found.high <= 1
    assert found.low < found.high
    assert found.mean == pytest.approx(np.mean(table))


def test_all_correct_is_wilsons_interval():
    found = accuracy(np.ones((3, 30)))
    assert found.high == 1
    assert found.low == pytest.approx(0.88, abs=0.02)
    assert accuracy(np.ones((1, 3000))).low > 0.998


def test_clusters_and_seeds_widen():
    rng = np.random.default_rng(0)
    base, arm = rng.integers(0, 2, (1, 200)), rng.integers(0, 2, (5, 200))
    plain = gain(base, arm)
    group = np.repeat(np.arange(20), 10)
    same_in_group = gain(base[:, ::10].repeat(10, axis=1), arm[:, ::10].repeat(10, axis=1), group)
    assert same_in_group.se > 2 * plain.se
    shift = np.array([[0], [0], [0], [0], [1]])
    assert gain(base, np.clip(arm + shift, 0, 1)).se > plain.se


def test_four_rows_gained_and_none_lost_of_thirty_prove_nothing():
    base, arm = np.zeros(30), np.zeros(30)
    arm[:4] = 1
    assert gain(base, arm).low < 0
    arm[:12] = 1
    assert gain(base, arm).low > 0


@pytest.mark.parametrize(("rows", "seeds"), [(30, 5), (100, 5), (300, 3), (100, 1)])
def test_covers_the_truth(rows: int, seeds: int):
    """Rows differ in difficulty, arms in a true gain of 2 points; seeds wobble."""
    rng = np.random.default_rng(rows)
    missed = 0
    for _ in range(400):
        easy = rng.random(rows)
        base = easy < 0.70
        wobble = rng.normal(0, 0.01, (seeds, 1))
        arm = np.where(rng.random((seeds, rows)) < 0.9, easy < 0.72 + wobble, rng.random((seeds, rows)) < 0.72 + wobble)
        found = gain(base, arm)
        missed += not found.low <= 0.02 <= found.high
    assert missed / 400 <= 0.06


def test_macro_f1_is_scikit_learns():
    rng = np.random.default_rng(0)
    truth = rng.integers(0, 5, 200)
    guesses = np.where(rng.random((3, 200)) < 0.6, truth, rng.integers(0, 5, (3, 200)))
    expected = [f1_score(truth, guess, average="macro") for guess in guesses]
    assert np.allclose(macro_f1(truth, guesses, 7), expected)


def test_f1_gain():
    rng = np.random.default_rng(0)
    truth = rng.choice(4, 300, p=[0.7, 0.1, 0.1, 0.1])
    base = np.where(rng.random((1, 300)) < 0.6, truth, 0)
    arm = np.where(rng.random((5, 300)) < 0.8, truth, 0)
    same = f1_gain(truth, base, base, 4)
    assert same.mean == 0
    assert same.high == -same.low == pytest.approx(1 - 0.05 ** (1 / 300))
    found = f1_gain(truth, base, arm, 4)
    assert 0 < found.low < found.mean < found.high
    assert found == f1_gain(truth, base, arm, 4)
    grouped = f1_gain(truth, base, arm, 4, group=np.repeat(np.arange(30), 10))
    assert grouped.mean == found.mean
    assert grouped.df != found.df
    one = f1(truth, arm, 4)
    assert one.low < one.mean < one.high <= 1
    perfect = f1(truth, truth, 4)
    assert perfect.low < perfect.mean == perfect.high == 1


def test_rows_needed():
    assert rows_needed(0.026, 30, 0.05) == 32
    assert rows_needed(0.02, 100, 0.01) == 1600
    assert rows_needed(0.02, 100, 0.01, other_se=0.006) is None
    assert rows_needed(0.0, 100, 0.01) == 1
    assert rows_needed(0.02, 100, 0.01, other_se=0.003) > rows_needed(0.02, 100, 0.01)


def test_one_row_one_cluster_and_none():
    assert accuracy([[1]]).low < 0.5
    assert gain([0, 0, 0], [1, 0, 1], group=[7, 7, 7]).low < 0
    with pytest.raises(ValueError):
        accuracy(np.zeros((2, 0)))
