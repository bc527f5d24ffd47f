"""What a small loudspeaker, a wall or a telephone leave of a sound: some of its frequencies."""

from __future__ import annotations

from collections.abc import Iterator
from math import exp, log
from typing import TYPE_CHECKING, Annotated, ClassVar, Literal

from pydantic import Field

from leaven.audio.levels import fit_factor, scaled
from leaven.audio.segments import noted
from leaven.media.audio import Audio
from leaven.operators import Make
from leaven.ranges import Range, within
from leaven.records import Record

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

    from leaven.context import Context

How = Literal["low", "high", "band"]
OCTAVES = 2.0
"""How wide a band is."""
ORDER = 4
"""24 dB an octave; a band has half of it at each side."""
TOP = 0.45
"""The highest cut-off, as a share of the rate: half of it is where nothing is left to cut."""


def filtered(samples: NDArray[np.float32], rate: int, how: How, cutoff: float) -> tuple[NDArray[np.float32], float]:
    """Samples (frames x channels) below, above or about a frequency (Butterworth, -3 dB at the cut-off), and the factor
    that keeps them within full scale."""
    import numpy as np
    from scipy.signal import butter, sosfilt

    if how == "band":
        reach = 2 ** (OCTAVES / 2)
        edges = [cutoff / reach, min(cutoff * reach, TOP * rate)]
        sections = butter(ORDER // 2, edges, "bandpass", fs=rate, output="sos")
    else:
        sections = butter(ORDER, cutoff, how, fs=rate, output="sos")
    found = sosfilt(sections, samples, axis=0)
    factor = fit_factor(found)
    return (found * factor).astype(np.float32), factor


class FilterSound(Make):
    """Let the low, the high or a middle part of a sound's frequencies through; the label stays.

    The cut-off is drawn so that every octave is as likely.  A middle part is two octaves about it.  A sound whose rate
    is too low for any cut-off of the range is refused as `rate_too_low`.

    Needs audio.  Makes audio; segments stay.

    >>> import numpy as np
    >>> from leaven.media.audio import Audio
    >>> high = Audio.of(np.sin(np.arange(16000) * 2.5), 16000)
    >>> [row] = FilterSound("low", cutoff=(500, 500))({"audio": high})
    >>> bool(np.abs(row["audio"].samples[1000:]).max() < 0.01)
    True
    """

    takes: ClassVar[str] = "audio"
    moves: ClassVar[frozenset[str]] = frozenset({"segments"})
    how: How = "low"
    """What comes through: what is `low`, what is `high`, or a `band`."""
    cutoff: Annotated[Range, within(10, 100_000)] = (300.0, 3400.0)
    """Hz, low and high, to draw from."""
    n: int = Field(1, ge=1, le=50)
    """How many children."""
    on: str | None = None
    """The sound to change; the main audio."""

    def make(self, record: Record, ctx: Context) -> Iterator[Record]:
        field = self.on or "audio"
        sound: Audio = record[field]
        samples, rate = sound.samples, sound.rate
        low, high = self.cutoff[0], min(self.cutoff[1], TOP * rate)
        for ordinal in range(self.n):
            if low > high:
                yield record.child().refuse("rate_too_low", f"{rate} Hz holds nothing above {rate // 2} Hz")
                continue
            cutoff = round(exp(ctx.rng_of(ordinal).uniform(log(low), log(high))), 1)
            new, factor = filtered(samples, rate, self.how, min(max(cutoff, low), high))
            drawn = {"cutoff": cutoff, **scaled(factor)}
            fields = {field: Audio.of(new, rate, sound), **noted(ctx, record, field)}
            yield record.child(fields, drawn=drawn)
