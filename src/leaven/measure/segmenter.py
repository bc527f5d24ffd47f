"""A small net that colours pixels, trained from nothing: down twice, up again, what was seen on the way down beside it
(Ronneberger et al. 2015, U-Net, arXiv:1505.04597, much smaller)."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from leaven.measure.cnn import alone, drawn, train
from leaven.measure.detector import convolved, pictured
from leaven.measure.trials import Metric

if TYPE_CHECKING:
    import torch

    from leaven.measure.notes import Noted

STEPS, BATCH = 400, 8


class Segmenter:
    """Pictures (side x side x 3, uint8) to the codes of a mask."""

    name = "segmenter"
    metric: Metric = "iou"

    def __init__(self, codes: Sequence[int], steps: int | None = None) -> None:
        self.codes, self.steps = list(codes), STEPS if steps is None else steps

    def truth(self, note: Noted) -> NDArray[np.int64]:
        """Each pixel's place among the codes; -1 where the mask has another, or there is none."""
        found = np.full((1, 1) if note.mask is None else note.mask.shape, -1, np.int64)
        if note.mask is not None:
            for place, code in enumerate(self.codes):
                found[note.mask == code] = place
        return found

    def train_and_predict(
        self,
        pictures: NDArray[np.uint8],
        notes: Sequence[Noted],
        weights: NDArray[np.float64],
        tested: NDArray[np.uint8],
        luck: int,
    ) -> list[NDArray[np.int64]]:
        """Train on rows by their weights; each tested picture's pixels as places among the codes."""
        with alone(luck):
            import torch

            side = pictures.shape[1:3]
            seen = pictured(pictures)
            truth = torch.from_numpy(np.stack([np.broadcast_to(self.truth(note), side) for note in notes]))
            net = _net(len(self.codes))

            def loss(rows: torch.Tensor) -> torch.Tensor:
                return torch.nn.functional.cross_entropy(net(seen[rows]), truth[rows], ignore_index=-1)

            train(net, loss, drawn(weights, self.steps, BATCH, luck))
            net.train(False)
            with torch.no_grad():
                blocks = (tested[i : i + 32] for i in range(0, len(tested), 32))
                said = torch.cat([net(pictured(some)).argmax(dim=1) for some in blocks])
        return list(said.numpy())


def _net(codes: int) -> torch.nn.Module:
    import torch

    class Net(torch.nn.Module):  # type: ignore[misc]  # torch is not followed
        def __init__(self) -> None:
            super().__init__()
            self.down = torch.nn.ModuleList([convolved(3, 24, stride=2), convolved(24, 48), convolved(48, 64)])
            self.up = torch.nn.ModuleList([convolved(64 + 48, 48), convolved(48 + 24, 32)])
            self.head = torch.nn.Conv2d(32, codes, 1)

        def forward(self, x: torch.Tensor) -> torch.Tensor:
            passed = []
            for number, down in enumerate(self.down):
                x = down(torch.nn.functional.max_pool2d(x, 2) if number else x)
                passed.append(x)
            for up, beside in zip(self.up, passed[-2::-1], strict=True):
                x = up(torch.cat([torch.nn.functional.interpolate(x, scale_factor=2.0), beside], dim=1))
            return torch.nn.functional.interpolate(self.head(x), scale_factor=2.0, mode="bilinear")

    return Net()


def mean_iou(
    found: Sequence[NDArray[np.int64]], truth: Sequence[NDArray[np.int64]], codes: Sequence[int],
    weights: NDArray[np.float64],
) -> NDArray[np.float64]:  # fmt: skip
    """For each row of weights (resamples x images) the intersection over the union of all pixels of a code, meant over
    the codes that the true masks hold; 0 is the background and counts only where it is alone."""
    among = [place for place, code in enumerate(codes) if code] or list(range(len(codes)))
    sums, present = np.zeros(len(weights)), np.zeros(len(weights))
    for place in among:
        pairs = [((mine == place) & (true >= 0), true == place) for mine, true in zip(found, truth, strict=True)]
        counts = np.array([((a & b).sum(), (a | b).sum(), b.sum()) for a, b in pairs], np.float64)
        shared, union, true = (weights @ counts).T
        sums += np.divide(shared, union, out=np.zeros_like(shared), where=true > 0)
        present += true > 0
    done: NDArray[np.float64] = sums / np.maximum(present, 1.0)
    return done
