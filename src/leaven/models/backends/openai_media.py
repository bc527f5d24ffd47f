"""Images and sounds over OpenAI's protocol: shown to a chat model, painted, spoken, written down.

In the ledger they are hashes, and files beside it: base64 is made for the wire alone.
"""

from __future__ import annotations

import asyncio
import base64
import binascii
import json
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

from leaven.errors import ModelError
from leaven.media.audio import Audio
from leaven.media.broken import Broken as BrokenMedium
from leaven.media.image import Image
from leaven.models.calls import Answer, Ask, Broken, CallFailed, encode
from leaven.models.prices import tokens
from leaven.records import digest

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

    from leaven.models.backends.openai import OpenAI
    from leaven.models.calls import Medium

ROLES = ("paint", "speak", "transcribe")
VOICES = ("alloy", "ash", "ballad", "coral", "echo", "fable", "nova", "onyx", "sage", "shimmer", "verse")
"""The voices of the protocol, where a server lists none of its own."""
LARGEST = 128 * 2**20
"""Bytes of an answer: 4,096 x 4,096 pixels of noise as a PNG in base64 are 67 million."""
SLOW = 5.0
"""An image takes so many times as long as a text may."""
NOT_SENT = ("negative", "steps", "guidance", "strength", "scale")
"""What the protocol has no word for and an image can be painted without."""
NOT_THERE = ("control", "like", "boxes", "adapter")
"""What it has no word for and without which it would be another image."""
PICTURES = {b"\x89PNG": "png", b"\xff\xd8\xff": "jpeg", b"RIFF": "webp"}
SOUNDS = {b"RIFF": "wav", b"ID3": "mp3", b"\xff\xfb": "mp3", b"\xff\xf3": "mp3", b"\xff\xf2": "mp3"}
STORED = {**SOUNDS, b"fLaC": "flac", b"OggS": "ogg"}
"""What is sent as it is, by how it begins; anything else is made a PNG or a wav before."""
SAME_SHAPE = 0.02

File = tuple[str, str, str, bytes]
"""A file of a form: field, name, type, bytes."""


# -- shown to a chat model ---------------------------------------------------------------------------------------------


def shown(ask: Ask) -> str:
    """What is asked of a chat model, as JSON with the images and sounds in it."""
    messages = []
    for message in ask.content["messages"]:
        content = message["content"]
        parts = [_part(part, ask.media) for part in content] if isinstance(content, list) else content
        messages.append({**message, "content": parts})
    return encode({**ask.content, "messages": messages})


def _part(part: Mapping[str, Any], media: Mapping[str, Medium]) -> Mapping[str, Any]:
    if part["type"] not in ("image", "audio"):
        return part
    medium = media[part["name"]]
    if isinstance(medium, Image):
        data, kind = _as_sent(medium, PICTURES)
        return {"type": "image_url", "image_url": {"url": f"data:image/{kind};base64,{_base64(data)}"}}
    data, kind = _as_sent(medium, SOUNDS)
    return {"type": "input_audio", "input_audio": {"data": _base64(data), "format": kind}}


def _as_sent(medium: Medium, kinds: Mapping[bytes, str]) -> tuple[bytes, str]:
    """Bytes of one of these kinds, and which."""
    data = medium.encoded
    kind = next((kind for begin, kind in kinds.items() if data.startswith(begin)), "")
    if kind:
        return data, kind
    if isinstance(medium, Image):
        return Image.of(medium.pixels).encoded, "png"
    return Audio.of(medium.samples, medium.rate).encoded, "wav"


def _base64(data: bytes) -> str:
    return base64.b64encode(data).decode()


# -- painted, spoken, written down -------------------------------------------------------------------------------------


async def play(server: OpenAI, ask: Ask) -> Answer:
    """The answer of one of ROLES."""
    if ask.role == "paint":
        return await _paint(server, ask)
    if ask.role == "transcribe":
        return await _transcribe(server, ask)
    if "voices" in ask.content:
        return Answer(json.dumps(await _voices(server)))
    return await _speak(server, ask)


async def _paint(server: OpenAI, ask: Ask) -> Answer:
    content = ask.content
    for name in NOT_THERE:
        if content.get(name):
            raise ModelError(
                f"{server.uri} paints from a prompt, an image and a mask, and takes no `{name}`.",
                "name a model that does: paint=diffusers:FOLDER",
            )
    for name in NOT_SENT:
        if content.get(name) not in (None, ""):
            server.leave_out(name)
    wide, high = content.get("width"), content.get("height")
    wanted = {"size": f"{wide}x{high}"} if wide and high else {}
    wish = Ask("paint", {"prompt": content["prompt"]}, {**wanted, "response_format": "b64_json"})
    if "image" in content:
        raw = await _sent_as_form(server, "/images/edits", wish, _canvas(ask))
    else:
        path = "/images/generations"
        raw = await server.asked(path, lambda: (*server.body(path, wish), "application/json"), most=LARGEST, slow=SLOW)
    said = _object(server, raw)
    data = said.get("data")
    found = data[0] if isinstance(data, list) and data and isinstance(data[0], dict) else {}
    try:
        image = await asyncio.to_thread(_image, server, found)
        if "image" in content:
            before = ask.media[content["image"]]
            assert isinstance(before, Image), "what is painted over is an image"
            size = (int(wide), int(high)) if wide and high else before.size
            image = await asyncio.to_thread(_in_place, image, size, "mask" in content)
    except CallFailed as failed:
        raise CallFailed(failed.reason, failed.detail, [_begin(server, raw)]) from None
    return Answer(
        "",
        tokens_in=server.used(said, "input_tokens") or tokens(content["prompt"]),
        tokens_out=server.used(said, "output_tokens"),
        media=image,
    )


def _canvas(ask: Ask) -> list[File]:
    """The image to begin from, and where it may change: where OpenAI's mask is transparent."""
    image = ask.media[ask.content["image"]]
    assert isinstance(image, Image), "what is painted over is an image"
    data, kind = _as_sent(image, PICTURES)
    files = [("image", f"image.{kind}", f"image/{kind}", data)]
    if "mask" in ask.content:
        mask = ask.media[ask.content["mask"]]
        assert isinstance(mask, Image), "a mask is an image"
        files.append(("mask", "mask.png", "image/png", transparent(mask.pixels)))
    return files


def transparent(mask: NDArray[np.uint8]) -> bytes:
    """A PNG that is transparent where a mask is white, and black elsewhere."""
    import numpy as np

    from leaven.media.opencv import opencv

    rgba = np.zeros((*mask.shape[:2], 4), np.uint8)
    rgba[..., 3] = np.where(mask[..., 0] > 127, 0, 255)
    data: bytes = opencv().imencode(".png", rgba)[1].tobytes()
    return data


def _image(server: OpenAI, found: Mapping[str, Any]) -> Image:
    """The image that an answer holds, whole."""
    said = found.get("b64_json")
    if not said and found.get("url"):
        raise ModelError(
            f"{server.model} answers with the address of an image, and leaven fetches none.",
            "have the server answer with the image itself (response_format b64_json), or name another model.",
        )
    if not isinstance(said, str) or not said:
        raise Broken("server_error", "an answer without an image")
    try:
        data = base64.b64decode(said.partition("base64,")[2] or said, validate=True)
    except (binascii.Error, ValueError):
        raise Broken("server_error", "the image is no whole base64") from None
    image = Image(data)
    try:
        image.check()
    except BrokenMedium as broken:
        raise CallFailed("no_answer", f"what came is no image: {broken}") from None
    return image


def _in_place(image: Image, size: tuple[int, int], exact: bool) -> Image:
    """An image that was painted over, in the size of the one before where it has that shape.

    Raises CallFailed where ``exact`` and it has another one: what stands where would be lost.
    """
    if image.size == size:
        return image
    (wide, high), (was_wide, was_high) = image.size, size
    if abs(wide * was_high / (high * was_wide) - 1) > SAME_SHAPE:
        if exact:
            raise CallFailed("wrong_size", f"{was_wide} x {was_high} pixels were sent, {wide} x {high} came back")
        return image
    from leaven.media.opencv import opencv

    cv2 = opencv()
    return Image.of(cv2.resize(image.pixels, size, interpolation=cv2.INTER_AREA))


async def _speak(server: OpenAI, ask: Ask) -> Answer:
    text, voice, rate = (ask.content[name] for name in ("text", "voice", "rate"))
    speed = {"speed": rate} if rate != 1 else {}
    wish = Ask("speak", {"input": text}, {"voice": voice, **speed, "response_format": "wav"})
    path = "/audio/speech"
    raw = await server.asked(path, lambda: (*server.body(path, wish), "application/json"), most=LARGEST)
    if raw[:1] == b"{":
        _object(server, raw)
        raise Broken("server_error", f"no sound: {server.hidden(raw)[:80]!r}")
    sound = Audio(whole_wav(raw))
    try:
        await asyncio.to_thread(sound.check)
    except BrokenMedium as broken:
        raise CallFailed("no_answer", f"what came is no sound: {broken}", [_begin(server, raw)]) from None
    sound.settle()
    return Answer("", tokens_in=tokens(text), media=sound)


def whole_wav(data: bytes) -> bytes:
    """A wav whose header says how long it is: one that was sent while it was made claims the longest there can be."""
    if data[:4] != b"RIFF" or data[8:12] != b"WAVE":
        return data
    at = 12
    while at + 8 <= len(data):
        size = int.from_bytes(data[at + 4 : at + 8], "little")
        if data[at : at + 4] == b"data":
            left = len(data) - at - 8
            if size <= left:
                return data
            riff = (len(data) - 8).to_bytes(4, "little")
            return data[:4] + riff + data[8 : at + 4] + left.to_bytes(4, "little") + data[at + 8 :]
        at += 8 + size + size % 2
    return data


async def _voices(server: OpenAI) -> list[str]:
    """The voices that a server lists, as many servers of one's own do, or else those of the protocol."""
    try:
        status, _, raw = await server.send("GET", "/audio/voices")
        said = json.loads(server.hidden(raw)) if status == 200 else {}
    except (Broken, ValueError, RecursionError):
        said = {}
    listed = said.get("voices", said.get("data")) if isinstance(said, dict) else said
    names = [
        voice.get("id") or voice.get("voice_id") or voice.get("name") if isinstance(voice, dict) else voice
        for voice in (listed if isinstance(listed, list) else [])
    ]
    return [name for name in names if isinstance(name, str) and name] or list(VOICES)


async def _transcribe(server: OpenAI, ask: Ask) -> Answer:
    sound = ask.media[ask.content["audio"]]
    data, kind = _as_sent(sound, STORED)
    wish = Ask("transcribe", {}, {"response_format": "json"})
    files = [("file", f"sound.{kind}", f"audio/{kind}", data)]
    said = _object(server, await _sent_as_form(server, "/audio/transcriptions", wish, files))
    text = said.get("text")
    if not isinstance(text, str):
        raise Broken("server_error", "an answer without `text`")
    return Answer(
        text,
        tokens_in=server.used(said, "input_tokens"),
        tokens_out=server.used(said, "output_tokens") or tokens(text),
    )


async def _sent_as_form(server: OpenAI, path: str, wish: Ask, files: Sequence[File]) -> bytes:
    def make() -> tuple[bytes, Mapping[str, Any], str]:
        sent = server.beside(path, wish)
        body, kind = form({**wish.content, **sent}, files)
        return body, sent, kind

    return await server.asked(path, make, most=LARGEST, slow=SLOW)


def form(fields: Mapping[str, Any], files: Sequence[File]) -> tuple[bytes, str]:
    """Fields and files as the bytes of a form, and its type.  What parts them is a hash of them."""
    mark = digest(encode(fields), *(data for *_, data in files)).hex()
    parts = []
    for name, value in fields.items():
        parts.append(
            f'--{mark}\r\nContent-Disposition: form-data; name="{name}"\r\n\r\n{value}\r\n'.encode("utf-8", "replace")
        )
    for name, filename, kind, data in files:
        head = f'Content-Disposition: form-data; name="{name}"; filename="{filename}"\r\nContent-Type: {kind}'
        parts += [f"--{mark}\r\n{head}\r\n\r\n".encode(), data, b"\r\n"]
    return b"".join([*parts, f"--{mark}--\r\n".encode()]), f"multipart/form-data; boundary={mark}"


def _begin(server: OpenAI, raw: bytes) -> str:
    """How an answer begins that was of no use."""
    return server.hidden(raw[:4000])[:2000].decode("utf-8", "replace")


def _object(server: OpenAI, raw: bytes) -> dict[str, Any]:
    """The JSON object of an answer, as it came: what is a key by chance stays in the image.  Raises Broken."""
    try:
        said = json.loads(raw)
    except (ValueError, RecursionError):
        said = None
    if not isinstance(said, dict):
        raise Broken("server_error", f"no JSON object: {server.hidden(raw[:4000])[:80]!r}")
    if error := said.get("error"):
        message = error.get("message") if isinstance(error, dict) else error
        raise Broken("server_error", server.hidden(str(message).encode("utf-8", "replace")).decode()[:300])
    return said
