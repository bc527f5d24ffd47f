"""Small pictures of images and masks, as data URIs: written anew, so that nothing but pixels gets into the page."""

from __future__ import annotations

import base64
from dataclasses import dataclass
from io import BytesIO
from typing import TYPE_CHECKING, Any

import numpy as np

from leaven.image.resized import resized, resized_codes
from leaven.media.image import Image

if TYPE_CHECKING:
    from numpy.typing import NDArray

SIDE = 160
SMALL = 48
"""Up to this side a PNG; a JPEG would blur what few pixels there are."""
QUALITY = 80
COLOURS = (
    (230, 159, 0), (86, 180, 233), (0, 158, 115), (240, 228, 66), (0, 114, 178), (213, 94, 0), (204, 121, 167)
)  # fmt: skip
"""Okabe and Ito's, which colour-blind eyes tell apart: of masks, boxes and points, in turn."""
SOLID = 140
"""How opaque a mask lies over its image, of 255."""


@dataclass(frozen=True)
class Thumbnail:
    """``width`` and ``height`` are those of the image that it shows."""

    uri: str
    width: int
    height: int


def thumbnail(image: Image, side: int = SIDE) -> Thumbnail:
    """The image with its longer side no longer than ``side``.  Raises Broken where it cannot be decoded."""
    width, height = image.size
    shrunk = min(1.0, side / max(width, height))
    across, down = (max(1, round(n * shrunk)) for n in (width, height))
    pixels = resized(pixels_of(image, 2 * side), across, down)
    return Thumbnail(_encoded(pixels, "PNG" if max(across, down) <= SMALL else "JPEG"), width, height)


def veil(mask: Image, side: int = SIDE) -> str:
    """A mask as a picture of colours that one can see through; its 0 is nothing at all.  Raises Broken."""
    from PIL import Image as pillow

    codes = mask.codes
    shrunk = min(1.0, side / max(codes.shape))
    height, width = (max(1, round(n * shrunk)) for n in codes.shape)
    small = resized_codes(codes, width, height).astype(np.int64)
    shown = pillow.fromarray(np.where(small, 1 + (small - 1) % len(COLOURS), 0).astype(np.uint8), "P")
    shown.putpalette([0, 0, 0, *(n for colour in COLOURS for n in colour)])
    out = BytesIO()
    shown.save(out, "PNG", transparency=bytes([0, *[SOLID] * len(COLOURS)]))
    return data_uri("image/png", out.getvalue())


def data_uri(kind: str, data: bytes) -> str:
    return f"data:{kind};base64,{base64.b64encode(data).decode()}"


def pixels_of(image: Image, enough: int) -> NDArray[np.uint8]:
    """The image's pixels; of a large JPEG a half, a quarter or an eighth of them a side, but ``enough``.

    Raises Broken where it cannot be decoded.
    """
    if not image.kind.startswith("jpeg") or max(image.size) < 2 * enough:
        return image.pixels
    from PIL import Image as pillow
    from PIL import ImageOps

    try:
        with pillow.open(BytesIO(image.encoded)) as opened:
            scale = enough / max(opened.size)
            opened.draft("RGB", (round(opened.size[0] * scale), round(opened.size[1] * scale)))
            return np.array(ImageOps.exif_transpose(opened).convert("RGB"))
    except Exception:  # a decoder may raise anything; this one says what is wrong
        return image.pixels


def _encoded(pixels: NDArray[Any], kind: str) -> str:
    from PIL import Image as pillow

    out = BytesIO()
    shown = pillow.fromarray(pixels)
    if kind == "JPEG":
        shown.save(out, kind, quality=QUALITY)
    else:
        shown.save(out, kind, optimize=True)
    return data_uri(f"image/{kind.lower()}", out.getvalue())
