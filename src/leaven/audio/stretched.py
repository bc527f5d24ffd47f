"""Speed without pitch, pitch without speed, and a moment of a sound moved."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from leaven.audio.fitted import of_length
from leaven.media.spectrum import overlapped, window

if TYPE_CHECKING:
    from numpy.typing import NDArray

JOINT = 0.02
"""Seconds at each side of a moved moment in which the two halves of the sound blend."""


def stretched(samples: NDArray[Any], rate: int, speed: float = 1.0, semitones: float = 0.0) -> NDArray[Any]:
    """Samples (frames x channels) played ``speed`` times as fast, and so many semitones higher.

    The length is that of the input over ``speed``, rounded, and at least one frame.  Signalsmith Stretch does it where
    the package python-stretch is there, and a phase vocoder of our own where not: the two do not give the same samples,
    and the first sounds better.
    """
    import numpy as np

    if speed == 1.0 and semitones == 0.0:
        return samples
    frames = max(1, round(len(samples) / speed))
    if len(samples) < 2:
        return np.repeat(samples, frames, axis=0)
    try:
        from python_stretch.Signalsmith import Stretch
    except ImportError:
        return _vocoded(samples, rate, frames, semitones)
    tool = Stretch(1)
    tool.preset(samples.shape[1], float(rate))
    tool.timeFactor = speed
    if semitones:
        tool.setTransposeSemitones(semitones)
    found = np.asarray(tool.process(np.array(samples.T, np.float32, order="C")))  # it writes to what it is given
    return np.ascontiguousarray(of_length(found.T, frames))


def bent(samples: NDArray[Any], rate: int, centre: int, to: int) -> NDArray[Any]:
    """Samples in the same length whose frame ``centre`` is heard at frame ``to``; both are inside.

    What is before it is stretched and what is after it squeezed, or the other way round.
    """
    import numpy as np

    frames = len(samples)
    fade = max(0, min(round(JOINT * rate), to, frames - to))
    before, after = centre / to, (frames - centre) / (frames - to)
    left = stretched(samples[: centre + round(fade * before)], rate, before)
    right = stretched(samples[max(0, centre - round(fade * after)) :], rate, after)
    falling = np.clip(0.5 - (np.arange(frames) - to + 0.5) / max(1, 2 * fade), 0, 1)[:, None].astype(np.float32)
    left = of_length(left, frames) * falling
    right = of_length(right[::-1], frames)[::-1] * (1 - falling)
    found: NDArray[Any] = left + right
    return found


def _vocoded(samples: NDArray[Any], rate: int, frames: int, semitones: float) -> NDArray[Any]:
    """The fallback: slower by as much as the pitch goes up, then played faster by as much."""
    import numpy as np
    from scipy.signal import resample

    longer = max(2, round(frames * 2 ** (semitones / 12)))
    size = max(16, 4 * round(0.0125 * rate))
    channels = [_slowed(channel, longer, size) for channel in samples.T]
    found = np.stack(channels, axis=1)
    if longer != frames:
        found = resample(found, frames, axis=0)
    return found.astype(np.float32)


def _slowed(samples: NDArray[Any], frames: int, size: int) -> NDArray[Any]:
    """A phase vocoder, phases locked to the neighbours' (Puckette 1995): one channel in ``frames`` frames.

    The phases of each window go on by what they went on over as many samples of the input.
    """
    import numpy as np

    hop = size // 4
    centres = np.arange(0, frames + hop, hop)
    starts = np.rint(centres * (len(samples) / frames)).astype(np.int64).clip(0, len(samples)) + hop
    padded = np.pad(samples, (hop + size // 2, size))
    at = starts[:, None] + np.arange(size)
    shape = window(size)
    now = np.fft.rfft(padded[at] * shape)
    turned = now * np.conj(np.fft.rfft(padded[at - hop] * shape))
    out = now.copy()
    for i in range(1, len(out)):
        near = out[i - 1].copy()  # the bins about a partial belong together; from one to the next the sign turns
        near[1:] -= out[i - 1, :-1]
        near[:-1] -= out[i - 1, 1:]
        near *= turned[i]
        length = np.abs(near)
        np.divide(np.abs(now[i]) * near, length, out=out[i], where=length > 1e-12)
    summed = overlapped(np.fft.irfft(out, size) * shape, hop)
    weight = overlapped(np.tile(np.square(shape), (len(centres), 1)), hop)
    inside = slice(size // 2, size // 2 + frames)
    found: NDArray[Any] = summed[inside] / np.maximum(weight[inside], 1e-8)
    return found
