"""LeMDA: a network that learns to change the features of several modalities, against the net that reads them.

Liu et al. 2023, Learning Multimodal Data Augmentation in Feature Space (ICLR, arXiv:2212.14453).
"""

from __future__ import annotations

from collections.abc import Callable, Sequence

import torch
from torch import Tensor, nn
from torch.nn.functional import cross_entropy, kl_div, log_softmax, mse_loss

from leaven.train.divergence import normal_kl
from leaven.train.gradients import scale_gradient


class MlpVae(nn.Module):
    """Changes the features of all modalities together: a variational autoencoder of linear layers, added to them.

    From ``modalities * width`` numbers down to ``latent`` in ``layers`` even steps and up again; each unit is
    LayerNorm, Linear, ReLU, dropout of one half.  Takes z (B x modalities x width, or B x modalities*width) and gives
    z' of the same shape, and the mean and the log variance of the latent numbers (B x latent each).  The last layer is
    linear and begins at 0, so that z' is z at first.  (In the released code a ReLU follows it, whose gradient at 0 is
    0: it never changes anything.)  In training it draws from torch's own numbers, as dropout does; in eval mode it is
    what the mean gives.
    """

    def __init__(self, modalities: int, width: int, *, latent: int = 8, layers: int = 4) -> None:
        super().__init__()
        self.modalities, self.width, self.latent = modalities, width, latent
        whole = modalities * width
        step = (whole - latent) // (layers + 1)
        if step < 1:
            raise ValueError(f"{layers} layers from {whole} features down to {latent}: give fewer layers")
        self.widths = [whole - step * i for i in range(1, layers + 1)]
        down, up = [whole, *self.widths], [latent, *reversed(self.widths)]
        self.encoder = nn.Sequential(*map(_unit, down, down[1:]))
        self.mean = nn.Linear(down[-1], latent)
        self.log_variance = nn.Linear(down[-1], latent)
        self.decoder = nn.Sequential(*map(_unit, up, up[1:]), nn.LayerNorm(up[-1]), _nothing(up[-1], whole))

    def forward(self, z: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        inside = self.encoder(_tokens(z, self.modalities, self.width).flatten(1))
        mean, log_variance = self.mean(inside), self.log_variance(inside)
        change = self.decoder(_draw(mean, log_variance) if self.training else mean)
        return z + change.reshape(z.shape), mean, log_variance


class AttentionVae(nn.Module):
    """Changes features modality by modality, each seeing the others: a variational autoencoder of attention.

    Each modality is a token of ``width`` numbers, a multiple of ``heads``; ``layers`` pre-norm layers lead to
    ``latent`` numbers a token and as many back.  Takes z (B x modalities x width, or B x modalities*width) and gives z'
    of the same shape, and the mean and the log variance of the latent numbers (B x modalities x latent each).  The last
    layer begins at 0, so that z' is z at first.  (In the released code the rows of a batch see each other, and not the
    modalities.)  Training and eval mode as in ``MlpVae``.
    """

    def __init__(
        self,
        modalities: int,
        width: int,
        *,
        latent: int = 8,
        layers: int = 4,
        heads: int = 8,
        feedforward: int = 2048,
    ) -> None:
        super().__init__()
        if width % heads:
            raise ValueError(f"features of {width} numbers do not divide into {heads} heads")
        self.modalities, self.width, self.latent = modalities, width, latent

        def attention() -> nn.Sequential:
            each = (
                nn.TransformerEncoderLayer(width, heads, feedforward, batch_first=True, norm_first=True)
                for _ in range(layers)
            )
            return nn.Sequential(*each)

        self.encoder = attention()
        self.mean = nn.Linear(width, latent)
        self.log_variance = nn.Linear(width, latent)
        self.decoder = nn.Sequential(nn.Linear(latent, width), attention(), _nothing(width, width))

    def forward(self, z: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        inside = self.encoder(_tokens(z, self.modalities, self.width))
        mean, log_variance = self.mean(inside), self.log_variance(inside)
        change = self.decoder(_draw(mean, log_variance) if self.training else mean)
        return z + change.reshape(z.shape), mean, log_variance


class LeMDA(nn.Module):
    """The loss of a step with learned changes of the features; it holds ``augmenter``, which is trained with the net.

    ``loss = lemda(z, labels, head)`` and one backward, then a step of the net's optimiser and one of another for
    ``lemda.parameters()`` (published: Adam, rate 1e-4, eps 1e-6).  The loss is a sum:

    - the cross-entropy of ``head`` on z and on z' = augmenter(z), the mean over both.  The net descends it; the
      augmenter climbs it, by ``adversarial`` of its gradient;
    - ``consistency`` times KL(softmax(head(z')), softmax(head(z))), the mean over the batch, where rows count of which
      the head's highest probability on z is above ``confidence``, and others are 0;
    - ``distance`` times the mean squared difference of z' and z;
    - ``prior`` times the KL of the augmenter's latent numbers from the standard normal, summed, divided by the size of
      the batch and by ``latent``;
    - ``unimodal`` times the cross-entropies of the logits of single modalities, where they are given (z alone).

    Only the first and the last reach the net, and what made z learns from z alone, never from z'.  The others reach
    the augmenter alone, as the paper has it (in the released code the consistency moves the net too).  The head is
    called a second time, on z', for that.  In eval mode there is no z': it is the loss of z.

    With ``regression=True`` cross-entropy is the squared error, and the consistency that of the outputs, of all rows.
    """

    def __init__(
        self,
        augmenter: nn.Module,
        *,
        adversarial: float = 1e-4,
        consistency: float = 0.01,
        confidence: float = 0.5,
        distance: float = 0.1,
        prior: float = 0.1,
        unimodal: float = 0.1,
        regression: bool = False,
    ) -> None:
        super().__init__()
        self.augmenter = augmenter
        self.adversarial, self.consistency, self.confidence = adversarial, consistency, confidence
        self.distance, self.prior, self.unimodal, self.regression = distance, prior, unimodal, regression

    def forward(
        self, z: Tensor, labels: Tensor, head: Callable[[Tensor], Tensor], unimodal: Sequence[Tensor] = ()
    ) -> Tensor:
        """A scalar, of features (B x N x a or B x N*a) and labels: B whole numbers, or B x k shares.

        ``head`` makes B x k logits of features; ``unimodal`` holds such logits, of a modality each.  In a regression
        labels have the shape of what ``head`` gives.

        Raises ValueError for shapes that do not fit.
        """
        if len(z) != len(labels):
            raise ValueError(f"features of {len(z)} rows and labels of {len(labels)}")
        alone = self.unimodal * sum((self._task(one, labels) for one in unimodal), z.new_zeros(()))
        if not self.training:
            return self._task(head(z), labels) + alone
        seen = z.detach()
        made, mean, log_variance = self.augmenter(seen)
        logits = head(torch.cat([z, scale_gradient(made, -self.adversarial)]))
        return (
            self._task(logits, torch.cat([labels, labels]))
            + alone
            + self.consistency * self._consistency(made, logits[: len(z)].detach(), head)
            + self.distance * mse_loss(made, seen)
            + self.prior * normal_kl(mean, log_variance).sum() / len(z) / mean.shape[-1]
        )

    def _task(self, found: Tensor, labels: Tensor) -> Tensor:
        if len(found) != len(labels) or (self.regression and found.shape != labels.shape):
            raise ValueError(f"the head gives {tuple(found.shape)} for labels of {tuple(labels.shape)}")
        return mse_loss(found, labels) if self.regression else cross_entropy(found, labels)

    def _consistency(self, made: Tensor, wanted: Tensor, head: Callable[[Tensor], Tensor]) -> Tensor:
        """Its value, with its gradient at z' alone: one through ``head`` as it stands would move the head as well."""
        with torch.enable_grad():
            free = made.detach().requires_grad_()
            found = head(free)
            far = mse_loss(found, wanted) if self.regression else consistency(found, wanted, self.confidence)
        (slope,) = torch.autograd.grad(far, free)
        return far.detach() + (slope * (made - made.detach())).sum()


def consistency(made: Tensor, real: Tensor, confidence: float) -> Tensor:
    """KL(softmax(made), softmax(real)) of logits (B x k), the mean over the batch, and 0 for unsure rows.

    A row counts where the highest probability of ``real`` is above ``confidence``.  A scalar, in nats.
    """
    p, q = log_softmax(made, -1), log_softmax(real, -1)
    far = kl_div(q, p, log_target=True, reduction="none").sum(-1)
    return (far * (q.exp().amax(-1) > confidence)).mean()


def _unit(into: int, out: int) -> nn.Sequential:
    return nn.Sequential(nn.LayerNorm(into), nn.Linear(into, out), nn.ReLU(), nn.Dropout(0.5))


def _nothing(into: int, out: int) -> nn.Linear:
    """A linear layer that gives 0 until it is trained."""
    layer = nn.Linear(into, out)
    nn.init.zeros_(layer.weight)
    nn.init.zeros_(layer.bias)
    return layer


def _draw(mean: Tensor, log_variance: Tensor) -> Tensor:
    return mean + (0.5 * log_variance).exp() * torch.randn_like(mean)


def _tokens(z: Tensor, modalities: int, width: int) -> Tensor:
    """B x modalities x width."""
    if z.shape[1:] not in ((modalities, width), (modalities * width,)):
        raise ValueError(f"features are B x {modalities} x {width} or B x {modalities * width}, not {tuple(z.shape)}")
    return z.reshape(len(z), modalities, width)
