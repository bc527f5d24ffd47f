"""The student: multinomial logistic regression with L2, on dense features, with weights and soft labels.

The objective is scikit-learn's ``LogisticRegression(C=C, solver="lbfgs")``, and a test holds both to the same
solution and speed.  It is minimised here with scipy's L-BFGS because one path then takes hard and soft
labels, and because of what ``measure`` needs exactly: **equal rows are merged first and their counts added**,
so that rows repeated k times, in any order, give the same bytes as the rows once.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from leaven.models.backends.one_thread import one_thread

Floats = NDArray[np.float64]

C_GRID = (0.3, 1.0, 3.0, 10.0, 30.0, 100.0, 300.0)  # for features of unit length
DEFAULT_C = 10.0  # where too few rows are there to choose
# on the mean loss's gradient: a tenth of scikit-learn's, so that luck of stopping stays out of gains
TOLERANCE = 1e-5
MOST_STEPS = 1000
ENOUGH_TESTED = 1000  # held-out rows that tell one C from another; further folds cost more than they say


@dataclass(frozen=True)
class LinearState:
    """A fitted student: ``coef`` (classes x features), ``intercept`` (classes), and which label each class
    is.

    Labels that no row had are in no class; their probability is 0.
    """

    coef: Floats
    intercept: Floats
    classes: NDArray[np.int64]
    n_labels: int

    def arrays(self) -> dict[str, NDArray[Any]]:
        """The state as named arrays, for an npz file."""
        return {
            "coef": self.coef,
            "intercept": self.intercept,
            "classes": self.classes,
            "n_labels": np.array(self.n_labels, dtype=np.int64),
        }

    @classmethod
    def from_arrays(cls, arrays: Mapping[str, NDArray[Any]]) -> LinearState:
        """The inverse of ``arrays``."""
        return cls(arrays["coef"], arrays["intercept"], arrays["classes"], int(arrays["n_labels"]))


def fit_linear(
    X: ArrayLike,
    Y: ArrayLike,
    counts: ArrayLike | None = None,
    C: float = DEFAULT_C,
    *,
    n_labels: int | None = None,
    total: float | None = None,
) -> LinearState:
    """Fit by penalised maximum likelihood: sum of weighted losses + ||coef||^2 / (2 C), intercept free.

    X: n x d features.  Y: n labels (integers from 0), or n x k probabilities.  counts: how often each row
    stands there (or any weight >= 0; 1 if not given).  total: what the weights shall sum to; without it they
    are the counts. Weights are ``count * total / sum of counts``, multiplied first: n rows repeated k times
    with total = n weigh exactly 1.0 each.  Same bytes for the same rows in any order, on one machine.
    """
    features = _features(X)
    targets, is_hard = _targets(Y)
    counted = np.ones(len(features)) if counts is None else np.asarray(counts, dtype=np.float64)
    if not len(features) == len(targets) == len(counted):
        raise ValueError("X, Y and counts differ in length")
    if n_labels is None:
        n_labels = int(targets.max(initial=0)) + 1 if is_hard else targets.shape[1]
    here = counted > 0
    if not here.any():
        raise ValueError("no row to fit on")
    features, targets, counted = _merge(features[here], targets[here], counted[here])
    weights = counted if total is None else counted * total / counted.sum()
    mass, classes = _mass(_one_hot(targets, n_labels) if is_hard else targets, weights)
    return _state(_minimise(features, mass, C), classes, n_labels)


def predict_proba(state: LinearState, X: ArrayLike) -> Floats:
    """Probabilities, n x n_labels; a row's do not depend on the rows around it, so blocks change no byte."""
    features = _features(X)
    # einsum without BLAS: a matrix product may add in another order when the number of rows differs.
    scores = np.einsum("ij,kj->ik", features, state.coef, optimize=False) + state.intercept
    out = np.zeros((len(features), state.n_labels))
    if len(features):
        out[:, state.classes] = _softmax(scores)
    return out


def predict(state: LinearState, X: ArrayLike) -> NDArray[np.int64]:
    """The most probable label of each row; the lower number where two are equal."""

    with one_thread():
        scores = _features(X) @ state.coef.T + state.intercept
    best: NDArray[np.int64] = state.classes[scores.argmax(axis=1)]
    return best


def stratified_folds(y: ArrayLike, folds: int, seed: int) -> NDArray[np.int64]:
    """The fold (0 ... folds - 1) in which each row is tested; -1 for the only row of its label: it always
    trains.

    Not more folds than the median label has rows (and at least 2), so that 2 rows a label are split in
    halves.
    """
    labels = np.asarray(y, dtype=np.int64)
    sizes = np.bincount(labels)
    several = sizes[sizes > 1]
    out = np.full(len(labels), -1, dtype=np.int64)
    if not len(several):
        return out
    folds = max(2, min(folds, int(np.median(several))))
    # Raw Philox words stay the same in every numpy version; shuffles need not.
    order = np.argsort(np.random.Philox(key=seed).random_raw(len(labels)), kind="stable")
    dealt = 0
    for label in np.flatnonzero(sizes > 1):
        rows = order[labels[order] == label]
        # go on where the last label ended: folds of equal size
        out[rows] = (dealt + np.arange(len(rows))) % folds
        dealt += len(rows)
    return out


def choose_C(
    X: ArrayLike,
    y: ArrayLike,
    grid: Sequence[float] = C_GRID,
    folds: int = 5,
    seed: int = 0,
    *,
    counts: ArrayLike | None = None,
) -> float:
    """The C of ``grid`` with the best cross-validated accuracy on the given (real) rows, ties by log-loss.

    DEFAULT_C where no label has two rows.  Equal rows stay in one fold.
    """
    features = _features(X)
    labels = np.asarray(y, dtype=np.int64)
    counted = np.ones(len(labels)) if counts is None else np.asarray(counts, dtype=np.float64)
    features, targets, counted = _merge(features, labels[:, None].astype(np.float64), counted)
    labels = targets[:, 0].astype(np.int64)
    fold = stratified_folds(labels, folds, seed)
    if fold.max(initial=-1) < 0:
        return DEFAULT_C
    n_labels = int(labels.max()) + 1
    wrong, loss = dict.fromkeys(grid, 0.0), dict.fromkeys(grid, 0.0)
    done = 0
    for number in range(int(fold.max()) + 1):
        if done >= ENOUGH_TESTED:
            break
        tested = fold == number
        done += int(tested.sum())
        mass, classes = _mass(_one_hot(targets[~tested], n_labels), counted[~tested])
        truth, weights, table = labels[tested], counted[tested], None
        for C in sorted(grid):  # each from the last one's solution, and not to the last digit: thrice as fast
            table = _minimise(features[~tested], mass, C, begin=table, tolerance=10 * TOLERANCE)
            proba = predict_proba(_state(table, classes, n_labels), features[tested])
            wrong[C] += float(weights @ (proba.argmax(axis=1) != truth))
            loss[C] -= float(weights @ np.log(np.maximum(proba[np.arange(len(truth)), truth], 1e-12)))
    return min(grid, key=lambda C: (wrong[C], loss[C], C))


def per_epoch(
    X: ArrayLike,
    Y: ArrayLike,
    counts: ArrayLike | None = None,
    C: float = DEFAULT_C,
    *,
    n_labels: int | None = None,
    epochs: int = 10,
    batch: int = 32,
    rate: float = 2.0,
    seed: int = 0,
) -> NDArray[np.float32]:
    """Probabilities of the training rows after each epoch of ``epochs_of``: epochs x n x n_labels.

    For training dynamics, the mean and spread of a row's true-label probability over epochs (Swayamdipta et
    al. 2020, arXiv:2009.10795).
    """

    features = _features(X)
    how: dict[str, Any] = {"n_labels": n_labels, "epochs": epochs, "batch": batch, "rate": rate, "seed": seed}
    models = epochs_of(features, Y, counts, C, **how)
    with one_thread():
        return np.stack([_softmax(features @ coef + intercept).astype(np.float32) for coef, intercept in models])


def epochs_of(
    X: ArrayLike,
    Y: ArrayLike,
    counts: ArrayLike | None = None,
    C: float = DEFAULT_C,
    *,
    n_labels: int | None = None,
    epochs: int = 10,
    batch: int = 32,
    rate: float = 2.0,
    seed: int = 0,
) -> Iterator[tuple[Floats, Floats]]:
    """The coefficients (features x labels) and intercepts of a linear classifier after each epoch; copies.

    Plain stochastic gradient descent with a constant step, rows in an order drawn by ``seed`` for each epoch.
    ``rate`` is in units of one over the mean squared length of the features, bias included.
    """

    features = _features(X)
    targets, is_hard = _targets(Y)
    n = len(features)
    if n_labels is None:
        n_labels = int(targets.max(initial=0)) + 1 if is_hard else targets.shape[1]
    if is_hard:
        targets = _one_hot(targets, n_labels)
    weights = np.ones(n) if counts is None else np.asarray(counts, dtype=np.float64)
    weights = weights / max(weights.mean(), 1e-300) if n else weights
    step = rate / (1.0 + float(np.mean(np.einsum("ij,ij->i", features, features)))) if n else 0.0
    coef = np.zeros((features.shape[1], n_labels))
    intercept = np.zeros(n_labels)
    draws = np.random.Philox(key=seed)
    for _ in range(epochs):
        with one_thread():
            order = np.argsort(draws.random_raw(n), kind="stable") if n else np.zeros(0, dtype=np.int64)
            for begin in range(0, n, batch):
                rows = order[begin : begin + batch]
                gradient = _softmax(features[rows] @ coef + intercept) - targets[rows]
                gradient *= weights[rows, None]
                # The sum over the batch, not its mean: at many labels a step of the mean learns nothing in 10
                # epochs.
                coef *= 1.0 - min(0.5, step * len(rows) / (C * n))
                coef -= step * (features[rows].T @ gradient)
                intercept -= step * gradient.sum(axis=0)
        yield coef.copy(), intercept.copy()


def _features(X: ArrayLike) -> Floats:
    features = np.ascontiguousarray(X, dtype=np.float64)
    if features.ndim != 2:
        raise ValueError("X must have two dimensions: rows x features")
    return features


def _targets(Y: ArrayLike) -> tuple[Floats, bool]:
    """Y as a matrix of floats (one column of labels where they are hard), and whether they are hard."""
    targets = np.asarray(Y)
    if targets.ndim == 1:
        return np.ascontiguousarray(targets[:, None], dtype=np.float64), True
    return np.ascontiguousarray(targets, dtype=np.float64), False


def _one_hot(labels: Floats, n_labels: int) -> Floats:
    out = np.zeros((len(labels), n_labels))
    out[np.arange(len(labels)), labels[:, 0].astype(np.int64)] = 1.0
    return out


def _mass(targets: Floats, weights: Floats) -> tuple[Floats, NDArray[np.int64]]:
    """The weight that each row gives to each class, and which label each class is: those with any weight."""
    mass = targets * weights[:, None]
    classes = np.flatnonzero(mass.sum(axis=0) > 0).astype(np.int64)
    return np.ascontiguousarray(mass[:, classes]), classes


def _state(table: Floats, classes: NDArray[np.int64], n_labels: int) -> LinearState:
    return LinearState(np.ascontiguousarray(table[:-1].T), table[-1].copy(), classes, n_labels)


def _merge(features: Floats, targets: Floats, counts: Floats) -> tuple[Floats, Floats, Floats]:
    """Distinct (features, target) rows in the order of their bytes, and the sums of their counts."""
    rows = np.ascontiguousarray(np.hstack([targets, features]) + 0.0)  # + 0.0: -0.0 and 0.0 are one value
    keys = rows.view(np.dtype((np.void, rows.dtype.itemsize * rows.shape[1])))[:, 0]
    _, first, inverse = np.unique(keys, return_index=True, return_inverse=True)
    merged = np.bincount(inverse, weights=counts, minlength=len(first)).astype(np.float64)
    return features[first], targets[first], merged


def _minimise(
    features: Floats, mass: Floats, C: float, begin: Floats | None = None, tolerance: float = TOLERANCE
) -> Floats:
    """Coefficients and, as the last row, intercepts: (d + 1) x k.

    ``mass`` (n x k) is the weight that each row gives to each class; ``begin`` is a solution to start from.
    """
    from scipy.optimize import minimize

    d, k = features.shape[1], mass.shape[1]
    if k == 1:
        return np.zeros((d + 1, 1))
    weights = mass.sum(axis=1)
    scale = 1.0 / weights.sum()
    with one_thread():  # two threads give other bytes, and are slower at this size
        # A free intercept makes centring change nothing but the number of steps.
        centre = (weights @ features) * scale
        centred = features - centre
        across = np.ascontiguousarray(centred.T)

        def loss(parameters: Floats) -> tuple[float, Floats]:
            table = parameters.reshape(d + 1, k)
            scores = centred @ table[:d]
            scores += table[d]
            scores -= scores.max(axis=1, keepdims=True)
            value = -float(np.vdot(mass, scores))
            np.exp(scores, out=scores)
            sums = scores.sum(axis=1)
            value += float(weights @ np.log(sums))
            scores *= (weights / sums)[:, None]
            scores -= mass
            gradient = np.empty((d + 1, k))
            np.matmul(across, scores, out=gradient[:d])
            gradient[:d] += table[:d] / C
            gradient[d] = scores.sum(axis=0)
            value += float(np.vdot(table[:d], table[:d])) / (2.0 * C)
            gradient *= scale
            return value * scale, gradient.ravel()

        table = np.zeros((d + 1, k)) if begin is None else begin.copy()
        table[d] += centre @ table[:d]
        found = minimize(
            loss,
            table.ravel(),
            jac=True,
            method="L-BFGS-B",
            options={"maxiter": MOST_STEPS, "gtol": tolerance, "ftol": 64 * np.finfo(float).eps, "maxls": 50},
        )
        table = np.asarray(found.x, dtype=np.float64).reshape(d + 1, k)
        table[d] -= centre @ table[:d]
    return table


def _softmax(scores: Floats) -> Floats:
    scores = scores - scores.max(axis=1, keepdims=True)
    np.exp(scores, out=scores)
    scores /= scores.sum(axis=1, keepdims=True)
    return scores
