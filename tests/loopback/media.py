"""Images and sounds: what is seen in one that comes in, and small ones made from what is asked."""

from __future__ import annotations

import base64
import binascii
import io
import struct
import wave
import zlib
from collections.abc import Mapping
from typing import Any

from .draws import Draws, digest
from .errors import Refused, missing
from .options import Options

SIDE = 32
"""Pixels of an image whose size is not said."""
MOST_SIDE = 4096
RATE = 8000
VOICES = ("alloy", "ash", "ballad", "coral", "echo", "fable", "nova", "onyx", "sage", "shimmer", "verse")


# Seen and heard


def seen(part: Mapping[str, Any]) -> str:
    """An image or a sound in a message, in words: ``[image rgb(200,30,30) 8 x 8]``."""
    if part.get("type") == "image_url":
        url = part["image_url"]["url"]
        head, comma, data = url.partition(";base64,")
        if not comma or not head.startswith("data:image/"):
            raise Refused(400, "Failed to download the image: only data URLs are taken here.", code="invalid_image_url")
        pixels = decoded(data_of(data), head.removeprefix("data:image/"))
        red, green, blue = mean_colour(pixels)
        return f"[image rgb({red},{green},{blue}) {pixels.width} x {pixels.height}]"
    sound = part["input_audio"]
    if sound["format"] not in ("wav", "mp3"):
        raise Refused(400, f"Invalid value: '{sound['format']}'. Supported values are: 'wav' and 'mp3'.")
    return f"[sound of {len(data_of(sound['data']))} bytes, {sound['format']}]"


def data_of(text: str) -> bytes:
    try:
        return base64.b64decode(text, validate=True)
    except (binascii.Error, ValueError):
        raise Refused(400, "Invalid base64 data.") from None


def decoded(data: bytes, kind: str = "") -> Any:
    """An image as Pillow has it; ``kind`` is what it was said to be."""
    from PIL import Image

    try:
        found = Image.open(io.BytesIO(data))
        found.load()
    except Exception as wrong:
        raise Refused(400, "Invalid image data.", code="invalid_image") from wrong
    if kind and str(found.format).lower() != kind:
        raise Refused(400, f"The image is {found.format}, not {kind}.", code="invalid_image")
    return found


def mean_colour(image: Any) -> tuple[int, int, int]:
    """The mean of each channel, rounded."""
    rgb = image.convert("RGB").tobytes()
    n = len(rgb) // 3
    red, green, blue = (round(sum(rgb[i::3]) / n) for i in range(3))
    return red, green, blue


# Made


def images(asked: Mapping[str, Any], key: str, options: Options) -> dict[str, Any]:
    """The answer to ``/v1/images/generations``: one colour, which hangs on the prompt alone."""
    if not asked.get("prompt"):
        raise missing("prompt")
    wide, high = size_of(asked.get("size"), (SIDE, SIDE))
    return answer(asked, png(wide, high, bytes(colour_of(asked["prompt"])) * (wide * high)), options)


def edits(asked: Mapping[str, Any], key: str, options: Options) -> dict[str, Any]:
    """The answer to ``/v1/images/edits``: the image, and the prompt's colour where the mask is transparent, or all over
    at half strength without one."""
    if not asked.get("prompt") or not isinstance(asked.get("image"), bytes):
        raise missing("prompt" if not asked.get("prompt") else "image")
    before = decoded(asked["image"]).convert("RGB")
    colour = colour_of(asked["prompt"])
    pixels = bytearray(before.tobytes())
    alpha = b""
    if isinstance(asked.get("mask"), bytes):
        mask = decoded(asked["mask"])
        if mask.size != before.size or mask.mode != "RGBA":
            raise Refused(400, "Invalid mask image: it must have the image's size, and an alpha channel.")
        alpha = mask.tobytes()[3::4]
    for i in range(before.width * before.height):
        if alpha and alpha[i]:
            continue
        for c in range(3):
            pixels[3 * i + c] = colour[c] if alpha else (pixels[3 * i + c] + colour[c]) // 2
    made = decoded(png(before.width, before.height, bytes(pixels)))
    size = size_of(asked.get("size"), before.size)
    if size != before.size:
        made = made.resize(size, 0)
    return answer(asked, png(made.width, made.height, made.tobytes()), options)


def answer(asked: Mapping[str, Any], data: bytes, options: Options) -> dict[str, Any]:
    one = {"url": "http://127.0.0.1:9/image.png"}
    if asked.get("response_format") == "b64_json" or options.always_b64:
        one = {"b64_json": base64.b64encode(data).decode()}
    usage = {"input_tokens": len(asked["prompt"].split()), "output_tokens": 1000}
    return {"created": 1_700_000_000, "data": [one], **({} if options.no_usage else {"usage": usage})}


def spoiled(made: Mapping[str, Any], kind: str, draws: Draws) -> dict[str, Any]:
    """An answer with an image that is none, or not the one that was asked for: a kind of ``options.OF_IMAGES``."""
    data = data_of(made["data"][0]["b64_json"])
    if kind == "empty":
        return {**made, "data": []}
    if kind == "noise":
        data = data[: len(data) // 2] if draws.below(2) else b"no image at all"
    elif kind == "wide":
        wide, high = decoded(data).size
        data = png(3 * wide, high, bytes(9 * wide * high))
    text = base64.b64encode(data).decode()
    return {**made, "data": [{"b64_json": text[: len(text) // 8 * 4 + 1] if kind == "cut" else text}]}


def size_of(said: Any, other: tuple[int, int]) -> tuple[int, int]:
    if said in (None, "auto"):
        return other
    wide, _, high = str(said).partition("x")
    if not wide.isdigit() or not high.isdigit() or not 0 < max(int(wide), int(high)) <= MOST_SIDE:
        raise Refused(400, f"Invalid value: '{said}'.", param="size", code="invalid_value")
    return int(wide), int(high)


def colour_of(prompt: str) -> tuple[int, int, int]:
    """The colour that a prompt gives."""
    red, green, blue = bytes.fromhex(digest(prompt.encode())[:6])
    return red, green, blue


def png(wide: int, high: int, rgb: bytes) -> bytes:
    """Pixels as a PNG."""

    def chunk(kind: bytes, data: bytes) -> bytes:
        return struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))

    rows = b"".join(b"\0" + rgb[3 * wide * y : 3 * wide * (y + 1)] for y in range(high))
    head = struct.pack(">IIBBBBB", wide, high, 8, 2, 0, 0, 0)
    return b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", head) + chunk(b"IDAT", zlib.compress(rows)) + chunk(b"IEND", b"")


def speech(asked: Mapping[str, Any], key: str, options: Options) -> bytes:
    """The answer to ``/v1/audio/speech``: a tenth of a second a word, of a tone that hangs on text and voice.

    Its header claims all that there can be, as one does that is sent while it is made.
    """
    for name in ("input", "voice"):
        if not asked.get(name):
            raise missing(name)
    if asked["voice"] not in (options.voices or VOICES):
        raise Refused(400, f"Invalid value: '{asked['voice']}'.", param="voice", code="invalid_value")
    speed = float(asked.get("speed", 1))
    wide = 10 + Draws(digest(f"{asked['voice']} {asked['input']}".encode())).below(100)
    frames = round(len(asked["input"].split()) * RATE / 10 / speed)
    swing = [9000 if i < wide // 2 else -9000 for i in range(wide)]
    out = io.BytesIO()
    with wave.open(out, "wb") as file:
        file.setnchannels(1)
        file.setsampwidth(2)
        file.setframerate(RATE)
        file.writeframes(struct.pack(f"<{frames}h", *(swing[i % wide] for i in range(frames))))
    data = out.getvalue()
    return data[:4] + b"\xff\xff\xff\xff" + data[8:40] + b"\xff\xff\xff\xff" + data[44:]


def transcription(asked: Mapping[str, Any], key: str, options: Options) -> dict[str, Any]:
    """The answer to ``/v1/audio/transcriptions``: how long a wav is, in words; of another file how many bytes."""
    data = asked.get("file")
    if not isinstance(data, bytes):
        raise missing("file")
    try:
        with wave.open(io.BytesIO(data)) as file:
            text = f"a sound of {file.getnframes() / file.getframerate():.2f} seconds"
    except (wave.Error, EOFError):
        if data[:4] not in (b"fLaC", b"OggS") and data[:3] != b"ID3":
            raise Refused(400, "Invalid file format.", param="file") from None
        text = f"a sound of {len(data)} bytes"
    return {"text": text}
