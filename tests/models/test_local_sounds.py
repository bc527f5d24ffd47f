"""AudioLDM 2 and Stable Audio in folders."""

from __future__ import annotations

import asyncio
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from leaven.errors import ModelError
from leaven.media.audio import Audio
from leaven.models.backends.local.sounds import Sounds
from leaven.models.backends.of_diffusers import of_diffusers
from leaven.models.calls import About, Answer, Ask, CallFailed
from leaven.records import digest
from tiny import painters

pytest.importorskip("diffusers")
TONE = Audio.of(np.sin(np.arange(4000) / 20).astype(np.float32) / 2, 8000)
HISS = Audio.of(np.random.default_rng(0).normal(0, 0.2, 4000).astype(np.float32), 8000)


@pytest.fixture(scope="module")
def ldm(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return painters.audioldm2(tmp_path_factory.mktemp("ldm"))


@pytest.fixture(scope="module")
def stable(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return painters.stable_audio(tmp_path_factory.mktemp("stable"))


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


def test_noise_levels_are_the_last_of_the_whole_way(stable: Path):
    player = of_diffusers("sound", "diffusers:here", str(stable))
    assert isinstance(player, Sounds)
    asyncio.run(asyncio.to_thread(player._open))
    whole = player._whole()
    whole.scheduler.set_timesteps(8)
    pipe = player._whole()
    given = player._started(pipe, [call(start=TONE)], [_generator()], 8, 0.5)
    pipe.scheduler.set_timesteps(given["num_inference_steps"])
    asyncio.run(player.close())
    assert np.allclose(pipe.scheduler.sigmas, whole.scheduler.sigmas[4:], rtol=1e-4)
    assert given["initial_audio_waveforms"].shape == (1, 1, 50)
    spread = float(given["latents"].std()) * float(pipe.scheduler.init_noise_sigma)
    assert spread == pytest.approx(float(whole.scheduler.sigmas[4]), rel=0.3)


def _generator() -> Any:
    import torch

    return torch.Generator().manual_seed(0)


def test_a_batch_as_on_a_gpu(stable: Path):
    player = of_diffusers("sound", "diffusers:here", str(stable))
    assert isinstance(player, Sounds)
    calls = [call(seed, start=TONE, strength=0.5, prompt=f"dog {seed}") for seed in range(3)]
    assert len({player.kind(ask) for ask in calls}) == 1
    assert player.kind(calls[0]) != player.kind(call(start=HISS, strength=0.5))
    asyncio.run(asyncio.to_thread(player._open))
    together, alone = player._answered(calls), [player._answered([ask])[0] for ask in calls]
    asyncio.run(player.close())
    for one, other in zip(together, alone, strict=True):
        assert isinstance(one, Answer)
        assert isinstance(other, Answer)
        assert isinstance(one.media, Audio)
        assert isinstance(other.media, Audio)
        assert np.allclose(one.media.samples, other.media.samples, atol=1e-3)


def test_other_pipelines(stable: Path, tmp_path: Path):
    with pytest.raises(CallFailed, match="longer than the model maximum"):
        asked(stable, call(seconds=99))
    (tmp_path / "model_index.json").write_text('{"_class_name": "MusicLDMPipeline"}')
    with pytest.raises(ModelError, match=r"MusicLDMPipeline, which is not known to sound\.\n.*StableAudioPipeline"):
        of_diffusers("sound", "diffusers:here", str(tmp_path))
    with pytest.raises(ModelError, match="nothing named `controlnet` stands beside"):
        of_diffusers("sound", "diffusers:here", f"{stable}?controlnet=x")
