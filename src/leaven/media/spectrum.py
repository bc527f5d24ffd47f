"""Short-time spectra, the mel scale, log-mel features.  Time is the first axis; nothing here draws.

The mel scale is ``2595 log10(1 + Hz / 700)`` (O'Shaughnessy 1987, also called HTK's): equal steps of it are heard as
about equal steps of pitch.  A filter is a triangle from its lower neighbour's centre to its upper one's, its top is 1.
"""

from __future__ import annotations

from functools import lru_cache
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from numpy.typing import NDArray

FLOOR = 1e-10
"""The least power that a logarithm is taken of."""


def stft(samples: NDArray[Any], size: int, hop: int) -> NDArray[Any]:
    """Spectra of one channel, frames x (size / 2 + 1): a Hann window centred on every ``hop``-th sample, zeros
    beyond."""
    import numpy as np

    frames = 1 + -(-len(samples) // hop)
    padded = np.zeros((frames - 1) * hop + size, np.float32)
    padded[size // 2 : size // 2 + len(samples)] = samples
    return np.fft.rfft(np.lib.stride_tricks.sliding_window_view(padded, size)[::hop] * window(size))


def istft(spectra: NDArray[Any], size: int, hop: int, length: int) -> NDArray[Any]:
    """The samples of spectra as `stft` makes them; of changed ones, those whose spectra are nearest.

    ``size`` is a multiple of ``hop``, four times it or more.
    """
    import numpy as np

    shape = window(size)
    found = overlapped(np.fft.irfft(spectra, size) * shape, hop)
    weight = overlapped(np.tile(np.square(shape), (len(spectra), 1)), hop)
    inside = slice(size // 2, size // 2 + length)
    whole: NDArray[Any] = (found[inside] / np.maximum(weight[inside], 1e-8)).astype(np.float32)
    return whole


def overlapped(frames: NDArray[Any], hop: int) -> NDArray[Any]:
    """The sum of frames that begin ``hop`` apart; their size is a multiple of it."""
    import numpy as np

    parts = frames.shape[1] // hop
    found = np.zeros((len(frames) + parts - 1, hop))
    for i in range(parts):
        found[i : i + len(frames)] += frames[:, i * hop : (i + 1) * hop]
    return found.reshape(-1)


def window(size: int) -> NDArray[Any]:
    """Hann's window, periodic."""
    import numpy as np

    found: NDArray[Any] = 0.5 - 0.5 * np.cos(2 * np.pi * np.arange(size) / size)
    return found


def mel_edges(bins: int, rate: int) -> NDArray[Any]:
    """The ends in Hz of ``bins`` bands, equally wide in mel, from 0 to half the rate: one number more than bands."""
    import numpy as np

    top = 2595 * np.log10(1 + rate / 2 / 700)
    found: NDArray[Any] = 700 * (10 ** (np.linspace(0, top, bins + 1) / 2595) - 1)
    return found


@lru_cache(maxsize=8)  # a third of the time of a short sound's features
def mel_filters(bins: int, size: int, rate: int) -> NDArray[Any]:
    """Triangles over the frequencies of a spectrum, bins x (size / 2 + 1), read-only."""
    import numpy as np

    points = mel_edges(bins + 1, rate)
    hertz = np.fft.rfftfreq(size, 1 / rate)
    up = (hertz - points[:-2, None]) / np.diff(points)[:-1, None]
    down = (points[2:, None] - hertz) / np.diff(points)[1:, None]
    found: NDArray[Any] = np.clip(np.minimum(up, down), 0.0, None)
    found.flags.writeable = False
    return found


def log_mel(samples: NDArray[Any], rate: int, bins: int = 80) -> NDArray[Any]:
    """Log-mel features of one channel, frames x bins, float32: windows of 25 ms every 10 ms, natural logarithm of
    power.

    Nothing quieter than 1e-10 is told apart (-23.03).  Narrow filters of a short window may lie between two frequencies
    of its spectrum, and are then silent: 40 bins suit 8 kHz.
    """
    import numpy as np

    size, hop = max(2, round(0.025 * rate)), max(1, round(0.010 * rate))
    power = np.square(np.abs(stft(samples, size, hop)))
    found: NDArray[Any] = np.log(np.maximum(power @ mel_filters(bins, size, rate).T, FLOOR)).astype(np.float32)
    return found
