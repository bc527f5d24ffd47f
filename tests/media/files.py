"""Files of every odd kind that people have, made on the spot."""

from __future__ import annotations

import struct
import zlib
from io import BytesIO

import numpy as np
import soundfile
from PIL import Image as Pillow


def photo(width: int = 12, height: int = 8) -> Pillow.Image:
    """Red falls from left to right, green from top to bottom, blue is 40."""
    x, y = np.linspace(0, 255, width), np.linspace(0, 255, height)
    pixels = np.stack([np.tile(x, (height, 1)), np.tile(y[:, None], (1, width)), np.full((height, width), 40)], -1)
    return Pillow.fromarray(pixels.astype(np.uint8))


def saved(image: Pillow.Image, kind: str, **options: object) -> bytes:
    out = BytesIO()
    image.save(out, kind, **options)
    return out.getvalue()


def turned(orientation: int = 6) -> bytes:
    """A JPEG whose EXIF says that it is to be turned a quarter."""
    exif = Pillow.Exif()
    exif[0x0112] = orientation
    return saved(photo(), "JPEG", exif=exif, quality=95)


def bomb(width: int = 50_000, height: int = 50_000) -> bytes:
    """A PNG of a few bytes whose header claims 2.5 billion pixels."""

    def chunk(kind: bytes, data: bytes) -> bytes:
        return struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))

    head = struct.pack(">IIBBBBB", width, height, 8, 0, 0, 0, 0)
    return (
        b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", head) + chunk(b"IDAT", zlib.compress(b"\0" * 100)) + chunk(b"IEND", b"")
    )


def animated() -> bytes:
    frames = [photo(), photo().transpose(Pillow.Transpose.FLIP_LEFT_RIGHT)]
    return saved(frames[0], "GIF", save_all=True, append_images=frames[1:])


def tone(seconds: float = 0.25, rate: int = 8000, channels: int = 1) -> np.ndarray:
    """A quiet tone; a second channel is half as loud."""
    t = np.arange(int(seconds * rate)) / rate
    one = 0.4 * np.sin(2 * np.pi * 440 * t)
    return np.stack([one / (i + 1) for i in range(channels)], axis=1).astype(np.float32)


def sound(kind: str = "WAV", subtype: str | None = None, rate: int = 8000, channels: int = 1) -> bytes:
    out = BytesIO()
    soundfile.write(out, tone(0.25, rate, channels), rate, format=kind, subtype=subtype)
    return out.getvalue()


def lying() -> bytes:
    """A wav whose header claims 2 GB of samples."""
    data = bytearray(sound())
    at = data.index(b"data") + 4
    data[at : at + 4] = struct.pack("<I", 2_000_000_000)
    data[4:8] = struct.pack("<I", 2_000_000_036)
    return bytes(data)


def not_numbers() -> bytes:
    from scipy.io import wavfile

    samples = tone()[:, 0].copy()
    samples[100] = np.nan
    out = BytesIO()
    wavfile.write(out, 8000, samples)
    return out.getvalue()
