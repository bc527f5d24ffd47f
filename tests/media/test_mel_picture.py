"""Sounds as small pictures, and back: what is heard stays, and so does its length."""

from __future__ import annotations

import numpy as np
import pytest

from leaven.media.mel_picture import MelPicture
from leaven.media.spectrum import mel_edges, mel_filters

SCALE = MelPicture(rate=8000, hop=160, size=24, top=2000.0)


def tone(hertz: float, seconds: float, *, loud: float = 0.5, rate: int = 8000) -> np.ndarray:
    return (loud * np.sin(2 * np.pi * hertz * np.arange(round(seconds * rate)) / rate)).astype(np.float32)


def loudest(samples: np.ndarray, rate: int = 8000) -> float:
    """The frequency at which most of it is."""
    return float(np.abs(np.fft.rfft(samples)).argmax() * rate / len(samples))


@pytest.mark.parametrize("hertz", [300.0, 1000.0, 2700.0])
def test_a_tone_stays_in_its_band_and_as_loud_and_as_long(hertz: float):
    samples = tone(hertz, 0.3)
    picture = SCALE.of(samples)
    assert picture.shape == (24, 24)
    assert picture.dtype == np.uint8
    edges = mel_edges(25, 8000)[1:-1]  # the middles of the bands
    assert picture[::-1, 5].argmax() == np.abs(edges - hertz).argmin()
    again = SCALE.sound(picture, np.random.default_rng(0))
    assert len(again) == SCALE.longest == 24 * 160
    assert abs(SCALE.heard(picture) - len(samples)) <= 160
    assert abs(loudest(again[: len(samples)]) - hertz) < np.diff(edges)[np.abs(edges - hertz).argmin() - 1]
    assert 0.7 < np.sqrt(np.square(again[400:2000]).mean() / np.square(samples[400:2000]).mean()) < 1.4
    assert np.abs(again[len(samples) + 400 :]).max() < 1e-3


def test_a_chord_keeps_its_picture():
    samples = tone(440, 0.4, loud=0.3) + tone(1800, 0.4, loud=0.1) * np.hanning(3200).astype(np.float32)
    picture = SCALE.of(samples)
    again = SCALE.of(SCALE.sound(picture, np.random.default_rng(0)))
    bright = picture > 128
    assert np.median(np.abs(again[bright].astype(float) - picture[bright])) < 8  # 2.5 dB


def test_phases_follow_the_seed_or_begin_from_a_sound():
    samples = tone(700, 0.3)
    picture = SCALE.of(samples)
    one, two, other = (SCALE.sound(picture, np.random.default_rng(seed)) for seed in (1, 1, 2))
    assert np.array_equal(one, two)
    assert not np.array_equal(one, other)
    like = SCALE.sound(picture, np.random.default_rng(2), samples)
    near = [np.corrcoef(found[: len(samples)], samples)[0, 1] for found in (like, one)]
    assert near[0] > 0.97
    assert abs(near[1]) < 0.9


def test_what_is_longer_is_cut_and_silence_has_no_length():
    long = tone(500, 2.0)
    assert np.array_equal(SCALE.of(long), SCALE.of(long[: SCALE.longest]))
    assert SCALE.heard(SCALE.of(long)) == SCALE.longest
    silent = SCALE.of(np.zeros(100, np.float32))
    assert not silent.any()
    assert SCALE.heard(silent) == 0
    assert np.abs(SCALE.sound(silent, np.random.default_rng(0))).max() == 0


@pytest.mark.parametrize(("rate", "hop", "size"), [(8000, 160, 32), (8000, 80, 64), (16000, 96, 64), (4000, 4, 64)])
def test_a_window_is_long_enough_for_every_band(rate: int, hop: int, size: int):
    scale = MelPicture(rate, hop, size, 1.0)
    assert mel_filters(size, scale.window, rate).any(axis=1).all()
    assert scale.window >= 0.032 * rate
    assert scale.window % (2 * hop) == 0
