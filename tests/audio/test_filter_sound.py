"""What comes through a filter."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import pytest

from leaven.audio.filter_sound import FilterSound, filtered
from leaven.audio.levels import in_decibels, mean_square
from leaven.errors import RecipeError
from leaven.media.audio import Audio
from leaven.records import Record

Tone = Callable[..., Audio]
Made = Callable[..., list[Record]]


@pytest.mark.parametrize(
    ("how", "hertz", "decibels"),
    [
        ("low", 250, 0), ("low", 1000, -3.01), ("low", 2000, -25.5), ("low", 4000, -56.2),
        ("high", 4000, 0), ("high", 1000, -3.01), ("high", 500, -24.5), ("high", 250, -48.6),
        ("band", 1000, 0), ("band", 500, -3.01), ("band", 2000, -3.01), ("band", 125, -28.6),
    ],
)  # fmt: skip
def test_gain_at_a_frequency(how: str, hertz: float, decibels: float, tone: Tone):
    """Butterworth: 1 / (1 + x^8), x the ratio of tan(pi f / rate) to that of the cut-off."""
    before = tone(hertz, seconds=1).samples
    after, factor = filtered(before, 16000, how, 1000)
    assert factor == 1
    gain = in_decibels((mean_square(after[8000:]) / mean_square(before[8000:])) ** 0.5)
    assert gain == pytest.approx(decibels, abs=0.2)


def test_every_octave_is_as_likely(made: Made, tone: Tone):
    op = FilterSound(cutoff=(100, 6400), n=50)
    drawn = [c.drawn["cutoff"] for seed in range(10) for c in made(op, {"audio": tone(seconds=0.01)}, seed=seed)]
    assert 100 <= min(drawn) < 110
    assert 6000 < max(drawn) <= 6400
    octaves = np.bincount(np.log2(np.array(drawn) / 100).astype(int), minlength=6)
    assert octaves.min() > 60
    assert octaves.max() < 110


def test_a_low_rate_limits_the_cutoff(made: Made, tone: Tone):
    children = made(FilterSound(cutoff=(2000, 20000), n=20), {"audio": tone(rate=8000)})
    assert all(2000 <= child.drawn["cutoff"] <= 3600 for child in children)
    [child] = made(FilterSound(cutoff=(5000, 6000)), {"audio": tone(rate=8000)})
    assert child.reason == "rate_too_low"


@pytest.mark.parametrize("how", ["low", "high", "band"])
@pytest.mark.parametrize("frames", [1, 100, 8000])
@pytest.mark.parametrize("channels", [1, 2])
def test_shapes_segments_and_the_same_bytes_twice(how: str, frames: int, channels: int, made: Made):
    wave = np.random.default_rng(0).uniform(-1, 1, (frames, channels)).astype(np.float32)
    row = {"audio": Audio.of(wave, 8000), "segments": [{"start": 0, "end": 1, "label": "x"}]}
    [child], [again] = made(FilterSound(how), row), made(FilterSound(how), row)
    assert child["audio"].samples.shape == (frames, channels)
    assert np.abs(child["audio"].samples).max() <= 1
    assert child["segments"] == row["segments"]
    assert child["audio"].encoded == again["audio"].encoded


def test_wrong_range():
    with pytest.raises(RecipeError, match=r"cutoff is \[0, 100\]; it goes from 10 to 100000"):
        FilterSound(cutoff=(0, 100))
