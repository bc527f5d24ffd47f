"""Average precision of boxes and overlap of masks: by hand, and as pycocotools counts."""

from __future__ import annotations

import contextlib
import io

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from leaven.measure.precision import Boxes, matched, mean_average_precision, overlaps
from leaven.measure.segmenter import mean_iou

ONE = np.ones((1, 2))


def boxes(*rows: tuple[float, ...]) -> Boxes:
    """Rows of x, y, w, h, label, score."""
    table = np.array(rows, np.float64).reshape(-1, 6)
    return Boxes(table[:, :4], table[:, 4].astype(np.int64), table[:, 5])


def test_overlaps():
    assert overlaps(np.array([[0.0, 0, 2, 2]]), np.array([[1.0, 0, 2, 2], [5, 5, 1, 1], [0, 0, 2, 2]])).tolist() == [
        [pytest.approx(1 / 3), 0.0, 1.0]
    ]


def test_precision_by_hand():
    """Two true boxes; found are one, a false one surer than the other, and the other."""
    truth = [boxes((0, 0, 10, 10, 0, 1)), boxes((20, 20, 10, 10, 0, 1))]
    found = [boxes((0, 0, 10, 9, 0, 0.9), (50, 50, 9, 9, 0, 0.8)), boxes((20, 20, 9, 10, 0, 0.7))]
    one = mean_average_precision(matched(found, truth, 1), ONE)[0]
    assert one == pytest.approx((51 * 1.0 + 50 * 2 / 3) / 101)  # recall up to .5 at precision 1, beyond at 2 of 3
    twice = mean_average_precision(matched(found, truth, 1), np.array([[0.0, 1.0], [1.0, 0.0], [2.0, 0.0]]))
    assert twice.tolist() == [1.0, 1.0, 1.0]  # the false one is of the first image, and below its true one


def test_a_true_box_is_taken_once_and_only_by_its_label():
    truth = [boxes((0, 0, 10, 10, 0, 1), (0, 0, 10, 10, 1, 1)), boxes()]
    found = [boxes((0, 0, 10, 10, 0, 0.9), (0, 0, 10, 10, 0, 0.8)), boxes((0, 0, 10, 10, 1, 0.9))]
    first, second = matched(found, truth, 2)
    assert first.hit.tolist() == [True, False]
    assert second.hit.tolist() == [False]
    assert mean_average_precision([first, second], ONE)[0] == 0.5


def coco(found: list[Boxes], truth: list[Boxes], labels: int) -> float:
    """mAP at an overlap of .5 by pycocotools."""
    from pycocotools.coco import COCO
    from pycocotools.cocoeval import COCOeval

    def listed(rows: list[Boxes], scores: bool) -> list[dict]:
        return [
            {"id": 1 + 100 * i + k, "image_id": i + 1, "category_id": int(one.labels[k]) + 1, "iscrowd": 0,
             "bbox": one.boxes[k].tolist(), "area": float(one.boxes[k, 2:].prod()),
             **({"score": float(one.scores[k])} if scores else {})}
            for i, one in enumerate(rows) for k in range(len(one.labels))
        ]  # fmt: skip

    with contextlib.redirect_stdout(io.StringIO()):
        true = COCO()
        true.dataset = {
            "info": {},
            "images": [{"id": i + 1} for i in range(len(truth))],
            "annotations": listed(truth, False),
            "categories": [{"id": k + 1} for k in range(labels)],
        }
        true.createIndex()
        judged = COCOeval(true, true.loadRes(listed(found, True)), "bbox")
        judged.params.iouThrs = np.array([0.5])
        judged.params.areaRng, judged.params.areaRngLbl = [[0, 1e10]], ["all"]
        judged.evaluate()
        judged.accumulate()
    precision = judged.eval["precision"][0, :, :, 0, -1]
    return float(precision[:, (precision > -1).all(axis=0)].mean())


@settings(max_examples=25)
@given(seed=st.integers(0, 10_000))
def test_as_pycocotools_counts(seed: int):
    rng = np.random.default_rng(seed)
    truth, found = [], []
    for _ in range(4):
        rows = np.column_stack([rng.uniform(0, 60, (3, 2)), rng.uniform(8, 30, (3, 2)), rng.integers(0, 2, 3)])
        truth.append(boxes(*((*row, 1.0) for row in rows)))
        near = rows.copy()
        near[:, :4] += rng.normal(0, 3, (3, 4))
        near = np.vstack([near, near[:2] + np.array([1, 1, 0, 0, 0])])
        near[:, 2:4] = np.maximum(near[:, 2:4], 2)
        found.append(boxes(*((*row, float(rng.uniform())) for row in near)))
    ours = mean_average_precision(matched(found, truth, 2), np.ones((1, 4)))[0]
    assert ours == pytest.approx(coco(found, truth, 2), abs=1e-6)


def test_overlap_of_masks_by_hand():
    true = [np.array([[0, 1], [1, -1]]), np.array([[0, 0], [2, 2]])]
    found = [np.array([[1, 1], [0, 1]]), np.array([[0, 0], [2, 0]])]
    codes = [0, 5, 9]
    whole = mean_iou(found, true, codes, ONE)[0]
    assert whole == pytest.approx((1 / 3 + 1 / 2) / 2)  # of 5: one of three pixels; of 9: one of two
    assert mean_iou(found, true, codes, np.array([[1.0, 0.0]]))[0] == pytest.approx(1 / 3)
    assert mean_iou(true, true, codes, ONE)[0] == 1.0
