"""Speed, pitch, level, place in time, room and tone of a sound."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from functools import partial
from math import ceil
from typing import TYPE_CHECKING, Annotated, Any, ClassVar

from pydantic import Field

from leaven.audio.changes import words
from leaven.audio.edges import faded, shifted
from leaven.audio.equaliser import equalised
from leaven.audio.fitted import of_length
from leaven.audio.levels import as_loud, fit_factor, in_decibels
from leaven.audio.room import dying, echoing
from leaven.audio.segments import moved, noted
from leaven.audio.stretched import stretched
from leaven.fields import VALUE, Column
from leaven.media.audio import Audio
from leaven.operators import Make
from leaven.ranges import Range, within
from leaven.records import Record

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

    from leaven.context import Context

CHANGES = ("pitch", "speed", "volume", "eq", "reverb", "length", "shift", "fade")
"""In the order in which they are drawn."""
MILD: dict[str, Range] = {"pitch": (-2, 2), "speed": (0.9, 1.1), "volume": (-6, 6), "shift": (-0.1, 0.1)}


def altered(
    samples: NDArray[np.float32], rate: int, drawn: Mapping[str, Any], noise: NDArray[Any] | None = None
) -> tuple[NDArray[np.float32], float]:
    """Samples (frames x channels) with what was drawn done to them, and the dB by which they are louder.

    Stretch, tone and room leave the level as it is, so that `volume` alone decides it; less of it where samples would
    go beyond full scale.  ``noise`` is what the echo of the room is made of.
    """
    out = stretched(samples, rate, drawn.get("speed", 1.0), drawn.get("pitch", 0.0))
    if "eq" in drawn:
        out = equalised(out, rate, drawn["eq"])
    if "reverb" in drawn and noise is not None:
        out = echoing(out, dying(noise, drawn["reverb"], rate))
    if out is not samples:
        out = as_loud(out, samples)
    if "length" in drawn:
        out = of_length(out[round(drawn["from"] * rate) :], max(1, round(drawn["length"] * rate)))
    if "shift" in drawn:
        out = shifted(out, round(drawn["shift"] * len(out)))
    if "fade" in drawn:
        out = faded(out, round(drawn["fade"] * rate))
    gain = 10 ** (drawn.get("volume", 0.0) / 20)
    factor = fit_factor(out * gain)
    if gain * factor != 1.0:
        out = out * out.dtype.type(gain * factor)
    return out, in_decibels(gain * factor)


class AlterSound(Make):
    """Play a sound faster, higher, louder, later, in a room, or with another tone.

    Each change that has a range is made with chance `p`, by a number drawn evenly from the range.  Where none has
    one, four mild ones are: speed 0.9 to 1.1, pitch 2 semitones, volume 6 dB, shift a tenth of the length.  Speed
    keeps the pitch, and pitch the length (Signalsmith Stretch; without the package python-stretch a phase vocoder).
    No sample goes beyond full scale: what would is amplified by less, and the history says by how much it was.
    Segments move along; one that loses more than half of itself is dropped, and the history counts it.

    `changes` says in words what can be heard, for a caption: louder, quieter, higher, lower, faster, slower, echoing,
    ...  Less than 1 dB, half a semitone, 5 % of speed, 3 dB of one band or 0.1 s is not said.

    Needs audio.  Makes audio, and `changes`; segments move along.

    >>> import numpy as np
    >>> from leaven.media.audio import Audio
    >>> tone = Audio.of(np.sin(np.arange(16000) / 5) / 2, 16000)
    >>> [row] = AlterSound(speed=(1.25, 1.25))({"audio": tone})
    >>> row["audio"].seconds, row["changes"]
    (0.8, ['faster'])
    """

    takes: ClassVar[str] = "audio"
    moves: ClassVar[frozenset[str]] = frozenset({"segments"})
    n: int = Field(1, ge=1, le=50)
    """How many children."""
    p: float = Field(1.0, ge=0, le=1)
    """The chance of each change; where none comes up, the child sounds like its parent."""
    speed: Annotated[Range, within(0.25, 4)] | None = None
    """How many times as fast, low and high."""
    pitch: Annotated[Range, within(-24, 24)] | None = None
    """By how many semitones."""
    whole: bool = False
    """Whole semitones only, 0 among them."""
    volume: Annotated[Range, within(-60, 60)] | None = None
    """By how many dB louder."""
    shift: Annotated[Range, within(-1, 1)] | None = None
    """How much later, as a share of the length, which stays: silence fills, what goes out is lost."""
    length: Annotated[Range, within(0.01, 3600)] | None = None
    """Cut or filled with silence to so many seconds; which part stays is drawn."""
    reverb: Annotated[Range, within(0.01, 10)] | None = None
    """A room whose echo falls by 60 dB in so many seconds; what sounds beyond the end is cut."""
    fade: Annotated[Range, within(0, 60)] | None = None
    """Faded in, and out, over so many seconds."""
    eq: Annotated[Range, within(-24, 24)] | None = None
    """By how many dB bass, middle and treble are stronger, each drawn for itself."""
    longest: float | None = Field(None, gt=0)
    """Seconds that a slower sound may last at most: lower speeds are not drawn, as far as the range goes."""
    on: str | None = None
    """The sound to change; the main audio."""

    def writes(self) -> dict[str, Column]:
        return {"changes": Column(VALUE, frozenset({self.on or "audio"}), written=False)}

    def make(self, record: Record, ctx: Context) -> Iterator[Record]:
        field = self.on or "audio"
        sound: Audio = record[field]
        samples, rate = sound.samples, sound.rate
        for ordinal in range(self.n):
            rng = ctx.rng_of(ordinal)
            drawn = self.draw(len(samples) / rate, rng)
            noise = rng.standard_normal(max(1, round(drawn["reverb"] * rate))) if "reverb" in drawn else None
            new, louder = altered(samples, rate, drawn, noise)
            seconds = len(new) / rate
            if "volume" in drawn or abs(louder) >= 5e-5:
                drawn["volume"] = _short(louder)
            said = words(drawn, sound.seconds)
            fields: dict[str, Any] = {field: Audio.of(new, rate, sound), "changes": said, **noted(ctx, record, field)}
            for name, segments in noted(ctx, record, field).items():
                if segments is not None:
                    fields[name], gone = moved(segments, seconds, partial(time_after, drawn=drawn, seconds=seconds))
                    drawn |= {"segments_dropped": gone} if gone else {}
            yield record.child(fields, drawn=drawn)

    def draw(self, seconds: float, rng: np.random.Generator) -> dict[str, Any]:
        """What happens to a sound that lasts so long, in the order in which it is done."""
        wanted = {name: value for name in CHANGES if (value := getattr(self, name)) is not None}
        drawn: dict[str, Any] = {}
        for name, (low, high) in (wanted or MILD).items():
            happens = rng.random() < self.p
            if name == "speed" and self.longest is not None:
                low = min(max(low, ceil(seconds / self.longest * 1e4) / 1e4), high)
            found: dict[str, Any] = {name: _short(rng.uniform(low, high))}
            if name == "pitch" and self.whole:
                found = {name: int(rng.integers(round(low), round(high) + 1))}
            elif name == "eq":
                found[name] = [found[name], *(_short(rng.uniform(low, high)) for _ in "mt")]
            elif name == "length":
                free = max(0.0, seconds / drawn.get("speed", 1.0) - found[name])
                found["from"] = _short(free * rng.random())
            drawn |= found if happens else {}
        return drawn


def time_after(time: float, *, drawn: Mapping[str, Any], seconds: float) -> float:
    """When a moment of the sound comes after what was drawn; the new sound lasts ``seconds``."""
    found: float = time / drawn.get("speed", 1.0) - drawn.get("from", 0.0) + drawn.get("shift", 0.0) * seconds
    return found


def _short(number: float) -> float:
    return round(float(number), 4)
