"""Numbers said digit by digit, and written out in words: what is heard, which digits these are, and what they mean.

As in the translation of signs: many frames a sentence, its glosses in the order of the frames, and a text whose words
are others and depend on more than one gloss ("four two" is "forty two", "one two" is "twelve").
"""

from __future__ import annotations

from collections.abc import Sequence
from functools import cache
from pathlib import Path
from typing import NamedTuple

import numpy as np
import torch
from torch import Tensor
from torch.nn.utils.rnn import pad_sequence

from leaven.media.audio import Audio
from leaven.media.spectrum import log_mel

BANDS, TOGETHER = 40, 4
"""Mel bands of a window every 10 ms, and windows to a frame: 25 frames of 160 numbers a second, ten to a digit."""
LENGTHS = (2, 3, 4)
TEST = 200
ONES = ["one", "two", "three", "four", "five", "six", "seven", "eight", "nine", "ten", "eleven", "twelve"]
ONES += [f"{name}teen" for name in ("thir", "four", "fif", "six", "seven", "eigh", "nine")]
TENS = [f"{name}ty" for name in ("twen", "thir", "for", "fif", "six", "seven", "eigh", "nine")]
WORDS = ["<pad>", "<begin>", "<end>", *ONES, *TENS, "hundred", "thousand"]
PAD, BEGIN, END = range(3)


class Spoken(NamedTuple):
    """Sentences, padded: n x T x 160 frames, n x U digits + 1 (0 is the blank), n x L words; and how many count."""

    sound: Tensor
    frames: Tensor
    digits: Tensor
    lengths: Tensor
    words: Tensor

    def rows(self, some: Tensor) -> Spoken:
        """Some of them, with no more pads than they need."""
        part = Spoken(*(each[some] for each in self))
        said = int((part.words != PAD).sum(1).max())
        return part._replace(
            sound=part.sound[:, : int(part.frames.max())],
            digits=part.digits[:, : int(part.lengths.max())],
            words=part.words[:, :said],
        )


def written(number: int) -> list[str]:
    """A number from 1 to 9999 in words.

    >>> " ".join(written(4012))
    'four thousand twelve'
    """
    said = []
    for size, name in ((1000, "thousand"), (100, "hundred")):
        if number >= size:
            said += [ONES[number // size - 1], name]
            number %= size
    if number >= 20:
        said.append(TENS[number // 10 - 2])
        number %= 10
    return said + ([ONES[number - 1]] if number else [])


@cache
def sounds(folder: Path) -> dict[tuple[str, int], list[np.ndarray]]:
    """Log-mel features of each sound, by speaker and digit."""
    found: dict[tuple[str, int], list[np.ndarray]] = {}
    for path in sorted(folder.glob("*/*.wav")):
        sound = Audio(path.read_bytes())
        each = log_mel(sound.mono, sound.rate, BANDS)
        found.setdefault((path.stem.split("_")[1], int(path.parent.name)), []).append(each)
    return found


def spoken(folder: Path, n: int, rng: np.random.Generator) -> Spoken:
    """``n`` numbers of 2 to 4 digits, each by one speaker, from the sounds in a folder.  None begins with 0."""
    have = sounds(folder)
    speakers = sorted({speaker for speaker, _ in have})
    items: list[tuple[np.ndarray, list[int]]] = []
    for _ in range(n):
        speaker, length = rng.choice(speakers), rng.choice(LENGTHS)
        digits = [int(rng.integers(1 if place == 0 else 0, 10)) for place in range(length)]
        takes = [have[speaker, digit][rng.integers(len(have[speaker, digit]))] for digit in digits]
        items.append((np.concatenate(takes), digits))
    return padded(items)


def padded(items: Sequence[tuple[np.ndarray, list[int]]]) -> Spoken:
    sound, digits, words = [], [], []
    for frames, own in items:
        whole = frames[: len(frames) // TOGETHER * TOGETHER].reshape(-1, TOGETHER * BANDS)
        sound.append(torch.tensor((whole + 6.0) / 4.0))  # about the mean and spread of any speech here
        digits.append(torch.tensor(own) + 1)
        said = written(int("".join(map(str, own))))
        words.append(torch.tensor([BEGIN, *(WORDS.index(word) for word in said), END]))
    counts = [torch.tensor([len(one) for one in part]) for part in (sound, digits)]
    filled = [pad_sequence(part, batch_first=True) for part in (sound, digits, words)]
    return Spoken(filled[0], counts[0], filled[1], counts[1], filled[2])


def split(folder: Path, n: int, seed: int) -> tuple[Spoken, Spoken]:
    """``n`` numbers to learn from, drawn by the seed from the training sounds, and those tested on, always the same."""
    seen = spoken(folder / "train", n, np.random.default_rng([1, seed]))
    return seen, spoken(folder / "test", TEST, np.random.default_rng(0))
