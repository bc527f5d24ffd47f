"""What each part of `leaven.train` adds to a step: milliseconds, as it is and compiled.  Prints Markdown.

    python -m benchmarks.in_training.overhead [--steps 30] [--no-compile]

One encoder of a row's features (two layers of 1,024), a head, and around them what the part needs; a batch of 64.  On
the GPU where torch sees one, else on one core.  Random numbers take as long as real ones.  "Compiled" is the whole loss
through ``torch.compile``; where a part breaks the graph, what is left of it is compiled in pieces.
"""

from __future__ import annotations

import argparse
import logging
import statistics
import sys
import time
import warnings
from collections.abc import Callable
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn
from torch.nn.functional import cross_entropy

from leaven import train

B, N, A, K, WIDE = 64, 3, 256, 10, 1024
T, TOKENS = 32, 128
Loss = Callable[[], Tensor]


class Features(nn.Module):
    """The common part: three modalities of 256 numbers to as many features, and a head over them."""

    def __init__(self) -> None:
        super().__init__()
        self.encoder = nn.Sequential(
            nn.Linear(N * A, WIDE), nn.ReLU(), nn.Linear(WIDE, WIDE), nn.ReLU(), nn.Linear(WIDE, N * A)
        )
        self.head = nn.Sequential(nn.Linear(N * A, 128), nn.LayerNorm(128), nn.LeakyReLU(), nn.Linear(128, K))

    def forward(self, x: Tensor) -> Tensor:
        return self.head(self.encoder(x))


def parts(where: torch.device) -> dict[str, tuple[str, Callable[[], tuple[list[nn.Module], Loss]]]]:
    """Each part: what it is compared with, and its modules and loss."""
    x, y = torch.randn(B, N * A, device=where), torch.arange(B, device=where) % K
    numpy, draws = np.random.default_rng(0), torch.Generator().manual_seed(0)
    other = torch.randn(B, K, device=where)

    def around(make: Callable[[Features], tuple[list[nn.Module], Loss]]) -> Callable[[], tuple[list[nn.Module], Loss]]:
        def made() -> tuple[list[nn.Module], Loss]:
            net = Features()
            more, loss = make(net)
            return [net, *more], loss

        return made

    def changed(change: Callable[[Tensor], Tensor]) -> Callable[[], tuple[list[nn.Module], Loss]]:
        return around(lambda net: ([], lambda: cross_entropy(net.head(change(net.encoder(x))), y)))

    def lemda(kind: type[nn.Module]) -> Callable[[], tuple[list[nn.Module], Loss]]:
        def of(net: Features) -> tuple[list[nn.Module], Loss]:
            own = train.LeMDA(kind(N, A)).to(where)
            return [own], lambda: own(net.encoder(x), y, net.head)

        return around(of)

    def mixed(net: Features) -> tuple[list[nn.Module], Loss]:
        def loss() -> Tensor:
            some, shares = train.mixup(x, y, alpha=0.2, generator=numpy, classes=K)
            return cross_entropy(net(some), shares)

        return [], loss

    def manifold(net: Features) -> tuple[list[nn.Module], Loss]:
        mix = train.ManifoldMixup(net, ["", "encoder.1", "encoder.4"], classes=K, generator=numpy)

        def loss() -> Tensor:
            with mix(y) as shares:
                said = net(x)
            return cross_entropy(said, shares)

        return [], loss

    def with_module(
        own: nn.Module, put: Callable[[nn.Module, Tensor], Tensor]
    ) -> Callable[[], tuple[list[nn.Module], Loss]]:
        return around(lambda net: ([own], lambda: cross_entropy(net.head(put(own, net.encoder(x))), y)))

    def added(own: list[nn.Module], more: Callable[[Features, Tensor, Tensor], Tensor]) -> Any:
        def of(net: Features) -> tuple[list[nn.Module], Loss]:
            def loss() -> Tensor:
                z = net.encoder(x)
                said = net.head(z)
                return cross_entropy(said, y) + more(net, z, said)

            return own, loss

        return around(of)

    def gan(net: Features) -> tuple[list[nn.Module], Loss]:
        own = train.GanBert(N * A, K).to(where)
        return [own], lambda: sum(own(net.encoder(x), y), torch.zeros((), device=where))

    def views(net: Features) -> tuple[list[nn.Module], Loss]:
        own = train.DiffusionViews(N * A, K).to(where)
        return [own], lambda: cross_entropy(net(x), y) + own(x, other)

    three = [torch.randn(B, T, TOKENS, device=where) for _ in range(3)]
    mask = torch.ones(B, T, dtype=torch.bool, device=where)

    def tmmda(full: bool) -> Callable[[], tuple[list[nn.Module], Loss]]:
        def made() -> tuple[list[nn.Module], Loss]:
            own, head = train.TMMDA((TOKENS,) * 3), nn.Linear(TOKENS, K)
            own.train(full)

            def loss() -> Tensor:
                fused = own(*three, mask)
                told = cross_entropy(head(fused.tokens.mean(1)), y)
                return told + 0.1 * (fused.adversarial + fused.divergence) if full else told

            return [own, head], loss

        return made

    glosses = (torch.arange(5, device=where).repeat(B, 1) % (K - 1)) + 1
    frames, lengths = torch.full((B,), T, device=where), torch.full((B,), 5, device=where)

    def xmda(full: bool) -> Callable[[], tuple[list[nn.Module], Loss]]:
        def made() -> tuple[list[nn.Module], Loss]:
            spell, read = nn.Embedding(K, TOKENS), nn.Linear(TOKENS, K)
            translate = nn.Sequential(
                nn.Linear(TOKENS, WIDE), nn.ReLU(), nn.Linear(WIDE, WIDE), nn.ReLU(), nn.Linear(WIDE, K)
            )
            sign = nn.Linear(TOKENS, TOKENS)

            def loss() -> Tensor:
                signed = sign(three[0])
                posteriors = read(signed).log_softmax(-1)
                if not full:
                    ctc = nn.functional.ctc_loss(posteriors.transpose(0, 1), glosses, frames, lengths)
                    return ctc + cross_entropy(translate(signed)[:, :5].flatten(0, 1), glosses.flatten())
                places = train.forced_alignment(posteriors, glosses, frames, lengths)
                both = train.cross_modality_mixup(signed, spell(glosses), places)
                heard, seen = translate(signed)[:, :5], translate(both)[:, :5]
                return train.xmda_loss(posteriors, glosses, frames, lengths, heard, seen, glosses)

            return [spell, read, translate, sign], loss

        return made

    adversary, made_rows = train.DomainAdversary(N * A).to(where), torch.arange(B, device=where) % 2 == 0
    return {
        "nothing": ("", around(lambda net: ([], lambda: cross_entropy(net(x), y)))),
        "mixup": ("nothing", around(mixed)),
        "manifold mixup": ("nothing", around(manifold)),
        "interpolate_features": ("nothing", changed(lambda z: train.interpolate_features(z, y, generator=numpy))),
        "noise_features": ("nothing", changed(lambda z: train.noise_features(z, generator=draws))),
        "drop_features": ("nothing", changed(lambda z: train.drop_features(z, p=0.2, generator=draws))),
        "StatisticsNoise": (
            "nothing",
            with_module(train.StatisticsNoise(1.0), lambda own, z: own(z.view(B, N, A)).flatten(1)),
        ),
        "MixStyle": ("nothing", with_module(train.MixStyle(1.0), lambda own, z: own(z.view(B, N, A)).flatten(1))),
        "LeMDA, linear": ("nothing", lemda(train.MlpVae)),
        "LeMDA, attention": ("nothing", lemda(train.AttentionVae)),
        "distillation_loss": ("nothing", added([], lambda net, z, said: train.distillation_loss(said, other, y))),
        "pseudo_label_loss": ("nothing", added([], lambda net, z, said: train.pseudo_label_loss(said, 0.5))),
        "distance_smoothing": ("nothing", added([], lambda net, z, said: train.distance_smoothing(z, y[:, None] == y))),
        "counterfactual_loss": ("nothing", added([], lambda net, z, said: train.counterfactual_loss(z, x, x.flip(0)))),
        "DomainAdversary": ("nothing", added([adversary], lambda net, z, said: adversary(z, made_rows))),
        "GanBert": ("nothing", around(gan)),
        "DiffusionViews": ("nothing", around(views)),
        "TMMDA's fusion": ("", tmmda(False)),
        "TMMDA": ("TMMDA's fusion", tmmda(True)),
        "a translator by CTC": ("", xmda(False)),
        "XmDA": ("a translator by CTC", xmda(True)),
    }


class Stepped:
    """One part, trained: a call is a step, and gives its milliseconds: of a core's own time, without a GPU."""

    def __init__(self, make: Callable[[], tuple[list[nn.Module], Loss]], where: torch.device, compiled: bool) -> None:
        torch.manual_seed(0)
        modules, loss = make()
        learnt = [p for module in modules for p in module.to(where).parameters()]
        self.optimiser = torch.optim.AdamW(learnt, lr=1e-4)
        self.run = torch.compile(loss) if compiled else loss
        self.gpu = where.type == "cuda"

    def __call__(self) -> float:
        clock = time.perf_counter if self.gpu else time.process_time
        if self.gpu:
            torch.cuda.synchronize()
        began = clock()
        self.optimiser.zero_grad(set_to_none=True)
        self.run().backward()
        self.optimiser.step()
        if self.gpu:
            torch.cuda.synchronize()
        return 1000 * (clock() - began)


def timed(make: Any, base: Any, steps: int, where: torch.device, compiled: bool) -> tuple[float, float | None]:
    """The median of a part's steps, and of the differences to steps of what it is compared with, taken in turn."""
    torch._dynamo.reset()
    own = Stepped(make, where, compiled)
    other = Stepped(base, where, compiled) if base else None
    for _ in range(5):  # not counted
        own()
        if other:
            other()
    found = [(own(), other() if other else 0.0) for _ in range(steps)]
    middle = statistics.median(one for one, _ in found)
    return middle, statistics.median(one - two for one, two in found) if other else None


def main() -> None:
    read = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    read.add_argument("--steps", type=int, default=30)
    read.add_argument("--no-compile", action="store_true")
    asked = read.parse_args()
    where = torch.device("cuda" if torch.cuda.is_available() else "cpu")
    torch.set_num_threads(1)
    torch._logging.set_logs(dynamo=logging.ERROR)
    warnings.simplefilter("ignore")
    name = torch.cuda.get_device_name() if where.type == "cuda" else "one core"
    print(f"{name}, torch {torch.__version__}, a batch of {B}, the median of {asked.steps} steps.\n")
    print("| | ms a step | more | compiled, ms a step | more |\n|---|---|---|---|---|")
    every = parts(where)
    for part, (base, make) in every.items():
        cells = []
        for compiled in (False,) if asked.no_compile else (False, True):
            try:
                took, more = timed(make, every[base][1] if base else None, asked.steps, where, compiled)
                cells += [f"{took:.1f}", "" if more is None else f"{more:+.1f}"]
            except (RuntimeError, ValueError) as error:
                print(f"{part}: {type(error).__name__}: {str(error)[:200]}", file=sys.stderr)
                cells += ["does not compile", ""]
        against = f" (than {base})" if base not in ("", "nothing") else ""
        print(f"| {part} | {cells[0]} | {cells[1]}{against} | {' | '.join(cells[2:] or ['', ''])} |", flush=True)


if __name__ == "__main__":
    main()
