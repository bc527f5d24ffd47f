"""How a measurement looks at sounds: their log-mel spectrum, its mean, and a small picture of it."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from leaven.measure.media import View, correlated, key_of, unit
from leaven.media.resampled import resampled
from leaven.media.spectrum import log_mel

if TYPE_CHECKING:
    from leaven.media.audio import Audio

MOST_RATE = 16_000
BINS, FRAMES = 40, 64
PRINT = 32
HEARD, LOUD = 50.0, 30.0
"""How many decibels below its loudest cell a spectrum is looked at: by students, and to tell near copies."""
LEAST_CORRELATION = 0.99
"""Of two pictures of log-mel (32 x 32, 30 dB deep) of sounds that are nearly the same.  Takes of one word by one
speaker in spoken-digits correlate by 0.986 at most; the same take with noise 20 dB below it by 0.996 or more."""


class Sounds:
    """Frozen audio features, and the mean of the log-mel spectrum over time.

    ``rate`` is that of the source; what has another is brought to it first, so that bands are the same.
    """

    kind = "audio"
    student = "audio features + linear"
    plain = "mean log-mel + linear"
    baseline = "spec-augment"

    def __init__(self, rate: int) -> None:
        self.rate = min(rate, MOST_RATE)

    def view(self, value: Audio) -> View:
        samples = resampled(value.mono, value.rate, self.rate)
        found = log_mel(samples, self.rate, BINS)
        heard, loud = (_above(found, decibels) for decibels in (HEARD, LOUD))
        mean = heard.mean(axis=0)
        picture = np.round(_shrunk(heard, FRAMES, BINS) * 255.0).astype(np.uint8)[..., None]
        prints = (_shrunk(loud, PRINT, PRINT),)
        return View(key_of(value.samples, value.rate), (value.seconds,), picture, unit(mean - mean.mean()), prints)

    def near(self, mine: Sequence[View], test: Sequence[View]) -> NDArray[np.bool_]:
        prints = [np.stack([v.prints[0].ravel() for v in views]) for views in (mine, test)]
        return np.asarray((correlated(*prints) >= LEAST_CORRELATION).any(axis=1))


def _above(spectrum: NDArray[np.float32], decibels: float) -> NDArray[np.float32]:
    """0 at so many decibels below the loudest cell and less, 1 at that one."""
    deep = decibels * np.log(10.0) / 10.0
    found: NDArray[np.float32] = np.maximum(spectrum - spectrum.max() + deep, 0.0) / np.float32(deep)
    return found


def _shrunk(spectrum: NDArray[np.float32], frames: int, bins: int) -> NDArray[np.float32]:
    """A picture of the spectrum, bins x frames."""
    for axis, wanted in ((0, frames), (1, bins)):
        spectrum = _along(spectrum, axis, wanted)
    return np.ascontiguousarray(spectrum.T, np.float32)


def _along(spectrum: NDArray[np.float32], axis: int, wanted: int) -> NDArray[np.float32]:
    """An axis in another length: each new cell is the mean of what it covers of the old ones."""
    have = spectrum.shape[axis]
    if have == wanted:
        return spectrum
    moved = np.moveaxis(spectrum, axis, 0).astype(np.float64)
    whole = np.concatenate([np.zeros((1, *moved.shape[1:])), np.cumsum(moved, axis=0)])
    at = np.linspace(0.0, have, wanted + 1)
    low = np.minimum(at.astype(np.int64), have - 1)
    read = whole[low] + (at - low)[:, None] * moved[low]
    found: NDArray[np.float32] = np.moveaxis(np.diff(read, axis=0) * (wanted / have), 0, axis).astype(np.float32)
    return found
