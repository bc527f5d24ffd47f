"""A small net that finds boxes by their centres, trained from nothing.

On a grid of a quarter of the picture's side it says where a box of each label has its centre, how large it is, and
where in the cell the centre lies (Zhou et al. 2019, Objects as Points, arXiv:1904.07850, much smaller).
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from leaven.measure.cnn import alone, drawn, train
from leaven.measure.notes import SMALL
from leaven.measure.precision import Boxes, overlaps
from leaven.measure.trials import Metric

if TYPE_CHECKING:
    import torch

    from leaven.measure.notes import Noted

STEPS, BATCH = 400, 8
GRID = SMALL // 4
MOST = 100
"""Boxes that are kept of an image, as COCO does."""
LEAST_SCORE = 0.02
TOO_NEAR = 0.6
"""Of two boxes of a label that overlap more, the surer one stays."""


class Detector:
    """Pictures (side x side x 3, uint8) to boxes."""

    name = "detector"
    metric: Metric = "map50"

    def __init__(self, labels: Sequence[str], steps: int | None = None) -> None:
        self.labels, self.steps = list(labels), STEPS if steps is None else steps

    def truth(self, note: Noted) -> Boxes:
        """The boxes of a row whose label is known."""
        known = [i for i, label in enumerate(note.labels) if label in self.labels]
        codes = np.array([self.labels.index(note.labels[i]) for i in known], np.int64)
        return Boxes(note.boxes[known], codes, np.ones(len(known)))

    def train_and_predict(
        self, pictures: NDArray[np.uint8], notes: Sequence[Noted], weights: NDArray[np.float64],
        tested: NDArray[np.uint8], luck: int,
    ) -> list[Boxes]:  # fmt: skip
        """Train on rows by their weights; the boxes of each tested picture."""
        with alone(luck):
            import torch

            seen = pictured(pictures)
            heat, place, here = self._targets([self.truth(note) for note in notes])
            net = _net(len(self.labels))

            def loss(rows: torch.Tensor) -> torch.Tensor:
                said = net(seen[rows])
                return _loss(said, heat[rows], place[rows], here[rows])

            train(net, loss, drawn(weights, self.steps, BATCH, luck))
            net.train(False)
            with torch.no_grad():
                said = torch.cat([net(pictured(tested[i : i + 32])) for i in range(0, len(tested), 32)])
        return [_boxes(one, len(self.labels)) for one in said.numpy().astype(np.float64)]

    def _targets(self, truth: Sequence[Boxes]) -> tuple[torch.Tensor, torch.Tensor, torch.Tensor]:
        """Where centres are (rows x labels x grid x grid, falling off around each), what stands there (log width and
        height in cells, and the centre within its cell), and in which cells."""
        import torch

        heat = np.zeros((len(truth), len(self.labels), GRID, GRID), np.float32)
        place = np.zeros((len(truth), 4, GRID, GRID), np.float32)
        here = np.zeros((len(truth), 1, GRID, GRID), np.float32)
        cells = np.arange(GRID)
        for row, boxes in enumerate(truth):
            for (x, y, w, h), label in zip(boxes.boxes * GRID, boxes.labels, strict=True):
                cx, cy = (min(max(at, 0.0), GRID - 1e-3) for at in (x + w / 2, y + h / 2))
                i, j = int(cy), int(cx)
                down, across = (np.exp(-0.5 * ((cells - at) / (side / 8 + 0.3)) ** 2) for at, side in ((i, h), (j, w)))
                heat[row, label] = np.maximum(heat[row, label], np.outer(down, across))
                place[row, :, i, j] = np.log(max(w, 0.1)), np.log(max(h, 0.1)), cx - j, cy - i
                here[row, 0, i, j] = 1.0
        return torch.from_numpy(heat), torch.from_numpy(place), torch.from_numpy(here)


def pictured(pictures: NDArray[np.uint8]) -> torch.Tensor:
    """Pictures as a net takes them: rows x channels x height x width, -1 to 1."""
    import torch

    return torch.from_numpy(np.ascontiguousarray(pictures)).permute(0, 3, 1, 2).contiguous().float() / 127.5 - 1.0


def convolved(before: int, after: int, apart: int = 1, stride: int = 1) -> torch.nn.Module:
    """A convolution of nine pixels that lie ``apart`` from each other, at every ``stride``-th pixel."""
    import torch

    inside = torch.nn.Conv2d(before, after, 3, stride, apart, apart, bias=False)
    return torch.nn.Sequential(inside, torch.nn.BatchNorm2d(after), torch.nn.ReLU())


def _net(labels: int) -> torch.nn.Module:
    import torch

    head = torch.nn.Conv2d(64, labels + 4, 1)
    assert head.bias is not None
    torch.nn.init.constant_(head.bias[:labels], -2.2)  # most cells hold no centre
    seen = (convolved(48, 64), convolved(64, 64, 2), convolved(64, 64, 4))
    return torch.nn.Sequential(convolved(3, 24, stride=2), convolved(24, 48, stride=2), *seen, head)


def _loss(said: torch.Tensor, heat: torch.Tensor, place: torch.Tensor, here: torch.Tensor) -> torch.Tensor:
    """Focal on centres, absolute on sizes and places of the cells that have one."""
    import torch

    labels = heat.shape[1]
    guess = torch.sigmoid(said[:, :labels]).clamp(1e-4, 1 - 1e-4)
    sure = heat >= 1.0
    focal = torch.where(sure, (1 - guess) ** 2 * torch.log(guess), (1 - heat) ** 4 * guess**2 * torch.log(1 - guess))
    centres = here.sum().clamp(min=1.0)
    return (-focal.sum() + ((said[:, labels:] - place).abs() * here).sum() * 0.5) / centres


def _boxes(said: NDArray[np.float64], labels: int) -> Boxes:
    """The surest centres that are the highest of their neighbours, as boxes in shares of the image."""
    heat = 1.0 / (1.0 + np.exp(-said[:labels]))
    padded = np.pad(heat, ((0, 0), (1, 1), (1, 1)))
    around = np.lib.stride_tricks.sliding_window_view(padded, (3, 3), axis=(1, 2)).max(axis=(3, 4))
    label, i, j = np.nonzero((heat >= around) & (heat >= LEAST_SCORE))
    scores = heat[label, i, j]
    order = np.argsort(-scores, kind="stable")[: 3 * MOST]
    label, i, j, scores = label[order], i[order], j[order], scores[order]
    w, h = np.exp(np.clip(said[labels : labels + 2, i, j], -3.0, 4.0))
    dx, dy = np.clip(said[labels + 2 :, i, j], 0.0, 1.0)
    boxes = np.stack([j + dx - w / 2, i + dy - h / 2, w, h], axis=1) / GRID
    high = np.clip(boxes[:, :2] + boxes[:, 2:], 0.0, 1.0)
    boxes[:, :2] = np.clip(boxes[:, :2], 0.0, 1.0)
    boxes[:, 2:] = high - boxes[:, :2]
    overlap = overlaps(boxes, boxes) * (label[:, None] == label[None])
    keep: list[int] = []
    for row in range(len(boxes)):
        if not keep or overlap[row, keep].max() <= TOO_NEAR:
            keep.append(row)
    keep = keep[:MOST]
    return Boxes(boxes[keep], label[keep], scores[keep])
