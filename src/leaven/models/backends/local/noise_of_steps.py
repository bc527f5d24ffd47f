"""Noise that a scheduler adds at each of its steps, from the generators of the calls that it paints or sounds for."""

from __future__ import annotations

from collections.abc import Sequence
from functools import wraps
from importlib.util import find_spec
from typing import TYPE_CHECKING, Any

from leaven.errors import MissingExtra

if TYPE_CHECKING:
    from leaven.models.backends.local.weights import Weights

COSINE, SDE = "CosineDPMSolverMultistepScheduler", "DPMSolverSDEScheduler"
"""The schedulers of diffusers that follow paths of Brownian motion; the first is Stable Audio's."""
BEYOND = 1.001
"""A path goes on so far behind its ends: noise levels that are asked for are rounded."""


def check(weights: Weights) -> None:
    """Raises MissingExtra where the scheduler of a pipeline needs the package torchsde, and it is not there."""
    named = weights.config.get("scheduler")
    if isinstance(named, list) and named[-1] in (COSINE, SDE) and find_spec("torchsde") is None:
        raise MissingExtra(
            f"{weights.uri} has a scheduler, {named[-1]}, that needs the extra `diffusion` (torchsde).",
            'pip install "leaven[diffusion]"',
        )


def owned(scheduler: Any, generators: Sequence[Any]) -> None:
    """Have a scheduler draw from these generators, one for each row, where it takes none for its steps.

    Left to itself it may draw its seed from torch's global generator, and Stable Audio's asks its path for levels
    where it has none.
    """
    name = type(scheduler).__name__
    if name not in (COSINE, SDE):
        return
    step = scheduler.step

    @wraps(step)
    def stepped(output: Any, timestep: Any, sample: Any, *more: Any, **named: Any) -> Any:
        if scheduler.noise_sampler is None:
            made = _fresh if name == COSINE else _along
            scheduler.noise_sampler = made(scheduler, sample, generators)
        return step(output, timestep, sample, *more, **named)

    scheduler.step = stepped


def _fresh(scheduler: Any, sample: Any, generators: Sequence[Any]) -> Any:
    """Noise anew for each step: the parts of a path, which no two steps of this scheduler share, are independent."""
    import torch

    def noise(level: Any, following: Any) -> Any:
        rows = [torch.randn(sample.shape[1:], generator=generator) for generator in generators]
        return torch.stack(rows).to(sample.device, sample.dtype)

    return noise


def _along(scheduler: Any, sample: Any, generators: Sequence[Any]) -> Any:
    """Noise along one path for each row: half a step and the whole of it have a part of the path in common."""
    from diffusers.schedulers.scheduling_dpmsolver_sde import BrownianTreeNoiseSampler

    levels = scheduler.sigmas[scheduler.sigmas > 0]
    seeds = [generator.initial_seed() for generator in generators]
    path = BrownianTreeNoiseSampler(
        sample.float().cpu(), float(levels.min()) / BEYOND, float(levels.max()) * BEYOND, seeds
    )
    return lambda level, following: path(level.cpu(), following.cpu()).to(sample.device, sample.dtype)
