"""A contrastive loss with hard negatives: texts that say something else about the same image."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from torch import Tensor


def counterfactual_loss(images: Tensor, texts: Tensor, negatives: Tensor, *, temperature: float = 0.05) -> Tensor:
    """How far images are from their texts, among all texts of a batch and all counterfactual ones (CFT-CLIP, ACL 2024).

    ``images``, ``texts`` and ``negatives`` are embeddings (B x d each, of any length); row i of ``negatives`` is text i
    with another person in it.  For image i it is -log(exp(s(i, i) / t) / sum), where the sum is of exp(s(i, j) / t)
    over all texts j and all negatives j, with cosines s; and the mean over the batch.  There is no term from text to
    image.  Returns a scalar.

    Raises ValueError where the shapes differ.
    """
    import torch

    if not images.shape == texts.shape == negatives.shape or images.ndim != 2:
        raise ValueError(f"three B x d: got {tuple(images.shape)}, {tuple(texts.shape)} and {tuple(negatives.shape)}")
    seen = torch.nn.functional.normalize(images, dim=1)
    said = torch.nn.functional.normalize(torch.cat([texts, negatives]), dim=1)
    own = torch.arange(len(images), device=images.device)
    return torch.nn.functional.cross_entropy(seen @ said.T / temperature, own)
