"""Samples of as many frames, or with as many channels, as another sound."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from numpy.typing import NDArray


def of_length(samples: NDArray[Any], frames: int) -> NDArray[Any]:
    """Samples cut at the end, or filled with silence there."""
    import numpy as np

    if len(samples) >= frames:
        return samples[:frames]
    return np.pad(samples, ((0, frames - len(samples)), (0, 0)))


def with_channels(samples: NDArray[Any], channels: int) -> NDArray[Any]:
    """Samples with that many channels: the mean of those that are there, in each; as they are where they fit."""
    import numpy as np

    if samples.shape[1] == channels:
        return samples
    return np.repeat(samples.mean(axis=1, keepdims=True, dtype=np.float32), channels, axis=1)
