"""Noise under a sound, at a level."""

from __future__ import annotations

from collections.abc import Iterator
from functools import lru_cache
from math import log10
from typing import TYPE_CHECKING, Annotated, Any, ClassVar, Literal

from pydantic import Field, model_validator

from leaven.audio.fitted import with_channels
from leaven.audio.levels import SILENT, fit_factor, mean_square, scaled, snr_gain
from leaven.audio.noise import drawn_noise, looped
from leaven.audio.segments import noted
from leaven.errors import RecipeError
from leaven.media.audio import Audio
from leaven.media.broken import Broken
from leaven.media.resampled import resampled
from leaven.operators import File, Make
from leaven.ranges import Range, drawn_from, within
from leaven.records import Record

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

    from leaven.context import Context


def with_noise(samples: NDArray[np.float32], noise: NDArray[Any], snr: float) -> tuple[NDArray[np.float32], float]:
    """Samples with noise of the same shape ``snr`` dB below them, by their mean squares; and the factor by which both
    were made quieter so that nothing goes beyond full scale (1: they were not)."""
    import numpy as np

    mixed = samples + noise * snr_gain(mean_square(samples), mean_square(noise), snr)
    factor = fit_factor(mixed)
    return (mixed * factor).astype(np.float32), factor


class AddNoise(Make):
    """Put noise under a sound; the label stays.

    `snr` is the sound's mean square over the noise's, in dB, over the whole clip.  Where their sum would go beyond full
    scale, both are made quieter by `scaled`, in the history.  A silent sound is refused as `silent`, silent
    noise from a file as `silent_noise`.

    Helps where what is used later was recorded in worse places than what was trained on.

    Needs audio.  Makes audio; segments stay.

    >>> import numpy as np
    >>> from leaven.media.audio import Audio
    >>> tone = Audio.of(np.sin(np.arange(16000) / 5) / 2, 16000)
    >>> [row] = AddNoise(snr=20)({"audio": tone})
    >>> noise = row["audio"].samples - tone.samples
    >>> round(float(10 * np.log10(np.mean(tone.samples**2) / np.mean(noise**2))))
    20
    """

    takes: ClassVar[str] = "audio"
    moves: ClassVar[frozenset[str]] = frozenset({"segments"})
    snr: Annotated[float | Range, within(-60, 100)] = (5.0, 20.0)
    """How many dB the sound is above the noise: a number, or low and high to draw from."""
    n: int = Field(1, ge=1, le=50)
    """How many children."""
    noise: Literal["white", "pink", "brown"] = "pink"
    """How it falls with the frequency: not at all, by 3 or by 6 dB an octave."""
    file: File | None = None
    """Or a sound file to take it from, beside the recipe: a drawn piece of it, repeated where it is short."""
    on: str | None = None
    """The sound to change; the main audio."""

    @model_validator(mode="after")
    def _readable(self) -> AddNoise:
        if self.file:
            try:
                _ = Audio(self.file.data, self.file.name).rate
            except Broken as broken:
                raise _unread(broken) from None
        return self

    def make(self, record: Record, ctx: Context) -> Iterator[Record]:
        field = self.on or "audio"
        sound: Audio = record[field]
        samples, rate = sound.samples, sound.rate
        level = mean_square(samples)
        for ordinal in range(self.n):
            if level < SILENT:
                yield record.child().refuse("silent", f"{_decibels(level)} of full scale")
                continue
            rng = ctx.rng_of(ordinal)
            snr = drawn_from(self.snr, rng)
            noise, drawn = self.drawn(len(samples), samples.shape[1], rate, rng)
            if mean_square(noise) < SILENT:
                yield record.child().refuse(
                    "silent_noise", f"{self.file.name if self.file else self.noise} is silent there"
                )
                continue
            new, factor = with_noise(samples, noise, snr)
            drawn = {"snr": snr, **drawn, **scaled(factor)}
            fields = {field: Audio.of(new, rate, sound), **noted(ctx, record, field)}
            yield record.child(fields, drawn=drawn)

    def drawn(
        self, frames: int, channels: int, rate: int, rng: np.random.Generator
    ) -> tuple[NDArray[Any], dict[str, Any]]:
        """Noise for a sound of this shape, and what was drawn for it."""
        if self.file is None:
            return drawn_noise(self.noise, frames, channels, rng), {}
        found = _read(self.file, rate)
        start = int(rng.integers(max(1, len(found) - frames + 1)))
        return looped(with_channels(found, channels), frames, start), {"from": round(start / rate, 4)}


@lru_cache(maxsize=4)
def _read(file: File, rate: int) -> NDArray[np.float32]:
    try:
        sound = Audio(file.data, file.name)
        return resampled(sound.samples, sound.rate, rate)
    except Broken as broken:
        raise _unread(broken) from None


def _unread(broken: Broken) -> RecipeError:
    return RecipeError(f"the noise cannot be read: {broken.detail}.", "name another file.")


def _decibels(level: float) -> str:
    return f"{10 * log10(level):.0f} dB" if level > 0 else "nothing"
