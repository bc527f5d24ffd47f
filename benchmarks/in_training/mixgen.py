"""MixGen for retrieval: two small heads over frozen features, trained by the contrastive loss.

python -m benchmarks.in_training.mixgen REVIEWS.csv COCO_FOLDER

Two sets of pairs.  Photographs and captions are what MixGen was made for: pixels are mixed and looked at anew, but
there are 30 photographs to learn from and 15 to find.  Reviews of clothes and their titles are more, 200 to find; what
is mixed there in the place of pixels is the review's vector.  The joined text is read anew in both.
"""

from __future__ import annotations

import json
import sys
from collections.abc import Callable
from functools import cache, partial
from pathlib import Path
from typing import NamedTuple

import numpy as np
import pandas as pd
import torch
from numpy.typing import NDArray
from torch import Tensor, nn
from torch.nn.functional import cross_entropy, normalize

from benchmarks.in_training.paired import Arm, paired
from leaven.media.image import Image
from leaven.models.backends.image_features import SIDE, features
from leaven.models.backends.wordllama import DIMENSIONS, WordLlama
from leaven.train import Batches, alone, fit, mixgen, mixup

ROWS, TEST = 400, 200
STEPS = 300
TEMPERATURE = 0.07
RATE, DECAY = 3e-4, 1e-3
"""The rate was chosen on some of the reviews to learn from, by those left out, without augmentation."""


class Pairs(NamedTuple):
    """What can be mixed (n x ... floats), its features (n x width), and the texts of each: one or more."""

    shown: Tensor
    seen: Tensor
    texts: list[list[str]]

    def rows(self, some: NDArray[np.int64]) -> Pairs:
        return Pairs(self.shown[some], self.seen[some], [self.texts[i] for i in some])


class Set(NamedTuple):
    split: Callable[[int], tuple[Pairs, Pairs]]
    look: Callable[[Tensor], Tensor]
    """The features of what was mixed."""
    batch: int


class Heads(nn.Module):
    """A linear layer for each side to the width of texts; from vectors of texts it begins as what changes nothing."""

    def __init__(self, width: int) -> None:
        super().__init__()
        self.image, self.text = nn.Linear(width, DIMENSIONS), nn.Linear(DIMENSIONS, DIMENSIONS)
        for layer in (self.image, self.text):
            if layer.in_features == DIMENSIONS:
                nn.init.eye_(layer.weight)
                nn.init.zeros_(layer.bias)

    def forward(self, seen: Tensor, read: Tensor) -> Tensor:
        """Cosines of all with all over the temperature, n x m."""
        return normalize(self.image(seen), dim=1) @ normalize(self.text(read), dim=1).T / TEMPERATURE


@cache
def reader() -> WordLlama:
    return WordLlama()


def read(texts: list[str]) -> Tensor:
    return torch.from_numpy(reader().embed(texts))


def titles(file: Path) -> Callable[[int], tuple[Pairs, Pairs]]:
    """Reviews that have a title which no other has; 200 are always those to find."""
    rows = pd.read_csv(file)[["Title", "Review Text"]].dropna()
    rows = rows[~rows["Title"].str.lower().str.strip().duplicated(keep=False)]
    vectors = read(list(rows["Review Text"]))
    every = Pairs(vectors, vectors, [[title] for title in rows["Title"]])
    order = np.random.default_rng(0).permutation(len(rows))

    def split(seed: int) -> tuple[Pairs, Pairs]:
        chosen = np.random.default_rng([1, seed]).permutation(order[TEST:])[:ROWS]
        return every.rows(chosen), every.rows(order[:TEST])

    return split


def looked(shown: Tensor) -> Tensor:
    """leaven's features of images, n x side x side x 3 floats from 0 to 255."""
    return torch.from_numpy(np.stack([features(image) for image in shown.round().byte().numpy()]))


def captions(folder: Path, part: str) -> Pairs:
    said = json.loads((folder / "annotations" / f"captions_{part}.json").read_text())
    names = {image["id"]: image["file_name"] for image in said["images"]}
    texts: dict[int, list[str]] = {one: [] for one in names}
    for caption in said["annotations"]:
        texts[caption["image_id"]].append(caption["caption"].strip())
    shown = torch.stack([squared(folder / part / name) for name in names.values()])
    return Pairs(shown, looked(shown), list(texts.values()))


def squared(path: Path) -> Tensor:
    import cv2

    return torch.from_numpy(
        cv2.resize(Image(path.read_bytes()).pixels, (SIDE, SIDE), interpolation=cv2.INTER_AREA)
    ).float()


Loss = Callable[[Heads, Pairs, np.random.Generator], Tensor]
"""Of a batch: what its pairs are, with a text each."""


def contrast(logits: Tensor) -> Tensor:
    own = torch.arange(len(logits))
    return (cross_entropy(logits, own) + cross_entropy(logits.T, own)) / 2


def plain(net: Heads, batch: Pairs, draws: np.random.Generator) -> Tensor:
    return contrast(net(batch.seen, read([text for [text] in batch.texts])))


def both_mixed(net: Heads, batch: Pairs, draws: np.random.Generator) -> Tensor:
    """Mixup of a pair's two vectors by the same lam with the same other pair: the mixtures belong together."""
    vectors = torch.cat([batch.seen, read([text for [text] in batch.texts])], dim=1)
    mixed, _ = mixup(vectors, torch.arange(len(vectors)), alpha=0.2, generator=draws, classes=len(vectors))
    return contrast(net(*mixed.split([batch.seen.shape[1], DIMENSIONS], dim=1)))


def joined(net: Heads, batch: Pairs, draws: np.random.Generator, look: Callable[[Tensor], Tensor]) -> Tensor:
    """A quarter of the batch, as published; only what was mixed is looked at anew."""
    num = len(batch.texts) // 4
    shown, texts = mixgen(batch.shown, [text for [text] in batch.texts], num)
    return contrast(net(torch.cat([look(shown[:num]), batch.seen[num:]]), read(texts)))


def trained(pairs: Set, loss: Loss, seed: int) -> NDArray[np.float64]:
    """Train on a seed's pairs; of each pair to find the share of its texts that find it first, of all."""
    learnt, tested = pairs.split(seed)
    draws = np.random.default_rng([2, seed])
    with alone(seed):
        net = Heads(learnt.seen.shape[1])
        optimiser = torch.optim.AdamW(net.parameters(), lr=RATE, weight_decay=DECAY)

        def of(some: Tensor) -> Tensor:
            batch = learnt.rows(some.numpy())
            return loss(net, batch._replace(texts=[[str(draws.choice(each))] for each in batch.texts]), draws)

        fit(of, optimiser, Batches(len(learnt.texts), pairs.batch, seed=seed, whole=True), steps=STEPS)
        with torch.no_grad():
            first = net(tested.seen, read([text for each in tested.texts for text in each])).argmax(0)
    owner = np.repeat(np.arange(len(tested.texts)), [len(each) for each in tested.texts])
    right = first.numpy() == owner
    return np.array([right[owner == one].mean() for one in range(len(tested.texts))])


def arms(pairs: Set) -> dict[str, Arm]:
    return {
        "nothing": partial(trained, pairs, plain),
        "mixup of both vectors (0.2)": partial(trained, pairs, both_mixed),
        "MixGen (a quarter, 0.5)": partial(trained, pairs, partial(joined, look=pairs.look)),
    }


def sets(file: Path, folder: Path) -> dict[str, Set]:
    photographs, to_find = captions(folder, "train2017"), captions(folder, "val2017")
    return {
        "A caption finds its photograph of 15": Set(lambda seed: (photographs, to_find), looked, 20),
        "A title finds its review of 200": Set(titles(file), lambda shown: shown, 64),
    }


if __name__ == "__main__":
    for name, pairs in sets(Path(sys.argv[1]), Path(sys.argv[2])).items():
        print(f"{name}, recall at 1\n\n{paired(arms(pairs)).replace('accuracy', 'recall at 1')}\n", flush=True)
