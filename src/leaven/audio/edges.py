"""Where a sound begins and ends: later or earlier, cut out, faded."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from numpy.typing import NDArray


def shifted(samples: NDArray[Any], frames: int) -> NDArray[Any]:
    """Samples ``frames`` later (earlier where it is below 0), in the same length: silence fills, what goes out is lost.

    >>> import numpy as np
    >>> shifted(np.array([[1], [2], [3]]), 1).T
    array([[0, 1, 2]])
    """
    import numpy as np

    frames = max(-len(samples), min(frames, len(samples)))
    out = np.zeros_like(samples)
    if frames >= 0:
        out[frames:] = samples[: len(samples) - frames]
    else:
        out[:frames] = samples[-frames:]
    return out


def faded(samples: NDArray[Any], frames: int) -> NDArray[Any]:
    """Samples that rise from silence over so many frames and fall to it as long, along half a cosine; at most half the
    sound each."""
    import numpy as np

    frames = min(frames, len(samples) // 2)
    if frames < 1:
        return samples
    rise = (0.5 - 0.5 * np.cos(np.pi * np.arange(frames) / frames)).astype(np.float32)[:, None]
    out = samples.copy()
    out[:frames] *= rise
    out[len(out) - frames :] *= rise[::-1]
    return out
