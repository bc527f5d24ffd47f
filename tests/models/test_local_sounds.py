"""AudioLDM 2 and Stable Audio in folders."""

from __future__ import annotations

import asyncio
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from leaven.errors import MissingExtra, ModelError
from leaven.media.audio import Audio
from leaven.models.backends.local.noise_of_steps import owned
from leaven.models.backends.local.sounds import Sounds, last
from leaven.models.backends.of_diffusers import of_diffusers
from leaven.models.calls import About, Answer, Ask, CallFailed
from leaven.records import digest
from tiny import painters
from tiny.batches import as_on_a_gpu, in_both_ways

pytest.importorskip("diffusers")
pytest.importorskip("torchsde")
OWN = "CosineDPMSolverMultistepScheduler"
TONE = Audio.of(np.sin(np.arange(4000) / 20).astype(np.float32) / 2, 8000)
HISS = Audio.of(np.random.default_rng(0).normal(0, 0.2, 4000).astype(np.float32), 8000)


@pytest.fixture(autouse=True, scope="module")
def one_thread() -> Iterator[None]:
    """For what diffusers does itself: on so little several threads mostly wait for each other, for seconds."""
    import torch

    before = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(before)


@pytest.fixture(scope="module")
def ldm(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return painters.audioldm2(tmp_path_factory.mktemp("ldm"))


@pytest.fixture(scope="module")
def stable(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return painters.stable_audio(tmp_path_factory.mktemp("stable"))


@pytest.fixture(scope="module")
def own(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Stable Audio with the scheduler that it was published with."""
    return painters.stable_audio(tmp_path_factory.mktemp("own"), OWN)


def call(seed: int = 1, seconds: float = 0.5, **how: Any) -> Ask:
    media = {}
    if "start" in how:
        name = digest(how["start"].encoded).hex()
        media[name], how["start"] = how["start"], name
    return Ask("sound", {"prompt": "a dog", "steps": 4, "seconds": seconds, **how}, {"seed": seed}, media=media)


def asked(folder: Path, *calls: Ask) -> list[Audio]:
    player = of_diffusers("sound", "diffusers:here", str(folder))

    async def both() -> list[Answer]:
        return await asyncio.gather(*(player.play(ask, About("s", 0, f"{i}")) for i, ask in enumerate(calls)))

    try:
        found = [answer.media for answer in asyncio.run(both())]
    finally:
        asyncio.run(player.close())
    assert all(isinstance(sound, Audio) for sound in found)
    return [sound for sound in found if isinstance(sound, Audio)]


def test_audioldm2(ldm: Path):
    one, again, seed, negative, longer = asked(
        ldm, call(seconds=0.05), call(seconds=0.05), call(2, 0.05), call(seconds=0.05, negative="x"), call(seconds=0.1)
    )
    assert (one.rate, one.channels, len(one.samples)) == (16000, 1, 800)
    assert len(longer.samples) == 1600
    assert one.encoded == again.encoded
    assert one.kind == ("WAV", "PCM_16")
    assert len({sound.encoded for sound in (one, seed, negative)}) == 3
    with pytest.raises(ModelError, match=r"starts from no sound\.\n.*Stable Audio does"):
        asked(ldm, call(start=TONE))


def test_stable_audio(stable: Path):
    one, again, seed, negative, prompt = asked(
        stable, call(), call(), call(2), call(negative="a cat"), call(prompt="a cat")
    )
    assert (one.rate, one.channels, len(one.samples)) == (100, 2, 50)
    assert one.encoded == again.encoded
    assert len({sound.encoded for sound in (one, seed, negative, prompt)}) == 4


def test_stable_audio_starts_from_a_sound(stable: Path):
    plain, much, some, little = asked(
        stable, call(), *(call(start=TONE, strength=strength) for strength in (1.0, 0.5, 0.25))
    )
    [other] = asked(stable, call(start=HISS, strength=0.25))
    assert len({sound.encoded for sound in (plain, much, some, little, other)}) == 5
    with pytest.raises(CallFailed, match=r"too_few_steps: 4 steps at strength 0\.2 are none"):
        asked(stable, call(start=TONE, strength=0.2))


@pytest.mark.parametrize("schedule", ["exponential", "karras"])
@pytest.mark.parametrize("scheduler", [OWN, "EDMDPMSolverMultistepScheduler"])
def test_noise_levels_are_the_last_of_the_whole_way(scheduler: str, schedule: str):
    import diffusers

    kind = getattr(diffusers, scheduler)
    whole, cut = kind(sigma_schedule=schedule), kind(sigma_schedule=schedule)
    whole.set_timesteps(8)
    last(cut, 3)(8, device="cpu")
    assert cut.sigmas.tolist() == whole.sigmas[5:].tolist()
    assert cut.timesteps.tolist() == whole.timesteps[5:].tolist()
    assert cut.init_noise_sigma == whole.init_noise_sigma


def test_it_starts_from_as_much_noise_as_is_taken_away(own: Path):
    player = of_diffusers("sound", "diffusers:here", str(own))
    assert isinstance(player, Sounds)
    asyncio.run(asyncio.to_thread(player._open))
    whole, pipe = player._whole(), player._whole()
    whole.scheduler.set_timesteps(8)
    given = player._started(pipe, [call(start=TONE)], [_generator()], 8, 0.5)
    asyncio.run(player.close())
    assert given["initial_audio_waveforms"].shape == (1, 1, 50)
    spread = float(given["latents"].std()) * float(pipe.scheduler.init_noise_sigma)
    assert spread == pytest.approx(float(whole.scheduler.sigmas[4]), rel=0.3)


def test_stable_audio_with_its_own_scheduler(own: Path):
    """It adds noise at each step: of the call's own, whatever torch's global generator holds, and leaves that alone."""
    import torch

    one, again, seed, half, last_step, other = asked(
        own, call(), call(), call(2), *(call(start=TONE, strength=share) for share in (0.5, 0.25)),
        call(start=HISS, strength=0.25),
    )  # fmt: skip
    assert one.encoded == again.encoded == asked(own, call())[0].encoded
    assert len({sound.encoded for sound in (one, seed, half, last_step, other)}) == 5
    player = of_diffusers("sound", "diffusers:here", str(own))
    assert isinstance(player, Sounds)
    player._open()
    before = torch.get_rng_state()
    [found] = player._answered([call()])
    asyncio.run(player.close())
    assert torch.equal(before, torch.get_rng_state())
    assert isinstance(found, Answer)
    assert isinstance(found.media, Audio)
    assert found.media.encoded == one.encoded


def test_its_scheduler_needs_another_package(own: Path, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setitem(sys.modules, "torchsde", None)
    with pytest.raises(MissingExtra, match=rf"{OWN}.*torchsde.*\n.*leaven\[diffusion\]"):
        asked(own, call())


def test_noise_of_its_steps_is_normal_and_new(own: Path):
    import torch
    from diffusers import CosineDPMSolverMultistepScheduler

    scheduler = CosineDPMSolverMultistepScheduler(solver_order=1)
    owned(scheduler, [torch.Generator().manual_seed(seed) for seed in (1, 2)])
    scheduler.set_timesteps(4)
    flat = torch.zeros(2, 4, 5_000)
    made, drawn = [], torch.zeros_like(flat)
    for step in scheduler.timesteps:
        drawn = scheduler.step(flat, step, flat).prev_sample
        made.append(drawn)
    rows = torch.stack(made[:3]).reshape(6, -1)  # the last step, to a noise of 0, adds none
    assert not drawn.any()
    levels = scheduler.sigmas
    wanted = [float((levels[i + 1] ** 2 - levels[i + 1] ** 4 / levels[i] ** 2) ** 0.5) for i in range(3)]
    assert rows.std(dim=1).tolist() == pytest.approx([wanted[i // 2] for i in range(6)], rel=0.03)
    assert (torch.corrcoef(rows) - torch.eye(6)).abs().max() < 0.03


def _generator() -> Any:
    import torch

    return torch.Generator().manual_seed(0)


@pytest.mark.parametrize(("halves", "off"), [(False, 1e-3), (True, 0.1)])
def test_batches_as_on_a_gpu(own: Path, halves: bool, off: float):
    player = of_diffusers("sound", "diffusers:here", str(own))
    assert isinstance(player, Sounds)
    calls = [call(seed, start=TONE, strength=0.5, prompt=f"dog {seed}") for seed in range(3)]
    assert player.kind(calls[0]) != player.kind(call(start=HISS, strength=0.5))
    with as_on_a_gpu(player, halves=halves) as batches:
        together, alone = in_both_ways(player, calls)
    assert batches == [calls, *([one] for one in calls)]
    assert near(together, alone) <= off


@pytest.mark.parametrize(("halves", "off"), [(False, 1e-3), (True, 0.1)])
def test_batches_of_audioldm2_as_on_a_gpu(ldm: Path, halves: bool, off: float):
    player = of_diffusers("sound", "diffusers:here", str(ldm))
    assert isinstance(player, Sounds)
    calls = [call(seed, 0.05, prompt="dog") for seed in range(2)]
    with as_on_a_gpu(player, halves=halves) as batches:
        together, alone = in_both_ways(player, calls)
    assert batches == [calls, *([one] for one in calls)]
    assert near(together, alone) <= off


def near(some: list[Answer], others: list[Answer]) -> float:
    """By how much the samples of sounds differ, at the most."""
    pairs = [(one.media, other.media) for one, other in zip(some, others, strict=True)]
    return max(
        float(np.abs(one.samples - other.samples).max())
        for one, other in pairs
        if isinstance(one, Audio) and isinstance(other, Audio)
    )


def test_other_pipelines(stable: Path, tmp_path: Path):
    with pytest.raises(CallFailed, match="longer than the model maximum"):
        asked(stable, call(seconds=99))
    (tmp_path / "model_index.json").write_text('{"_class_name": "MusicLDMPipeline"}')
    with pytest.raises(ModelError, match=r"MusicLDMPipeline, which is not known to sound\.\n.*StableAudioPipeline"):
        of_diffusers("sound", "diffusers:here", str(tmp_path))
    with pytest.raises(ModelError, match="nothing named `controlnet` stands beside"):
        of_diffusers("sound", "diffusers:here", f"{stable}?controlnet=x")
