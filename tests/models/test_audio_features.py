"""The embedder of sounds without weights: its parts, what changes nothing, and what a linear student makes of it."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from leaven.media.audio import Audio
from leaven.media.broken import Broken
from leaven.models.backends.audio_features import DIMENSIONS, AudioFeatures, features, heard, mel_power, slopes
from leaven.models.backends.linear import fit_linear, predict
from leaven.models.embedders import LocalModels
from small_media import SOUNDS

DIGITS = SOUNDS / "spoken-digits"


def tone(hertz: float, seconds: float = 1.0, rate: int = 16000, level: float = 0.25) -> np.ndarray:
    return (level * np.sin(2 * np.pi * hertz * np.arange(round(seconds * rate)) / rate)).astype(np.float32)


def test_a_tone_is_in_the_band_of_its_pitch():
    """40 triangles over 0 to 2,840 mel have their tops 69.3 mel apart; 1,000 Hz are 1,000 mel."""
    power = mel_power(tone(1000))
    assert (power[5:-5].argmax(axis=1) == 13).all()
    assert power[5:-5, 13].min() > 50 * power[5:-5, 20].max()


def test_slopes_of_a_straight_rise():
    found = slopes(np.arange(10.0)[:, None] * [1, -2])
    assert found[2:-2] == pytest.approx(np.tile([1, -2], (6, 1)))


def test_what_is_quiet_at_both_ends_is_left_out():
    sound = tone(440)
    padded = np.concatenate([np.zeros(8000, np.float32), sound, np.zeros(8000, np.float32)])
    assert abs(len(heard(padded, 16000)) - len(heard(sound, 16000))) <= 3
    assert features(padded, 16000) @ features(sound, 16000) > 0.99


def test_loudness_does_not_count_nor_does_the_rate():
    sound = features(tone(440) + tone(1500), 16000)
    assert features(0.1 * (tone(440) + tone(1500)), 16000) @ sound > 0.9999
    assert features(tone(440, rate=44100) + tone(1500, rate=44100), 44100) @ sound > 0.99
    assert features(tone(3000), 16000) @ sound < 0.9


@settings(max_examples=15)
@given(st.integers(1, 3000), st.sampled_from([8000, 16000, 22050]), st.integers(1, 2), st.integers(0, 5))
def test_any_sound_has_a_vector_of_unit_length_that_its_bytes_decide(frames: int, rate: int, channels: int, seed: int):
    noise = np.random.default_rng(seed).normal(0, 0.1, (frames, channels)) * (seed > 0)  # silence too
    sound = Audio.of(noise.astype(np.float32), rate)
    [vector] = AudioFeatures().embed([sound])
    assert vector.shape == (DIMENSIONS,)
    assert vector.dtype == np.float32
    assert np.linalg.norm(vector) == pytest.approx(1, abs=1e-5)
    other = Audio.of(tone(300), 16000)
    assert AudioFeatures().embed([other, Audio(sound.encoded)])[1].tobytes() == vector.tobytes()


def test_none_and_a_broken_one():
    assert AudioFeatures().embed([]).shape == (0, DIMENSIONS)
    with pytest.raises(Broken):
        AudioFeatures().embed([Audio(b"no sound", "x.wav")])


@pytest.mark.skipif(not DIGITS.is_dir(), reason="the real data is not here")
def test_a_linear_student_tells_digits_apart():
    found = {}
    for split in ("train", "test"):
        paths = sorted((DIGITS / split).glob("*/*.wav"))
        vectors = LocalModels({"name": "wordllama"}).embed([Audio.read(path) for path in paths])
        found[split] = vectors, np.array([int(path.parent.name) for path in paths])
    state = fit_linear(*found["train"], C=100.0)
    assert np.mean(predict(state, found["test"][0]) == found["test"][1]) >= 0.93
