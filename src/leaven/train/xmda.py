"""XmDA: frames of signs mixed with the embeddings of their glosses, so that two modalities of a sentence meet.

A recogniser with a CTC head gives the posteriors of glosses for each frame; ``forced_alignment`` says which frames are
which gloss, ``cross_modality_mixup`` puts the gloss in the place of some of them, and ``xmda_loss`` trains on both.
"""

from __future__ import annotations

import torch
from torch import Tensor
from torch.nn.functional import cross_entropy, ctc_loss

from leaven.train.divergence import jensen_shannon

PAD = -1
"""Where an alignment has no gloss."""
LEAST = -1e4
"""What a logarithm of 0 counts for in an alignment, so that one is found whatever the posteriors say."""


def forced_alignment(log_probs: Tensor, glosses: Tensor, frames: Tensor, lengths: Tensor) -> Tensor:
    """Which gloss of its sentence each frame is: the segments with the highest sum of log-probabilities.

    ``log_probs``: B x T x k, of each frame, over the glosses (and a blank, which nobody is); ``glosses``: B x U whole
    numbers, the sentences; ``frames`` and ``lengths``: B each, how many of T and of U count.  Gives B x T places from 0
    to ``lengths - 1``, in order, each for one frame at least, and -1 at pads: for six frames of which three are clearly
    the first of two glosses [0, 0, 0, 1, 1, 1].  What the blank takes of a frame it takes from all glosses alike, so
    the posteriors of CTC are given as they are.  Found by Viterbi's algorithm, over all frames at once and a step a
    gloss; no gradient.

    Raises ValueError for shapes and glosses that do not fit, and where a sentence has fewer frames than glosses.
    Source: XmDA, Ye et al. 2023 (arXiv:2305.11096).  (The released code has a heuristic that gives [0, 1, 1, 1, 1, 1].)
    """
    _check_shapes(log_probs, glosses, frames, lengths)
    _check_lengths(log_probs, glosses, frames, lengths)
    batch, most = log_probs.shape[:2]
    own = glosses.clamp(0, log_probs.shape[2] - 1)[:, None].expand(-1, most, -1)  # what stands at pads is never read
    each = _wide(log_probs.detach()).gather(2, own).clamp_min(LEAST)
    each = each - each.amax(2, keepdim=True)  # the same for every alignment, and the sums stay small
    sums = each.cumsum(1)  # of frames up to t, all of them gloss u
    before = sums - each
    moments = torch.arange(most, device=log_probs.device)
    best = sums[:, :, 0]  # of alignments whose frame t is gloss u
    starts = [torch.zeros_like(frames)[:, None].expand(-1, most)]
    for u in range(1, glosses.shape[1]):
        entered = torch.full_like(best, -torch.inf)  # where gloss u begins at t, and t - 1 is the last of u - 1
        entered[:, 1:] = best[:, :-1] - before[:, 1:, u]
        highest, start = entered.cummax(1)
        best = highest + sums[:, :, u]
        starts.append(start)
    begun = torch.stack(starts, dim=2)  # B x T x U: where gloss u begins if frame t is one of it
    last, places = frames - 1, torch.full((batch, most), PAD, device=log_probs.device, dtype=torch.long)
    rows = torch.arange(batch, device=log_probs.device)
    for u in range(glosses.shape[1] - 1, -1, -1):
        there = u < lengths
        start = begun[rows, last.clamp_min(0), u]
        inside = (moments >= start[:, None]) & (moments <= last[:, None]) & there[:, None]
        places = torch.where(inside, u, places)
        last = torch.where(there, start - 1, last)
    return places


def cross_modality_mixup(
    frames: Tensor, glosses: Tensor, places: Tensor, *, lam: float = 0.6, generator: torch.Generator | None = None
) -> Tensor:
    """Each segment as it was signed with chance ``lam``, else the embedding of its gloss at every frame of it.

    ``frames``: B x T x d embeddings; ``glosses``: B x U x d embeddings of the sentence; ``places``: B x T, what
    ``forced_alignment`` gave.  Gives B x T x d in the type of ``frames``; pads (-1) are left as they are.  A number
    from 0 to 1 is drawn for each gloss, from ``generator`` (of any device), or as nn.Dropout draws.  It is for
    training: what is translated later are signs alone.

    Raises ValueError for shapes that do not fit and a ``lam`` that is no chance.
    Source: XmDA, Ye et al. 2023 (arXiv:2305.11096), whose lam is .6.  (The released code
    compares numbers of glosses with lam in place of a draw, so that nothing is mixed.)
    """
    batch, _, width = frames.shape if frames.ndim == 3 else (0, 0, 0)
    if frames.ndim != 3 or places.shape != frames.shape[:2]:
        raise ValueError(f"B x T x d frames and B x T places: got {tuple(frames.shape)} and {tuple(places.shape)}")
    if glosses.ndim != 3 or glosses.shape[0] != batch or glosses.shape[2] != width:
        raise ValueError(f"B x U x d glosses for {tuple(frames.shape)} frames: got {tuple(glosses.shape)}")
    if not 0 <= lam <= 1:
        raise ValueError(f"lam is a chance from 0 to 1: got {lam}")
    device = frames.device if generator is None else generator.device
    drawn = torch.rand(glosses.shape[:2], generator=generator, device=device).to(frames.device)
    at = places.clamp_min(0)
    signed = (drawn < lam).gather(1, at) | (places < 0)  # below: so all at 1, and none at 0
    spelled = glosses.to(frames.dtype).gather(1, at[..., None].expand_as(frames))
    return torch.where(signed[..., None], frames, spelled)


def xmda_loss(
    log_probs: Tensor,
    glosses: Tensor,
    frames: Tensor,
    lengths: Tensor,
    signed: Tensor,
    mixed: Tensor,
    targets: Tensor,
    *,
    blank: int = 0,
    pad: int = -100,
    consistency: float = 1.0,
) -> Tensor:
    """CTC of the signs, the text told from signs and from the mixture, and how far these two are apart.

    ``log_probs``: B x T x k of glosses, with ``glosses``, ``frames`` and ``lengths`` as in ``forced_alignment``;
    ``signed`` and ``mixed``: B x L x w, a decoder's logits of the text, over the encoded signs and the encoded mixture;
    ``targets``: B x L whole numbers, ``pad`` where there is no token.  Each of the four is a sum over a sentence, and
    the mean over the batch is taken; a sentence that CTC cannot read, for its frames are too few, adds 0 to it.

    The plain sum is the paper's (Ye et al. 2023, arXiv:2305.11096).  The released code weighs
    texts by 3 and the divergence (``consistency``) by 45, does not leave out pads, and adds a divergence of embeddings
    that are no distributions; that is left out.

    Raises ValueError for shapes that do not fit.
    """
    _check_shapes(log_probs, glosses, frames, lengths)
    if signed.ndim != 3 or signed.shape != mixed.shape or targets.shape != signed.shape[:2]:
        shapes = f"{tuple(signed.shape)}, {tuple(mixed.shape)} and {tuple(targets.shape)}"
        raise ValueError(f"B x L x w logits twice and B x L targets: got {shapes}")
    if len(signed) != len(log_probs):
        raise ValueError(f"{len(log_probs)} sentences signed and {len(signed)} told")
    signed, mixed, heard = _wide(signed), _wide(mixed), _wide(log_probs).transpose(0, 1)
    read = ctc_loss(heard, glosses, frames, lengths, blank=blank, reduction="sum", zero_infinity=True)
    told = sum(
        cross_entropy(logits.flatten(0, 1), targets.flatten(), ignore_index=pad, reduction="sum")
        for logits in (signed, mixed)
    )
    apart = jensen_shannon(signed, mixed)[targets != pad].sum()
    return (read + told + consistency * apart) / len(signed)


def _wide(x: Tensor) -> Tensor:
    """In float32 at least: sums of many small terms, which CTC does not take in halves."""
    return x.to(torch.promote_types(x.dtype, torch.float32))


def _check_shapes(log_probs: Tensor, glosses: Tensor, frames: Tensor, lengths: Tensor) -> None:
    if log_probs.ndim != 3 or glosses.ndim != 2 or len(glosses) != len(log_probs):
        raise ValueError(f"B x T x k and B x U: got {tuple(log_probs.shape)} and {tuple(glosses.shape)}")
    if frames.shape != lengths.shape or frames.shape != glosses.shape[:1]:
        raise ValueError(f"B frames and B lengths: got {tuple(frames.shape)} and {tuple(lengths.shape)}")


def _check_lengths(log_probs: Tensor, glosses: Tensor, frames: Tensor, lengths: Tensor) -> None:
    most = f"{log_probs.shape[1]} frames and {glosses.shape[1]} glosses"
    if (frames > log_probs.shape[1]).any() or (lengths > glosses.shape[1]).any() or (lengths < 1).any():
        raise ValueError(f"numbers of frames or glosses go beyond {most}, or there is a sentence without a gloss")
    counted = torch.arange(glosses.shape[1], device=glosses.device) < lengths[:, None]
    if (((glosses < 0) | (glosses >= log_probs.shape[2])) & counted).any():
        raise ValueError(f"glosses are numbers from 0 to {log_probs.shape[2] - 1}, as many as log-probabilities")
    few = (frames < lengths).nonzero().flatten().tolist()
    if few:
        row = few[0]
        raise ValueError(
            f"sentence {row} of the batch has {int(frames[row])} frames for {int(lengths[row])} glosses: "
            "each needs one at least (leave it out, or take frames more often)"
        )
