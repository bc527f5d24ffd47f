"""Views of vectors by a diffusion model: others that mean the same, as positives of a contrastive loss or as more rows.

The model learns to take noise off a vector while it is told what the vector means: a condition of fewer numbers, which
an encoder makes.  What it draws for a condition agrees with it, and is free in the rest.
"""

from __future__ import annotations

import math
from itertools import pairwise

import torch
from torch import Tensor, nn
from torch.nn.functional import cross_entropy, normalize

OFFSET = 0.008
"""Of the cosine schedule: the first steps add a little noise, and not almost none."""


class DiffusionViews(nn.Module):
    """A small denoiser of vectors of ``width`` numbers, given a condition of ``condition`` numbers.

    ``views(vectors, condition)`` is the loss to train it by; ``views.draw(vectors, condition)`` are views.  The
    condition is what should stay: what an encoder makes of the row, much narrower than the row (or the model learns to
    copy it), shares of labels, or both side by side.  Neither passes a gradient on: the encoder learns from a loss of
    its own, ``info_nce`` of what it makes of rows and of their views, and the two are trained in turn.

    ``mean`` and ``std`` (width numbers, or one) are those of your vectors; noise is measured by them.  ``steps`` levels
    of noise follow the cosine schedule; the condition of a row is left out with the chance ``drop``, so that the model
    draws without one too.  ``hidden``: units of its layers, of which there are three.

    Source: after DiffAug, Zang et al. 2024 (ICML, PMLR 235, zang24a), whose code has 100 steps, a net of linear
    layers, and views drawn from pure noise.  Ours are the cosine schedule, what is predicted ("v" of Salimans and Ho
    2022, arXiv:2202.00512, in the place of the noise), a strength, and fewer steps to draw by.
    """

    mean: Tensor
    std: Tensor
    signal: Tensor
    noise: Tensor

    def __init__(
        self,
        width: int,
        condition: int,
        *,
        mean: Tensor | float = 0.0,
        std: Tensor | float = 1.0,
        steps: int = 100,
        hidden: int = 256,
        drop: float = 0.1,
    ) -> None:
        super().__init__()
        self.width, self.condition, self.steps, self.drop = width, condition, steps, drop
        for name, value in (("mean", mean), ("std", std)):
            known = torch.as_tensor(value, dtype=torch.get_default_dtype()).detach()
            self.register_buffer(name, known.expand(width).clone())
        if not (self.std > 0).all():
            raise ValueError("std is above 0 in every place: give one number for all, vectors.std()")
        self.register_buffer("signal", cosine_schedule(steps))
        self.register_buffer("noise", 1 - self.signal, persistent=False)  # in 16 bits the first signal is 1, this not 0
        self.noisy = nn.Linear(width, hidden)
        self.given = nn.Linear(condition, hidden)
        self.level = nn.Embedding(steps + 1, hidden)
        self.inside = nn.ModuleList(
            nn.Sequential(nn.LayerNorm(hidden), nn.Linear(hidden, hidden), nn.SiLU()) for _ in range(2)
        )
        self.out = nn.Sequential(nn.LayerNorm(hidden), nn.Linear(hidden, width))
        nn.init.zeros_(self.out[1].weight)  # the best guess for normal vectors of which nothing is known
        nn.init.zeros_(self.out[1].bias)

    def forward(self, vectors: Tensor, condition: Tensor) -> Tensor:
        """A scalar, of n x width vectors and n x condition numbers: how far off it is when it sees them in noise.

        Each row has a level of noise of its own, drawn with the noise from torch's own generator.  The mean squared
        error of a vector, in units of ``std``, over the share of noise at its level, which is that of v.

        Raises ValueError for shapes that do not fit.
        """
        self._check(vectors, condition)
        clean = (vectors.detach() - self.mean) / self.std
        at = torch.randint(1, self.steps + 1, clean.shape[:1], device=clean.device)
        kept = torch.rand(clean.shape[:1], device=clean.device) >= self.drop
        signal, noise = self.signal[at][:, None], self.noise[at][:, None]
        seen = signal.sqrt() * clean + noise.sqrt() * torch.randn_like(clean)
        off = self.denoised(seen, at, condition.detach(), kept) - clean
        return (off.square() / noise).mean()

    def denoised(self, seen: Tensor, at: Tensor, condition: Tensor, kept: Tensor) -> Tensor:
        """The vectors (n x width) that it takes noisy ones for; both are about 0 in units of ``std``.

        ``at``: n levels from 0 to ``steps``; ``kept``: n true or false, whether the condition counts.
        """
        x = self.noisy(seen) + self.given(condition) * kept[:, None] + self.level(at)
        for layer in self.inside:
            x = x + layer(x)
        signal, noise = self.signal[at][:, None], self.noise[at][:, None]
        found: Tensor = signal.sqrt() * seen - noise.sqrt() * self.out(x)
        return found

    @torch.no_grad()
    def draw(
        self,
        vectors: Tensor,
        condition: Tensor | None = None,
        *,
        strength: float = 1.0,
        steps: int = 20,
        generator: torch.Generator | None = None,
    ) -> Tensor:
        """A view of each vector, n x width, without a gradient.

        ``strength`` from 0 to 1: noise is added up to this share of the levels, and taken off in ``steps`` steps.  At 0
        a view is the vector itself; at 1 next to nothing is left of the vector but the condition (n x condition
        numbers; None for none).

        Raises ValueError for shapes that do not fit, and a strength or steps that are out of range.
        """
        if not 0 <= strength <= 1 or steps < 1:
            raise ValueError(f"strength is from 0 to 1 and steps 1 or more: got {strength} and {steps}")
        told = vectors.new_zeros(len(vectors), self.condition) if condition is None else condition
        self._check(vectors, told)
        begin = round(strength * self.steps)
        if not begin:
            return vectors.clone()
        levels = torch.linspace(begin, 0, min(steps, begin) + 1).round().long().tolist()
        x = (vectors - self.mean) / self.std
        kept = torch.full((len(x),), condition is not None, device=x.device)
        x = self.signal[begin].sqrt() * x + self.noise[begin].sqrt() * _normal(x, generator)
        for level, after in pairwise(levels):
            now, then = self.signal[level], self.signal[after]
            clean = self.denoised(x, torch.full((len(x),), level, device=x.device), told, kept)
            noise = (x - now.sqrt() * clean) / self.noise[level].sqrt()
            fresh = self.noise[after] / self.noise[level] * (1 - now / then)
            x = then.sqrt() * clean + (self.noise[after] - fresh).clamp_min(0).sqrt() * noise
            if after:
                x = x + fresh.sqrt() * _normal(x, generator)
        return x * self.std + self.mean

    def _check(self, vectors: Tensor, condition: Tensor) -> None:
        if vectors.shape != (len(condition), self.width) or condition.shape != (len(vectors), self.condition):
            raise ValueError(
                f"n x {self.width} vectors and n x {self.condition} of the condition: "
                f"got {tuple(vectors.shape)} and {tuple(condition.shape)}"
            )


def cosine_schedule(steps: int) -> Tensor:
    """The share of the signal's variance that is left at levels 0 to ``steps``, from 1 to 0: steps + 1 numbers.

    Nichol and Dhariwal 2021 (arXiv:2102.09672), equation 17.
    """
    if steps < 1:
        raise ValueError(f"steps are 1 or more: got {steps}")
    angle = (torch.arange(steps + 1, dtype=torch.float64) / steps + OFFSET) / (1 + OFFSET) * math.pi / 2
    share = angle.cos().square() / angle[0].cos().square()
    return share.clamp_min(0).to(torch.get_default_dtype())


def info_nce(rows: Tensor, views: Tensor, *, temperature: float = 0.1) -> Tensor:
    """How well each row is told from the others by its view, and each view by its row: a scalar, in nats.

    ``rows``, ``views``: n x d, what an encoder makes of both; compared by their cosine, divided by ``temperature``.
    Source: van den Oord et al. 2018 (arXiv:1807.03748); both ways as in CLIP (arXiv:2103.00020).

    >>> round(float(info_nce(torch.eye(2), torch.eye(2), temperature=1.0)), 4)
    0.3133
    """
    if rows.ndim != 2 or rows.shape != views.shape:
        raise ValueError(f"n x d twice: got {tuple(rows.shape)} and {tuple(views.shape)}")
    alike = normalize(rows, dim=1) @ normalize(views, dim=1).T / temperature
    own = torch.arange(len(rows), device=rows.device)
    return (cross_entropy(alike, own) + cross_entropy(alike.T, own)) / 2


def _normal(like: Tensor, generator: torch.Generator | None) -> Tensor:
    """Noise of a tensor's shape, drawn where the generator is."""
    place = like.device if generator is None else generator.device
    return torch.randn(like.shape, generator=generator, device=place, dtype=like.dtype).to(like.device)
