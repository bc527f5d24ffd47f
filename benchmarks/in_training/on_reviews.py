"""Reviews of clothes (text, title, table), few of them labelled: what learns from the others, and from a larger net.

    python -m benchmarks.in_training.on_reviews REVIEWS.csv

The settings are those of the benchmarks on texts: nothing is chosen here.
"""

from __future__ import annotations

import sys
from functools import partial
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor
from torch.nn.functional import cross_entropy

from benchmarks.in_training.clothing import TEST, reviews
from benchmarks.in_training.paired import paired
from leaven.train import (
    Batches,
    BilevelWeights,
    DiffusionViews,
    GanBert,
    RisingCut,
    alone,
    distance_smoothing,
    distillation_loss,
    fit,
    info_nce,
    mixup,
    pseudo_label_loss,
)

EACH, HIDDEN = 20, 128
STEPS, BATCH, RATE = 300, 32, 2e-3
ROUNDS, VIEWS, CODE = 60, 10, 16
ALPHA = {"ema .99": 0.99, "ema .999": 0.999}


def parts(file: Path, seed: int) -> tuple[Tensor, Tensor, Tensor, Tensor, Tensor]:
    """Labelled rows and their labels, rows without, test rows and theirs: modalities side by side, the text last."""
    every = reviews(file)
    x = torch.cat([every.title, every.table, every.text], dim=1)
    once, rng = np.random.default_rng(0), np.random.default_rng([1, seed])
    orders = [once.permutation(np.flatnonzero(every.label.numpy() == label)) for label in (0, 1)]
    test = np.concatenate([order[:TEST] for order in orders])
    mixed = [rng.permutation(order[TEST:]) for order in orders]
    own, rest = (np.concatenate([order[some] for order in mixed]) for some in (slice(EACH), slice(EACH, None)))
    return x[own], every.label[own], x[rest], x[test], every.label[test]


def weights_of(model: GanBert, x: Tensor, y: Tensor, seed: int) -> Tensor:
    """SunGen's, the mean made 1 within each label."""
    weights, first = BilevelWeights(y), {name: value.clone() for name, value in model.state_dict().items()}
    outer = torch.optim.Adam([weights.theta], lr=0.25)

    def loss(some: Tensor) -> Tensor:
        return (weights(some).detach() * cross_entropy(model.classify(x[some]), y[some], reduction="none")).mean()

    for step in range(ROUNDS):
        model.load_state_dict(first)
        model.train()
        inner = torch.optim.Adam(model.discriminator.parameters(), lr=RATE)
        fit(loss, inner, Batches(len(y), BATCH, seed=1000 * seed + step), steps=10)
        model.eval()
        weights.backward(lambda some: model.classify(x[some]), model.discriminator.parameters())
        outer.step()
    model.load_state_dict(first)
    found = weights().detach()
    return found / (torch.zeros(2).index_add(0, y, found) / torch.bincount(y))[y]


def views_of(x: Tensor, other: Tensor, seed: int, strength: float) -> Tensor:
    """Views x labelled rows x numbers; the condition is where a row lies along the 16 main directions of all rows."""
    every = torch.cat([x, other])
    middle = every.mean(0)
    axes = torch.pca_lowrank(every - middle, q=CODE, niter=4)[2]
    codes = (every - middle) @ axes
    codes = codes / codes.std(0)
    model = DiffusionViews(every.shape[1], CODE, mean=middle, std=every.std())
    optimiser = torch.optim.AdamW(model.parameters(), lr=RATE)
    fit(lambda some: model(every[some], codes[some]), optimiser, Batches(len(every), 128, seed=seed), steps=600)
    n = len(x)
    drawn = model.draw(x.repeat(VIEWS, 1), codes[:n].repeat(VIEWS, 1), strength=strength)
    return drawn.view(VIEWS, n, -1)


def trained(file: Path, how: str, seed: int) -> NDArray[np.float64]:
    x, y, other, tested, truth = parts(file, seed)
    draws = np.random.default_rng([3, seed])
    with alone(seed):
        model = GanBert(x.shape[1], 2, hidden=HIDDEN)
        weights = weights_of(model, x, y, seed) if how == "weights" else torch.ones(len(y))
        views = views_of(x, other, seed, float(how.split()[1])) if how.startswith("views") else x[None]
        cut = RisingCut(labels=2, alpha=ALPHA.get(how, 0.99))
        more, none = iter(Batches(len(other), BATCH, seed=seed + 100)), torch.full((BATCH,), -100)
        model.train()

        def loss(some: Tensor) -> Tensor | tuple[Tensor, Tensor]:
            rows, labels = x[some], y[some]
            if how == "gan":
                extra = other[next(more)]
                return model(torch.cat([rows, extra]), torch.cat([labels, none[: len(extra)]]))
            if how == "mixup":
                rows, shares = mixup(rows, labels, alpha=0.2, generator=draws, classes=2)
                return cross_entropy(model.classify(rows), shares)
            features, logits = model.discriminator(rows)
            own = (weights[some] * cross_entropy(logits[:, :-1], labels, reduction="none")).mean()
            if how == "smoothing":
                return own + 0.1 * distance_smoothing(features, labels[:, None] == labels)
            if how.startswith("views"):
                beside = views[torch.from_numpy(draws.integers(0, VIEWS, len(some))), some]
                return own + 0.1 * info_nce(features, model.discriminator(beside)[0])
            if how in ("fixed", *ALPHA):
                said = model.classify(other[next(more)])
                cut.update(said.detach().softmax(1))
                return own + pseudo_label_loss(said, 0.95 if how == "fixed" else cut.e)
            return own

        torch.manual_seed(seed)
        halves = [model.discriminator, model.generator] if how == "gan" else [model.discriminator]
        optimisers = [torch.optim.AdamW(half.parameters(), lr=RATE) for half in halves]
        fit(loss, optimisers, Batches(len(y), BATCH, seed=seed), steps=STEPS)
        return right(model, tested, truth)


def taught(file: Path, how: str, seed: int) -> NDArray[np.float64]:
    """A student that sees title and table, and a teacher that sees the text too."""
    x, y, other, tested, truth = parts(file, seed)
    seen = x.shape[1] - 256
    draws = np.random.default_rng([3, seed])
    with alone(seed):
        teacher, student = GanBert(x.shape[1], 2, hidden=HIDDEN), GanBert(seen, 2, hidden=HIDDEN)
        optimiser = torch.optim.AdamW(teacher.discriminator.parameters(), lr=RATE)
        batches = Batches(len(y), BATCH, seed=seed)
        fit(lambda some: cross_entropy(teacher.classify(x[some]), y[some]), optimiser, batches, steps=STEPS)
        teacher.eval()
        if how == "teacher":
            return right(teacher, tested, truth)
        every = torch.cat([x, other]) if how == "all" else x
        labels = torch.cat([y, torch.full((len(every) - len(y),), -100)])
        with torch.no_grad():
            says = teacher.classify(every)

        def loss(some: Tensor) -> Tensor:
            rows = every[some, :seen]
            if how == "mixup":
                rows, shares = mixup(rows, labels[some], alpha=0.2, generator=draws, classes=2)
                return cross_entropy(student.classify(rows), shares)
            if how == "nothing":
                return cross_entropy(student.classify(rows), labels[some])
            return distillation_loss(student.classify(rows), says[some], labels[some])

        torch.manual_seed(seed)
        optimiser = torch.optim.AdamW(student.discriminator.parameters(), lr=RATE)
        fit(loss, optimiser, Batches(len(every), BATCH, seed=seed), steps=STEPS)
        return right(student, tested[:, :seen], truth)


def right(model: GanBert, tested: Tensor, truth: Tensor) -> NDArray[np.float64]:
    model.eval()
    with torch.no_grad():
        return (model.classify(tested).argmax(1) == truth).double().numpy()


if __name__ == "__main__":
    where = Path(sys.argv[1])
    named = {
        "nothing": "nothing",
        "mixup (0.2)": "mixup",
        "pseudo-labels above .95": "fixed",
        "SLUMA: above the student's mean, alpha .99": "ema .99",
        "SLUMA: above the student's mean, alpha .999": "ema .999",
        "SLUMA: distance smoothing (0.1)": "smoothing",
        "SunGen's weights, their mean 1 in each label": "weights",
        "GAN-BERT, with the rows without a label": "gan",
        "diffusion views of strength 1, as positives": "views 1",
        "diffusion views of strength 0.25, as positives": "views 0.25",
    }
    print(paired({name: partial(trained, where, how) for name, how in named.items()}))
    print("\nA student that does not see the text, and its teacher that does:\n")
    others = {"nothing": "nothing", "mixup (0.2)": "mixup", "distilled, labelled rows": "labelled"}
    others |= {"distilled, rows without a label too": "all", "the teacher itself": "teacher"}
    print(paired({name: partial(taught, where, how) for name, how in others.items()}))
