"""Python objects that are images, sounds, or what is said about them, as cells of a table."""

from __future__ import annotations

import sys
from collections.abc import Mapping, Sequence
from functools import partial
from io import BytesIO
from typing import TYPE_CHECKING, Any

from leaven.io.media_columns import MASK, SHAPED, fits, shaped
from leaven.media.audio import Audio
from leaven.media.image import Image
from leaven.storage import arrow_of

if TYPE_CHECKING:
    import pyarrow as pa

FILE = {"bytes", "path"}


def cells_of(values: Sequence[Any], name: str) -> pa.Array | None:
    """A column of media, or of boxes and the like where it is called so; None where the values are anything else."""
    import pyarrow as pa

    said = [value for value in values if value is not None]
    if not said:
        return None
    if name in SHAPED:
        if isinstance(said[0], str) or not all(fits(partial(shaped, name), value) for value in said):
            return None
        return pa.array([None if value is None else shaped(name, value) for value in values], arrow_of(name))
    if not all(map(_is_media, said)):
        return None
    mask = MASK.search(name.lower()) is not None
    return pa.array([None if value is None else _cell(value, mask) for value in values], arrow_of("image"))


def _is_media(value: Any) -> bool:
    if isinstance(value, Image | Audio) or _is_picture(value) or _is_pixels(value):
        return True
    if not isinstance(value, Mapping):
        return False
    if value.keys() <= FILE and value:
        return isinstance(value.get("bytes"), bytes) or isinstance(value.get("path"), str)
    return "array" in value and "sampling_rate" in value


def _cell(value: Any, mask: bool) -> dict[str, Any]:
    if isinstance(value, Mapping):
        if "array" not in value:
            return {"bytes": value.get("bytes"), "path": value.get("path")}
        import numpy as np

        samples = np.asarray(value["array"], np.float32)
        made: Image | Audio = Audio.of(samples, int(value["sampling_rate"]))
        made.path = str(value.get("path") or "")
    elif isinstance(value, Image | Audio):
        made = value
    elif _is_picture(value):
        made = _of_picture(value)
    else:
        made = Image.of_codes(value) if mask and value.ndim == 2 else Image.of(value)
    return {"bytes": made.encoded, "path": made.path or None}


def _is_picture(value: Any) -> bool:
    """True for an image of Pillow."""
    kind = getattr(sys.modules.get("PIL.Image"), "Image", None)
    return isinstance(kind, type) and isinstance(value, kind)


def _is_pixels(value: Any) -> bool:
    """True for an array of 8-bit pixels: height x width, or x 3."""
    if type(value).__module__ != "numpy" or not hasattr(value, "dtype"):
        return False
    colours = value.ndim == 3 and value.shape[2] == 3 and str(value.dtype) == "uint8"
    codes = value.ndim == 2 and str(value.dtype) in ("uint8", "uint16")
    return (colours or codes) and value.size > 0


def _of_picture(picture: Any) -> Image:
    """Every mode but the colours of print is a PNG, without loss: the numbers of a mask stay what they are."""
    shown = picture if picture.mode in ("1", "L", "LA", "P", "RGB", "RGBA", "I;16") else picture.convert("RGB")
    out = BytesIO()
    shown.save(out, "PNG", compress_level=1)
    return Image(out.getvalue(), str(getattr(picture, "filename", "") or ""))
