"""Near copies of images and sounds: a print of each, a few hundred numbers, and when two prints are near.

The engine refuses by them what a recipe makes of test rows, and ``measure`` looks once more.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from leaven.image.resized import resized
from leaven.media.resampled import resampled
from leaven.media.spectrum import log_mel

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

    from leaven.media.audio import Audio

    ImagePrint = tuple[np.uint64, NDArray[np.uint8]]
    Floats = NDArray[np.float32]

SIDE = 16
LEAST_SIDE = 64
MOST_BITS = 6
ALIKE_IMAGES = 0.98
"""Near are images whose 64-bit difference hashes differ in at most 6 bits and whose thumbnails of 16 x 16 colours
correlate by 0.98 or more.  Of all pairs of cifar10, coco-mini and bccd-blood-cells (half a million) that is one, two
photographs of one smear; the next correlates by 0.91, and two others differ in 5 and 6 bits."""

MOST_RATE = 16_000
BINS = 40
CELLS, BLOCK = 32, 4
LOUD = 30.0
"""How many decibels below its loudest cell a sound's spectrum is looked at."""
ALIKE_SOUNDS = 0.99
"""Of two pictures of log-mel (32 x 32, 30 dB deep) of sounds that are nearly the same.  Takes of one word by one
speaker in spoken-digits correlate by 0.986 at most; the same take with noise 20 dB below it by 0.996 or more."""


def image_print(pixels: NDArray[np.uint8]) -> ImagePrint:
    """The difference hash, and the thumbnail as one row."""
    pixels = _halved(pixels)
    return difference_hash(pixels), resized(pixels, SIDE, SIDE).ravel()


def difference_hash(pixels: NDArray[np.uint8]) -> np.uint64:
    """64 bits: where a pixel of the image shrunk to 9 x 8 grays is darker than its right neighbour (dHash)."""
    import numpy as np

    gray = (resized(pixels, 9, 8).astype(np.float32) @ np.array([0.299, 0.587, 0.114], np.float32)).round()
    found: np.uint64 = np.packbits((gray[:, 1:] > gray[:, :-1]).ravel()).view(np.uint64)[0]
    return found


def _halved(pixels: NDArray[np.uint8]) -> NDArray[np.uint8]:
    """A large image in a half, a quarter ... of its size: means of two by two pixels, which cost a tenth of others."""
    while min(pixels.shape[:2]) >= 2 * LEAST_SIDE:
        height, width = (side // 2 for side in pixels.shape[:2])
        pixels = resized(pixels[: 2 * height, : 2 * width], width, height)
    return pixels


class KnownImages:
    """Prints to compare with: ``bits`` n, ``small`` n x 768."""

    def __init__(self, bits: NDArray[np.uint64], small: NDArray[np.uint8]) -> None:
        self.bits, self.small = bits, small

    def near(self, found: ImagePrint) -> bool:
        """True where one of them is near."""
        import numpy as np

        bits, small = found
        close = np.flatnonzero(np.bitwise_count(self.bits ^ bits) <= MOST_BITS)
        if not len(close):
            return False
        return bool((_alike(units(small[None])[0], units(self.small[close])) >= ALIKE_IMAGES).any())


def sound_print(sound: Audio, rate: int) -> Floats:
    """A sound's print, seen at ``rate`` samples a second: all that are compared share it."""
    return spectrum_print(log_mel(resampled(sound.mono, sound.rate, rate), rate, BINS))


def spectrum_print(spectrum: NDArray[Any]) -> Floats:
    """The print of a log-mel spectrum, as one row."""
    return shrunk(above(spectrum, LOUD), CELLS, CELLS).ravel()


class KnownSounds:
    """Prints to compare with, n x 1024."""

    def __init__(self, prints: Floats) -> None:
        self.units = units(prints)
        self.coarse = _coarse(self.units)

    def near(self, found: Floats) -> bool:
        """True where one of them is near.  Means of blocks lie no further apart than what they are means of, and rule
        out nearly all of the others."""
        import numpy as np

        one = units(found[None])
        apart = np.square(self.coarse - _coarse(one)).sum(axis=1)
        close = np.flatnonzero(apart <= 2 * (1 - ALIKE_SOUNDS) + 1e-4)
        return bool((_alike(one[0], self.units[close]) >= ALIKE_SOUNDS).any())


def units(rows: NDArray[Any]) -> Floats:
    """Each row less its mean, scaled to length 1; zeros where it has no spread, so that it correlates with none."""
    import numpy as np

    centred = rows.astype(np.float32) - rows.mean(axis=1, keepdims=True, dtype=np.float32)
    length = np.linalg.norm(centred, axis=1, keepdims=True)
    found: Floats = np.divide(centred, length, out=np.zeros_like(centred), where=length > 1e-6)
    return found


def _alike(one: Floats, others: Floats) -> Floats:
    """The correlation with each; rounded, so that a threshold cuts alike whatever order a product was added up in."""
    import numpy as np

    found: Floats = np.round(others @ one, 5)
    return found


def _coarse(rows: Floats) -> Floats:
    """The share of each row in pictures that are constant over blocks of 4 x 4 cells."""
    wide = CELLS // BLOCK
    found: Floats = rows.reshape(-1, wide, BLOCK, wide, BLOCK).sum(axis=(2, 4)).reshape(-1, wide * wide) / BLOCK
    return found


def above(spectrum: NDArray[Any], decibels: float) -> Floats:
    """0 at so many decibels below the loudest cell and less, 1 at that one."""
    import numpy as np

    deep = decibels * np.log(10.0) / 10.0
    found: Floats = (np.maximum(spectrum - spectrum.max() + deep, 0.0) / np.float32(deep)).astype(np.float32)
    return found


def shrunk(spectrum: Floats, frames: int, bins: int) -> Floats:
    """A picture of the spectrum, bins x frames."""
    import numpy as np

    for axis, wanted in ((0, frames), (1, bins)):
        spectrum = _along(spectrum, axis, wanted)
    return np.ascontiguousarray(spectrum.T, np.float32)


def _along(spectrum: Floats, axis: int, wanted: int) -> Floats:
    """An axis in another length: each new cell is the mean of what it covers of the old ones."""
    import numpy as np

    have = spectrum.shape[axis]
    if have == wanted:
        return spectrum
    moved = np.moveaxis(spectrum, axis, 0).astype(np.float64)
    whole = np.concatenate([np.zeros((1, *moved.shape[1:])), np.cumsum(moved, axis=0)])
    at = np.linspace(0.0, have, wanted + 1)
    low = np.minimum(at.astype(np.int64), have - 1)
    read = whole[low] + (at - low)[:, None] * moved[low]
    found: Floats = np.moveaxis(np.diff(read, axis=0) * (wanted / have), 0, axis).astype(np.float32)
    return found
