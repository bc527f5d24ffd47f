"""Sounds by pipelines of diffusers: AudioLDM 2 and Stable Audio."""

from __future__ import annotations

import copy
import threading
import warnings
from collections.abc import Callable, Hashable, Sequence
from typing import TYPE_CHECKING, Any, ClassVar

from leaven.errors import ModelError, listed
from leaven.media.audio import Audio
from leaven.media.resampled import resampled
from leaven.models.backends.local import noise_of_steps
from leaven.models.backends.local.local import Local
from leaven.models.backends.local.paints import quiet
from leaven.models.calls import About, Answer, Ask, CallFailed

if TYPE_CHECKING:
    from leaven.models.backends.local.weights import Weights

STABLE, LATENT = "StableAudioPipeline", "AudioLDM2Pipeline"
KNOWN: dict[str, tuple[int, float, float | None]] = {LATENT: (200, 3.5, 10.24), STABLE: (100, 7.0, None)}
"""The steps, the guidance and the seconds of each class where nothing is said; None: as long as the model can."""


class Sounds(Local):
    """Plays ``sound`` with AudioLDM 2 (Liu et al. 2024, arXiv:2308.05734) and Stable Audio (Evans et al. 2024,
    arXiv:2407.14358); the latter may start from a sound.

    Sounds come at the model's own rate, in one channel or two, as it makes them.  At a ``strength`` below 1, Stable
    Audio starts from the given sound with as much noise as that share of the steps takes away (Liu et al. 2023,
    AudioLDM, arXiv:2301.12503); at 1 hardly a trace of it is left.
    """

    extra: ClassVar[str] = "diffusion"
    batch: ClassVar[int] = 4

    def __init__(self, weights: Weights) -> None:
        super().__init__(weights)
        self.name = str(weights.config.get("_class_name", ""))
        if self.name not in KNOWN:
            raise ModelError(
                f"{self.uri} is {'a ' + self.name if self.name else 'no pipeline'}, which is not known to sound.",
                f"name one of {listed(sorted(KNOWN))}.",
            )
        self._pipe: Any = None
        self._own = threading.local()

    async def play(self, ask: Ask, about: About) -> Answer:
        if "start" in ask.content and self.name != STABLE:
            raise ModelError(f"{self.uri} starts from no sound.", "Stable Audio does; or leave out `start`.")
        if ask.adapter is not None:
            raise ModelError(f"{self.uri} takes no adapter.", "leave it out.")
        return await super().play(ask, about)

    def kind(self, ask: Ask) -> Hashable:
        return tuple(sorted((key, str(value)) for key, value in ask.content.items() if key != "prompt"))

    # -- in a thread ------------------------------------------------------------------------------------------------

    def load(self) -> None:
        diffusers = quiet(self.uri)
        noise_of_steps.check(self.weights)
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            pipe = self.weights.read(getattr(diffusers, self.name), use_safetensors=True, dtype=self.dtype)
        pipe.set_progress_bar_config(disable=True)
        for part in pipe.components.values():
            if hasattr(part, "parameters"):
                part.requires_grad_(False).train(False)
        self._pipe = pipe.to(self.device)

    def unload(self) -> None:
        self._pipe = None
        self._own = threading.local()

    def answers(self, asks: Sequence[Ask]) -> list[Answer | CallFailed]:
        import numpy as np
        import torch

        how = asks[0].content
        most, guidance, longest = KNOWN[self.name]
        steps, seconds = int(how.get("steps") or most), float(how.get("seconds") or longest or 0)
        strength = float(how.get("strength", 1.0))
        if "start" in how and not int(steps * strength):
            failed = CallFailed("too_few_steps", f"{steps} steps at strength {strength:g} are none")
            return [failed] * len(asks)
        pipe = self._whole()
        generators = [torch.Generator("cpu").manual_seed(int(ask.sampling["seed"])) for ask in asks]
        noise_of_steps.owned(pipe.scheduler, generators)
        given: dict[str, Any] = {"num_inference_steps": steps}
        if seconds:
            given["audio_length_in_s" if self.name == LATENT else "audio_end_in_s"] = seconds
        if how.get("negative"):
            given["negative_prompt"] = [how["negative"]] * len(asks)
        if "start" in how:
            given |= self._started(pipe, asks, generators, steps, strength)
        found = pipe(
            prompt=[ask.content["prompt"] for ask in asks],
            guidance_scale=float(guidance if how.get("guidance") is None else how["guidance"]),
            generator=generators,
            output_type="pt",
            **given,
        ).audios
        answers: list[Answer | CallFailed] = []
        for sound in found.float().cpu().numpy():
            samples = sound[:, None] if sound.ndim == 1 else sound.T
            samples = samples[: max(1, round(seconds * self.rate))] if seconds else samples
            if np.isfinite(samples).all():
                answers.append(Answer("", media=Audio.of(np.clip(samples, -1, 1), self.rate)))
            else:
                answers.append(CallFailed("model_error", f"{self.uri} made what are no numbers"))
        return answers

    def _started(
        self, pipe: Any, asks: Sequence[Ask], generators: list[Any], steps: int, strength: float
    ) -> dict[str, Any]:
        """What makes Stable Audio start from a sound: the last steps alone, from as much noise as the first of them
        takes away."""
        import torch

        scheduler, left = pipe.scheduler, int(steps * strength)
        scheduler.set_timesteps(steps)
        level = float(scheduler.sigmas[steps - left])
        scheduler.set_timesteps = last(scheduler, left)
        network = pipe.transformer.config
        shape = (1, int(network.in_channels), int(network.sample_size))
        noise = torch.cat([torch.randn(shape, generator=generator) for generator in generators])
        start = asks[0].media[asks[0].content["start"]]  # calls of one kind start from one sound
        assert isinstance(start, Audio), "a sound starts from a sound"
        samples = torch.from_numpy(resampled(start.samples, start.rate, self.rate).T.copy())[None]
        return {
            # The pipeline multiplies it by what it begins with, which is for noise with nothing under it.
            "latents": (noise * (level / float(scheduler.init_noise_sigma))).to(self.dtype),
            "initial_audio_waveforms": samples.repeat(len(asks), 1, 1).to(self.device, self.dtype),
            "initial_audio_sampling_rate": self.rate,
        }

    def _whole(self) -> Any:
        """The pipeline, with a scheduler and tokenizers of its own, which keep state."""
        if not hasattr(self._own, "tokenizers"):
            self._own.tokenizers = {
                name: copy.deepcopy(part) for name, part in self._pipe.components.items() if "tokenizer" in name
            }
        pipe = copy.copy(self._pipe)
        pipe.scheduler = type(pipe.scheduler).from_config(pipe.scheduler.config)
        for name, part in self._own.tokenizers.items():
            setattr(pipe, name, part)
        return pipe

    @property
    def rate(self) -> int:
        """Samples a second."""
        parts = self._pipe
        return int(parts.vae.sampling_rate if self.name == STABLE else parts.vocoder.config.sampling_rate)


def last(scheduler: Any, left: int) -> Callable[..., None]:
    """A scheduler's ``set_timesteps`` that leaves the last steps of the whole way, whatever its noise levels are."""
    whole = scheduler.set_timesteps

    def set_timesteps(steps: int, device: Any = None) -> None:
        whole(steps, device=device)
        scheduler.timesteps = scheduler.timesteps[steps - left :]
        scheduler.sigmas = scheduler.sigmas[steps - left :]

    return set_timesteps
