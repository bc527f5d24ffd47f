"""How loud samples are, and the gain for a level.  Arrays are frames x channels; nothing here draws."""

from __future__ import annotations

from math import log10, sqrt
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from numpy.typing import NDArray

FRAME = 2048
HOP = 512
SILENT = 1e-10
"""A mean square below it (-100 dB of full scale) is nothing to set a level by: the last bit of a CD is louder."""


def mean_square(samples: NDArray[Any]) -> float:
    """The mean of the squares over all frames and channels; its root is the RMS."""
    import numpy as np

    return float(np.square(samples, dtype=np.float64).mean())


def frame_energy(samples: NDArray[Any]) -> float:
    """The mean over frames of RMS squared, frames of 2,048 every 512 samples, the first centred on the first sample.

    Beyond both ends stand zeros (librosa's defaults), so that the ends count a little less than in `mean_square`.
    """
    import numpy as np

    power = np.square(samples, dtype=np.float64).mean(axis=1)
    padded = np.pad(power, FRAME // 2)
    sums = np.concatenate(([0.0], np.cumsum(padded)))
    starts = np.arange(0, len(padded) - FRAME + 1, HOP)
    return float(np.maximum(sums[starts + FRAME] - sums[starts], 0.0).mean() / FRAME)


def snr_gain(energy_a: float, energy_b: float, snr: float) -> float:
    """The gain for b that puts a ``snr`` dB above it.

    >>> round(snr_gain(0.04, 0.01, 5), 6)
    1.124683
    """
    return sqrt(energy_a / (10 ** (snr / 10) * energy_b))


def in_decibels(factor: float) -> float:
    """A factor of the amplitude as dB.

    >>> round(in_decibels(2), 2)
    6.02
    """
    return 20 * log10(factor)


def fit_factor(samples: NDArray[Any]) -> float:
    """What to multiply samples with so that none is beyond full scale; 1 where none is."""
    import numpy as np

    peak = float(np.abs(samples).max(initial=0.0))
    return 1.0 / peak if peak > 1.0 else 1.0


def scaled(factor: float) -> dict[str, float]:
    """How the history says that a sound was made quieter to fit; nothing where it was not."""
    return {"scaled": round(factor, 4)} if factor < 1 else {}


def as_loud(samples: NDArray[Any], like: NDArray[Any]) -> NDArray[Any]:
    """Samples with the mean square that ``like`` has; silence stays."""
    import numpy as np

    power = mean_square(samples)
    if power < SILENT:
        return samples
    found: NDArray[Any] = (samples * sqrt(mean_square(like) / power)).astype(np.float32)
    return found
