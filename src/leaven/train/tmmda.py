"""TMMDA: tokens mixed between the modalities of one item, made like each of them again, and all fused.

Token Mixup Multimodal Data Augmentation for sentiment (WWW 2023).  Nothing is mixed between items, so no label changes.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

import torch
from torch import Tensor, nn
from torch.nn.functional import log_softmax

from leaven.train.divergence import jensen_shannon
from leaven.train.gradients import scale_gradient


def token_mix(
    text: Tensor,
    visual: Tensor,
    acoustic: Tensor,
    mask: Tensor,
    *,
    rho1: float = 0.85,
    rho2: float = 0.15,
    generator: torch.Generator | None = None,
) -> tuple[Tensor, Tensor, Tensor]:
    """Each modality with some of its tokens taken from the other two, at the same places of the same item.

    ``text``, ``visual``, ``acoustic``: B x T x d each, aligned (token t of all three is one word, or one moment);
    ``mask``: B x T, True where there is a token.  Gives three of the same shape, whose pads are 0.  A number u from 0
    to 1 is drawn for each token, one for all three modalities: from ``rho2`` to ``rho1`` the token stays; above
    ``rho1`` (15 of 100) text has the visual one, visual and acoustic have text and visual; below ``rho2`` (15 of 100)
    text and visual have the acoustic one, acoustic has that of text.  Draws come from ``generator`` (of any device), or
    as nn.Dropout draws.

    Raises ValueError for shapes that do not fit, and where not 0 <= rho2 <= rho1 <= 1.
    Source: TMMDA (WWW 2023).  (In the released code the third source of acoustic is acoustic; it never has text.)
    """
    _check(text, visual, acoustic, mask)
    if not text.shape == visual.shape == acoustic.shape:
        shapes = ", ".join(str(tuple(one.shape)) for one in (text, visual, acoustic))
        raise ValueError(f"tokens are mixed where they are B x T x d of one shape: got {shapes}")
    if not 0 <= rho2 <= rho1 <= 1:
        raise ValueError(f"rho2 and rho1 are 0 <= rho2 <= rho1 <= 1: got {rho2} and {rho1}")
    device = text.device if generator is None else generator.device
    u = torch.rand(mask.shape, generator=generator, device=device).to(text.device)[..., None]

    def mixed(own: Tensor, above: Tensor, below: Tensor) -> Tensor:
        tokens = torch.where(u > rho1, above, torch.where(u < rho2, below, own))
        return torch.where(mask[..., None], tokens, 0)

    return mixed(text, visual, acoustic), mixed(visual, text, acoustic), mixed(acoustic, visual, text)


class Fused(NamedTuple):
    """What ``TMMDA`` gives: tokens to read, and two losses to add to that of the task."""

    tokens: Tensor
    """B x 3T x d: all of text, then of visual, then of acoustic; pads are 0."""
    mask: Tensor
    """B x 3T, True where there is a token."""
    adversarial: Tensor
    """A scalar, in nats: discriminators descend it, generators climb it, in one backward; 0 in eval mode."""
    divergence: Tensor
    """A scalar, in nats: how far made tokens are from real ones, which generators descend; 0 in eval mode."""


class TMMDA(nn.Module):
    """Fuses three aligned sequences, each of which reads a virtual one that a generator made of mixed tokens.

    ``widths`` are those of text, visual and acoustic; text's, a multiple of ``heads``, is the width d of all that
    follows, and the other two come to it by a linear layer.  Takes text (B x T x d), visual and acoustic (B x T x their
    widths) and ``mask`` (B x T, True where there is a token); gives ``Fused``.

    In training, for each modality: its tokens by ``token_mix``, plus ``noise`` times a standard normal (in the units of
    the tokens: bring them to numbers of about 1), go through a generator (Linear, Dropout, Tanh, Linear), token by
    token.  The modality's own tokens attend to what came out, which is added to them (and text itself once more); then
    one transformer layer reads all three, one after the other.  The adversarial loss is the cross-entropies of a
    discriminator (d to d/2 to 2, a token) on real and on made tokens, which reaches the generator turned around; the
    divergence is Jensen-Shannon of the softmax over the features of a made token and the real one at its place.  Both
    are means over tokens (pads left out) and modalities.  They reach generators and discriminators alone: what made the
    tokens that come in learns from ``Fused.tokens``, that is from the task.
    Weigh and add them: ``loss = task + 0.1 * (fused.adversarial + fused.divergence)``.

    Draws are torch's own, as those of dropout.  In eval mode nothing is random: generators read each modality's own
    tokens, and both losses are 0.

    Source: TMMDA (WWW 2023); the weights of the losses and the size of the noise are not published, and those here are
    ours.  Noise goes in, as the paper has it (the released code adds it to what comes out).  In the released code both
    losses are computed and dropped, generators would help the discriminators, and tokens are mixed in eval mode too.

    Raises ValueError for shapes that do not fit.
    """

    def __init__(
        self,
        widths: Sequence[int],
        *,
        heads: int = 8,
        rho1: float = 0.85,
        rho2: float = 0.15,
        noise: float = 0.1,
        dropout: float = 0.1,
    ) -> None:
        super().__init__()
        if len(widths) != 3 or widths[0] % heads:
            raise ValueError(f"widths are of text (a multiple of {heads} heads), visual and acoustic: got {widths}")
        self.widths, self.rho1, self.rho2, self.noise = tuple(widths), rho1, rho2, noise
        width = widths[0]
        self.visual, self.acoustic = nn.Linear(widths[1], width), nn.Linear(widths[2], width)

        def generator() -> nn.Sequential:
            return nn.Sequential(nn.Linear(width, width), nn.Dropout(dropout), nn.Tanh(), nn.Linear(width, width))

        def discriminator() -> nn.Sequential:
            half = width // 2
            return nn.Sequential(nn.Linear(width, half), nn.Dropout(dropout), nn.ReLU(), nn.Linear(half, 2))

        self.generators = nn.ModuleList(generator() for _ in widths)
        self.discriminators = nn.ModuleList(discriminator() for _ in widths)
        self.attentions = nn.ModuleList(nn.MultiheadAttention(width, heads, dropout, batch_first=True) for _ in widths)
        self.together = nn.TransformerEncoderLayer(width, heads, 4 * width, dropout, batch_first=True, norm_first=True)

    def forward(self, text: Tensor, visual: Tensor, acoustic: Tensor, mask: Tensor) -> Fused:
        _check(text, visual, acoustic, mask)
        if (text.shape[2], visual.shape[2], acoustic.shape[2]) != self.widths:
            shapes = ", ".join(str(tuple(one.shape)) for one in (text, visual, acoustic))
            raise ValueError(f"tokens are B x T x {', '.join(map(str, self.widths))}: got {shapes}")
        text, visual, acoustic = (torch.where(mask[..., None], one, 0) for one in (text, visual, acoustic))
        real = (text, self.visual(visual), self.acoustic(acoustic))
        mixed = real
        if self.training:
            mixed = token_mix(*real, mask, rho1=self.rho1, rho2=self.rho2)
        away = ~mask & mask.any(1, keepdim=True)  # an item without a token looks at pads: no softmax of none
        fused = []
        adversarial = divergence = text.new_zeros(())
        for i, (own, source) in enumerate(zip(real, mixed, strict=True)):
            if self.training:
                source = source + self.noise * torch.randn_like(source)
                made = self.generators[i](source.detach())
                adversarial = adversarial + self._told_apart(i, own.detach(), made, mask) / len(real)
                divergence = divergence + _mean(jensen_shannon(own.detach(), made), mask) / len(real)
            virtual = self.generators[i](source)
            fused.append(own + self.attentions[i](own, virtual, virtual, key_padding_mask=away, need_weights=False)[0])
        fused[0] = fused[0] + text
        tokens = self.together(torch.cat(fused, dim=1), src_key_padding_mask=away.repeat(1, 3))
        whole = mask.repeat(1, 3)
        return Fused(torch.where(whole[..., None], tokens, 0), whole, adversarial, divergence)

    def _told_apart(self, i: int, real: Tensor, made: Tensor, mask: Tensor) -> Tensor:
        """Cross-entropies of a discriminator that says 1 of real tokens and 0 of made ones."""
        discriminator = self.discriminators[i]
        of_real = log_softmax(discriminator(real), -1)[..., 1]
        of_made = log_softmax(discriminator(scale_gradient(made, -1.0)), -1)[..., 0]
        return -_mean(of_real + of_made, mask)


def _mean(values: Tensor, mask: Tensor) -> Tensor:
    """Over the tokens, B x T to a scalar; 0 where there is none."""
    return (values * mask).sum() / mask.sum().clamp_min(1)


def _check(text: Tensor, visual: Tensor, acoustic: Tensor, mask: Tensor) -> None:
    if mask.ndim != 2 or mask.dtype != torch.bool:
        raise ValueError(
            f"the mask is B x T of bools, True where there is a token: got {mask.dtype} {tuple(mask.shape)}"
        )
    for one in (text, visual, acoustic):
        if one.ndim != 3 or one.shape[:2] != mask.shape:
            shapes = ", ".join(str(tuple(each.shape)) for each in (text, visual, acoustic))
            raise ValueError(f"three modalities B x T x width, and a mask {tuple(mask.shape)}: got {shapes}")
