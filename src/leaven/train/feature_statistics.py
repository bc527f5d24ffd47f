"""Statistics of feature maps made uncertain: means and spreads of channels drawn anew, or mixed between rows."""

from __future__ import annotations

import torch
from torch import Tensor, nn

EPS = 1e-6
"""Added to a variance before its root."""


class StatisticsNoise(nn.Module):
    """Draws each channel's mean and standard deviation anew about its own, as far as they differ within the batch.

    Takes and gives B x C x ... floats (maps, or sequences with channels first).  With the chance ``p`` a batch becomes
    (s + a S_s) (x - m) / s + m + b S_m: m and s are a channel's mean and standard deviation in a row, S_m and S_s the
    standard deviations of these over the batch, a and b normal, drawn for each row and channel.  Between layers of a
    net, several times.  Gradients go through all of it, as published.  Identity in eval mode.  Draws are torch's own.
    Source: Li et al. 2022, DSU (arXiv:2202.03958); variances divide by n, as the paper's formulas do.
    """

    def __init__(self, p: float = 0.5) -> None:
        super().__init__()
        self.p = _chance(p)

    def forward(self, x: Tensor) -> Tensor:
        if not self.training:
            return x
        whole, mean, spread = _statistics(x)
        drawn_mean = mean + torch.randn_like(mean) * _root(mean.var(0, correction=0, keepdim=True))
        drawn_spread = spread + torch.randn_like(spread) * _root(spread.var(0, correction=0, keepdim=True))
        changed = drawn_spread * (whole - mean) / spread + drawn_mean
        return torch.where(torch.rand((), device=x.device) < self.p, changed.to(x.dtype), x)

    def extra_repr(self) -> str:
        return f"p={self.p}"


class MixStyle(nn.Module):
    """Gives each row means and standard deviations of its channels between its own and those of another row.

    Takes and gives B x C x ... floats.  With the chance ``p`` a batch becomes s' (x - m) / s + m', where m' and s' are
    ``lam`` of a row's own and the rest of another's: one lam ~ Beta(alpha, alpha) a row, one permutation a batch.  The
    label stays: what changes is the style.  After the first blocks of a net, not the last, whose statistics tell the
    label.  No gradient goes through the statistics.  Identity in eval mode.  Draws are torch's own.
    Source: Zhou et al. 2021, MixStyle (arXiv:2104.02008), where the domains of rows are not known; variances divide by
    n, as the paper's formulas do.
    """

    def __init__(self, p: float = 0.5, alpha: float = 0.1) -> None:
        super().__init__()
        if not alpha > 0:
            raise ValueError(f"alpha is {alpha}; it is above 0")
        self.p, self.alpha = _chance(p), alpha

    def forward(self, x: Tensor) -> Tensor:
        if not self.training:
            return x
        whole, mean, spread = _statistics(x)
        mean, spread = mean.detach(), spread.detach()
        lam = _beta(self.alpha, mean[:, :1])
        order = torch.rand(len(x), device=x.device).argsort()  # randperm, twice indexed, is more than inductor knows
        mixed_mean, mixed_spread = (lam * own + (1 - lam) * own[order] for own in (mean, spread))
        changed = mixed_spread * (whole - mean) / spread + mixed_mean
        return torch.where(torch.rand((), device=x.device) < self.p, changed.to(x.dtype), x)

    def extra_repr(self) -> str:
        return f"p={self.p}, alpha={self.alpha}"


def feature_importance(loss: Tensor, features: Tensor) -> Tensor:
    """How much each feature of each row matters to the loss: |sum of gradient x feature|, n x d.

    ``loss``: a scalar that was computed from ``features``, n x d or n x channels x ... (a channel's places are summed).
    No gradient is left anywhere, and the graph stays for a backward pass.  To first order this is what the loss would
    change by if the feature were zero.  Raises ValueError where the features have no part in the loss.
    """
    if features.ndim < 2 or loss.ndim:
        raise ValueError(f"a scalar loss and features of n x d: got {tuple(loss.shape)} and {tuple(features.shape)}")
    if not features.requires_grad:
        raise ValueError("the features ask for no gradient: features = encoder(x).detach().requires_grad_()")
    (gradient,) = torch.autograd.grad(loss, features, retain_graph=True, allow_unused=True)
    if gradient is None:
        raise ValueError("the loss was not computed from these features")
    return (gradient * features.detach()).reshape(*features.shape[:2], -1).sum(2).abs()


def _statistics(x: Tensor) -> tuple[Tensor, Tensor, Tensor]:
    """The features in 32 bits at least, and the mean and standard deviation of each channel of each row."""
    if x.ndim < 3 or not x.is_floating_point():
        raise ValueError(
            f"features are floats of B x C x ..., with places in each channel: got {x.dtype} {tuple(x.shape)}"
        )
    whole = x.float() if x.dtype in (torch.float16, torch.bfloat16) else x
    places = tuple(range(2, x.ndim))
    return whole, whole.mean(places, keepdim=True), _root(whole.var(places, correction=0, keepdim=True))


def _root(variance: Tensor) -> Tensor:
    return (variance + EPS).sqrt()


def _beta(alpha: float, like: Tensor) -> Tensor:
    """Numbers of Beta(alpha, alpha), in the shape of ``like``.

    By logarithms of two gamma numbers, which may both be 0 themselves where alpha is small; torch's own Beta cannot be
    compiled without a warning.
    """
    gamma = torch.distributions.Gamma(torch.full_like(like, alpha + 1), torch.ones_like(like), validate_args=False)
    a, b = (gamma.sample().log() + torch.rand_like(like).clamp_min(1e-38).log() / alpha for _ in range(2))
    return torch.sigmoid(a - b)


def _chance(p: float) -> float:
    if not 0 <= p <= 1:
        raise ValueError(f"p is {p}; it is a chance from 0 to 1")
    return p
