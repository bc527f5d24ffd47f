"""A room about a sound: an echo that dies away."""

from __future__ import annotations

from math import sqrt
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from numpy.typing import NDArray

TAIL = 0.5
"""The energy of the echo over that of the direct sound."""


def dying(noise: NDArray[Any], seconds: float, rate: int) -> NDArray[Any]:
    """What a room answers to a click: the click, then noise that falls by 60 dB in that many seconds.

    ``noise`` is drawn by the caller, one number a sample of the echo.  A real room's first echoes stand apart; this
    one's do not.
    """
    import numpy as np

    tail = noise * 10 ** (-3 * np.arange(len(noise)) / (seconds * rate))
    energy = float(np.square(tail).sum())
    return np.concatenate(([1.0], tail * sqrt(TAIL / energy) if energy > 0 else tail))


def echoing(samples: NDArray[Any], answer: NDArray[Any]) -> NDArray[Any]:
    """Samples (frames x channels) heard in the room, cut at their old end."""
    import numpy as np
    from scipy.signal import oaconvolve

    found: NDArray[Any] = oaconvolve(samples, answer[:, None], axes=0)[: len(samples)].astype(np.float32)
    return found
