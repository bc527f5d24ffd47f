"""Mean average precision at an overlap of one half, over any weights of the test images.

The definition is COCO's: detections in the order of their scores take the free true box of their image and label that
they overlap most, precision never rises with recall, and is read at 101 recalls; a test holds it to pycocotools.  Which
detection takes which box hangs on its own image alone, so resampling images only weighs them anew.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.float64]
OVERLAP = 0.5
RECALLS = np.linspace(0.0, 1.0, 101)


@dataclass(frozen=True)
class Boxes:
    """Boxes of an image, n x (x, y, width, height), their labels' numbers, and how sure each is."""

    boxes: Floats
    labels: NDArray[np.int64]
    scores: Floats


@dataclass(frozen=True)
class Matched:
    """Detections of one label over all images, by falling score: whose image, and whether it took a true box."""

    image: NDArray[np.int64]
    hit: NDArray[np.bool_]
    truths: NDArray[np.int64]
    """The number of true boxes in each image."""


def matched(found: Sequence[Boxes], truth: Sequence[Boxes], n_labels: int) -> list[Matched]:
    """Detections and true boxes, label by label."""
    out = []
    for label in range(n_labels):
        images, scores, hits, counts = [], [], [], []
        for number, (mine, true) in enumerate(zip(found, truth, strict=True)):
            here, there = mine.labels == label, true.labels == label
            order = np.argsort(-mine.scores[here], kind="stable")
            hits.append(_taken(mine.boxes[here][order], true.boxes[there]))
            scores.append(mine.scores[here][order])
            images.append(np.full(len(order), number))
            counts.append(int(there.sum()))
        order = np.argsort(-np.concatenate(scores), kind="stable")
        out.append(Matched(np.concatenate(images)[order], np.concatenate(hits)[order], np.array(counts)))
    return out


def mean_average_precision(labels: Sequence[Matched], weights: Floats) -> Floats:
    """For each row of weights (resamples x images) the mean over the labels that have a true box there."""
    sums, present = np.zeros(len(weights)), np.zeros(len(weights))
    for label in labels:
        truths = weights @ label.truths
        there = truths > 0
        hits = np.cumsum(weights[:, label.image] * label.hit, axis=1)
        every = np.cumsum(weights[:, label.image], axis=1)
        precision = np.divide(hits, every, out=np.zeros_like(hits), where=every > 0)
        precision = np.maximum.accumulate(precision[:, ::-1], axis=1)[:, ::-1]
        recall = np.divide(hits, truths[:, None], out=np.zeros_like(hits), where=there[:, None])
        for row in np.flatnonzero(there):
            at = np.searchsorted(recall[row], RECALLS, side="left")
            sums[row] += precision[row][at[at < len(label.image)]].sum() / len(RECALLS)
        present += there
    found: Floats = sums / np.maximum(present, 1.0)
    return found


def overlaps(a: Floats, b: Floats) -> Floats:
    """Intersection over union of each of one's boxes with each of the other's."""
    low = np.maximum(a[:, None, :2], b[None, :, :2])
    high = np.minimum((a[:, :2] + a[:, 2:])[:, None], (b[:, :2] + b[:, 2:])[None])
    shared = np.clip(high - low, 0.0, None).prod(axis=2)
    union = a[:, 2:].prod(axis=1)[:, None] + b[:, 2:].prod(axis=1)[None] - shared
    found: Floats = np.divide(shared, union, out=np.zeros_like(shared), where=union > 0)
    return found


def _taken(mine: Floats, true: Floats) -> NDArray[np.bool_]:
    """Which of an image's detections, by falling score, take a true box."""
    overlap = overlaps(mine, true)
    hits = np.zeros(len(mine), bool)
    for row in range(len(mine)):
        if overlap.shape[1] and overlap[row].max() >= OVERLAP:
            hits[row] = True
            overlap[:, overlap[row].argmax()] = 0.0
    return hits
