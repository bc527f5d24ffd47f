"""GAN-BERT: a classifier that also learns from rows without a label, by telling real vectors from generated ones."""

from __future__ import annotations

import torch
from torch import Tensor, nn
from torch.func import functional_call
from torch.nn.functional import cross_entropy, log_softmax

from leaven.train.distillation import UNLABELLED

SLOPE = 0.2
"""Of LeakyReLU below 0."""


class GanBert(nn.Module):
    """A discriminator of k classes and one more, "generated", and the generator that it plays against.

    ``discriminator_loss, generator_loss = gan(vectors, labels)``.  Give both to ``leaven.train.fit`` with an optimiser
    for each, or their sum to one backward: each reaches its own parameters alone, and the vectors learn from the first.
    So the vectors may be frozen, or those of an encoder that the discriminator's optimiser moves too.  The
    discriminator's loss is the sum of

    - the cross-entropy over the k classes of the rows that have a label, given that they are real (0 if none has one);
    - -log(1 - p) of all rows, where p is the probability of "generated";
    - -log p of as many generated vectors.

    The generator's is -log(1 - p) of its vectors, and the squared distance between the means of the discriminator's
    features of generated and of real rows.  Both halves have one hidden layer of ``hidden`` units, as many as vectors
    have numbers where it is left out, LeakyReLU and ``dropout``; the discriminator drops of its input too.  ``noise``
    numbers of a standard normal become a vector, drawn from torch's own generator as dropout is.

    Source: Croce et al. 2020, GAN-BERT (doi:10.18653/v1/2020.acl-main.191).  (The code released for PyTorch lets each
    loss move both halves, draws the noise from 0 to 1, and takes the mean of the squares for the distance.)
    """

    def __init__(
        self, width: int, classes: int, *, noise: int = 100, hidden: int | None = None, dropout: float = 0.1
    ) -> None:
        super().__init__()
        self.width, self.classes, self.noise = width, classes, noise
        hidden = width if hidden is None else hidden
        self.generator = nn.Sequential(*_layer(noise, hidden, dropout), nn.Linear(hidden, width))
        self.discriminator = _Discriminator(width, classes + 1, hidden, dropout)

    def forward(self, vectors: Tensor, labels: Tensor) -> tuple[Tensor, Tensor]:
        """Two scalars, of n x width vectors and n whole numbers, -100 for a row without a label.

        Raises ValueError for shapes that do not fit.
        """
        if vectors.ndim != 2 or vectors.shape[1] != self.width or labels.shape != vectors.shape[:1]:
            raise ValueError(
                f"n x {self.width} vectors and n labels: got {tuple(vectors.shape)} and {tuple(labels.shape)}"
            )
        n, made = len(vectors), self.generated(len(vectors))
        features, logits = self.discriminator(torch.cat([vectors, made.detach()]))
        real, fake = _chances(logits)
        own = cross_entropy(logits[:n, :-1], labels, ignore_index=UNLABELLED, reduction="sum")
        supervised = own / (labels != UNLABELLED).sum().clamp_min(1)
        held = {name: value.detach() for name, value in self.discriminator.named_parameters()}
        seen, said = functional_call(self.discriminator, held, (made,))
        apart = (seen.mean(0) - features[:n].detach().mean(0)).square().sum()
        return supervised - real[:n].mean() - fake[n:].mean(), apart - _chances(said)[0].mean()

    def classify(self, vectors: Tensor) -> Tensor:
        """n x k logits of n x width vectors, over the k classes."""
        logits: Tensor = self.discriminator(vectors)[1]
        return logits[:, :-1]

    def generated(self, n: int) -> Tensor:
        """n x width vectors out of noise."""
        like = self.generator[0].weight
        made: Tensor = self.generator(torch.randn(n, self.noise, device=like.device, dtype=like.dtype))
        return made


class _Discriminator(nn.Module):
    """Its features, n x hidden, and its logits."""

    def __init__(self, width: int, out: int, hidden: int, dropout: float) -> None:
        super().__init__()
        self.inside = nn.Sequential(nn.Dropout(dropout), *_layer(width, hidden, dropout))
        self.out = nn.Linear(hidden, out)

    def forward(self, vectors: Tensor) -> tuple[Tensor, Tensor]:
        features = self.inside(vectors)
        return features, self.out(features)


def _layer(into: int, out: int, dropout: float) -> list[nn.Module]:
    return [nn.Linear(into, out), nn.LeakyReLU(SLOPE), nn.Dropout(dropout)]


def _chances(logits: Tensor) -> tuple[Tensor, Tensor]:
    """log(1 - p) and log p, where p is the probability of the last class: n numbers each."""
    each = log_softmax(logits, 1)
    return each[:, :-1].logsumexp(1), each[:, -1]
