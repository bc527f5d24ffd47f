"""The linear student: scikit-learn's solution, soft labels, and exact sameness under repetition and order."""

from __future__ import annotations

import io

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from sklearn.linear_model import LogisticRegression

from leaven.models.backends.linear import (
    DEFAULT_C,
    LinearState,
    choose_C,
    fit_linear,
    per_epoch,
    predict,
    predict_proba,
    stratified_folds,
)


def problem(seed: int = 0, n: int = 60, d: int = 12, k: int = 4) -> tuple[np.ndarray, np.ndarray]:
    rng = np.random.default_rng(seed)
    y = np.concatenate([np.arange(k), rng.integers(0, k, n - k)])
    X = rng.normal(size=(n, d)) + 2 * np.eye(k, d)[y]
    return X / np.linalg.norm(X, axis=1, keepdims=True), y


@pytest.mark.parametrize("C", [0.3, 10.0, 300.0])
def test_same_solution_as_scikit_learn(C: float):
    X, y = problem()
    weights = np.random.default_rng(1).integers(1, 4, len(y)).astype(float)
    theirs = LogisticRegression(C=C, tol=1e-8, max_iter=5000).fit(X, y, sample_weight=weights).predict_proba(X)
    ours = predict_proba(fit_linear(X, y, weights, C), X)
    assert np.allclose(ours, theirs, atol=2e-3)


@settings(deadline=None, max_examples=25)
@given(st.integers(0, 1000), st.integers(1, 7), st.booleans())
def test_repeated_in_any_order_is_the_same_to_the_byte(seed: int, k: int, soft: bool):
    X, y = problem(seed, n=25)
    Y = np.random.default_rng(seed).dirichlet(np.ones(4), len(y)) if soft else y
    order = np.random.default_rng(seed).permutation(np.tile(np.arange(len(y)), k))
    once = fit_linear(X, Y, total=len(y))
    many = fit_linear(X[order], Y[order], np.ones(len(order)), total=len(y))
    assert once.coef.tobytes() == many.coef.tobytes()
    assert once.intercept.tobytes() == many.intercept.tobytes()


def test_soft_labels_equal_their_expansion_in_weighted_rows():
    X, _ = problem()
    Y = np.random.default_rng(2).dirichlet(np.ones(3), len(X))
    soft = fit_linear(X, Y, C=3.0)
    rows = np.repeat(np.arange(len(X)), 3)
    hard = fit_linear(X[rows], np.tile(np.arange(3), len(X)), Y.ravel(), C=3.0)
    assert np.allclose(predict_proba(soft, X), predict_proba(hard, X), atol=1e-3)


def test_zero_counts_are_as_absent():
    X, y = problem()
    counts = np.ones(len(y))
    counts[::3] = 0
    a, b = fit_linear(X, y, counts, n_labels=4), fit_linear(X[counts > 0], y[counts > 0], n_labels=4)
    assert a.coef.tobytes() == b.coef.tobytes()


def test_labels_without_rows_one_label_and_no_row():
    X, y = problem()
    state = fit_linear(X[y != 2], y[y != 2], n_labels=6)
    proba = predict_proba(state, X)
    assert proba.shape == (len(X), 6)
    assert not proba[:, [2, 4, 5]].any()
    assert np.allclose(proba.sum(axis=1), 1)
    alone = fit_linear(X[:3], [1, 1, 1], n_labels=3)
    assert (predict_proba(alone, X)[:, 1] == 1).all()
    assert (predict(alone, X) == 1).all()
    with pytest.raises(ValueError, match="no row"):
        fit_linear(X[:0], y[:0])
    with pytest.raises(ValueError, match="length"):
        fit_linear(X, y[1:])


def test_state_is_plain_arrays():
    X, y = problem()
    state = fit_linear(X, y)
    file = io.BytesIO()
    np.savez(file, **state.arrays())
    file.seek(0)
    again = LinearState.from_arrays(dict(np.load(file, allow_pickle=False)))
    assert predict_proba(again, X).tobytes() == predict_proba(state, X).tobytes()


def test_a_probability_does_not_depend_on_the_rows_around_it():
    X, y = problem(n=200, d=256, k=30)
    state = fit_linear(X, y)
    whole = predict_proba(state, X)
    for rows in (slice(0, 1), slice(3, 10), slice(50, 173)):
        assert predict_proba(state, X[rows]).tobytes() == whole[rows].tobytes()
    assert (predict(state, X) == whole.argmax(axis=1)).all()


def test_one_thread_or_two_give_the_same_bytes():
    from threadpoolctl import threadpool_limits

    X, y = problem(n=300, d=256, k=20)
    with threadpool_limits(1):
        one = fit_linear(X, y)
    with threadpool_limits(2):
        two = fit_linear(X, y)
    assert one.coef.tobytes() == two.coef.tobytes()


@settings(deadline=None, max_examples=60)
@given(st.lists(st.integers(0, 5), min_size=1, max_size=60), st.integers(2, 7), st.integers(0, 99))
def test_folds_leave_every_label_in_training(labels: list[int], folds: int, seed: int):
    y = np.array(labels)
    fold = stratified_folds(y, folds, seed)
    assert (stratified_folds(y, folds, seed) == fold).all()
    sizes = np.bincount(y)
    assert ((fold == -1) == (sizes[y] == 1)).all()
    for number in range(fold.max() + 1):
        assert (fold == number).any()
        assert set(y[fold != number]) == set(y)


def test_two_rows_a_label_are_halved():
    fold = stratified_folds(np.repeat(np.arange(10), 2), 5, 0)
    assert sorted(set(fold)) == [0, 1]
    assert (np.bincount(fold) == 10).all()


def test_choose_C():
    X, y = problem(n=80)
    assert choose_C(X, y, grid=(10.0, 1e-6)) == 10.0
    assert choose_C(X, y, seed=1) == choose_C(X, y, seed=1)
    assert choose_C(X[:4], [0, 1, 2, 3]) == DEFAULT_C
    assert choose_C(X[:5], [0, 0, 1, 1, 2]) > 0
    order = np.random.default_rng(0).permutation(80)
    assert choose_C(X, y) == choose_C(np.vstack([X, X])[:80], y) == choose_C(X[order], y[order])


def test_per_epoch_learns_and_repeats():
    X, y = problem()
    proba = per_epoch(X, y, epochs=8, seed=1)
    assert proba.shape == (8, len(y), 4)
    assert np.allclose(proba.sum(axis=2), 1, atol=1e-5)
    true = proba[:, np.arange(len(y)), y].mean(axis=1)
    assert true[-1] > true[0] > 0.25
    assert per_epoch(X, y, epochs=8, seed=1).tobytes() == proba.tobytes()
    assert per_epoch(X, y, epochs=8, seed=2).tobytes() != proba.tobytes()
    assert per_epoch(X, np.eye(4)[y], epochs=8, seed=1).tobytes() == proba.tobytes()
    assert per_epoch(X[:0], y[:0], n_labels=4).shape == (10, 0, 4)
