"""Manifold mixup: what a layer gives is mixed between the rows of a batch, and the labels with it."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import Any

import torch
from torch import Tensor, nn

from leaven import mixing
from leaven.train.generators import rng_of
from leaven.train.labels import as_shares


class ManifoldMixup:
    """Mixes, in each batch, what one of some layers gives: row i with another row, ``lam`` of the first.

    ``layers`` are names as in ``net.named_modules()``, or "" for what goes into the net; one of them is drawn a batch,
    each as likely.  One lam ~ Beta(alpha, alpha) and one permutation a batch.  Source: Verma et al. 2019, Manifold
    Mixup (arXiv:1806.05236).

        mix = ManifoldMixup(net, ["", "block1", "block2"], classes=10, generator=generator)
        with mix(labels) as shares:
            logits = net(images)
        loss = cross_entropy(logits, shares)

    The net is as it was when the block ends, also by an error.  A layer gives one tensor of floats, with a row an item,
    once a pass; "" takes such tensors alone.  ``generator`` is one of torch (on the CPU it spares a GPU the wait) or
    numpy; ``classes`` is asked for where labels are whole numbers.  Not for layers inside activation checkpointing,
    which run again when nothing is mixed, nor for compiled nets, which do not ask what hooks there are.
    """

    def __init__(
        self, net: nn.Module, layers: Sequence[str], *, generator: Any, alpha: float = 2.0, classes: int | None = None
    ) -> None:
        if not layers or not alpha > 0:
            raise ValueError(f"manifold mixup of {list(layers)} with alpha {alpha}: one layer or more, alpha above 0")
        known = dict(net.named_modules())
        if unknown := [name for name in layers if name not in known]:
            raise ValueError(f"the net has no layer {unknown[0]!r}; it has {', '.join(filter(None, known))}")
        self.net, self.layers, self.alpha, self.classes = net, list(layers), alpha, classes
        self.generator = generator

    @contextmanager
    def __call__(self, labels: Tensor) -> Iterator[Tensor]:
        """A block with one pass of the net in it; the labels' shares, mixed as the rows are: B x k.

        ``labels`` are B x k floats, or B whole numbers with ``classes``.
        """
        shares = as_shares(labels, self.classes, labels)
        rng = rng_of(self.generator)
        name = self.layers[int(rng.integers(len(self.layers)))]
        lam, order = float(rng.beta(self.alpha, self.alpha)), torch.from_numpy(rng.permutation(len(labels)))
        passed: list[str] = []

        def mixed(found: Any) -> Tensor:
            if not isinstance(found, Tensor) or not found.is_floating_point() or found.shape[:1] != labels.shape[:1]:
                said = f"{found.dtype} {tuple(found.shape)}" if isinstance(found, Tensor) else type(found).__name__
                raise ValueError(f"{_called(name)} is {said}, and mixing needs floats of {len(labels)} rows")
            return mixing.mix(found, found[order.to(found.device)], lam)

        def once() -> None:
            if passed:
                raise ValueError(f"there is a second pass in the block, or a net that runs {_called(name)} twice")
            passed.append(name)

        def before(_: nn.Module, given: tuple[Any, ...], more: dict[str, Any]) -> tuple[Any, ...]:
            once()
            return tuple(map(mixed, given)), {key: mixed(value) for key, value in more.items()}

        def after(_: nn.Module, given: tuple[Any, ...], found: Any) -> Tensor:
            once()
            return mixed(found)

        layer = self.net.get_submodule(name)
        hook = layer.register_forward_hook(after) if name else layer.register_forward_pre_hook(before, with_kwargs=True)
        try:
            yield mixing.soft_labels(shares, shares[order.to(shares.device)], lam)
        finally:
            hook.remove()
        if not passed:
            raise ValueError(f"the pass did not come by {_called(name)}: run the net, not compiled, in the block")


def _called(name: str) -> str:
    return f"what layer {name!r} gives" if name else "what goes into the net"
