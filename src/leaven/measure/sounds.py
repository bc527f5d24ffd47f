"""How a measurement looks at sounds: their log-mel spectrum, its mean, and a small picture of it."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from leaven.keep.prints import BINS, MOST_RATE, KnownSounds, above, shrunk, spectrum_print
from leaven.measure.media import View, key_of, unit
from leaven.media.resampled import resampled
from leaven.media.spectrum import log_mel

if TYPE_CHECKING:
    from leaven.media.audio import Audio

FRAMES = 64
HEARD = 50.0
"""How many decibels below its loudest cell a student hears a spectrum."""


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
        heard = above(found, HEARD)
        mean = heard.mean(axis=0)
        picture = np.round(shrunk(heard, FRAMES, BINS) * 255.0).astype(np.uint8)[..., None]
        key, plain = key_of(value.samples, value.rate), unit(mean - mean.mean())
        return View(key, (value.seconds,), picture, plain, spectrum_print(found))

    def near(self, mine: Sequence[View], test: Sequence[View]) -> NDArray[np.bool_]:
        known = KnownSounds(np.stack([view.prints for view in test]))
        return np.array([known.near(view.prints) for view in mine], bool)
