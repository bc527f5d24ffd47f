"""Noise of a colour, and a sound cut to a length to be noise."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

SLOPES = {"white": 0.0, "pink": 0.5, "brown": 1.0}
"""The amplitude falls with the frequency to this power: 0, 3 and 6 dB an octave."""
LEAST = 64


def coloured(white: NDArray[Any], slope: float) -> NDArray[Any]:
    """White noise (frames x channels) with an amplitude that falls with the frequency to the power ``slope``, and
    without a mean."""
    import numpy as np
    from scipy import fft

    size = fft.next_fast_len(len(white), real=True)
    falling = np.maximum(np.arange(size // 2 + 1), 1.0) ** -slope
    falling[0] = 0.0
    spectrum = fft.rfft(white, size, axis=0) * falling[:, None].astype(white.dtype)
    found: NDArray[Any] = fft.irfft(spectrum, size, axis=0)[: len(white)]
    return found


def drawn_noise(kind: str, frames: int, channels: int, rng: np.random.Generator) -> NDArray[Any]:
    """Noise of a colour, frames x channels, another in each channel.  A very short one is a piece of a longer one,
    since a slope needs some frequencies."""
    import numpy as np

    white = rng.standard_normal((max(frames, LEAST), channels), np.float32)
    return (coloured(white, SLOPES[kind]) if SLOPES[kind] else white)[:frames]


def looped(samples: NDArray[Any], frames: int, start: int) -> NDArray[Any]:
    """``frames`` of a sound from ``start`` on, from its beginning again where it ends."""
    import numpy as np

    return np.take(samples, np.arange(start, start + frames), axis=0, mode="wrap")
