"""What a sound looks and sounds like: its log-mel spectrogram in grays, and a clip that every browser plays."""

from __future__ import annotations

from dataclasses import dataclass
from io import BytesIO
from typing import TYPE_CHECKING

import numpy as np

from leaven.media.audio import Audio
from leaven.media.resampled import resampled
from leaven.media.spectrum import FLOOR, mel_edges, mel_filters, stft
from leaven.report.thumbnail import data_uri

if TYPE_CHECKING:
    from numpy.typing import NDArray

SECONDS = 5.0
MOST_RATE = 16_000
BANDS = 64
WINDOW = 0.032
COLUMNS = 250
"""Moments that a spectrogram shows at most; each is at least 10 ms."""
DEEP = 70.0
"""Decibels from the loudest, which is black, to white."""
SHADES = 63


@dataclass(frozen=True)
class Heard:
    """The first seconds of a sound: ``power`` in decibels, bands x moments, the lowest band last."""

    power: NDArray[np.float32]
    seconds: float
    """What is shown and played; ``whole`` is how long the sound is."""
    whole: float
    rate: int
    channels: int


def hear(sound: Audio, rate: int) -> Heard:
    """The sound's spectrogram, up to half of ``rate``; what lies above its own highest tone stays silent.

    Raises Broken where it cannot be decoded.
    """
    first = _first(sound)
    seconds = len(first) / sound.rate
    samples = resampled(first, sound.rate, rate)
    hop = max(round(0.010 * rate), -(-len(samples) // COLUMNS))
    size = round(WINDOW * rate)
    power = np.square(np.abs(stft(samples, size, hop))) @ mel_filters(BANDS, size, rate).T
    found = 10 * np.log10(np.maximum(power, FLOOR)).astype(np.float32)
    return Heard(np.ascontiguousarray(found.T[::-1]), seconds, sound.seconds, sound.rate, sound.channels)


def spectrogram(heard: Heard, loudest: float) -> str:
    """The picture: black where it is as loud as ``loudest`` (decibels), white 70 below.

    Steps of gray look as large as steps of loudness are; a dark page turns them round.
    """
    from PIL import Image as pillow

    share = np.clip((loudest - heard.power) / DEEP, 0.0, 1.0)
    out = BytesIO()
    pillow.fromarray((np.round(share * SHADES) * (255 / SHADES)).astype(np.uint8)).save(out, "PNG", optimize=True)
    return data_uri("image/png", out.getvalue())


def clip(sound: Audio) -> str:
    """Its first 5 seconds as flac: one channel of 16 bits, at most 16,000 a second.  Nothing is lost but what is said.

    Raises Broken where it cannot be decoded.
    """
    import soundfile

    rate = min(sound.rate, MOST_RATE)
    samples = resampled(_first(sound), sound.rate, rate)
    out = BytesIO()
    soundfile.write(out, np.clip(samples, -1.0, 1.0), rate, "PCM_16", format="FLAC")
    return data_uri("audio/flac", out.getvalue())


def _first(sound: Audio) -> NDArray[np.float32]:
    """One channel of its first seconds; the rest of a long one is not decoded."""
    import soundfile

    enough = round(SECONDS * sound.rate)
    try:
        with soundfile.SoundFile(BytesIO(sound.encoded)) as file:
            found: NDArray[np.float32] = file.read(enough, "float32", always_2d=True).mean(axis=1, dtype=np.float32)
    except Exception:  # a decoder may raise anything; this one says what is wrong
        found = sound.mono[:enough]
    return found


def heights(marks: tuple[float, ...], rate: int) -> list[tuple[float, float]]:
    """Where frequencies in Hz stand in a spectrogram up to half of ``rate``: 0 is its foot, 1 its top."""
    edges = mel_edges(BANDS, rate)
    return [(hertz, float(np.interp(hertz, edges, np.arange(BANDS + 1)) / BANDS)) for hertz in marks]
