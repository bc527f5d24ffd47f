"""Bass, middle and treble made stronger or weaker."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from numpy.typing import NDArray

BANDS = (250.0, 1000.0, 4000.0)
"""In Hz: below the first all is bass, at the second all is middle, above the last all is treble."""
PAUSE = 0.05
"""Seconds of silence after the sound: a filter without delay reaches both ways, and round the end."""


def equalised(samples: NDArray[Any], rate: int, gains: Sequence[float]) -> NDArray[Any]:
    """Samples (frames x channels) with a gain in dB for each of the three; between them it slides with the octaves."""
    import numpy as np
    from scipy import fft

    size = fft.next_fast_len(len(samples) + round(PAUSE * rate), real=True)
    hertz = np.maximum(np.fft.rfftfreq(size, 1 / rate), 1.0)
    decibels = np.interp(np.log2(hertz), np.log2(BANDS), gains)
    spectrum = fft.rfft(samples, size, axis=0) * (10 ** (decibels / 20))[:, None]
    found: NDArray[Any] = fft.irfft(spectrum, size, axis=0)[: len(samples)].astype(np.float32)
    return found
