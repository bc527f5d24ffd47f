"""Sounds in a measurement: keys, near copies, log-mel pictures; the whole way over a folder."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import soundfile
from shapes_and_tones import sounds

from leaven.measure.media import View
from leaven.measure.sounds import Sounds
from leaven.media.audio import Audio

SHARED = Path(__file__).parents[2] / ".." / "shared" / "data" / "audio" / "spoken-digits"
RATE = 8000


def views(*values: Audio) -> list[View]:
    return [Sounds(RATE).view(value) for value in values]


def melody(seed: int, rate: int = RATE) -> np.ndarray:
    """Five notes, each with an overtone, and a little noise."""
    rng = np.random.default_rng(seed)
    time = np.arange(rate // 10) / rate
    notes = [np.sin(2 * np.pi * f * time) + 0.3 * np.sin(4 * np.pi * f * time) for f in rng.uniform(200, 1500, 5)]
    return (0.3 * np.concatenate(notes) + rng.normal(0, 0.002, 5 * len(time))).astype(np.float32)


def test_the_same_samples_in_another_file_have_one_key(tmp_path: Path):
    wav = Audio(Audio.of(melody(0), RATE).encoded)
    soundfile.write(tmp_path / "copy.flac", wav.samples, RATE)
    first, again, other = views(wav, Audio.read(tmp_path / "copy.flac"), Audio.of(melody(1), RATE))
    assert first.key == again.key != other.key
    assert first.size == (0.5,)


def test_near_is_the_same_take_quieter_noisier_or_at_another_rate():
    test = views(*(Audio.of(melody(seed), RATE) for seed in range(12)))
    noise = np.random.default_rng(1).normal(0, 0.01, 4000).astype(np.float32)
    faster = np.interp(np.arange(0, 4000, 0.5), np.arange(4000), melody(2)).astype(np.float32)
    near = views(Audio.of(melody(0) * 0.3, RATE), Audio.of(melody(1) + noise, RATE), Audio.of(faster, 2 * RATE))
    others = views(*(Audio.of(melody(seed), RATE) for seed in range(12, 24)), Audio.of(melody(0)[::-1], RATE))
    assert Sounds(RATE).near(near, test).all()
    assert not Sounds(RATE).near(others, test).any()


def test_silence_is_near_to_nothing():
    silence, tone = views(Audio.of(np.zeros(4000, np.float32), RATE), Audio.of(melody(0), RATE))
    assert not Sounds(RATE).near([silence], [tone]).any()
    assert np.isfinite(silence.plain).all()


@pytest.mark.skipif(not SHARED.exists(), reason="shared data is absent")
def test_no_take_of_a_spoken_digit_is_near_to_another():
    every = views(*(Audio.read(path) for path in sorted(SHARED.glob("test/*/*.wav"))))
    assert not any(Sounds(RATE).near([every[i]], every[:i])[0] for i in range(1, len(every)))


def test_a_run_over_sounds_is_measured(augment: Callable[..., Path], shown: Callable[..., Any], tmp_path: Path):
    out = augment(sounds(tmp_path / "data", 12, 0), [{"add_noise": {"snr": [15, 20]}}], "--test", "0.5")
    found = shown(str(out), "--ratios", "1")
    assert {row["student"] for row in found["rows"]} == {"audio features + linear", "mean log-mel + linear"}
    assert {row["arm"] for row in found["rows"]} == {"real", "repeat", "classic", "made", "both"}
    assert found["classic"] == "spec-augment"
    real = next(row for row in found["rows"] if row["arm"] == "real" and row["student"] == found["student"])
    assert real["accuracy"]["mean"] == 1.0  # high tones and low ones


def test_made_sounds_that_copy_a_test_sound_are_left_out(shown: Callable[..., Any], tmp_path: Path):
    real, test = sounds(tmp_path / "real", 5, 0), sounds(tmp_path / "test", 5, 1)
    made = sounds(tmp_path / "made", 4, 2)
    taken = Audio.read(test / "low" / "0.wav")
    (made / "low" / "copy.wav").write_bytes(taken.encoded)
    (made / "low" / "near.wav").write_bytes(Audio.of(taken.samples * 0.5, taken.rate).encoded)
    found = shown(str(real), "--with", str(made), "--test", str(test), "--ratios", "0.5")
    assert found["leaks"]["copies"] == 1
    assert found["leaks"]["near"] >= 1
