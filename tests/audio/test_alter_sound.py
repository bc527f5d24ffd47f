"""Each change alone with numbers that say it was made, its words, and where segments go."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from leaven.audio.alter_sound import AlterSound, altered
from leaven.audio.changes import words
from leaven.audio.levels import in_decibels, mean_square
from leaven.errors import RecipeError
from leaven.expressions import Expression
from leaven.media.audio import Audio
from leaven.recipe.build import read
from leaven.records import Record

Tone = Callable[..., Audio]
Made = Callable[..., list[Record]]


def hertz(samples: np.ndarray, rate: int = 16000) -> float:
    """The loudest frequency of the first channel."""
    loud = np.abs(np.fft.rfft(samples[:, 0] * np.hanning(len(samples)), 8 * len(samples)))
    return float(loud.argmax() * rate / (8 * len(samples)))


def level(a: np.ndarray, b: np.ndarray) -> float:
    """By how many dB b is louder than a."""
    return in_decibels((mean_square(b) / mean_square(a)) ** 0.5)


# -- one change at a time ----------------------------------------------------------------------------------------------


@pytest.mark.parametrize("speed", [0.8, 0.9371, 1.2, 2.0])
def test_speed_is_the_ratio_of_the_lengths_and_keeps_pitch_and_level(speed: float, tone: Tone):
    before = tone(440, seconds=2).samples
    after, louder = altered(before, 16000, {"speed": speed})
    assert len(after) == round(len(before) / speed)
    assert hertz(after) == pytest.approx(440, rel=0.005)
    assert level(before, after) == pytest.approx(0, abs=0.001)
    assert louder == 0


@pytest.mark.parametrize("semitones", [-6, -1, 3, 6])
def test_pitch_in_semitones_keeps_the_length(semitones: int, tone: Tone):
    before = tone(440, seconds=2).samples
    after, _ = altered(before, 16000, {"pitch": semitones})
    assert len(after) == len(before)
    assert hertz(after) == pytest.approx(440 * 2 ** (semitones / 12), rel=0.005)
    assert level(before, after) == pytest.approx(0, abs=0.001)


@given(st.floats(-20, 11))
def test_volume_is_the_change_of_the_rms(decibels: float):
    before = np.random.default_rng(0).uniform(-0.25, 0.25, (4000, 2)).astype(np.float32)
    after, louder = altered(before, 16000, {"volume": decibels})
    assert level(before, after) == pytest.approx(decibels, abs=0.001)
    assert louder == pytest.approx(decibels, abs=1e-9)


def test_what_would_clip_is_amplified_by_less_and_says_so(made: Made, tone: Tone):
    [child] = made(AlterSound(volume=(12, 12)), {"audio": tone(level=0.5)})
    assert np.abs(child["audio"].samples).max() == pytest.approx(1.0, abs=1e-6)
    assert child.drawn["volume"] == pytest.approx(6.02, abs=0.01)
    assert child["changes"] == ["louder"]
    [child] = made(AlterSound(volume=(12, 12)), {"audio": tone(level=1.0)})
    assert (child.drawn["volume"], child["changes"]) == (0.0, [])


def test_volume_is_told_apart_from_all_else(made: Made, tone: Tone):
    """The length is one over the speed, the RMS the gain, whatever was done besides."""
    op = AlterSound(speed=(0.8, 1.2), pitch=(-6, 6), volume=(-6, 6), eq=(-6, 6), reverb=(0.1, 0.5), n=10)
    before = tone(440, seconds=2, level=0.1)
    for child in made(op, {"audio": before}):
        after = child["audio"].samples
        assert len(after) == round(32000 / child.drawn["speed"])
        assert level(before.samples, after) == pytest.approx(child.drawn["volume"], abs=0.001)


@pytest.mark.parametrize(("shift", "first"), [(0.25, 4000), (-0.25, -4000), (1.0, 16000), (-1.0, -16000), (0.0, 0)])
def test_shift_fills_with_silence_and_does_not_go_round(shift: float, first: int, tone: Tone):
    before = tone().samples
    after, _ = altered(before, 16000, {"shift": shift})
    assert len(after) == 16000
    if first >= 0:
        assert not after[:first].any()
        assert (after[first:] == before[: 16000 - first]).all()
    else:
        assert not after[first:].any()
        assert (after[:first] == before[-first:]).all()


def test_length_cuts_a_drawn_part_or_fills(made: Made, tone: Tone):
    before = Audio.of(np.linspace(-0.5, 0.5, 16000, dtype=np.float32), 16000)
    starts = set()
    for child in made(AlterSound(length=(0.5, 0.5), n=20), {"audio": before}):
        at = round(child.drawn["from"] * 16000)
        starts.add(at)
        assert (child["audio"].samples == before.samples[at : at + 8000]).all()
        assert child["changes"] == ["cut short"]
    assert len(starts) == 20
    assert min(starts) < 2000
    assert max(starts) > 6000
    [child] = made(AlterSound(length=(1.5, 1.5)), {"audio": before})
    assert (child["audio"].samples[:16000] == before.samples).all()
    assert not child["audio"].samples[16000:].any()
    assert (child["audio"].seconds, child["changes"]) == (1.5, ["followed by silence"])


def test_fade(tone: Tone):
    before = np.ones((1000, 1), np.float32) / 2
    after, _ = altered(before, 1000, {"fade": 0.1})
    assert after[0] == 0
    assert after[50] == pytest.approx(0.25)
    assert (after[100:900] == 0.5).all()
    assert (after == after[::-1]).all()
    after, _ = altered(before, 1000, {"fade": 60})
    assert after.max() <= 0.5
    assert after[499] == pytest.approx(0.5, abs=1e-4)


def test_equaliser(tone: Tone):
    low, middle, high = (tone(f).samples for f in (100, 1000, 6000))
    after, _ = altered(low + middle + high, 16000, {"eq": [6, 0, -6]})
    loud = np.abs(np.fft.rfft(after[:, 0]))[[100, 1000, 6000]]
    assert in_decibels(loud[0] / loud[1]) == pytest.approx(6, abs=0.2)
    assert in_decibels(loud[2] / loud[1]) == pytest.approx(-6, abs=0.2)


def test_reverb_dies_away_in_its_time():
    click = np.zeros((16000, 2), np.float32)
    click[100] = 0.5
    after, _ = altered(click, 16000, {"reverb": 0.5}, np.random.default_rng(0).standard_normal(8000))
    assert np.abs(after[:100]).max() < 1e-6
    assert np.abs(after).argmax() // 2 == 100
    early, late = (mean_square(after[100 + at : 900 + at]) for at in (800, 4800))
    assert 10 * np.log10(early / late) == pytest.approx(60 * 4000 / 8000, abs=2)
    assert np.abs(after[8200:]).max() < 1e-6
    assert (after[:, 0] == after[:, 1]).all()


# -- words -------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("drawn", "said"),
    [
        ({}, []),
        ({"volume": 0.99}, []),
        ({"volume": 1.0}, ["louder"]),
        ({"volume": -3.0}, ["quieter"]),
        ({"pitch": 1}, ["higher"]),
        ({"pitch": -0.4}, []),
        ({"speed": 1.04}, []),
        ({"speed": 0.9}, ["slower"]),
        ({"eq": [3.0, 0.0, -4.0]}, ["with stronger bass", "with weaker treble"]),
        ({"reverb": 0.3, "fade": 0.2}, ["echoing", "fading in and out"]),
        ({"shift": 0.1}, ["after a silence"]),
        ({"shift": -0.1}, ["without its beginning"]),
        ({"shift": 0.01}, []),
        ({"speed": 2.0, "length": 2.0}, ["faster"]),
    ],
)
def test_words(drawn: dict[str, Any], said: list[str]):
    assert words(drawn, 4.0) == said


# -- what is drawn -----------------------------------------------------------------------------------------------------


def recipe_step(recipe: str) -> tuple[AlterSound, Expression | None]:
    [step] = [step for step in read(recipe).steps() if isinstance(step.op, AlterSound)]
    return step.op, step.when


def test_gates_of_wu():
    """Half of the clips, and of these each change with a half: a quarter each, an eighth both."""
    op, gate = recipe_step("audio-mixup")
    rng = np.random.default_rng(0)
    assert gate is not None
    pitches: list[int] = []
    count = {"pitch": 0, "speed": 0, "both": 0}
    for _ in range(100_000):
        drawn = op.draw(10.0, rng) if gate({}, rng) else {}
        count["both"] += len(drawn) == 2
        for name in drawn:
            count[name] += 1
        if "pitch" in drawn:
            pitches.append(drawn["pitch"])
    assert count["pitch"] / 1e5 == pytest.approx(0.25, abs=0.005)
    assert count["speed"] / 1e5 == pytest.approx(0.25, abs=0.005)
    assert count["both"] / 1e5 == pytest.approx(0.125, abs=0.005)
    assert sorted(set(pitches)) == [-3, -2, -1, 0, 1, 2, 3]
    assert np.bincount(np.array(pitches) + 3) / len(pitches) == pytest.approx(np.full(7, 1 / 7), abs=0.01)
    assert sum(p != 0 for p in pitches) / 1e5 == pytest.approx(0.214, abs=0.005)


def test_thirty_seconds_are_not_made_longer():
    op, _ = recipe_step("audio-mixup")
    rng = np.random.default_rng(0)
    drawn = [op.draw(seconds, rng).get("speed") for seconds in (30.0, 25.001, 40.0) for _ in range(2000)]
    assert min(s for s in drawn[:2000] if s) >= 1.0
    least = min(s for s in drawn[2000:4000] if s)
    assert 25.001 / least <= 30
    assert least < 0.84
    assert {s for s in drawn[4000:] if s} == {1.2}  # as far as the range goes


def test_gates_of_audiosetmix():
    op, when = recipe_step("audiosetmix")
    rng = np.random.default_rng(0)
    drawn = [op.draw(5.0, rng) for _ in range(10_000)]
    assert when is None
    for name in ("volume", "pitch", "speed", "length"):
        assert sum(name in d for d in drawn) / 1e4 == pytest.approx(0.3, abs=0.015)
    assert min(d.get("pitch", 0) for d in drawn) < -5.9
    assert max(d.get("pitch", 0) for d in drawn) > 5.9
    assert sum(not d for d in drawn) / 1e4 == pytest.approx(0.7**4, abs=0.015)
    assert words({}, 5.0) == []


def test_four_mild_changes_where_none_is_named(made: Made, tone: Tone):
    for child in made(AlterSound(n=20), {"audio": tone(level=0.1)}):
        assert list(child.drawn) == ["pitch", "speed", "volume", "shift"]
        assert -2 <= child.drawn["pitch"] <= 2
        assert 0.9 <= child.drawn["speed"] <= 1.1
    [child] = made(AlterSound(volume=(1, 1)), {"audio": tone()})
    assert child.drawn == {"volume": 1.0}


def test_no_change_leaves_the_sound(made: Made, tone: Tone):
    row = {"audio": tone(), "segments": [{"start": 0.1, "end": 0.2, "label": "x"}]}
    [child] = made(AlterSound(p=0), row)
    assert (child["audio"].samples == row["audio"].samples).all()
    assert (child["segments"], child["changes"], child.drawn) == (row["segments"], [], {})


@pytest.mark.parametrize(
    ("wrong", "said"),
    [
        (
            {"speed": [1.2, 0.8]},
            r"speed is \[1.2, 0.8\]; it goes from 0.25 to 4, the lower first",
        ),
        ({"speed": [0, 1]}, r"speed is \[0, 1\]"),
        ({"pitch": [-30, 0]}, r"pitch is \[-30, 0\]"),
        ({"shift": [-2, 2]}, r"shift is \[-2, 2\]"),
        ({"volume": 3}, "volume"),
    ],
)
def test_wrong_ranges(wrong: dict[str, Any], said: str):
    with pytest.raises(RecipeError, match=said):
        AlterSound(**wrong)


# -- segments ----------------------------------------------------------------------------------------------------------


def test_segments_are_where_the_sound_is(made: Made):
    """A burst is found by its energy where its segment says."""
    wave = np.random.default_rng(0).standard_normal((48000, 1)).astype(np.float32) * 1e-4
    wave[16000:24000] += 0.3 * np.sin(np.arange(8000) / 5)[:, None].astype(np.float32)
    row = {"audio": Audio.of(wave, 16000), "segments": [{"start": 1.0, "end": 1.5, "label": "burst"}]}
    op = AlterSound(speed=(0.8, 1.25), shift=(-0.2, 0.2), length=(2.6, 3.5), n=20)
    checked = 0
    for child in made(op, row, seed=1):
        samples = child["audio"].samples[:, 0]
        loud = np.flatnonzero(np.abs(samples) > 0.1)
        if not child["segments"]:
            assert child.drawn["segments_dropped"] == 1
            continue
        [segment] = child["segments"]
        assert segment["start"] == pytest.approx(loud[0] / 16000, abs=0.03)
        assert segment["end"] == pytest.approx((loud[-1] + 1) / 16000, abs=0.03)
        assert segment["label"] == "burst"
        checked += 1
    assert checked > 10


def test_lost_segments_are_counted(made: Made, tone: Tone):
    row = {
        "audio": tone(),
        "segments": [{"start": 0.0, "end": 0.2, "label": "a"}, {"start": 0.5, "end": 0.9, "label": "b"}],
    }
    [child] = made(AlterSound(shift=(-0.5, -0.5)), row)
    assert child["segments"] == [{"start": 0.0, "end": 0.4, "label": "b"}]
    assert child.drawn == {"shift": -0.5, "segments_dropped": 1}
    [child] = made(AlterSound(), {**row, "segments": None})
    assert child["segments"] is None


# -- shapes ------------------------------------------------------------------------------------------------------------

EVERYTHING = AlterSound(
    speed=(0.8, 1.2), pitch=(-3, 3), volume=(-6, 6), shift=(-0.1, 0.1), reverb=(0.1, 0.3), fade=(0.01, 0.1), eq=(-6, 6)
)


@pytest.mark.parametrize("frames", [1, 2, 100, 1000])
@pytest.mark.parametrize("channels", [1, 2, 6])
def test_very_short_sounds(frames: int, channels: int, made: Made):
    sound = Audio.of(np.full((frames, channels), 0.25, np.float32), 16000)
    for seed in range(3):
        [child] = made(EVERYTHING, {"audio": sound}, seed=seed)
        assert child["audio"].samples.shape == (max(1, round(frames / child.drawn["speed"])), channels)
        assert np.isfinite(child["audio"].samples).all()


def test_silence_stays_silent(made: Made):
    [child] = made(EVERYTHING, {"audio": Audio.of(np.zeros((4000, 1), np.float32), 8000)})
    assert not child["audio"].samples.any()


def test_stereo_keeps_its_sides(made: Made, tone: Tone):
    [child] = made(EVERYTHING, {"audio": tone(channels=2)})
    left, right = child["audio"].samples.T
    assert level(right[:, None], left[:, None]) == pytest.approx(6.02, abs=0.1)


@pytest.mark.parametrize("rate", [8000, 44100, 48000])
def test_rates(rate: int, made: Made, tone: Tone):
    [child] = made(AlterSound(pitch=(3, 3)), {"audio": tone(440, rate=rate)})
    assert child["audio"].rate == rate
    assert hertz(child["audio"].samples, rate) == pytest.approx(440 * 2**0.25, rel=0.005)


@pytest.mark.parametrize("kind", ["PCM_16", "PCM_24", "FLOAT"])
def test_the_file_stays_of_its_kind(kind: str, made: Made, tone: Tone, written: Callable[..., Audio]):
    [child] = made(EVERYTHING, {"audio": written(tone().samples, 16000, kind)})
    assert Audio(child["audio"].encoded).kind == ("WAV", kind)


def test_the_same_bytes_twice(made: Made, tone: Tone):
    def once(n: int, seed: int = 0) -> list[bytes]:
        rows = made(EVERYTHING.model_copy(update={"n": n}), {"audio": tone(channels=2)}, seed=seed)
        return [row["audio"].encoded for row in rows]

    assert once(3) == once(3)
    assert once(4)[:3] == once(3)
    assert once(3) != once(3, seed=1)
    assert len(set(once(3))) == 3
