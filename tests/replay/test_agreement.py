"""Orders of methods, and published gains with their intervals."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from leaven.replay.agreement import agreement, published_gain
from leaven.replay.play import balanced
from leaven.replay.rows import Row


def scores(share: float, draws: int = 3, rows: int = 100) -> np.ndarray:
    """A student that is right about the first rows."""
    return np.tile((np.arange(rows) < share * rows).astype(float), (draws, 1))


OURS = {5: {"none": scores(0.5), "a": scores(0.6), "b": scores(0.7), "c": scores(0.4)}}


@pytest.mark.parametrize(
    ("published", "tau", "signs"),
    [
        ({"none": [0.2], "a": [0.3], "b": [0.4], "c": [0.1]}, 1.0, 3),
        ({"none": [0.3], "a": [0.2], "b": [0.1], "c": [0.4]}, -1.0, 0),
        ({"none": [0.2], "a": [0.4], "b": [0.3], "c": [0.1]}, 4 / 6, 3),
    ],
)
def test_the_order_is_compared_pair_by_pair(published: dict, tau: float, signs: int):
    found = agreement(OURS, {5: published}, "none")
    assert found is not None
    assert (found.tau, found.pairs, found.same_sign, found.of) == (pytest.approx(tau), 6, signs, 3)
    assert -1 <= found.low <= found.tau <= found.high <= 1


def test_sizes_are_not_compared_with_each_other():
    ours = {5: {"none": scores(0.1), "a": scores(0.2)}, 10: {"none": scores(0.9), "a": scores(0.8)}}
    found = agreement(ours, {5: {"none": [0.1], "a": [0.2]}, 10: {"none": [0.1], "a": [0.2]}}, "none")
    assert found is not None
    assert (found.tau, found.pairs, found.same_sign, found.of) == (0.0, 2, 1, 2)


def test_what_the_authors_draws_agree_on_is_said():
    """Of three pairs of methods, two draws order two alike and one the other way round."""
    found = agreement(OURS, {5: {"none": [0.1, 0.2], "a": [0.3, 0.1], "b": [0.4, 0.5]}}, "none")
    assert found is not None
    assert found.own == pytest.approx(1 / 3)
    assert agreement(OURS, {5: {"none": [0.1], "a": [0.3]}}, "none").own is None  # type: ignore[union-attr]


def test_chance_widens_the_interval():
    draws = np.random.default_rng(0)
    unsure = {name: (draws.random((3, 40)) < share).astype(float) for name, share in (("none", 0.5), ("a", 0.52))}
    found = agreement({0: unsure}, {0: {"none": [0.5], "a": [0.6]}}, "none")
    assert found is not None
    assert found.high - found.low > 0.5


def test_nothing_to_compare():
    assert agreement(OURS, {}, "none") is None
    assert agreement(OURS, {5: {"a": [0.5]}}, "none") is None


def test_a_published_gain_pairs_the_draws():
    found = published_gain([0.884, 0.870, 0.806], [0.891, 0.900, 0.867])
    # 0.7, 3.0 and 6.1 points: mean 3.27, sd 2.71, t(2) = 4.303
    assert found.mean == pytest.approx(0.0327, abs=1e-4)
    assert (found.low, found.high) == (pytest.approx(-0.0346, abs=2e-4), pytest.approx(0.0999, abs=2e-4))
    alone = published_gain([0.5], [0.56])
    assert (alone.mean, alone.low, alone.high) == (pytest.approx(0.06), None, None)


weighed = st.lists(st.tuples(st.sampled_from("abc"), st.floats(0.1, 5)), min_size=1, max_size=20)


@given(weighed, st.lists(st.sampled_from("abc"), max_size=20))
def test_a_keep_does_not_change_the_balance_of_labels(kept: list[tuple[str, float]], gone: list[str]):
    rows = [Row("", label) for label, _ in kept]
    before = [*rows, *(Row("", label) for label in gone if label in {row.label for row in rows})]
    weights = balanced(rows, [weight for _, weight in kept], before)
    assert sum(weights) == pytest.approx(sum(weight for _, weight in kept))
    for label in {row.label for row in rows}:
        mine = sum(weight for row, weight in zip(rows, weights, strict=True) if row.label == label)
        assert mine / sum(weights) == pytest.approx(sum(row.label == label for row in before) / len(before))
