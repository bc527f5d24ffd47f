"""The way of a fit from step to step: what it is told of, when it ends, and how it goes on where it was cut off.

On a CPU the same fit comes to the same bytes, after a break too: every random number comes from a generator of its own,
seeded by what it is for, and torch computes with one thread.
"""

from __future__ import annotations

import json
import math
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from hashlib import blake2b
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple, Protocol

if TYPE_CHECKING:
    import torch

CHECKPOINT = "checkpoint.safetensors"
HELD = 0.1
"""The share of rows that are held out."""


class Progress(NamedTuple):
    """How far training is; ``rate`` steps a second, ``left`` seconds, ``held`` the loss on the held-out rows."""

    step: int
    steps: int
    rate: float
    left: float
    loss: float
    held: float

    def __str__(self) -> str:
        minutes, seconds = divmod(round(self.left), 60)
        told = f"{self.step:,} of {self.steps:,} steps, {self.rate:.1f}/s, at most {minutes}:{seconds:02d} left"
        return f"{told}, loss {self.loss:.3f}, on held-out rows {self.held:.3f}"


def nobody(progress: Progress) -> None:
    """Nobody is told."""


class Trained(NamedTuple):
    """How training went: the step whose weights were taken, the last one, and the loss there on held-out rows."""

    best: int
    last: int
    held: float


class Fit(Protocol):
    """What is fitted, and how a step of it goes."""

    learnt: list[torch.Tensor]
    """The weights that move."""
    mean: Any
    """diffusers' ``EMAModel`` of them, where it is their averages that are taken; else None."""
    optimiser: Any
    steps: int
    """The most steps."""
    every: int
    """After so many it looks at the held-out rows, and leaves a checkpoint."""
    patience: int
    """It ends after so many looks without a gain."""
    clip: float
    """The longest that a gradient may be."""
    print: str
    """A digest of all that the fit hangs on: a checkpoint of another one is not gone on from."""

    def rate(self, step: int) -> float:
        """The learning rate of a step."""

    def learn(self, step: int) -> float:
        """Add the gradients of a step; its loss."""

    def look(self) -> float:
        """The loss on held-out rows, always under the same luck."""


def run(fit: Fit, folder: Path | None, told: Callable[[Progress], None] = nobody) -> Trained:
    """Fit the weights in place, and leave those of the best look in them.

    With ``folder`` it leaves a checkpoint there at every look, and goes on from one of the same fit.
    """
    import torch

    at = Course(fit)
    if folder:
        at.read(folder / CHECKPOINT)
    began, first, losses, since = time.monotonic(), at.step, 0.0, 0
    while at.step < fit.steps and not at.over:
        fit.optimiser.zero_grad(set_to_none=True)
        losses += fit.learn(at.step)
        torch.nn.utils.clip_grad_norm_(fit.learnt, fit.clip)
        for group in fit.optimiser.param_groups:
            group["lr"] = fit.rate(at.step)
        fit.optimiser.step()
        if fit.mean is not None:
            fit.mean.step(fit.learnt)
        at.step, since = at.step + 1, since + 1
        if at.step % fit.every == 0 or at.step == fit.steps:
            at.look(fit.look())
            if folder:
                at.write(folder / CHECKPOINT)
            rate = (at.step - first) / max(1e-9, time.monotonic() - began)
            told(Progress(at.step, fit.steps, rate, (fit.steps - at.step) / rate, losses / since, at.held))
            losses, since = 0.0, 0
    with torch.no_grad():
        for own, taken in zip(fit.learnt, at.taken, strict=True):
            own.copy_(taken)
    return Trained(at.best, at.step, at.lowest)


class Course:
    """Where a fit stands: all that it takes to go on from here."""

    def __init__(self, fit: Fit) -> None:
        self.fit = fit
        self.step = self.best = self.since = 0
        self.lowest = self.held = math.inf
        self.taken = self._now()

    @property
    def over(self) -> bool:
        return self.since >= self.fit.patience

    def look(self, held: float) -> None:
        """Take the weights where they are the best so far."""
        self.held, self.since = held, self.since + 1
        if held < self.lowest:
            self.lowest, self.best, self.since = held, self.step, 0
            self.taken = self._now()

    def write(self, path: Path) -> None:
        """Leave a checkpoint."""
        from safetensors.torch import save_file

        told = {"of": self.fit.print, "step": self.step, "best": self.best, "since": self.since}
        said = {"at": json.dumps({**told, "lowest": self.lowest, "held": self.held})}
        tensors = {name: tensor.cpu().contiguous() for name, tensor in self._tensors().items()}
        path.parent.mkdir(parents=True, exist_ok=True)
        aside = path.with_name(f".{path.name}.aside")
        save_file(tensors, aside, said)  # straight to the file: as bytes, all would be in memory twice more
        aside.replace(path)

    def read(self, path: Path) -> None:
        """Go on from a checkpoint, where there is one of the same fit."""
        import torch
        from safetensors import SafetensorError, safe_open

        try:
            with safe_open(path, "pt") as file:
                said = json.loads(file.metadata()["at"])
                stored = {name: file.get_tensor(name) for name in file.keys()}  # noqa: SIM118  it is no mapping
        except (OSError, SafetensorError, KeyError, TypeError, ValueError):
            return
        if said.get("of") != self.fit.print:
            return
        self.step, self.best, self.since = said["step"], said["best"], said["since"]
        self.lowest, self.held = said["lowest"], said["held"]
        mean = self.fit.mean
        if mean is not None:
            mean.optimization_step = self.step
        with torch.no_grad():
            for i, weight in enumerate(self.fit.learnt):
                weight.copy_(stored[f"weight {i}"])
                self.taken[i].copy_(stored[f"taken {i}"])
                if mean is not None:
                    mean.shadow_params[i].copy_(stored[f"mean {i}"])
                if f"exp_avg {i}" in stored:  # a weight that never had a gradient has none
                    self.fit.optimiser.state[weight] = {
                        "step": stored[f"step {i}"],  # its own: a layer may have been left out of some steps
                        "exp_avg": stored[f"exp_avg {i}"].to(weight.device),
                        "exp_avg_sq": stored[f"exp_avg_sq {i}"].to(weight.device),
                    }

    def _now(self) -> list[torch.Tensor]:
        mean = self.fit.mean
        return [tensor.detach().clone() for tensor in (self.fit.learnt if mean is None else mean.shadow_params)]

    def _tensors(self) -> dict[str, torch.Tensor]:
        found: dict[str, torch.Tensor] = {}
        for i, own in enumerate(self.fit.learnt):
            found |= {f"weight {i}": own.detach(), f"taken {i}": self.taken[i]}
            if self.fit.mean is not None:
                found[f"mean {i}"] = self.fit.mean.shadow_params[i]
            moments = self.fit.optimiser.state[own]
            found |= {f"{name} {i}": moments[name] for name in ("step", "exp_avg", "exp_avg_sq") if name in moments}
        return found


def drawn(rows: Sequence[int], batch: int, step: int, seed: int) -> list[int]:
    """The rows of a step: every row once an epoch; the last batch of an epoch may be smaller."""
    import torch

    each = math.ceil(len(rows) / batch)
    order = torch.randperm(len(rows), generator=generator("order", seed, step // each))
    begin = step % each * batch
    return [rows[i] for i in order[begin : begin + batch].tolist()]


def dealt(rows: Sequence[int], batch: int, step: int, seed: int) -> list[int]:
    """The rows of a step, always as many: every row once before any comes again, also where they are fewer."""
    import torch

    first, last = step * batch // len(rows), ((step + 1) * batch - 1) // len(rows)
    orders = [torch.randperm(len(rows), generator=generator("order", seed, turn)) for turn in range(first, last + 1)]
    begin = step * batch - first * len(rows)
    return [rows[i] for i in torch.cat(orders)[begin : begin + batch].tolist()]


def apart(n: int, seed: int) -> tuple[list[int], list[int]]:
    """Of n rows those to learn from, and the tenth that is held out."""
    import torch

    order = torch.randperm(n, generator=generator("held", seed)).tolist()
    held = max(1, round(HELD * n))
    return order[held:], order[:held]


def generator(*said: object) -> torch.Generator:
    """Random numbers of their own for what is said."""
    import torch

    key = blake2b("\n".join(map(str, said)).encode(), digest_size=7).digest()
    return torch.Generator().manual_seed(int.from_bytes(key, "big"))


def seeded(*said: object) -> None:
    """Set torch's own random numbers by what is said: dropout and new layers draw from no others."""
    import torch

    torch.manual_seed(generator(*said).initial_seed())


@contextmanager
def own_luck(where: str) -> Iterator[None]:
    """While it lasts torch's random numbers are ours to set; then they are as they were."""
    import torch

    with torch.random.fork_rng(range(torch.cuda.device_count()) if where == "cuda" else []):
        yield


@contextmanager
def one_thread() -> Iterator[None]:
    """While it lasts, torch uses one thread: two add up in another order."""
    import torch

    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    try:
        yield
    finally:
        torch.set_num_threads(threads)


def write(path: Path, data: bytes) -> None:
    """Write aside, then rename: whoever is killed leaves the old file or the new one."""
    path.parent.mkdir(parents=True, exist_ok=True)
    aside = path.with_name(f".{path.name}.aside")
    aside.write_bytes(data)
    aside.replace(path)
