"""The embedder of sounds without weights: cepstra of a mel spectrum, over the whole sound and over five parts of it.

A sound is made mono at 16,000 Hz; what stands before the first and after the last moment within 30 dB of its loudest is
left out.  Of 20 mel-frequency cepstral coefficients (Davis and Mermelstein 1980), relative to the loudest moment, stand
in the vector: mean and spread over the sound, the spread of their slope, and for each fifth of its time mean, spread
and slope.  How loud it is does not count; how long it is only in how fast it changes.

420 spoken digits of six people teach our linear student to get 0.96 of 180 others right, and 0.82 of those of a person
whom it never heard.
"""

from __future__ import annotations

from collections.abc import Sequence
from functools import cache
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from leaven.media.audio import Audio
from leaven.media.resampled import resampled
from leaven.media.spectrum import mel_filters, stft

if TYPE_CHECKING:
    Floats = NDArray[np.float32]

RATE = 16_000
SIZE, HOP = 400, 160
BANDS = 40
COEFFICIENTS = 20
PARTS = 5
FLOOR = 1e-5
"""50 dB below the loudest band: what is quieter is not told apart."""
QUIET = 1e-3
REACH = 2
"""Moments to each side that a slope is taken over."""
BLOCK = 6_000
"""Moments whose spectra are held at a time, a minute."""
DIMENSIONS = (3 + 3 * PARTS) * COEFFICIENTS


class AudioFeatures:
    """Sounds to unit vectors of 360 float32 numbers; a clip of a second takes about a millisecond."""

    name = "audio-features"

    def embed(self, sounds: Sequence[Audio]) -> Floats:
        """Vectors of ``sounds``: n x 360, float32, unit length.  Raises Broken for one that cannot be decoded.

        A sound's vector depends on its bytes alone, not on the sounds around it.
        """
        out = np.zeros((len(sounds), DIMENSIONS), np.float32)
        for i, sound in enumerate(sounds):
            own = Audio(sound.encoded, sound.path)  # its samples go with it: thousands would not fit into memory
            out[i] = features(own.mono, own.rate)
        return out


def features(samples: Floats, rate: int) -> Floats:
    """The vector of one channel."""
    cepstra = heard(samples, rate)
    change = slopes(cepstra)
    found = [0.5 * cepstra.mean(axis=0), cepstra.std(axis=0), 3 * change.std(axis=0)]
    for part in range(PARTS):
        begin = min(part * len(cepstra) // PARTS, len(cepstra) - 1)
        end = max(begin + 1, (part + 1) * len(cepstra) // PARTS)
        here = cepstra[begin:end]
        found += [here.mean(axis=0), here.std(axis=0), 3 * change[begin:end].mean(axis=0)]
    whole = np.concatenate(found)
    length = float(np.sqrt(np.square(whole).sum()))
    return (whole / length if length > 1e-9 else whole).astype(np.float32)


def heard(samples: Floats, rate: int) -> NDArray[Any]:
    """Weighted cepstra of the moments from the first to the last that is not quiet: moments x 20."""
    from scipy.fft import dct

    power = mel_power(resampled(samples, rate, RATE))
    power /= max(float(power.max(initial=0.0)), 1e-12)
    level = power.sum(axis=1)
    loud = np.flatnonzero(level >= QUIET * level.max())
    logs = np.log10(power[loud[0] : loud[-1] + 1] + FLOOR)
    # The first says how loud a moment is, and is by far the largest; the finest ones say much for their size.
    weights = np.concatenate([[0.35], 0.6 + 0.12 * np.arange(1, COEFFICIENTS)])
    found: NDArray[Any] = dct(logs, axis=1, norm="ortho")[:, :COEFFICIENTS] * weights
    return found


def mel_power(samples: NDArray[Any]) -> NDArray[Any]:
    """Power in 40 mel bands every 10 ms: moments x 40."""
    step = BLOCK * HOP
    blocks = []
    for begin in range(0, max(1, len(samples)), step):
        # einsum, not BLAS: a matrix product may add in another order with another number of threads.
        power = np.square(np.abs(stft(samples[begin : begin + step], SIZE, HOP)))
        blocks.append(np.einsum("tf,mf->tm", power, _filters(), optimize=False))
    return np.concatenate(blocks)


def slopes(cepstra: NDArray[Any]) -> NDArray[Any]:
    """How fast each coefficient changes, by least squares over five moments."""
    steps = np.arange(1, REACH + 1)
    padded = np.pad(cepstra, ((REACH, REACH), (0, 0)), mode="edge")
    rising = [
        i * (padded[REACH + i : REACH + i + len(cepstra)] - padded[REACH - i : REACH - i + len(cepstra)]) for i in steps
    ]
    found: NDArray[Any] = np.sum(rising, axis=0) / (2 * int(np.square(steps).sum()))
    return found


@cache
def _filters() -> NDArray[Any]:
    return mel_filters(BANDS, SIZE, RATE)
