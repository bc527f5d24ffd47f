"""Masks on a sound and on features, from the operator."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

from leaven.audio.mask_spectrum import MaskSpectrum, frame_count, masked_sound
from leaven.audio.masks import Masks
from leaven.media.audio import Audio
from leaven.media.spectrum import mel_edges, stft
from leaven.records import Record

Tone = Callable[..., Audio]
Made = Callable[..., list[Record]]

FEATURES = np.random.default_rng(1).standard_normal((300, 80)).astype(np.float32)


def noise(frames: int = 32000, channels: int = 1) -> np.ndarray:
    return np.random.default_rng(0).uniform(-0.3, 0.3, (frames, channels)).astype(np.float32)


# -- a sound -----------------------------------------------------------------------------------------------------------


def test_no_mask_gives_the_very_samples():
    samples = noise()
    assert masked_sound(samples, 16000, Masks(None, [], []), 80) is samples
    assert masked_sound(samples, 16000, Masks((50, 50), [(3, 3)], [(7, 7)]), 80) is samples


def test_a_time_mask_is_silent_there_and_nowhere_else():
    before = noise()
    after = masked_sound(before, 16000, Masks(None, [], [(50, 100)]), 80, "zero")
    assert np.abs(after[8300:15600]).max() < 1e-6  # frames 50 to 99, every 160 samples, fade at their sides
    assert after[:7600] == pytest.approx(before[:7600], abs=1e-6)
    assert after[16300:] == pytest.approx(before[16300:], abs=1e-6)


def test_a_frequency_mask_takes_a_band():
    before = noise()
    after = masked_sound(before, 16000, Masks(None, [(40, 60)], []), 80, "zero")
    low, high = mel_edges(80, 16000)[[40, 60]]
    power = [np.square(np.abs(np.fft.rfft(x[:, 0] * np.hanning(len(x))))) for x in (before, after)]
    hertz = np.fft.rfftfreq(32000, 1 / 16000)
    inside, outside = (hertz > low + 50) & (hertz < high - 50), (hertz < low - 100) | (hertz > high + 100)
    assert power[1][inside].sum() / power[0][inside].sum() < 1e-3
    assert power[1][outside].sum() / power[0][outside].sum() == pytest.approx(1, abs=0.01)


def test_the_mean_is_that_of_the_logarithm():
    before = noise()
    after = masked_sound(before, 16000, Masks(None, [], [(50, 100)]), 80, "mean")
    mean = np.log(np.abs(stft(before[:, 0], 640, 160))).mean()
    inside = np.log(np.abs(stft(after[:, 0], 640, 160))[55:95])
    assert np.median(inside) == pytest.approx(mean, abs=0.2)


def test_silence_stays_silent():
    for fill in ("mean", "zero"):
        after = masked_sound(np.zeros((16000, 2), np.float32), 16000, Masks(None, [(0, 80)], [(0, 50)]), 80, fill)
        assert not after.any()


def test_all_bands_hold_all_frequencies():
    for rate in (8000, 16000, 44100):
        after = masked_sound(noise(rate), rate, Masks(None, [(0, 80)], []), 80, "zero")
        assert np.abs(after).max() < 1e-6


def test_the_old_phase_is_kept(tone: Tone):
    before = tone(1000).samples
    after = masked_sound(before, 16000, Masks(None, [(0, 20)], [(20, 30)]), 80)
    steady = slice(8000, 15000)
    assert np.corrcoef(before[steady, 0], after[steady, 0])[0, 1] > 0.999


def test_a_warp_moves_what_is_heard_and_its_segment(made: Made):
    wave = np.zeros((48000, 1), np.float32)
    wave[16000:24000] = 0.3 * np.sin(np.arange(8000) / 5)[:, None]
    row = {"audio": Audio.of(wave, 16000), "segments": [{"start": 1.0, "end": 1.5, "label": "burst"}]}
    moved = 0
    for child in made(MaskSpectrum("none", warp=80, n=10), row):
        loud = np.flatnonzero(np.abs(child["audio"].samples[:, 0]) > 0.1) / 16000
        [segment] = child["segments"]
        assert segment["start"] == pytest.approx(loud[0], abs=0.05)
        assert segment["end"] == pytest.approx(loud[-1], abs=0.05)
        moved += abs(segment["start"] - 1.0) > 0.1
    assert moved >= 3


def test_a_warp_to_the_very_ends():
    for frames in (16000, 15841, 15999):
        for masks in (Masks((81, 1), [], []), (Masks((20, 100), [], [])), Masks((99, 100), [], [])):
            after = masked_sound(noise(frames), 16000, masks, 80)
            assert after.shape == (frames, 1)
            assert np.isfinite(after).all()
            assert np.abs(after).max() < 1


def test_hidden_segments_are_dropped_and_counted(made: Made):
    row = {
        "audio": Audio.of(noise(48000), 16000),
        "segments": [{"start": i / 10, "end": i / 10 + 0.1, "label": str(i)} for i in range(30)],
    }
    op = MaskSpectrum("none", time=100, time_masks=2, n=10)
    for child in made(op, row):
        hidden = np.zeros(302, bool)
        for first, count in child.drawn["time"]:
            hidden[first : first + count] = True
        there = [s["label"] for s in row["segments"] if hidden[round(s["start"] * 100) :][:10].mean() <= 0.5]
        assert [s["label"] for s in child["segments"]] == there
        assert child.drawn.get("segments_dropped", 0) == 30 - len(there)


@pytest.mark.parametrize(
    ("frames", "rate", "channels"), [(1, 16000, 1), (100, 8000, 2), (8000, 8000, 1), (4410, 44100, 2)]
)
@pytest.mark.parametrize("policy", ["LB", "LD", "SM", "SS"])
def test_shapes_and_the_same_bytes_twice(policy: Any, frames: int, rate: int, channels: int, made: Made):
    row = {"audio": Audio.of(noise(frames, channels), rate)}
    found, again = made(MaskSpectrum(policy, n=3), row), made(MaskSpectrum(policy, n=3), row)
    assert [c["audio"].encoded for c in found] == [c["audio"].encoded for c in again]
    for child in found:
        assert child["audio"].samples.shape == (frames, channels)
        assert np.isfinite(child["audio"].samples).all()


def test_frame_count():
    assert [frame_count(n, 16000) for n in (1, 160, 161, 16000)] == [2, 2, 3, 101]


# -- features ----------------------------------------------------------------------------------------------------------


def test_features(made: Made):
    row = {"sequence": FEATURES}
    for child in made(MaskSpectrum("LD", warp=0, fill="zero", n=20), row):
        found = child["sequence"]
        hidden = np.zeros(FEATURES.shape, bool)
        for first, count in child.drawn["freq"]:
            hidden[:, first : first + count] = True
        for first, count in child.drawn["time"]:
            hidden[first : first + count] = True
        assert found.dtype == np.float32
        assert found[~hidden].tobytes() == FEATURES[~hidden].tobytes()
        assert not found[hidden].any()
        assert "warp" not in child.drawn


def test_own_numbers_replace_the_policys(made: Made):
    """The settings of Wu et al.: two frequency masks, five time masks of .12 of the frames, a warp by 5."""
    op = MaskSpectrum("none", freq=63, freq_masks=2, time=10_000, time_masks=5, cap=0.12, warp=5, n=50)
    children = made(op, {"sequence": FEATURES})
    widths = [count for child in children for _, count in child.drawn["time"]]
    assert {len(child.drawn["time"]) for child in children} == {5}
    assert max(widths) == 36
    assert max(count for child in children for _, count in child.drawn["freq"]) > 55
    assert all(abs(child.drawn["warp"][1] - child.drawn["warp"][0]) <= 5 for child in children)
    assert MaskSpectrum("SM", freq=3).settings().freq == 3
    assert MaskSpectrum("SM", freq=3).settings().time == 70


def test_what_is_no_spectrogram_is_refused(made: Made):
    [child] = made(MaskSpectrum(), {"sequence": np.zeros(5, np.float32)})
    assert (child.reason, child.detail) == ("no_spectrogram", "`sequence` is 5")
