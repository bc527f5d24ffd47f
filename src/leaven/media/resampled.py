"""Samples at another rate."""

from __future__ import annotations

from math import gcd
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from numpy.typing import NDArray


def resampled(samples: NDArray[Any], rate: int, to: int) -> NDArray[Any]:
    """Samples (frames, or frames x channels) at ``to`` a second: a polyphase filter, so that nothing folds back.

    Its length is that of the sound in seconds, rounded to a sample, and at least one.
    """
    import numpy as np
    from scipy.signal import resample_poly

    if rate == to:
        return samples
    shared = gcd(rate, to)
    wanted = max(1, round(len(samples) * to / rate))
    found = resample_poly(samples, to // shared, rate // shared, axis=0).astype(np.float32)
    short = wanted - len(found)
    return np.pad(found, ((0, short), *[(0, 0)] * (found.ndim - 1))) if short > 0 else found[:wanted]
