"""SLUMA's losses beside its rising cut (ACM MM 2024): pseudo-labels above a threshold, and distances smoothed.

The paper's formulas are not public: these are what its text says.  ``RisingCut`` keeps the mean confidence, e, by which
made rows are chosen (alpha .99) and which is the threshold on pseudo-labels (alpha .999).
"""

from __future__ import annotations

import torch
from torch import Tensor
from torch.nn.functional import cross_entropy, normalize


def pseudo_label_loss(logits: Tensor, threshold: float, teacher: Tensor | None = None) -> Tensor:
    """Cross-entropy with the label that is thought likeliest, for rows that are thought likelier than ``threshold``.

    ``logits``: n x k; ``teacher``: n x k logits that say the labels, those of the student itself where left out.  The
    sum over sure rows by n, so that few of them count little; 0 where there are none.  No gradient reaches the teacher.
    """
    sure, labels = (logits if teacher is None else teacher).detach().softmax(dim=1).max(dim=1)
    each = cross_entropy(logits, labels, reduction="none")
    return (each * (sure > threshold)).sum() / max(1, len(logits))


def distance_smoothing(
    vectors: Tensor, alike: Tensor | None = None, *, threshold: float = 0.9, margin: float = 1.0
) -> Tensor:
    """Pull what is alike together and push what is not beyond ``margin``, the more the farther the two lie apart.

    For each vector i, each j that is like it and each k that is not: s (d_ij^2 + max(0, margin - d_ik)^2), with
    Euclidean distances d and s = sigmoid(d_ik - d_ij), through which no gradient goes; the mean over all such triples.
    It is 0 only where all d_ij are 0 and all d_ik at least ``margin``; and where there are no triples.

    ``vectors``: n x d.  ``alike``: n x n true or false, the same both ways; where left out, whether the cosine of two
    vectors is above ``threshold``.
    """
    n = len(vectors)
    if vectors.ndim != 2 or (alike is not None and alike.shape != (n, n)):
        shapes = [tuple(given.shape) for given in (vectors, alike) if given is not None]
        raise ValueError(f"vectors are n x d and alike n x n: got {shapes}")
    if alike is None:
        unit = normalize(vectors.detach(), dim=1)
        alike = unit @ unit.T > threshold
    own = torch.eye(n, dtype=torch.bool, device=vectors.device)
    near, far = alike & ~own, ~alike & ~own
    difference = vectors[:, None] - vectors[None]
    square = difference.square().sum(-1)
    # The root of 0 has no gradient: where two are equal it stands still.
    away = torch.where(square > 0, square, torch.ones_like(square)).sqrt() * (square > 0)
    pull, push = square, (margin - away).clamp_min(0).square()
    gap = torch.sigmoid(away[:, None, :] - away[:, :, None]).detach()  # i, j, k
    triples = near[:, :, None] & far[:, None, :]
    each = gap * (pull[:, :, None] + push[:, None, :])
    return (each * triples).sum() / triples.sum().clamp_min(1)
