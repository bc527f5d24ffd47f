"""Soft labels reach the fit as they are: the largest share alone would say something else."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import numpy as np
from shapes_and_tones import pictures

from leaven.io import dataset as datasets
from leaven.measure.bench import Rows, targets
from leaven.measure.case import Case
from leaven.measure.students import Embedded, fit_predict


def table(items: list[str]) -> np.ndarray:
    return np.array([[float(x) for x in item.split()] for item in items])


def test_a_share_of_a_third_label_is_learned():
    """Every item at the right is a and c, six to four: with the argmax alone, c would never be said."""
    items = ["-1 0", "0 1", "1 0", "1 0.2", "1 -0.2"]
    soft = np.array([[0.0, 1, 0], [0, 1, 0], [0.6, 0, 0.4], [0.4, 0, 0.6], [0.4, 0, 0.6]])
    hard = np.array([1, 1, 0, 0, 0])
    student = Embedded(table)
    assert fit_predict(student, items, soft, None, ["1 0.1"], 100.0, 3).tolist() == [2]
    assert fit_predict(student, items, hard, None, ["1 0.1"], 100.0, 3).tolist() == [0]


def test_rows_of_both_kinds_are_one_table():
    real = Rows(["a", "b"], np.array([1, 0]))
    made = Rows(["c"], np.array([0]), probs=np.array([[0.7, 0.3]]))
    assert targets([real], 2).tolist() == [1, 0]
    assert targets([real, made], 2).tolist() == [[0, 1], [1, 0], [0.7, 0.3]]


def test_the_soft_labels_of_a_run_are_read(augment: Callable[..., Path], tmp_path: Path):
    mix = {"mix_images": {"lam": 0.7, "soft": True, "draw": {"k": 1, "other": "label"}}}
    out = augment(pictures(tmp_path / "data", 6, 0, ("disc", "cross")), [mix], "--test", "0.5")
    case = Case(datasets.load(out / "input"), None)
    made = case.of_run(out)
    assert made.probs is not None
    assert np.allclose(made.probs.max(axis=1), 0.7)
    assert np.allclose(made.probs.sum(axis=1), 1.0)
    assert made.labels.tolist() == made.probs.argmax(axis=1).tolist()
    assert case.real.probs is None
