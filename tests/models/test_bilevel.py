"""SunGen's weights: the losses and the cut of its fact sheet, the gradient, and what becomes of a wrong label."""

from __future__ import annotations

import numpy as np
import pytest

from leaven.models.backends.bilevel import (
    bilevel_weights,
    chosen,
    learned,
    outer_gradient,
    reverse_cross_entropy,
    sigmoid,
    softmax,
    through_a_step,
)


@pytest.mark.parametrize(("logits", "y", "loss"), [((2, 0), 0, 0.596037), ((2, 0), 1, 4.404008), ((0, 0), 0, 2.500023)])
def test_the_reverse_cross_entropy(logits: tuple[float, float], y: int, loss: float):
    assert reverse_cross_entropy([logits], [y]).tolist() == [pytest.approx(loss, abs=1e-6)]


def test_it_is_the_sum_of_its_two_parts():
    """p (log p - log q) - p log p, as the released code adds it up, is -p log q."""
    logits, y = np.array([[1.0, -0.5, 0.3]]), [2]
    p, q = softmax(logits), softmax(np.array([[0.0, 0.0, 10.0]]))
    combined = (p * (np.log(p) - np.log(q)) - p * np.log(p)).mean()
    assert reverse_cross_entropy(logits, y)[0] == pytest.approx(combined, abs=1e-12)


def test_a_wrong_label_costs_a_bounded_amount():
    assert reverse_cross_entropy([[900.0, 0]], [1])[0] == pytest.approx(5, abs=1e-3)


def test_the_heaviest_are_counted_and_all_that_weigh_as_much():
    weights = np.array([0.9, 0.8, 0.8, 0.1, 0.7, 0.6, 0.5, 0.4, 0.3, 0.2])
    assert np.flatnonzero(~chosen(weights, 0.9)).tolist() == [3]
    assert chosen(weights, 0.2).tolist() == [True, True, True, *[False] * 7]
    assert chosen(np.full(10, 0.5), 0.9).sum() == 10
    assert chosen(weights[:1], 0.9).tolist() == [True]
    distinct = np.random.default_rng(0).permutation(np.linspace(0.1, 0.9, 137))
    assert chosen(distinct, 0.9).sum() == int(0.9 * 137)


def test_the_gradient_through_a_step_is_that_of_small_changes():
    rng = np.random.default_rng(0)
    n, k = 12, 3
    X, y, theta = rng.standard_normal((n, 4)), rng.integers(0, k, n), rng.normal(size=n)
    table, outer, rate, small = rng.standard_normal((5, k)), np.array([0, 2, 3, 7]), 1e-4, 1e-3
    whole = np.hstack([X, np.ones((n, 1))])

    def loss(numbers: np.ndarray) -> float:
        weights, wrong = sigmoid(numbers), softmax(whole @ table) - np.eye(k)[y]
        after = table - rate * whole.T @ (wrong * weights[:, None]) / weights.sum()
        return float(reverse_cross_entropy(whole[outer] @ after, y[outer]).mean())

    towards = outer_gradient(X, y, outer, table)
    found = through_a_step(X, y, sigmoid(theta), table, towards, rate)
    steps = small * np.eye(n)
    slow = [(loss(theta + step) - loss(theta - step)) / (2 * small) for step in steps]
    assert found == pytest.approx(slow, rel=1e-3, abs=1e-3 * np.abs(found).max())


def planted(n: int) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Two labels in 16 directions, a tenth of the rows with the other label; which ones."""
    rng = np.random.default_rng(1)
    y = rng.integers(0, 2, n)
    X = 0.3 * rng.standard_normal((n, 16))
    X[:, 0] += 2 * y - 1
    wrong = rng.random(n) < 0.1
    return X / np.linalg.norm(X, axis=1, keepdims=True), np.where(wrong, 1 - y, y), wrong


def test_rows_of_a_wrong_label_weigh_less():
    X, y, wrong = planted(200)
    weights = bilevel_weights(X, y, n_labels=2, rounds=12, steps=400)
    assert weights[wrong].max() < 0.1
    assert (weights[~wrong] > weights[wrong].max()).mean() > 0.95
    assert abs(weights[~wrong & (y == 0)].mean() - weights[~wrong & (y == 1)].mean()) < 0.15


def test_one_flipped_row_among_its_neighbours():
    X = np.tile(np.eye(2), (30, 1))
    y = np.tile([0, 1], 30)
    y[0] = 1
    weights = bilevel_weights(X, y, n_labels=2, rounds=6, steps=400)
    assert weights[0] < 0.2 < 0.5 < weights[2::2].min()


def test_all_begin_alike_and_a_seed_gives_the_same():
    X, y, _ = planted(64)
    assert set(bilevel_weights(X, y, n_labels=2, rounds=0)) == {0.5}
    one, again, other = (bilevel_weights(X, y, n_labels=2, rounds=3, steps=1, seed=seed) for seed in (3, 3, 4))
    assert one.tobytes() == again.tobytes()
    assert one.tobytes() != other.tobytes()


def test_a_student_makes_whole_epochs_and_no_fewer_steps():
    X, y, _ = planted(70)
    for steps, epochs in ((0, 1), (3, 1), (4, 2), (6, 2), (9000, 100)):  # three batches of 70 rows
        draws = np.random.Philox(key=0)
        learned(X, y, np.ones(70), 2, 0.001, steps, draws)
        assert draws.random_raw() == np.random.Philox(key=0).random_raw(70 * epochs + 1)[-1]
