"""SpecAugment, on features or on the sound itself."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from functools import partial
from typing import TYPE_CHECKING, Any, ClassVar, Literal

from pydantic import Field

from leaven.audio.levels import fit_factor, scaled
from leaven.audio.masks import POLICIES, Fill, Masks, Policy, as_seconds, drawn_masks, masked
from leaven.audio.segments import LOST, covered, moved, noted
from leaven.audio.stretched import bent
from leaven.media.audio import Audio
from leaven.media.spectrum import istft, mel_edges, stft
from leaven.operators import Make
from leaven.records import Record

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

    from leaven.context import Context

SECONDS = 0.01
"""From one frame of a sound to the next, as in the paper."""


def frame_count(frames: int, rate: int) -> int:
    """How many frames of a spectrogram so many samples make."""
    return 1 + -(-frames // _hop(rate))


def masked_sound(
    samples: NDArray[np.float32], rate: int, masks: Masks, bins: int, fill: Fill = "mean"
) -> NDArray[np.float32]:
    """Samples (frames x channels) whose spectrum is warped and masked; its bands are equally wide in mel.

    What is masked becomes silent, or as loud as the channel is on the mean (of the logarithm), in its old phase.  A
    mask fades over a frame or two at its sides.
    """
    import numpy as np

    hop = _hop(rate)
    if masks.warp and masks.warp[0] != masks.warp[1]:
        centre, to = (min(at * hop, len(samples) - hop) for at in masks.warp)
        samples = bent(samples, rate, centre, to)
    edges = np.searchsorted(np.fft.rfftfreq(4 * hop, 1 / rate), mel_edges(bins, rate))
    edges[-1] = 2 * hop + 1
    hidden = np.zeros((frame_count(len(samples), rate), 2 * hop + 1), bool)
    for low, high in masks.freq:
        hidden[:, edges[low] : edges[high]] = True
    for low, high in masks.time:
        hidden[low:high] = True
    if not hidden.any():
        return samples
    out = np.empty_like(samples)
    for channel in range(samples.shape[1]):
        spectra = stft(samples[:, channel], 4 * hop, hop)
        loud = np.abs(spectra)
        level = np.exp(np.log(np.maximum(loud, 1e-5)).mean()) if fill == "mean" else 0.0
        spectra[hidden] *= level / np.maximum(loud[hidden], 1e-9)
        out[:, channel] = istft(spectra, 4 * hop, hop, len(samples))
    return out


class MaskSpectrum(Make):
    """Mask bands of frequency and stretches of time in a spectrogram (SpecAugment); the label stays.

    On features (a sequence, frames x bins): the masked cells get the mean or 0, and without a warp all others stay as
    they are.  On a sound: the same masks over its spectrum every 10 ms, in bands equally wide in mel, and back to
    samples.  `policy` names the paper's settings, and what is given besides replaces one of them.
    SM has a warp by 40, two masks of freq 15, two of time 70 and at most 0.2 of the frames; SS the same with freq 27;
    LB a warp by 80, one mask of freq 27, one of time 100; LD the same with two of each.
    LB and LD were made for sentences of ten seconds and more: they may hide all of a shorter sound.

    A stretch may hide the very event that a caption or a segment names: a segment that is hidden by more than half is
    dropped, and the history counts it; a caption stays.  Features that are not frames x bins are refused as
    `no_spectrogram`.  Park et al. 2019 (arXiv:1904.08779).

    Needs audio or a sequence.  Makes the same; segments move along.

    >>> import numpy as np
    >>> [row] = MaskSpectrum("LB", fill="zero", on="features")({"features": np.ones((300, 80), np.float32)})
    >>> sorted(set(row["features"].ravel().tolist()))
    [0.0, 1.0]
    """

    takes: ClassVar[str] = "audio or sequence"
    moves: ClassVar[frozenset[str]] = frozenset({"segments"})
    policy: Literal["LB", "LD", "SM", "SS", "none"] = "SM"
    """The paper's name for a set of the numbers below."""
    freq: int | None = Field(None, ge=0)
    """The most bins that a frequency mask hides; the number is drawn from 0 to it."""
    freq_masks: int | None = Field(None, ge=0, le=100)
    """How many."""
    time: int | None = Field(None, ge=0)
    """The most frames that a time mask hides."""
    time_masks: int | None = Field(None, ge=0, le=100)
    """How many."""
    cap: float | None = Field(None, ge=0, le=1)
    """And at most this share of all frames."""
    warp: int | None = Field(None, ge=0)
    """By how many frames a drawn moment comes sooner or later; what is before and after it is stretched."""
    fill: Fill = "mean"
    """What stands in the masks: the `mean` of the spectrogram, or `zero` (the mean of normalised features; silence)."""
    bins: int = Field(80, ge=4, le=512)
    """Of a sound: into how many bands of mel it is divided."""
    n: int = Field(1, ge=1, le=50)
    """How many children."""
    on: str | None = None
    """The sound or the features to change; the main audio, else the first sequence."""

    def settings(self) -> Policy:
        own = {key: getattr(self, key) for key in Policy.__dataclass_fields__ if getattr(self, key) is not None}
        return replace(POLICIES[self.policy], **own)

    def make(self, record: Record, ctx: Context) -> Iterator[Record]:
        import numpy as np

        field = self.on or "audio"
        value = record[field]
        features = None if isinstance(value, Audio) else np.asarray(value, np.float32)
        for ordinal in range(self.n):
            rng = ctx.rng_of(ordinal)
            if features is None:
                yield self.on_sound(record, field, rng, ctx)
            elif features.ndim != 2 or not features.size:
                yield record.child().refuse("no_spectrogram", f"`{field}` is {' x '.join(map(str, features.shape))}")
            else:
                masks = drawn_masks(features.shape[0], features.shape[1], self.settings(), rng)
                yield record.child({field: masked(features, masks, self.fill)}, drawn=_said(masks))

    def on_sound(self, record: Record, field: str, rng: np.random.Generator, ctx: Context) -> Record:
        import numpy as np

        sound: Audio = record[field]
        frames = frame_count(len(sound.samples), sound.rate)
        masks = drawn_masks(frames, self.bins, self.settings(), rng)
        new = masked_sound(sound.samples, sound.rate, masks, self.bins, self.fill)
        factor = fit_factor(new)
        drawn = {**_said(masks), **scaled(factor)}
        hop = _hop(sound.rate) / sound.rate
        hidden = as_seconds(masks.time, hop)
        fields: dict[str, Any] = {field: Audio.of(new * factor, sound.rate, sound), **noted(ctx, record, field)}
        for name, old in noted(ctx, record, field).items():
            if old is None:
                continue
            ends = sound.seconds
            centre, to = (at * hop for at in masks.warp or (0, 0))
            bend = partial(np.interp, xp=[0.0, centre, ends], fp=[0.0, to, ends])
            segments, _ = moved(old, ends, bend if masks.warp else float)
            fields[name] = [segment for segment in segments if covered(segment, hidden) <= LOST]
            gone = len(old) - len(fields[name])
            drawn |= {"segments_dropped": gone} if gone else {}
        return record.child(fields, drawn=drawn)


def _hop(rate: int) -> int:
    return max(2, round(SECONDS * rate))


def _said(masks: Masks) -> dict[str, Any]:
    """The masks for the history: [first, how many] each."""
    said: dict[str, Any] = {
        "freq": [[low, high - low] for low, high in masks.freq],
        "time": [[low, high - low] for low, high in masks.time],
    }
    return said | ({"warp": list(masks.warp)} if masks.warp else {})
