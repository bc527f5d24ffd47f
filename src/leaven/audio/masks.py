"""SpecAugment's masks and time warp over a spectrogram, frames x bins.  Source: Park et al. 2019, arXiv:1904.08779."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Literal

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

Fill = Literal["mean", "zero"]
Span = tuple[int, int]
"""Where a mask begins, and where it ends: the end is outside."""


@dataclass(frozen=True)
class Policy:
    """The paper's names: W, F and how many, T and how many, p."""

    warp: int = 0
    """The centre of the warp moves by at most so many frames."""
    freq: int = 0
    """The most bins of a frequency mask."""
    freq_masks: int = 0
    time: int = 0
    """The most frames of a time mask."""
    time_masks: int = 0
    cap: float = 1.0
    """A time mask has at most this share of the frames."""


POLICIES = {
    "LB": Policy(80, 27, 1, 100, 1, 1.0),
    "LD": Policy(80, 27, 2, 100, 2, 1.0),
    "SM": Policy(40, 15, 2, 70, 2, 0.2),
    "SS": Policy(40, 27, 2, 70, 2, 0.2),
    "none": Policy(),
}
"""LibriSpeech basic and double, Switchboard mild and strong; nothing."""


@dataclass(frozen=True)
class Masks:
    """What was drawn for one spectrogram."""

    warp: Span | None
    """The frame that moves, and the frame that it moves to."""
    freq: list[Span]
    time: list[Span]


def drawn_masks(frames: int, bins: int, policy: Policy, rng: np.random.Generator) -> Masks:
    """Draw as the paper does.

    A frequency mask has f bins, f from 0 to F with both ends, and begins in [0, bins - f); a time mask t frames, t
    from 0 to the lesser of T and the share p of all, and begins in [0, frames - t).  The warp moves a frame of (W,
    frames - W) by -W to W; where there is no such frame, nothing is warped.
    """
    warp = None
    if policy.warp and frames > 2 * policy.warp + 1:
        centre = int(rng.integers(policy.warp + 1, frames - policy.warp))
        warp = (centre, centre + int(rng.integers(-policy.warp, policy.warp + 1)))
    widest = min(policy.time, int(policy.cap * frames))
    return Masks(
        warp,
        [_span(bins, min(policy.freq, bins), rng) for _ in range(policy.freq_masks)],
        [_span(frames, widest, rng) for _ in range(policy.time_masks)],
    )


def _span(size: int, widest: int, rng: np.random.Generator) -> Span:
    width = int(rng.integers(0, widest + 1))
    start = int(rng.integers(0, max(1, size - width)))
    return start, start + width


def warped_frames(features: NDArray[Any], centre: int, to: int) -> NDArray[Any]:
    """New features whose frame ``centre`` stands at ``to``; both sides are stretched to it, linearly between frames.

    (The paper bends an image with six fixed points, whose upper and lower edge bend less; ports stretch as here.)
    """
    import numpy as np

    if centre == to:
        return features.copy()
    last = len(features) - 1
    source = np.interp(np.arange(last + 1), [0, to, last], [0, centre, last])
    below = np.minimum(source.astype(np.int64), max(0, last - 1))
    part = (source - below)[:, None].astype(features.dtype)
    above = np.minimum(below + 1, last)
    found: NDArray[Any] = features[below] + (features[above] - features[below]) * part
    return found


def masked(features: NDArray[Any], masks: Masks, fill: Fill = "mean") -> NDArray[Any]:
    """Features that are warped, then have their mean or 0 in the bins and frames of the masks; what is neither warped
    nor masked is the same bits."""
    out = warped_frames(features, *masks.warp) if masks.warp else features.copy()
    value = out.mean(dtype="float64") if fill == "mean" else 0.0
    for low, high in masks.freq:
        out[:, low:high] = value
    for low, high in masks.time:
        out[low:high] = value
    return out


def as_seconds(spans: Sequence[Span], hop: float) -> list[tuple[float, float]]:
    """Spans of frames as seconds."""
    return [(low * hop, high * hop) for low, high in spans if high > low]
