"""The phase vocoder that stands in where python-stretch is not installed."""

from __future__ import annotations

import sys
from collections.abc import Callable

import numpy as np
import pytest

from leaven.audio.stretched import bent, stretched
from leaven.media.audio import Audio

Tone = Callable[..., Audio]


@pytest.fixture(params=["signalsmith", "ours"])
def way(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> str:
    if request.param == "ours":
        monkeypatch.setitem(sys.modules, "python_stretch", None)
        monkeypatch.setitem(sys.modules, "python_stretch.Signalsmith", None)
    return str(request.param)


@pytest.mark.parametrize(("speed", "semitones"), [(0.8, 0), (1.25, 0), (1, 5), (1, -5), (1.1, 2)])
def test_length_and_pitch(speed: float, semitones: float, way: str, tone: Tone):
    before = tone(440, seconds=2).samples
    after = stretched(before, 16000, speed, semitones)
    assert len(after) == round(32000 / speed)
    loud = np.abs(np.fft.rfft(after[:, 0] * np.hanning(len(after)), 2**18))
    assert loud.argmax() * 16000 / 2**18 == pytest.approx(440 * 2 ** (semitones / 12), rel=0.005)
    assert np.abs(after[2000:-2000]).max() == pytest.approx(0.25, rel=0.2)


@pytest.mark.parametrize("frames", [1, 2, 3, 50, 400])
@pytest.mark.parametrize(("speed", "semitones"), [(0.5, 0), (2.0, 0), (1, 12), (1, -12)])
def test_short(frames: int, speed: float, semitones: float, way: str):
    after = stretched(np.full((frames, 2), 0.5, np.float32), 16000, speed, semitones)
    assert after.shape == (max(1, round(frames / speed)), 2)
    assert np.isfinite(after).all()


def test_nothing_to_do_is_nothing_done(way: str, tone: Tone):
    samples = tone().samples
    assert stretched(samples, 16000) is samples


def test_clicks_are_where_they_belong(way: str):
    clicks = np.zeros((32000, 1), np.float32)
    clicks[[4000, 16000, 28000]] = 0.9
    after = np.abs(stretched(clicks, 16000, 1.25)[:, 0])
    for at in (4000, 16000, 28000):
        near = after[int(at / 1.25) - 2000 : int(at / 1.25) + 2000]
        assert abs(near.argmax() - 2000) < 250  # one window of ours smears a click by 12.5 ms


def test_bending_moves_what_is_in_the_middle(way: str):
    clicks = np.zeros((32000, 1), np.float32)
    clicks[[8000, 16000, 24000]] = 0.9
    after = bent(clicks, 16000, 16000, 12000)
    assert len(after) == 32000
    loud = [int(np.abs(after[at - 1500 : at + 1500, 0]).argmax()) + at - 1500 for at in (6000, 12000, 22000)]
    assert loud == pytest.approx([6000, 12000, 22000], abs=250)


def test_a_bent_tone_has_no_hole_and_no_click(way: str, tone: Tone):
    before = tone(440, seconds=2, channels=2).samples
    for centre, to in ((16000, 12000), (12000, 16000), (320, 160), (31000, 31900)):
        after = bent(before, 16000, centre, to)
        assert after.shape == before.shape
        assert np.abs(after).max() < 0.5
        steady = np.abs(after[2000:-2000, 0]).reshape(-1, 100).max(1)
        assert steady.min() > 0.08
        assert np.abs(np.diff(after[:, 0])).max() < 0.15  # a tone of 440 Hz moves by .043 a sample
