"""An image of a record: encoded bytes until its pixels are asked for.

Pillow is the only decoder, since the bytes come from anywhere.  Whatever the file holds (palette, 16 bits, CMYK, an
EXIF turn, several frames, transparency), ``pixels`` are 8-bit RGB the right way up; a mask has ``codes`` instead.
"""

from __future__ import annotations

import warnings
from io import BytesIO
from typing import TYPE_CHECKING, Any, Self

from leaven.errors import MissingExtra
from leaven.media.broken import Broken
from leaven.media.encoded import Encoded
from leaven.media.opencv import opencv

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

    Pixels = NDArray[np.uint8]

MOST_PIXELS = 64_000_000
"""Larger images are refused before they are decoded: a small file may claim any size."""
QUALITY = 95
LIGHT = 1
"""How hard PNG tries to be small: 9 takes ten times as long for a tenth less."""


class Image(Encoded):
    """Give it the file's bytes, or with ``of`` the pixels of a new one."""

    __slots__ = ("_codes", "_kind", "_open", "_pixels", "_size")

    def __init__(self, data: bytes | None, path: str = "") -> None:
        super().__init__(data, path)
        self._pixels: Pixels | None = None
        self._codes: NDArray[Any] | None = None
        self._kind = ""
        self._size: tuple[int, int] | None = None
        self._open: Any = None
        """Pillow's own, once the header is read and before the pixels are: reading it twice costs a tenth."""

    @classmethod
    def of(cls, pixels: Pixels, like: Image | None = None) -> Self:
        """A new image from RGB pixels (height x width x 3, uint8), or gray ones (height x width).

        It will be encoded as ``like`` is: JPEG (quality 95) where that is a JPEG, PNG otherwise.
        """
        import numpy as np

        if pixels.dtype != np.uint8 or pixels.ndim not in (2, 3) or 0 in pixels.shape:
            raise ValueError(f"pixels are uint8, height x width (x 3), not empty; got {pixels.dtype} {pixels.shape}")
        made = cls(None)
        made._pixels = np.ascontiguousarray(np.stack([pixels] * 3, axis=-1) if pixels.ndim == 2 else pixels[..., :3])
        made._pixels.flags.writeable = False
        gray = pixels.ndim == 2 or (like is not None and like.kind.endswith("gray"))
        made._kind = ("jpeg" if like is not None and like.kind.startswith("jpeg") else "png") + ("gray" if gray else "")
        return made

    @classmethod
    def of_codes(cls, codes: NDArray[Any]) -> Self:
        """A new mask from whole numbers (height x width); it will be a PNG of 8 or 16 bits."""
        import numpy as np

        made = cls(None)
        wide = codes.size > 0 and int(codes.max()) > 255
        made._codes = np.ascontiguousarray(codes, np.uint16 if wide else np.uint8)
        made._codes.flags.writeable = False
        made._kind = "codes"
        return made

    # -- what it holds --------------------------------------------------------------------------------------------

    @property
    def pixels(self) -> Pixels:
        """Height x width x 3, uint8, RGB, read-only; decoded once.  Raises Broken."""
        if self._pixels is None:
            self._pixels = self._decode()
            self._pixels.flags.writeable = False
        return self._pixels

    @property
    def codes(self) -> NDArray[Any]:
        """A mask's whole numbers, height x width, uint8 or uint16, read-only.  Raises Broken where it is coloured."""
        if self._codes is None:
            self._codes = self._decode_codes()
            self._codes.flags.writeable = False
        return self._codes

    @property
    def size(self) -> tuple[int, int]:
        """Width and height as shown (an EXIF turn counted), from the header alone where it is not decoded yet."""
        for array in (self._pixels, self._codes):
            if array is not None:
                return int(array.shape[1]), int(array.shape[0])
        if self._size is None:
            self._open = self._opened()
        assert self._size is not None
        return self._size

    @property
    def kind(self) -> str:
        """``jpeg``, ``jpeggray``, ``png`` or ``pnggray``: how a child of it is encoded."""
        if not self._kind:
            self._open = self._opened()
        return self._kind

    def settle(self) -> None:
        """Encode it where it is new, and let the pixels go."""
        self._bytes = self.encoded
        self._pixels = self._codes = self._open = None

    def check(self) -> None:
        """Read every byte once, at an eighth of the size where the format can.  Raises Broken."""
        try:
            with self._opened() as opened:
                opened.draft("RGB", (opened.size[0] // 8 + 1, opened.size[1] // 8 + 1))
                opened.load()
        except Broken:
            raise
        except Exception as error:  # a decoder may raise anything on bytes from anywhere
            raise self._broken(error) from None

    def __repr__(self) -> str:
        try:
            width, height = self.size
        except Broken as broken:
            return f"Image({broken.reason})"
        return f"Image({width} x {height}{', ' + self.path if self.path else ''})"

    def _repr_png_(self) -> bytes:
        """For notebooks."""
        return png(self.pixels)

    # -- bytes ------------------------------------------------------------------------------------------------------

    def _opened(self) -> Any:
        pillow = _pillow()
        if not self._bytes:
            raise Broken("broken_image", f"{self.path or 'the image'} is empty (0 bytes)")
        try:
            with warnings.catch_warnings():
                warnings.simplefilter("ignore")
                opened = pillow.open(BytesIO(self._bytes))
        except pillow.DecompressionBombError:  # Pillow's own limit, which is above ours
            raise Broken(
                "too_large", f"{self.path or 'the image'} claims too many pixels; the limit is {MOST_PIXELS:,} in all"
            ) from None
        except Exception as error:
            raise self._broken(error) from None
        width, height = opened.size
        if width * height > MOST_PIXELS:
            raise Broken(
                "too_large",
                f"{self.path or 'the image'} is {width:,} x {height:,} pixels; the limit is {MOST_PIXELS:,} in all",
            )
        base = "jpeg" if opened.format in ("JPEG", "MPO") else "png"
        self._kind = base + ("gray" if opened.mode in ("L", "1", "LA") or opened.mode.startswith("I") else "")
        self._size = (height, width) if _turn(opened) in (5, 6, 7, 8) else (width, height)
        return opened

    def _broken(self, error: Exception) -> Broken:
        said = str(error).splitlines()[0] if str(error) else type(error).__name__
        if "BytesIO" in said:
            said = "no image format is recognised"
        return Broken("broken_image", f"{self.path or 'the image'}: {said[:160]}")

    def _loaded(self) -> Any:
        """The first frame, the right way up."""
        from PIL import ImageOps

        opened, self._open = self._open or self._opened(), None
        try:
            with warnings.catch_warnings():
                warnings.simplefilter("ignore")
                opened.load()
                return ImageOps.exif_transpose(opened) if _turn(opened) != 1 else opened
        except Exception as error:
            raise self._broken(error) from None

    def _decode(self) -> Pixels:
        import numpy as np

        shown = self._loaded()
        if shown.mode.startswith(("I", "F")):  # 16 bits and more: scaled to 8
            values = np.asarray(shown, np.float64)
            top = 65535.0 if shown.mode.startswith("I") else max(1.0, float(np.nanmax(values, initial=1.0)))
            gray = np.clip(np.nan_to_num(values) * (255.0 / top), 0, 255).round().astype(np.uint8)
            return np.ascontiguousarray(np.stack([gray] * 3, axis=-1))
        if shown.mode in ("RGBA", "LA", "PA") or "transparency" in shown.info:
            shown = shown.convert("RGBA")
            under = _pillow().new("RGBA", shown.size, (255, 255, 255, 255))
            under.alpha_composite(shown)
            shown = under
        return np.asarray(shown if shown.mode == "RGB" else shown.convert("RGB"))

    def _decode_codes(self) -> NDArray[Any]:
        import numpy as np

        shown = self._loaded()
        if shown.mode in ("L", "P"):
            return np.array(shown)
        if shown.mode == "1":
            return np.array(shown, np.uint8)
        if shown.mode.startswith("I"):
            return np.array(shown).astype(np.uint16)
        rgb = np.array(shown.convert("RGB"))
        if (rgb[..., 0] != rgb[..., 1]).any() or (rgb[..., 0] != rgb[..., 2]).any():
            raise Broken("coloured_mask", f"{self.path or 'the mask'} holds colours, not one number a pixel")
        return np.ascontiguousarray(rgb[..., 0])

    def _encode(self) -> bytes:
        if self._codes is not None:
            return encoded(self._codes, ".png")
        if self._pixels is None:
            raise Broken("broken_image", f"{self.path or 'the image'} is empty (0 bytes)")
        pixels = self._pixels[..., 0] if self._kind.endswith("gray") else self._pixels
        return encoded(pixels, ".jpg" if self._kind.startswith("jpeg") else ".png")


def _turn(opened: Any) -> int:
    """How an image stands by its EXIF: 1 upright, 5 to 8 on its side.  Looking for EXIF in a PNG that names none would
    decode it."""
    if opened.format == "PNG" and "exif" not in opened.info and "Raw profile type exif" not in opened.info:
        return 1
    found = opened.getexif().get(0x0112, 1)
    return found if isinstance(found, int) else 1


def encoded(pixels: NDArray[Any], kind: str) -> bytes:
    """Pixels (height x width, or x 3 as RGB; 8 or, as ``.png``, 16 bits) as the bytes of a file."""
    cv2 = opencv()
    how = [cv2.IMWRITE_JPEG_QUALITY, QUALITY] if kind == ".jpg" else [cv2.IMWRITE_PNG_COMPRESSION, LIGHT]
    done, data = cv2.imencode(kind, cv2.cvtColor(pixels, cv2.COLOR_RGB2BGR) if pixels.ndim == 3 else pixels, how)
    assert done, "pixels of 8 or 16 bits can always be written"
    found: bytes = data.tobytes()
    return found


def png(pixels: NDArray[Any]) -> bytes:
    """Pixels as a PNG."""
    return encoded(pixels, ".png")


def _pillow() -> Any:
    try:
        from PIL import Image as pillow
    except ImportError:
        raise MissingExtra("images need the extra `image` (Pillow).", 'pip install "leaven[image]"') from None
    return pillow
