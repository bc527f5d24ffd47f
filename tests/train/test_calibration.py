"""Distribution calibration on numbers that can be worked out by hand."""

from __future__ import annotations

import numpy as np
import pytest

from leaven.errors import DataError
from leaven.train import Calibration, tukey

BASE = np.array([[0.0, 0], [2, 0], [0, 10], [2, 14], [50, 0], [52, 2]])
LABELS = ["a", "a", "b", "b", "c", "c"]


def test_tukey():
    assert tukey(np.array([4, 9, 0, -4])).tolist() == [2, 3, 0, -2]
    assert tukey([[8.0]], power=1 / 3) == pytest.approx(2)
    assert tukey([2.0, -3.0], power=1).tolist() == [2, -3]
    assert tukey([1.0, np.e], power=0).tolist() == [0, 1]
    with pytest.raises(DataError, match="not above 0"):
        tukey([1.0, 0.0], power=0)


def test_means_and_covariances_of_the_base():
    base = Calibration(BASE, LABELS)
    assert base.labels.tolist() == ["a", "b", "c"]
    assert base.means.tolist() == [[1, 0], [1, 12], [51, 1]]
    covariances = [Calibration(BASE, LABELS, k=1, alpha=0).of(mean)[1] for mean in base.means]
    np.testing.assert_allclose(covariances, [[[2, 0], [0, 0]], [[2, 4], [4, 8]], [[2, 2], [2, 2]]])


def test_a_row_takes_from_the_nearest_labels():
    mean, covariance = Calibration(BASE, LABELS).of([4, 6])  # a and b
    assert mean.tolist() == [2, 6]
    np.testing.assert_allclose(covariance, [[2.21, 2.21], [2.21, 4.21]])
    mean, covariance = Calibration(BASE, LABELS, k=1, alpha=0).of([31, 3])  # c
    assert mean.tolist() == [41, 2]
    np.testing.assert_allclose(covariance, [[2, 2], [2, 2]])


def test_drawn_rows_have_the_calibrated_distribution():
    base = Calibration(BASE, LABELS)
    drawn, labels = base.draw([[4, 6]], ["new"], each=20_000, generator=np.random.default_rng(0))
    assert drawn.shape == (20_000, 2)
    assert set(labels) == {"new"}
    np.testing.assert_allclose(drawn.mean(axis=0), [2, 6], atol=0.06)
    np.testing.assert_allclose(np.cov(drawn.T), [[2.21, 2.21], [2.21, 4.21]], atol=0.15)


def test_each_support_row_draws_its_share():
    base = Calibration(BASE, LABELS)
    support, labels = np.array([[0.0, 0], [1, 1], [50, 50], [2, 2]]), np.array([5, 5, 9, 5])
    drawn, of = base.draw(support, labels, generator=np.random.default_rng(0))
    assert of.tolist() == [5] * 500 + [9] * 750 + [5] * 250
    again, _ = base.draw(support, labels, generator=np.random.default_rng(0))
    other, _ = base.draw(support, labels, generator=np.random.default_rng(1))
    assert (drawn == again).all()
    assert (drawn != other).all()


def test_fewer_rows_than_features_are_no_fault():
    rng = np.random.default_rng(0)
    base = Calibration(rng.normal(size=(6, 40)), [0, 0, 0, 1, 1, 1])
    drawn, _ = base.draw(rng.normal(size=(1, 40)), [2], each=30, generator=rng)
    assert drawn.shape == (30, 40)
    assert np.isfinite(drawn).all()
    assert np.linalg.matrix_rank(drawn - drawn.mean(axis=0), tol=1e-4) == 5  # two a label, and alpha's


def test_a_torch_generator_draws_too():
    torch = pytest.importorskip("torch")
    base = Calibration(BASE, LABELS)
    each = [base.draw([[0, 0]], ["x"], each=3, generator=torch.Generator().manual_seed(1))[0] for _ in range(2)]
    assert (each[0] == each[1]).all()


@pytest.mark.parametrize(
    ("call", "said"),
    [
        (lambda: Calibration(BASE[:5], LABELS[:5]), "base label c has one row"),
        (lambda: Calibration(BASE, LABELS[:5]), "base features"),
        (lambda: Calibration(BASE[:, 0], LABELS), "base features"),
        (lambda: Calibration(np.where(BASE == 50, np.nan, BASE), LABELS), "finite"),
        (lambda: Calibration(BASE, LABELS, k=4), "k is 4"),
        (lambda: Calibration(BASE, LABELS, alpha=-1), "alpha"),
        (lambda: Calibration(BASE, LABELS).of([1, 2, 3]), "2 features"),
        (
            lambda: Calibration(BASE, LABELS).draw([[0, 0]] * 3, [1, 1, 1], each=2, generator=np.random.default_rng()),
            "2 rows a label",
        ),
        (lambda: Calibration(BASE, LABELS).draw([[0, 0]], [1, 2], generator=np.random.default_rng()), "support"),
    ],
)
def test_what_is_wrong_is_said(call, said):
    with pytest.raises(DataError, match=said):
        call()
