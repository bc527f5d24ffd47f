"""A small generator of the user's own sounds, trained from nothing and steered by their labels.

A sound is learned and drawn as a gray picture of mel bands over time (``media/mel_picture.py``) by the small diffusion
model that learns images (``small_diffusion.py``).
"""

from __future__ import annotations

import json
import math
from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

import numpy as np

from leaven.errors import DataError, ModelError
from leaven.media.mel_picture import FINER, MelPicture
from leaven.media.resampled import resampled
from leaven.models.backends.local.fitting import Progress, nobody, write
from leaven.models.backends.local.small_diffusion import FEWEST, SIZES, SmallDiffusion, needed

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from leaven.media.audio import Audio

    Samples = NDArray[np.float32]

ABOUT = "small-sound.json"
"""The file that says what the pixels of the pictures stand for, beside what a generator of images leaves."""
MOST_RATE = 16_000
USUAL = 0.95
"""The share of sounds that are no longer than a picture."""
HOPS = (0.002, 0.030, 0.040)
"""Seconds from one moment to the next: at least, at most where there may be more moments, at most."""
FEWEST_BANDS = 24
"""With so many a machine understands spoken digits as well as before."""
FADE = 0.005
"""Seconds over which a sound is let out where it is cut."""


class Left(NamedTuple):
    """What was not learned of the sounds."""

    cut: int
    """Sounds of which only the beginning was: they are longer than the others."""
    silent: int
    """Sounds in which nothing is heard."""


@dataclass(frozen=True)
class SmallSound:
    """A trained generator: ``fit`` one, or ``load`` it from the folder where it was saved."""

    pictures: SmallDiffusion
    scale: MelPicture
    rate: int
    """Samples a second of what it draws."""
    even: int
    """The samples of each sound, at the scale's rate, where all have as many; else 0, and silence at the end goes."""
    left: Left

    @property
    def classes(self) -> tuple[str, ...]:
        """The labels that it was trained on, sorted."""
        return self.pictures.classes

    @property
    def seconds(self) -> float:
        """The longest that it draws."""
        return (self.even or self.scale.longest) / self.scale.rate

    # -- fit --------------------------------------------------------------------------------------------------------

    @classmethod
    def fit(
        cls,
        sounds: Sequence[Audio],
        labels: Sequence[str | None],
        *,
        size: int | None = None,
        steps: int = 2000,
        lr: float = 2e-3,
        batch: int = 32,
        width: int = 32,
        seed: int = 0,
        folder: Path | None = None,
        told: Callable[[Progress], None] = nobody,
    ) -> SmallSound:
        """Train on sounds, of any lengths, rates and channels, and their labels, None for an unknown one.

        Their channels are averaged; they are worked on at the rate of most of them, or at 16,000 a second.  A picture
        has ``size`` bands and moments and holds the 95 % that are shortest, up to 40 ms a moment; of longer ones the
        beginning is learned.  Where no size is said it is the least of 24 to 64 with at most 30 ms a moment.  Sounds
        of nothing but zeros are left out.  The rest is as `SmallDiffusion.fit` says.

        Raises DataError for fewer than 8 sounds, ModelError for a size that is no multiple of 8 from 8 to 64,
        MissingExtra without torch and diffusers.
        """
        needed()
        if size and (size % 8 or not SIZES[0] <= size <= SIZES[1]):
            raise ModelError(f"a generator of {size} bands and moments is not built.", "size: 24, or 8 to 64 by 8.")
        found = [(*_facts(sound), label) for sound, label in zip(sounds, labels, strict=True)]
        heard = [i for i, (*_, loud, _) in enumerate(found) if loud]
        if len(heard) < FEWEST:
            silent = len(found) - len(heard)
            raise DataError(
                f"{len(heard)} sounds are too few to fit a generator to"
                f"{f' ({silent} more are silent)' if silent else ''}.",
                f"give it {FEWEST} or more; 100 is better.",
            )
        rates = Counter(found[i][0] for i in heard)
        rate = min(MOST_RATE, max(rates, key=lambda rate: (rates[rate], rate)))
        lengths = [max(1, round(found[i][1] * rate)) for i in heard]
        usual = float(np.quantile(lengths, USUAL, method="higher"))
        size = size or min(SIZES[1], max(FEWEST_BANDS, 8 * math.ceil(usual / (HOPS[1] * rate) / 8)))
        hop = FINER * math.ceil(min(HOPS[2] * rate, max(HOPS[0] * rate, usual / size)) / FINER)
        scale = MelPicture(rate, hop, size, 1.0)
        pieces = [_piece(sounds[i], rate, scale.longest) for i in heard]
        scale = scale._replace(top=max(float(scale.powers(piece).max()) for piece in pieces))
        pictures = SmallDiffusion.fit(
            (scale.of(piece) for piece in pieces),
            [found[i][3] for i in heard],
            size=size,
            steps=steps,
            lr=lr,
            batch=batch,
            width=width,
            seed=seed,
            folder=folder,
            told=told,
        )
        return cls(
            pictures,
            scale,
            rate=next(iter(rates)) if len(rates) == 1 else rate,
            even=lengths[0] if len(set(lengths)) == 1 and lengths[0] <= scale.longest else 0,
            left=Left(sum(length > scale.longest for length in lengths), len(found) - len(heard)),
        )

    # -- draw -------------------------------------------------------------------------------------------------------

    def draw(
        self,
        label: str | None,
        *,
        seed: int,
        steps: int = 30,
        guidance: float = 2.0,
        start: tuple[Samples, int] | None = None,
        strength: float = 0.6,
        seconds: float | None = None,
    ) -> Samples:
        """A sound of a label, one channel at ``rate``, -1 to 1; None draws of any.

        It ends where nothing more is heard, or after ``seconds``: then it is cut, or followed by silence.  ``start``,
        samples and their rate, is where it begins from: its picture, with as much noise as ``strength`` says, and its
        phases.  The rest is as `SmallDiffusion.draw` says.  It has no samples where nothing is heard.
        """
        begun = None if start is None else np.asarray(resampled(start[0], start[1], self.scale.rate), np.float32)
        picture = self.pictures.draw(
            label,
            seed=seed,
            steps=steps,
            guidance=guidance,
            start=None if begun is None else self.scale.of(begun),
            strength=strength,
        )
        heard = self.even or self.scale.heard(picture)
        made = self.scale.sound(picture, np.random.default_rng([seed % 2**63, 1]), begun)
        ended = _let_out(made[:heard], self.scale.rate)
        sound: Samples = np.clip(resampled(ended, self.scale.rate, self.rate), -1.0, 1.0)
        if seconds is None or not len(sound):
            return sound
        wanted = max(1, round(seconds * self.rate))
        if wanted < len(sound):
            return _let_out(sound[:wanted], self.rate)
        whole = np.zeros(wanted, np.float32)
        whole[: len(sound)] = sound
        return whole

    # -- save and load ----------------------------------------------------------------------------------------------

    def save(self, folder: Path) -> None:
        """Write what `SmallDiffusion.save` writes, and a JSON file that says what its pictures stand for."""
        self.pictures.save(folder)
        said = {**self.scale._asdict(), "drawn_rate": self.rate, "even": self.even, **self.left._asdict()}
        write(folder / ABOUT, (json.dumps(said, indent=1) + "\n").encode())

    @classmethod
    def load(cls, folder: Path) -> SmallSound:
        """The generator of a folder.  Raises ModelError where there is none, or none that can be read."""
        pictures = SmallDiffusion.load(folder)
        try:
            said = json.loads((folder / ABOUT).read_text("utf-8"))
            scale = MelPicture(*(said[name] for name in MelPicture._fields))
            return cls(pictures, scale, said["drawn_rate"], said["even"], Left(said["cut"], said["silent"]))
        except (OSError, ValueError, KeyError, TypeError) as error:
            why = " ".join(f"{type(error).__name__}: {error}".split())[:200]
            raise ModelError(
                f"{folder} holds no generator of sounds that was fitted here ({why}).",
                "name a folder that `adapter` with `role: sound` wrote.",
            ) from None


def _facts(sound: Audio) -> tuple[int, float, bool]:
    """The rate of a sound, its seconds, and whether anything is heard; its samples are let go."""
    found = sound.rate, sound.seconds, bool(sound.mono.any())
    sound.settle()
    return found


def _piece(sound: Audio, rate: int, longest: int) -> Samples:
    """What is learned of a sound; its samples are let go."""
    found = np.asarray(resampled(sound.mono, sound.rate, rate)[:longest], np.float32)
    sound.settle()
    return found


def _let_out(samples: Samples, rate: int) -> Samples:
    """The samples, which end without a click."""
    fade = min(len(samples), round(FADE * rate))
    found = samples.copy()
    found[len(found) - fade :] *= np.linspace(1, 0, fade, dtype=np.float32)
    return found
