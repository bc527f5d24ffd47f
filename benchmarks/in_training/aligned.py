"""Spoken digits, few real and many by a synthesiser: are made sounds of more use where none can tell which they are?

python -m benchmarks.in_training.aligned SPOKEN_DIGITS_FOLDER

The made sounds are eSpeak NG's, which must be installed: each digit in forty voices at rates from .8 to 1.3.  The
strength of 0.1 was chosen on training sounds that no run of its seed learnt the labels of.
"""

from __future__ import annotations

import asyncio
import sys
from functools import cache
from pathlib import Path
from typing import NamedTuple

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn
from torch.nn.functional import cross_entropy, interpolate

from benchmarks.in_training.paired import Arm, paired
from leaven.media.audio import Audio
from leaven.media.resampled import resampled
from leaven.media.spectrum import log_mel
from leaven.models.backends.espeak import Espeak
from leaven.train import Batches, DomainAdversary, alone, fit, mixup, reversal_schedule

WORDS = ("zero", "one", "two", "three", "four", "five", "six", "seven", "eight", "nine")
RATE, BANDS, FRAMES = 8000, 40, 32
EACH, VOICES = 3, 40
STEPS, BATCH, LEARN = 400, 32, 2e-3
WIDTH = 64
QUIET = 0.02
"""Of the loudest sample: what is below at the ends is cut off, as it is in the real sounds."""


class Sounds(NamedTuple):
    """n x 40 bands x 32 moments, and n digits."""

    x: Tensor
    y: Tensor


def seen(samples: NDArray[np.float32], rate: int) -> Tensor:
    """A sound as 40 bands by 32 moments, whatever its length and loudness."""
    loud = np.flatnonzero(np.abs(samples) > QUIET * np.abs(samples).max())
    own = samples[loud[0] : loud[-1] + 1] / np.abs(samples).max()
    bands = torch.from_numpy(log_mel(resampled(own, rate, RATE), RATE, BANDS).T.copy())
    even = interpolate(bands[None], FRAMES, mode="linear", align_corners=True)[0]
    return (even - even.mean()) / even.std()


@cache
def real(folder: Path) -> Sounds:
    paths = sorted(folder.glob("*/*.wav"))
    each = [Audio(path.read_bytes()) for path in paths]
    return Sounds(
        torch.stack([seen(one.mono, one.rate) for one in each]), torch.tensor([int(path.parent.name) for path in paths])
    )


@cache
def made() -> Sounds:
    """The same for all seeds."""
    rng = np.random.default_rng(0)

    async def said() -> list[tuple[Audio, int]]:
        speaker = Espeak("espeak")
        found = []
        for voice in rng.choice(speaker.voices(), VOICES, replace=False):
            for digit, word in enumerate(WORDS):
                found.append((await speaker.speak(word, voice=str(voice), rate=rng.uniform(0.8, 1.3)), digit))
        return found

    every = asyncio.run(said())
    return Sounds(
        torch.stack([seen(one.mono, one.rate) for one, _ in every]), torch.tensor([digit for _, digit in every])
    )


def encoder() -> nn.Sequential:
    """64 numbers of a sound: two layers along time, and the highest of each channel."""
    return nn.Sequential(
        nn.Conv1d(BANDS, WIDTH, 5, padding=2),
        nn.ReLU(),
        nn.Conv1d(WIDTH, WIDTH, 5, padding=2, stride=2),
        nn.ReLU(),
        nn.AdaptiveMaxPool1d(1),
        nn.Flatten(),
        nn.Dropout(0.1),
    )


def trained(
    folder: Path, seed: int, known: str, how: str = "plain", strength: float = 0.0, *, unlabelled: bool = False
) -> NDArray[np.float64]:
    """Every batch has 32 sounds with a label, half real and half made where ``known`` is both.

    ``strength`` is what the adversary counts; it sees that batch, or with ``unlabelled`` as many real sounds without a
    label in the place of the real ones.
    """
    every, tested, more = real(folder / "train"), real(folder / "test"), made()
    order = np.random.default_rng([1, seed]).permutation(len(every.y))
    chosen = np.concatenate([order[every.y.numpy()[order] == digit][:EACH] for digit in range(10)])
    own = Sounds(every.x[chosen], every.y[chosen])
    draws = np.random.default_rng([3, seed])
    size = BATCH if known in ("real", "made") else BATCH // 2
    sides = [side for side, name in ((own, "real"), (more, "made")) if known in (name, "both")]
    with alone(seed):
        features, head, adversary = encoder(), nn.Linear(WIDTH, 10), DomainAdversary(WIDTH)
        of_each = [iter(Batches(len(side.y), size, seed=seed + 100 * i, whole=True)) for i, side in enumerate(sides)]
        others = Batches(len(every.y), BATCH, seed=seed + 200, whole=True)
        done = 0

        def loss(other: Tensor) -> Tensor:
            nonlocal done
            done += 1
            parts = [(side.x[some], side.y[some]) for side, some in zip(sides, map(next, of_each), strict=True)]
            x, y = (torch.cat(part) for part in zip(*parts, strict=True))
            if how == "mixup":
                x, shares = mixup(x, y, alpha=0.2, generator=draws, classes=10)
                return cross_entropy(head(features(x)), shares)
            z = features(x)
            task = cross_entropy(head(z), y)
            if not strength:
                return task
            if unlabelled:
                z = torch.cat([features(every.x[other]), z])
            is_made = torch.arange(len(z)) >= len(z) // 2
            return task + adversary(z, is_made, reversal=strength * reversal_schedule(done / STEPS))

        torch.manual_seed(seed)
        parts = nn.ModuleList([features, head, adversary] if strength else [features, head])
        fit(loss, torch.optim.AdamW(parts.parameters(), lr=LEARN), others, steps=STEPS)
        features.eval()
        with torch.no_grad():
            return (head(features(tested.x)).argmax(1) == tested.y).double().numpy()


if __name__ == "__main__":
    where = Path(sys.argv[1])
    real(where / "train"), real(where / "test"), made()  # their time is no arm's

    def arm(known: str, how: str = "plain", strength: float = 0.0, *, unlabelled: bool = False) -> Arm:
        return lambda seed: trained(where, seed, known, how, strength, unlabelled=unlabelled)

    print("\nThree real takes of each digit:\n")
    print(
        paired(
            {
                "real sounds alone": arm("real"),
                "real, mixup (0.2)": arm("real", "mixup"),
                "real and made": arm("both"),
            }
        )
    )
    print("\nThe same, and what is done with both:\n")
    print(
        paired(
            {
                "real and made": arm("both"),
                "mixup (0.2)": arm("both", "mixup"),
                "aligned (1)": arm("both", "plain", 1.0),
                "aligned (0.1)": arm("both", "plain", 0.1),
            }
        )
    )
    print("\nNo real sound with a label:\n")
    print(
        paired(
            {
                "made sounds alone": arm("made"),
                "mixup (0.2)": arm("made", "mixup"),
                "aligned with 420 real without labels (1)": arm("made", "plain", 1.0, unlabelled=True),
                "aligned with 420 real without labels (0.1)": arm("made", "plain", 0.1, unlabelled=True),
            }
        )
    )
