"""The level of the noise, its colour, and noise from files."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import soundfile
from hypothesis import given
from hypothesis import strategies as st

from leaven.audio.add_noise import AddNoise, with_noise
from leaven.audio.levels import mean_square
from leaven.audio.noise import drawn_noise, looped
from leaven.errors import RecipeError
from leaven.media.audio import Audio
from leaven.records import Record

Tone = Callable[..., Audio]
Made = Callable[..., list[Record]]


def snr_of(before: np.ndarray, after: np.ndarray, scaled: float = 1.0) -> float:
    """Measured: the sound over what is there besides."""
    rest = after.astype(np.float64) / scaled - before
    return float(10 * np.log10(np.mean(np.square(before, dtype=np.float64)) / np.mean(np.square(rest))))


@given(
    st.floats(-10, 40),
    st.sampled_from(["white", "pink", "brown"]),
    st.integers(1, 3000),
    st.integers(1, 2),
    st.floats(0.01, 1.0),
)
def test_measured_level_is_the_one_asked_for(snr: float, kind: str, frames: int, channels: int, level: float):
    rng = np.random.default_rng(frames)
    before = (rng.uniform(-level, level, (frames, channels)) + level / 2).clip(-1, 1).astype(np.float32)
    after, factor = with_noise(before, drawn_noise(kind, frames, channels, rng), snr)
    assert snr_of(before, after, factor) == pytest.approx(snr, abs=0.1)
    assert np.abs(after).max() <= 1.0


@pytest.mark.parametrize("snr", [0, 10, 20, 30])
@pytest.mark.parametrize("kind", ["PCM_16", "PCM_24", "FLOAT"])
def test_also_in_the_file(snr: float, kind: str, made: Made, tone: Tone, written: Callable[..., Audio]):
    before = written(tone(channels=2).samples, 16000, kind)
    [child] = made(AddNoise(snr=snr), {"audio": before})
    after = Audio(child["audio"].encoded)
    assert after.kind == ("WAV", kind)
    assert snr_of(before.samples, after.samples, child.drawn.get("scaled", 1.0)) == pytest.approx(snr, abs=0.1)


@pytest.mark.parametrize(("kind", "slope"), [("white", 0), ("pink", -3), ("brown", -6)])
def test_colours_fall_by_octaves(kind: str, slope: float):
    noise = drawn_noise(kind, 2**17, 1, np.random.default_rng(0))[:, 0]
    power = np.square(np.abs(np.fft.rfft(noise)))
    octaves = [10 * np.log10(power[2**k : 2 ** (k + 1)].mean()) for k in range(6, 16)]
    assert np.polyfit(np.arange(len(octaves)), octaves, 1)[0] == pytest.approx(slope, abs=0.3)


def test_channels_have_noise_of_their_own():
    left, right = drawn_noise("pink", 16000, 2, np.random.default_rng(0)).T
    assert abs(np.corrcoef(left, right)[0, 1]) < 0.2


def test_too_loud_a_sum_is_made_quieter_and_says_so(made: Made, tone: Tone):
    before = tone(level=1.0)
    [child] = made(AddNoise(snr=0), {"audio": before})
    after = child["audio"].samples
    assert np.abs(after).max() == pytest.approx(1.0, abs=1e-6)
    assert child.drawn["scaled"] < 0.7
    assert snr_of(before.samples, after, child.drawn["scaled"]) == pytest.approx(0, abs=0.1)


def test_silence_is_refused(made: Made):
    children = made(AddNoise(n=2), {"audio": Audio.of(np.zeros(100, np.float32), 8000)})
    assert [child.reason for child in children] == ["silent", "silent"]


def test_levels_are_drawn_for_each_child(made: Made, tone: Tone):
    drawn = [child.drawn["snr"] for child in made(AddNoise(n=50), {"audio": tone()})]
    assert len(set(drawn)) == 50
    assert 5 <= min(drawn) < 7
    assert 18 < max(drawn) <= 20


def test_segments_stay(made: Made, tone: Tone):
    segments = [{"start": 0.1, "end": 0.2, "label": "x"}]
    [child] = made(AddNoise(), {"audio": tone(), "segments": segments})
    assert child["segments"] == segments


# -- noise from files --------------------------------------------------------------------------------------------------


def test_a_file_is_cut_at_a_drawn_place(made: Made, tone: Tone, tmp_path: Path):
    ramp = Audio.of(np.linspace(0.1, 0.9, 48000, dtype=np.float32), 16000)
    (tmp_path / "street.wav").write_bytes(ramp.encoded)
    before = tone(seconds=0.5)
    starts = set()
    for child in made(AddNoise(snr=30, file=tmp_path / "street.wav", n=10), {"audio": before}):
        at = round(child.drawn["from"] * 16000)
        starts.add(at)
        rest = child["audio"].samples[:, 0] - before.samples[:, 0]
        wanted = ramp.samples[at : at + 8000, 0]
        assert np.corrcoef(rest, wanted)[0, 1] > 0.999
    assert len(starts) == 10


def test_a_short_file_is_repeated_and_brought_to_the_rate(made: Made, tone: Tone, tmp_path: Path):
    (tmp_path / "b.flac").write_bytes(tone(1000, seconds=0.2, rate=8000).encoded)
    before = Audio.of(np.full((16000, 2), 0.01, np.float32), 16000)
    [child] = made(AddNoise(snr=-20, file=tmp_path / "b.flac"), {"audio": before})
    assert child["audio"].samples.shape == (16000, 2)
    loud = np.abs(np.fft.rfft((child["audio"].samples[:, 0] - 0.01) * np.hanning(16000)))
    assert loud.argmax() == 1000


def test_looped():
    assert looped(np.arange(3)[:, None], 7, 2)[:, 0].tolist() == [2, 0, 1, 2, 0, 1, 2]


def test_noise_that_is_not_there(made: Made, tone: Tone, tmp_path: Path):
    with pytest.raises(RecipeError, match=r"there is no file .*x\.wav"):
        AddNoise(file=tmp_path / "x.wav")
    (tmp_path / "x.wav").write_bytes(b"no sound at all")
    with pytest.raises(RecipeError, match=r"the noise cannot be read: .*x\.wav: .*[^.]\.\n"):
        AddNoise(file=tmp_path / "x.wav")
    soundfile.write(tmp_path / "y.flac", tone().samples, 16000)
    (tmp_path / "y.flac").write_bytes((tmp_path / "y.flac").read_bytes()[:9000])
    with pytest.raises(RecipeError, match=r"the noise cannot be read: .*y\.flac"):
        made(AddNoise(file=tmp_path / "y.flac"), {"audio": tone()})


def test_silent_noise_is_refused(made: Made, tone: Tone, tmp_path: Path):
    (tmp_path / "hush.wav").write_bytes(Audio.of(np.zeros(100, np.float32), 8000).encoded)
    [child] = made(AddNoise(file=tmp_path / "hush.wav"), {"audio": tone()})
    assert child.reason == "silent_noise"


# -- shapes ------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("frames", [1, 2, 100])
@pytest.mark.parametrize("kind", ["white", "pink", "brown"])
def test_very_short_sounds(frames: int, kind: str, made: Made):
    sound = Audio.of(np.full((frames, 1), 0.5, np.float32), 8000)
    [child] = made(AddNoise(noise=kind, snr=10), {"audio": sound})
    assert snr_of(sound.samples, child["audio"].samples, child.drawn.get("scaled", 1.0)) == pytest.approx(10, abs=0.1)


def test_the_same_bytes_twice(made: Made, tone: Tone):
    def once(seed: int) -> list[bytes]:
        return [row["audio"].encoded for row in made(AddNoise(n=3), {"audio": tone()}, seed=seed)]

    assert once(1) == once(1)
    assert once(1) != once(2)
    assert len(set(once(1))) == 3


@pytest.mark.parametrize("wrong", [{"snr": [20, 5]}, {"snr": 200}])
def test_wrong_levels(wrong: dict[str, Any]):
    with pytest.raises(RecipeError, match=r"snr is .*; it goes from -60 to 100"):
        AddNoise(**wrong)


def test_mean_square_of_whole_clip():
    assert mean_square(np.array([[0.5], [0.0]])) == 0.125
