"""Cut-Switch on photographs as three registered maps, each read by a branch of its own.

python -m benchmarks.in_training.cut_switch CIFAR10_FOLDER

The maps are made of one photograph and stand for three sensors: blurred luminance (where light is, as in a depth map),
the strength of edges, and how warm the colour is.  Each is normalised over all photographs.
"""

from __future__ import annotations

import sys
from collections.abc import Callable
from functools import cache, partial
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn
from torch.nn.functional import cross_entropy

from benchmarks.in_training.paired import Arm, paired
from leaven.media.image import Image
from leaven.train import Batches, alone, cut_switch, cutmix, fit, mixup

ROWS, STEPS, BATCH = 300, 200, 32
CHANNELS, DROP = 8, 0.1
RATE, DECAY = 3e-3, 1e-3
MAPS = ("luminance", "edges", "warmth")


class Photographs(nn.Module):
    """A branch a map: three convolutions, the last one averaged over the map; and a linear layer over all of them."""

    def __init__(self, labels: int) -> None:
        super().__init__()
        self.branches = nn.ModuleList(branch() for _ in MAPS)
        self.head = nn.Sequential(nn.Dropout(DROP), nn.Linear(len(MAPS) * 3 * CHANNELS, labels))

    def features(self, maps: Tensor) -> Tensor:
        """Of n x 3 x height x width."""
        return torch.cat([own(maps[:, [i]]) for i, own in enumerate(self.branches)], dim=1)

    def forward(self, maps: Tensor) -> Tensor:
        return self.head(self.features(maps))


def branch() -> nn.Sequential:
    layers: list[nn.Module] = []
    for into, out in ((1, CHANNELS), (CHANNELS, 2 * CHANNELS), (2 * CHANNELS, 3 * CHANNELS)):
        layers += [nn.Conv2d(into, out, 3, padding=1), nn.BatchNorm2d(out), nn.ReLU(), nn.MaxPool2d(2)]
    return nn.Sequential(*layers, nn.AdaptiveAvgPool2d(1), nn.Flatten())


@cache
def photographs(folder: Path) -> tuple[Tensor, Tensor]:
    """n x 3 x 32 x 32 maps, and n labels."""
    paths = sorted(folder.glob("*/*.jpg"))
    names = sorted({path.parent.name for path in paths})
    maps = np.stack([of_pixels(Image(path.read_bytes()).pixels) for path in paths])
    return torch.from_numpy(maps), torch.tensor([names.index(path.parent.name) for path in paths])


def of_pixels(pixels: NDArray[np.uint8]) -> NDArray[np.float32]:
    import cv2

    shown = pixels.astype(np.float32) / 255
    gray = shown @ np.array([0.299, 0.587, 0.114], np.float32)
    edges = np.hypot(cv2.Sobel(gray, cv2.CV_32F, 1, 0), cv2.Sobel(gray, cv2.CV_32F, 0, 1))
    return np.stack([cv2.GaussianBlur(gray, (0, 0), 2.0), edges, shown[..., 0] - shown[..., 2]])


Loss = Callable[[Photographs, Tensor, Tensor, np.random.Generator], Tensor]


def plain(net: Photographs, maps: Tensor, labels: Tensor, draws: np.random.Generator) -> Tensor:
    return cross_entropy(net(maps), labels)


def mixed(net: Photographs, maps: Tensor, labels: Tensor, draws: np.random.Generator, of: str) -> Tensor:
    """Of other rows: mixup of all maps, CutMix with one box for all maps, or mixup of the features."""
    if of == "cutmix":
        return cross_entropy(*of_net(net, cutmix(maps, labels, generator=draws, classes=5)))
    if of == "mixup":
        return cross_entropy(*of_net(net, mixup(maps, labels, alpha=0.2, generator=draws, classes=5)))
    z, shares = mixup(net.features(maps), labels, alpha=2.0, generator=draws, classes=5)
    return cross_entropy(net.head(z), shares)


def of_net(net: Photographs, batch: tuple[Tensor, Tensor]) -> tuple[Tensor, Tensor]:
    return net(batch[0]), batch[1]


def switched(net: Photographs, maps: Tensor, labels: Tensor, draws: np.random.Generator) -> Tensor:
    each = cut_switch(list(maps.split(1, dim=1)), p=0.5, generator=draws)
    return cross_entropy(net(torch.cat(each, dim=1)), labels)


def trained(folder: Path, loss: Loss, lacking: dict[int, list[NDArray[np.float64]]], seed: int) -> NDArray[np.float64]:
    """Train on a seed's photographs; which of the others are right.

    ``lacking`` takes, seed by seed, which are right without one of the maps, the mean over the three.
    """
    maps, labels = photographs(folder / "train")
    shown, wanted = photographs(folder / "test")
    centre, spread = maps.mean((0, 2, 3), keepdim=True), maps.std((0, 2, 3), keepdim=True)
    maps, shown = (maps - centre) / spread, (shown - centre) / spread
    chosen = torch.from_numpy(np.random.default_rng([1, seed]).permutation(len(maps))[:ROWS])
    maps, labels, draws = maps[chosen], labels[chosen], np.random.default_rng([2, seed])
    with alone(seed):
        net = Photographs(5)
        optimiser = torch.optim.AdamW(net.parameters(), lr=RATE, weight_decay=DECAY)
        net.train()
        batches = Batches(ROWS, BATCH, seed=seed)
        fit(lambda some: loss(net, maps[some], labels[some], draws), optimiser, batches, steps=STEPS)
        net.train(False)
        with torch.no_grad():
            without = [shown * (torch.arange(len(MAPS)) != i)[:, None, None] for i in range(len(MAPS))]
            lacking[seed] = [(net(part).argmax(1) == wanted).double().numpy() for part in without]
            return (net(shown).argmax(1) == wanted).double().numpy()


ARMS: dict[str, Loss] = {
    "nothing": plain,
    "mixup (0.2)": partial(mixed, of="mixup"),
    "manifold mixup (2)": partial(mixed, of="features"),
    "CutMix (1)": partial(mixed, of="cutmix"),
    "Cut-Switch (0.5)": switched,
}


if __name__ == "__main__":
    lacking: dict[str, dict[int, list[NDArray[np.float64]]]] = {name: {} for name in ARMS}
    arms: dict[str, Arm] = {
        name: partial(trained, Path(sys.argv[1]), loss, lacking[name]) for name, loss in ARMS.items()
    }
    print(paired(arms))
    print("\nThe same nets where one of the three maps is 0, the mean over which:\n")
    print(paired({name: partial(lambda found, seed: np.mean(found[seed], 0), lacking[name]) for name in ARMS}))
