"""Sounds as small gray pictures, mel bands over time, and back: what a generator of images can learn.

Back from a picture, the power of each frequency is the least wrong one that is not negative, found by multiplicative
updates (Lee and Seung 2001), and phases are those on which neighbouring windows agree, by the fast algorithm of Griffin
and Lim (Perraudin, Balazs and Sondergaard 2013), which begins from random ones or from another sound's.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np

from leaven.media.spectrum import istft, mel_filters, stft

if TYPE_CHECKING:
    from numpy.typing import NDArray

    Samples = NDArray[np.float32]
    Picture = NDArray[np.uint8]

REACH = 80.0
"""Decibels from white to black."""
FINER = 4
"""Spectra of a sound for each of its picture: phases are found where windows overlap much."""
SHORTEST = 0.032
"""Seconds of a window: low bands lie closer than a shorter one tells apart."""
POWERS, PHASES = 60, 32
"""Rounds by which they are found."""
PUSH = 0.99
"""How far each round of the phases goes on in the direction of the last."""
FAINT = 1e-6
"""The least power of a frequency, relative to what its bands hold, from which one is looked for."""
DARK = 12.0
"""The mean of a moment's pixels, of 255, up to which nothing is heard of it."""


class MelPicture(NamedTuple):
    """What a pixel stands for.  A picture is size x size, uint8: high bands on top, the first moment on the left."""

    rate: int
    """Samples a second."""
    hop: int
    """Samples from one moment to the next; a multiple of four."""
    size: int
    """Bands, and moments."""
    top: float
    """The power of white."""

    @property
    def longest(self) -> int:
        """The samples of a picture; what is longer is cut."""
        return self.hop * self.size

    @property
    def window(self) -> int:
        """Samples: two hops or a multiple of them, long enough for every band to hear something."""
        size = 2 * self.hop
        while size < SHORTEST * self.rate or not mel_filters(self.size, size, self.rate).any(axis=1).all():
            size += 2 * self.hop
        return size

    def powers(self, samples: Samples) -> NDArray[np.float64]:
        """The power of each moment in each band, moments x bands."""
        spectra = stft(self._whole(samples), self.window, self.hop)[: self.size]
        found: NDArray[np.float64] = self._bands(np.square(np.abs(spectra)))
        return found

    def of(self, samples: Samples) -> Picture:
        """The picture of a sound of one channel; it is cut, or followed by silence."""
        level = 10 * np.log10(np.maximum(self.powers(samples), 1e-30) / self.top)
        shade: Picture = np.round(np.clip(level / REACH + 1, 0, 1) * 255).astype(np.uint8)
        return np.ascontiguousarray(shade.T[::-1])

    def heard(self, picture: Picture) -> int:
        """The samples up to the end of what is heard; 0 in a silent picture."""
        moments = np.flatnonzero(picture.mean(axis=0) > DARK)
        if not len(moments):
            return 0
        # A window hears what begins half of it later.
        return self.longest if moments[-1] == self.size - 1 else max(1, (moments[-1] + 1) * self.hop - self.window // 2)

    def sound(self, picture: Picture, luck: np.random.Generator, like: Samples | None = None) -> Samples:
        """A sound with that picture, as long as `longest`; of all such one that is near ``like``."""
        shade = picture[::-1].T.astype(np.float64)
        fine, size = self.hop // FINER, self.window
        at = np.minimum(np.arange(self.size * FINER + 1) / FINER, self.size - 1)
        below = at.astype(np.intp)
        part = (at - below)[:, None]
        between = (1 - part) * shade[below] + part * shade[np.minimum(below + 1, self.size - 1)]
        bands = np.where(between > 0, self.top * 10 ** ((between / 255 - 1) * REACH / 10), 0.0)
        if like is None:
            loud = np.sqrt(self._frequencies(bands))
            spectra = loud * np.exp(2j * np.pi * luck.random(loud.shape))
        else:
            begun = stft(self._whole(like), size, fine)
            loud = np.sqrt(self._frequencies(bands, np.square(np.abs(begun))))
            spectra = _as_loud(begun, loud)
        last = spectra
        for _ in range(PHASES):
            now = stft(istft(spectra, size, fine, self.longest), size, fine)
            spectra, last = _as_loud(now + PUSH * (now - last), loud), now
        return istft(spectra, size, fine, self.longest)

    def _whole(self, samples: Samples) -> Samples:
        """The sound, cut or followed by silence."""
        found = np.zeros(self.longest, np.float32)
        found[: len(samples)] = samples[: self.longest]
        return found

    def _filters(self) -> Any:
        # Almost all of it is zero; and its sums do not hang on how many threads add them up.
        from scipy.sparse import csr_array

        return csr_array(mel_filters(self.size, self.window, self.rate))

    def _bands(self, power: NDArray[Any]) -> Any:
        return (self._filters() @ power.T).T

    def _frequencies(self, bands: NDArray[np.float64], near: NDArray[Any] | None = None) -> NDArray[np.float64]:
        """Powers of frequencies whose bands are those, as far as there are such; found on the way from ``near``."""
        filters = self._filters()
        back = filters.T.tocsr()
        wanted = back @ bands.T
        # From nothing no factor leads to anything.
        found: NDArray[np.float64] = wanted.copy() if near is None else np.maximum(near.T, FAINT * wanted)
        for _ in range(POWERS):
            found *= wanted / np.maximum(back @ (filters @ found), 1e-20)
        return found.T


def _as_loud(spectra: NDArray[Any], loud: NDArray[np.float64]) -> NDArray[Any]:
    """Spectra of those phases, and as loud as they are to be."""
    found: NDArray[Any] = loud * (spectra / np.maximum(np.abs(spectra), 1e-12))
    return found
