"""Codecs there and back: the same length and place, the same samples twice, and something lost."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import pytest

from leaven.audio.recode import Recode, recoded, telephone
from leaven.errors import RecipeError
from leaven.media.audio import Audio
from leaven.records import Record

Tone = Callable[..., Audio]
Made = Callable[..., list[Record]]


def chirp(rate: int, channels: int = 1, seconds: float = 1.0) -> np.ndarray:
    t = np.arange(round(rate * seconds)) / rate
    noise = np.random.default_rng(0).standard_normal(len(t)) * 0.01
    wave = 0.4 * np.sin(2 * np.pi * (200 + 400 * t) * t) * np.sin(3 * t) ** 2 + noise
    return np.repeat(wave[:, None], channels, 1).astype(np.float32)


def snr(before: np.ndarray, after: np.ndarray) -> float:
    return float(10 * np.log10(np.mean(before**2) / np.mean((before - after) ** 2)))


@pytest.mark.parametrize("codec", ["mp3", "ogg", "opus"])
@pytest.mark.parametrize("rate", [8000, 16000, 44100])
def test_length_and_place_stay_and_better_is_better(codec: str, rate: int):
    before = chirp(rate, 2)
    worst, best = (recoded(before, rate, codec, quality) for quality in (0.0, 1.0))
    assert worst.shape == best.shape == before.shape
    assert 3 < snr(before, worst) < snr(before, best)
    assert snr(before, best) > 20  # one sample out of place would be less
    assert (recoded(before, rate, codec, 0.0) == worst).all()


@pytest.mark.parametrize("codec", ["mp3", "ogg", "opus", "telephone"])
@pytest.mark.parametrize(
    ("rate", "frames", "channels"), [(16000, 1, 1), (8000, 100, 2), (96000, 5000, 1), (5000, 999, 3)]
)
def test_odd_rates_lengths_and_channels(codec: str, rate: int, frames: int, channels: int):
    before = np.random.default_rng(0).uniform(-0.5, 0.5, (frames, channels)).astype(np.float32)
    after = recoded(before, rate, codec, 0.5)
    assert after.shape == before.shape
    assert np.isfinite(after).all()


def test_long_vorbis():
    """libsndfile 1.2 runs out of stack where a long sound is written at once."""
    before = chirp(8000, seconds=200)
    assert recoded(before, 8000, "ogg", 0.0).shape == before.shape


@pytest.mark.parametrize(("hertz", "heard"), [(100, False), (1000, True), (3000, True), (6000, False)])
def test_a_telephone_passes_the_middle(hertz: float, heard: bool, tone: Tone):
    before = tone(hertz).samples
    after = telephone(before, 16000)
    ratio = np.abs(after[2000:-2000]).max() / 0.25
    assert ratio > 0.7 if heard else ratio < 0.2


def test_a_telephone_has_eight_bits():
    after = telephone(chirp(8000), 8000)
    assert len(np.unique(after)) <= 256


def test_children(made: Made, tone: Tone):
    segments = [{"start": 0.1, "end": 0.2, "label": "x"}]
    children = made(Recode("ogg", n=3), {"audio": tone(channels=2), "segments": segments})
    again = made(Recode("ogg", n=3), {"audio": tone(channels=2)})
    assert [c["audio"].encoded for c in children] == [c["audio"].encoded for c in again]
    assert len({c.drawn["quality"] for c in children}) == 3
    for child in children:
        assert 0 <= child.drawn["quality"] <= 0.6
        assert child["segments"] == segments
        assert (child["audio"].rate, child["audio"].seconds) == (16000, 1.0)
    [child] = made(Recode("telephone"), {"audio": tone()})
    assert child.drawn == {}


def test_wrong_quality():
    with pytest.raises(RecipeError, match=r"quality is \[0.5, 1.5\]; it goes from 0 to 1"):
        Recode(quality=(0.5, 1.5))
