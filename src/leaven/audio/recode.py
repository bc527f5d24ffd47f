"""What a codec leaves of a sound: mp3, Vorbis, Opus, or the telephone."""

from __future__ import annotations

from collections.abc import Iterator
from io import BytesIO
from typing import TYPE_CHECKING, Annotated, Any, ClassVar, Literal

from pydantic import Field

from leaven.audio.fitted import of_length
from leaven.audio.levels import fit_factor, scaled
from leaven.audio.segments import noted
from leaven.errors import MissingExtra
from leaven.media.audio import Audio
from leaven.media.resampled import resampled
from leaven.operators import Make
from leaven.ranges import Range, drawn_from, within
from leaven.records import Record

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

    from leaven.context import Context

Codec = Literal["mp3", "ogg", "opus", "telephone"]
FORMATS = {"mp3": ("MP3", "MPEG_LAYER_III"), "ogg": ("OGG", "VORBIS"), "opus": ("OGG", "OPUS")}
RATES = {
    "mp3": (8000, 11025, 12000, 16000, 22050, 24000, 32000, 44100, 48000),
    "ogg": (8000, 11025, 12000, 16000, 22050, 24000, 32000, 44100, 48000),
    "opus": (8000, 12000, 16000, 24000, 48000),
}
"""What a codec takes; a sound of another rate goes through the next higher one."""
LEAST_QUALITY = 0.01
"""libsndfile refuses to write an mp3 of the very lowest."""
BLOCK = 65_536
"""Frames written at a time: libsndfile's Vorbis keeps what it is given at once on the stack."""
PHONE = 8000
PASSED = (300.0, 3400.0)
MU = 255


def recoded(samples: NDArray[np.float32], rate: int, codec: Codec, quality: float = 0.5) -> NDArray[np.float32]:
    """Samples (frames x channels) written and read again, in the same rate and length; ``quality`` goes from 0 to 1."""
    import numpy as np

    if codec == "telephone":
        return telephone(samples, rate)
    known = RATES[codec]
    through = next((r for r in known if r >= rate), known[-1])
    there = resampled(samples, rate, through)
    parts = [there] if there.shape[1] <= 2 else np.split(there, there.shape[1], axis=1)
    back = np.concatenate([_written_and_read(part, through, codec, quality) for part in parts], axis=1)
    return of_length(resampled(back, through, rate), len(samples))


def telephone(samples: NDArray[np.float32], rate: int) -> NDArray[np.float32]:
    """Samples as a landline brings them: 8 kHz, 300 to 3,400 Hz, eight bits on a logarithmic scale (G.711 mu-law)."""
    import numpy as np
    from scipy.signal import butter, sosfilt

    line = resampled(samples, rate, PHONE)
    line = sosfilt(butter(4, PASSED, "bandpass", fs=PHONE, output="sos"), line, axis=0)
    bent = np.sign(line) * np.log1p(MU * np.minimum(np.abs(line), 1.0)) / np.log1p(MU)
    steps = np.rint((bent + 1) / 2 * MU) / MU * 2 - 1
    heard = np.sign(steps) * np.expm1(np.abs(steps) * np.log1p(MU)) / MU
    return of_length(resampled(heard.astype(np.float32), PHONE, rate), len(samples))


class Recode(Make):
    """Send a sound through a lossy codec and back; the label stays.

    Its length, rate and channels stay.  Helps where what is used later comes as mp3 or over a line, and what was
    trained on does not.

    Needs audio.  Makes audio; segments stay.

    >>> import numpy as np
    >>> from leaven.media.audio import Audio
    >>> tone = Audio.of(np.sin(np.arange(16000) / 5) / 2, 16000)
    >>> [row] = Recode("telephone")({"audio": tone})
    >>> row["audio"].seconds, row["audio"].rate
    (1.0, 16000)
    """

    takes: ClassVar[str] = "audio"
    moves: ClassVar[frozenset[str]] = frozenset({"segments"})
    codec: Codec = "mp3"
    """`mp3`, `ogg` (Vorbis), `opus`, or `telephone`: mu-law at 8 kHz, of one quality."""
    quality: Annotated[Range, within(0, 1)] = (0.0, 0.6)
    """Low and high to draw from; 0 is the worst that the codec can do, 1 its best."""
    n: int = Field(1, ge=1, le=50)
    """How many children."""
    on: str | None = None
    """The sound to change; the main audio."""

    def make(self, record: Record, ctx: Context) -> Iterator[Record]:
        field = self.on or "audio"
        sound: Audio = record[field]
        for ordinal in range(self.n):
            quality = drawn_from(self.quality, ctx.rng_of(ordinal))
            new = recoded(sound.samples, sound.rate, self.codec, quality)
            factor = fit_factor(new)
            drawn = {} if self.codec == "telephone" else {"quality": quality}
            drawn |= scaled(factor)
            fields = {field: Audio.of(new * factor, sound.rate, sound), **noted(ctx, record, field)}
            yield record.child(fields, drawn=drawn)


def _written_and_read(samples: NDArray[Any], rate: int, codec: str, quality: float) -> NDArray[Any]:
    try:
        import soundfile
    except ImportError:
        raise MissingExtra("recode needs the extra `audio` (soundfile).", 'pip install "leaven[audio]"') from None
    container, kind = FORMATS[codec]
    level = 1 - max(quality, LEAST_QUALITY)
    there = BytesIO()
    with soundfile.SoundFile(
        there, "w", rate, samples.shape[1], kind, format=container, compression_level=level
    ) as file:
        for begin in range(0, len(samples), BLOCK):
            file.write(samples[begin : begin + BLOCK])
    there.seek(0)
    back, _ = soundfile.read(there, dtype="float32", always_2d=True)
    return of_length(back, len(samples))
