"""What the first bytes of a file say that it is."""

from __future__ import annotations

IMAGES = {
    b"\xff\xd8\xff": "jpg",
    b"\x89PNG\r\n\x1a\n": "png",
    b"GIF87a": "gif",
    b"GIF89a": "gif",
    b"II*\0": "tiff",
    b"MM\0*": "tiff",
}
AUDIO = {
    b"fLaC": "flac",
    b"OggS": "ogg",
    b"\xff\xfb": "mp3",
    b"\xff\xf3": "mp3",
    b"\xff\xf2": "mp3",
    b".snd": "au",
}
BOXED = {b"WEBP": "webp", b"WAVE": "wav", b"AIFF": "aiff", b"AIFC": "aiff"}
"""Formats whose name stands after a length: in bytes 8 to 12."""


def end_of(data: bytes) -> str:
    """The ending that a file of these bytes goes by (``jpg``, ``wav``), or nothing."""
    if data[:4] in (b"RIFF", b"FORM"):
        return BOXED.get(data[8:12], "")
    if data[:2] == b"BM" and data[6:10] == bytes(4):  # two letters alone may begin any text
        return "bmp"
    if data[:3] == b"ID3" and data[3:4] < b"\x10":
        return "mp3"
    return next((end for start, end in (IMAGES | AUDIO).items() if data.startswith(start)), "")


def media_in(data: bytes | None) -> str:
    """``image``, ``audio`` or nothing."""
    end = end_of(data or b"")
    if end in AUDIO.values() or end in ("wav", "aiff"):
        return "audio"
    return "image" if end else ""
