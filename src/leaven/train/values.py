"""What a training loop holds as what operators work on, and back: arrays, tensors, Pillow's images, waveforms."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING, Any

from leaven.errors import DataError
from leaven.media.audio import Audio
from leaven.media.image import Image

if TYPE_CHECKING:
    from numpy.typing import NDArray

    Array = NDArray[Any]

Back = Callable[[Any], Any]
"""Gives the result in the form that the value had."""
PLANES = (1, 3)
WIDEST = 65_535


def opened(kind: str, value: Any) -> tuple[Any, Back]:
    """An image, mask or sound as an operator takes it, and the way back; other values as they are.

    Pixels: height x width, x 3 or x 1, or 3 x or 1 x height x width, uint8 or floats from 0 to 1 (which pass through 8
    bits); a mask's are whole numbers.  A sound: (waveform, rate), a tensor's waveform channels x frames, an array's
    frames x channels.
    """
    if kind == "audio":
        return _sound(*value) if isinstance(value, tuple) and len(value) == 2 else (value, lambda result: result)
    if hasattr(value, "convert"):  # Pillow's
        return _pillow(kind, value)
    if not hasattr(value, "dtype"):
        return value, lambda result: result
    array, back = _array(value)
    first = _first(kind, array, tensor=array is not value)
    if array.ndim == 3:
        array = array.transpose(1, 2, 0) if first else array
    planes = array.shape[2] if array.ndim == 3 else 0
    found, as_given = _codes(array) if kind == "mask" else _pixels(array)

    def result(image: Any) -> Any:
        if not isinstance(image, Image):
            return image
        out = as_given(image)
        if planes == 1:
            out = out[..., None]
        elif planes == 3 and out.ndim == 2:
            out = out[..., None].repeat(3, axis=2)
        return back(out.transpose(2, 0, 1) if first and out.ndim == 3 else out)

    return found, result


def _array(value: Any) -> tuple[Array, Back]:
    """The numbers of a tensor or an array, and the way back to its type and device."""
    import numpy as np

    if isinstance(value, np.ndarray):
        return value, lambda out: np.array(out, value.dtype)  # a copy: an image's own pixels are read-only
    import torch

    held = value.detach().cpu()
    held = held.float() if held.dtype == torch.bfloat16 else held
    return held.numpy(), lambda out: torch.from_numpy(np.array(out)).to(value.device, value.dtype)


def _first(kind: str, array: Array, tensor: bool) -> bool:
    """True where the channels come before height and width: where both may be, as a tensor's do."""
    planes = PLANES if kind != "mask" else (1,)
    if array.ndim == 2:
        return False
    if array.ndim == 3 and (array.shape[0] in planes or array.shape[2] in planes):
        return array.shape[0] in planes and (tensor or array.shape[2] not in planes)
    raise DataError(
        f"`{kind}` has the shape {array.shape}; one is height x width (x 3), or 3 x height x width.",
        "give one image at a time, of 1 or 3 channels.",
    )


def _pixels(array: Array) -> tuple[Image, Callable[[Image], Array]]:
    """Floats or bytes as an image; gray stays gray."""
    import numpy as np

    whole = array.dtype == np.uint8
    if not whole:
        inside = array.dtype.kind == "f" and array.size and bool(np.isfinite(array).all())
        if not inside or array.min() < 0 or array.max() > 1:
            raise DataError(
                f"the image holds {array.dtype}"
                + (f" from {array.min():.3g} to {array.max():.3g}" if array.size else ", and is empty")
                + "; it is uint8, or floats from 0 to 1.",
                "change images before they are normalised.",
            )
        array = (array * 255).round().astype(np.uint8)
    gray = array.ndim == 2 or array.shape[2] == 1
    image = Image.of(array.reshape(array.shape[:2]) if gray else array)

    def back(made: Image) -> Array:
        pixels = made.pixels.mean(axis=2).round() if gray else made.pixels
        return pixels.astype(np.uint8) if whole else pixels / 255

    return image, back


def _codes(array: Array) -> tuple[Image, Callable[[Image], Array]]:
    import numpy as np

    flat = array.reshape(array.shape[:2])
    if flat.dtype.kind not in "bui" or not flat.size or flat.min() < 0 or flat.max() > WIDEST:
        raise DataError(f"the mask holds {flat.dtype}; its pixels are whole numbers from 0 to {WIDEST}.", "mask.long()")
    return Image.of_codes(flat.astype(np.uint16)), lambda made: made.codes


def _pillow(kind: str, value: Any) -> tuple[Image, Back]:
    import numpy as np
    from PIL import Image as pillow

    if kind == "mask":
        codes = np.asarray(value)
        palette = value.getpalette() if value.mode == "P" else None

        def mask(made: Any) -> Any:
            if not isinstance(made, Image):
                return made
            out = pillow.fromarray(made.codes.astype(codes.dtype))
            if palette:
                out.putpalette(palette)
            return out

        return _codes(codes)[0], mask
    gray = value.mode in ("L", "1")
    given = value.convert("L" if gray else "RGB")
    image, back = _pixels(np.asarray(given))
    return image, lambda made: pillow.fromarray(back(made)) if isinstance(made, Image) else made


def _sound(wave: Any, rate: int) -> tuple[Audio, Back]:
    array, back = _array(wave)
    tensor = not isinstance(wave, type(array))
    if array.ndim not in (1, 2) or array.dtype.kind != "f":
        raise DataError(
            f"the sound holds {array.dtype} {array.shape}; it is floats, channels x frames in a tensor, and frames x"
            " channels in an array.",
            "(waveform, rate), as torchaudio.load and soundfile.read give it.",
        )
    frames = array.T if tensor and array.ndim == 2 else array

    def result(made: Any) -> Any:
        if not isinstance(made, Audio):
            return made
        out = made.samples
        if array.ndim == 1:
            return back(out.mean(axis=1)), made.rate
        return back(out.T if tensor else out), made.rate

    return Audio.of(frames, rate), result


def fields_of(example: Mapping[str, Any], on: str, takes: str) -> dict[str, str]:
    """Which values are media, and of which kind: by the name of the field, or because the operator works on it."""
    kinds = {name: name for name in example if name in ("image", "mask", "audio")}
    if on in example and on not in kinds and takes in ("image", "audio"):
        kinds[on] = takes
    return kinds
