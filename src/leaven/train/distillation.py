"""Distillation: a small student learns what a teacher says, and how sure it is."""

from __future__ import annotations

import torch
from torch import Tensor
from torch.nn.functional import cross_entropy, kl_div, log_softmax, softmax

UNLABELLED = -100
"""The label of a row that has none."""


def distillation_loss(
    student: Tensor, teacher: Tensor, labels: Tensor | None = None, *, temperature: float = 2.0, hard: float = 0.5
) -> Tensor:
    """How far a student is from its teacher, both softened, and from the labels where there are some.

    ``student``, ``teacher``: n x k logits (logarithms of probabilities too); ``labels``: n whole numbers, -100 for a
    row that has none; or None, and no row has one.  For a row it is T^2 KL(softmax(teacher / T), softmax(student / T))
    and ``hard`` times the cross-entropy with its label; and the mean over rows.  T^2 holds the gradient at one size
    whatever the temperature.  Nothing flows into the teacher.  For texts give the tokens that are no pads as rows:
    ``distillation_loss(student[tokens], teacher[tokens], labels[tokens])`` is word-level distillation (Kim and Rush
    2016, arXiv:1606.07947).

    Raises ValueError for shapes that do not fit and a temperature that is not above 0.
    Source: Hinton et al. 2015 (arXiv:1503.02531), whose relative weight of labels for speech is .5 and whose
    temperatures there are 1, 2, 5 and 10.
    """
    if student.ndim != 2 or student.shape != teacher.shape:
        raise ValueError(f"n x k logits twice: got {tuple(student.shape)} and {tuple(teacher.shape)}")
    if labels is not None and labels.shape != student.shape[:1]:
        raise ValueError(f"{len(student)} labels, one a row: got {tuple(labels.shape)}")
    if not temperature > 0:
        raise ValueError(f"temperature is above 0: got {temperature}")
    kind = torch.promote_types(student.dtype, torch.float32)  # halves are too coarse for small differences
    student, wanted = student.to(kind), softmax(teacher.detach().to(kind) / temperature, -1)
    soft = kl_div(log_softmax(student / temperature, -1), wanted, reduction="none").sum(-1)
    loss = temperature**2 * soft
    if labels is not None:
        loss = loss + hard * cross_entropy(student, labels, ignore_index=UNLABELLED, reduction="none")
    return loss.mean()
