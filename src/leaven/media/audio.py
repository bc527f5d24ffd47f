"""A sound of a record: encoded bytes until its samples are asked for."""

from __future__ import annotations

from io import BytesIO
from typing import TYPE_CHECKING, Any, Self

from leaven.errors import MissingExtra
from leaven.media.broken import Broken
from leaven.media.encoded import Encoded

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

    Samples = NDArray[np.float32]

MOST_SAMPLES = 400_000_000
"""Channels counted; two and a half hours of 44.1 kHz mono."""
WAV = ("PCM_16", "PCM_24", "PCM_32", "FLOAT", "DOUBLE", "PCM_U8")


class Audio(Encoded):
    """Give it the file's bytes (wav, flac, ogg, mp3 ...), or with ``of`` the samples of a new one."""

    __slots__ = ("_kind", "_rate", "_samples")

    def __init__(self, data: bytes | None, path: str = "") -> None:
        super().__init__(data, path)
        self._samples: Samples | None = None
        self._rate = 0
        self._kind: tuple[str, str] | None = None

    @classmethod
    def of(cls, samples: Samples, rate: int, like: Audio | None = None) -> Self:
        """A new sound from samples (frames x channels, or frames; -1 to 1) at ``rate`` a second.

        It will be a wav of the parent's resolution where ``like`` is a wav, of 16 bits without one, else a flac: each
        is written without loss (beyond its bits), and the same samples always give the same bytes.
        """
        import numpy as np

        shaped = samples[:, None] if samples.ndim == 1 else samples
        if shaped.ndim != 2 or 0 in shaped.shape or not np.isfinite(shaped).all():
            raise ValueError(f"samples are finite, frames x channels, and not empty; got {samples.shape}")
        made = cls(None)
        made._samples = np.ascontiguousarray(shaped, np.float32)
        made._samples.flags.writeable = False
        made._rate = int(rate)
        made._kind = like.kind if like is not None else ("WAV", "PCM_16")
        return made

    # -- what it holds --------------------------------------------------------------------------------------------

    @property
    def samples(self) -> Samples:
        """Frames x channels, float32, -1 to 1, read-only; decoded once.  Raises Broken."""
        if self._samples is None:
            self._samples, self._rate = self._decode()
            self._samples.flags.writeable = False
        return self._samples

    @property
    def mono(self) -> Samples:
        """The mean of the channels, one number a frame."""
        found: Samples = self.samples.mean(axis=1, dtype="float32") if self.channels > 1 else self.samples[:, 0]
        return found

    @property
    def rate(self) -> int:
        """Samples a second."""
        if not self._rate:
            self._rate = int(self._info().samplerate)
        return self._rate

    @property
    def channels(self) -> int:
        return int(self.samples.shape[1])

    @property
    def seconds(self) -> float:
        return len(self.samples) / self.rate

    @property
    def kind(self) -> tuple[str, str]:
        """The format and resolution in which a child of it is encoded."""
        if self._kind is None:
            info = self._info()
            plain = info.format in ("WAV", "WAVEX")
            self._kind = ("WAV", info.subtype) if plain and info.subtype in WAV else ("FLAC", "PCM_16")
        return self._kind

    def settle(self) -> None:
        """Encode it where it is new, and let the samples go."""
        self._bytes = self.encoded
        self._samples = None

    def check(self) -> None:
        """Read every byte once.  Raises Broken."""
        self._decode()

    def __repr__(self) -> str:
        try:
            said = f"{self.seconds:.2f} s, {self.rate} Hz, {self.channels} ch"
        except Broken as broken:
            said = broken.reason
        return f"Audio({said}{', ' + self.path if self.path else ''})"

    # -- bytes ------------------------------------------------------------------------------------------------------

    def _info(self) -> Any:
        library = _soundfile()
        self._present()
        try:
            return library.info(BytesIO(self._bytes or b""))
        except Exception as error:
            raise self._broken(error) from None

    def _present(self) -> None:
        if not self._bytes:
            raise Broken("broken_audio", f"{self.path or 'the sound'} is empty (0 bytes)")

    def _broken(self, error: Exception) -> Broken:
        said = str(error).replace("<_io.BytesIO object", "the bytes").splitlines()[0]
        said = said.rpartition(": ")[2].rstrip(".") or type(error).__name__
        return Broken("broken_audio", f"{self.path or 'the sound'}: {said[:160]}")

    def _decode(self) -> tuple[Samples, int]:
        import numpy as np

        library = _soundfile()
        self._present()
        try:
            with library.SoundFile(BytesIO(self._bytes or b"")) as file:
                if file.samplerate <= 0 or file.channels <= 0:
                    raise ValueError("its header names no sample rate")
                most = MOST_SAMPLES // file.channels
                # What a header claims may be a lie: never more than the limit is asked for.
                samples = file.read(min(file.frames, most + 1) if file.frames > 0 else most + 1, "float32", True)
                rate = int(file.samplerate)
        except Exception as error:
            raise self._broken(error) from None
        name = self.path or "the sound"
        if len(samples) > most:
            raise Broken("too_large", f"{name} is longer than {MOST_SAMPLES:,} samples")
        if not len(samples):
            raise Broken("broken_audio", f"{name} holds no samples")
        if not np.isfinite(samples).all():
            raise Broken("not_a_number", f"{name} holds samples that are no numbers (NaN or infinite)")
        return samples, rate

    def _encode(self) -> bytes:
        import numpy as np

        library = _soundfile()
        if self._samples is None:
            raise Broken("broken_audio", f"{self.path or 'the sound'} is empty (0 bytes)")
        container, resolution = self._kind or ("WAV", "PCM_16")
        out = BytesIO()
        if resolution in ("FLOAT", "DOUBLE"):  # soundfile would write the time of day into it
            from scipy.io import wavfile

            wavfile.write(out, self._rate, self._samples.astype(np.float64 if resolution == "DOUBLE" else np.float32))
            return out.getvalue()
        samples = np.clip(self._samples, -1.0, 1.0)
        with library.SoundFile(out, "w", self._rate, samples.shape[1], resolution, format=container) as file:
            file.write(samples)
        return out.getvalue()


def _soundfile() -> Any:
    try:
        import soundfile
    except ImportError:
        raise MissingExtra("sounds need the extra `audio` (soundfile).", 'pip install "leaven[audio]"') from None
    return soundfile
