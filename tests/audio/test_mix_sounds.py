"""Wu's mix in both orders of length, joining, and what becomes of captions, labels and segments."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from leaven.audio.levels import frame_energy
from leaven.audio.mix_sounds import MixSounds, overlaid
from leaven.draws import Draw
from leaven.errors import RecipeError
from leaven.media.audio import Audio
from leaven.records import Record

Tone = Callable[..., Audio]
Made = Callable[..., list[Record]]


def steady(power: float, frames: int, *, channels: int = 1) -> Audio:
    """A square wave of this mean square, as a file of 32-bit floats."""
    wave = np.where(np.arange(frames) % 40 < 20, 1.0, -1.0) * np.sqrt(power)
    sound = Audio.of(np.repeat(wave[:, None], channels, 1).astype(np.float32), 16000)
    sound._kind = ("WAV", "FLOAT")
    return sound


# -- Wu's law ----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(("frames_a", "frames_b"), [(32000, 16000), (16000, 32000), (16000, 16000)])
@pytest.mark.parametrize("snr", [-5.0, 0.0, 5.0])
def test_level_difference_in_both_orders(snr: float, frames_a: int, frames_b: int, made: Made):
    """The released code gives b's gain to a where b is the longer: 0 dB becomes 12.04 dB there."""
    a, b = steady(0.04, frames_a), steady(0.01, frames_b)
    [child] = made(MixSounds(snr=snr, offset="start"), {"audio": a}, [{"audio": b}])
    assert child.reason == ""
    mixed = child["audio"].samples / np.float32(child.drawn.get("scaled", 1.0))
    heard = mixed[: len(b.samples)] - np.pad(a.samples, ((0, max(0, frames_b - frames_a)), (0, 0)))[:frames_b]
    measured = 10 * np.log10(frame_energy(a.samples) / frame_energy(heard))
    assert measured == pytest.approx(snr, abs=0.01)
    assert len(mixed) == max(frames_a, frames_b)


def test_outside_the_overlap_the_long_sound_is_untouched(made: Made):
    long, short = steady(0.01, 30000), steady(0.01, 10000)
    for ordinal, child in enumerate(made(MixSounds(n=20), {"audio": long}, [{"audio": short}])):
        own, at = child.drawn["offset"]
        assert own == 0, ordinal
        mixed = child["audio"].samples
        assert (mixed[:at] == long.samples[:at]).all()
        assert (mixed[at + 10000 :] == long.samples[at + 10000 :]).all()
        assert (mixed[at : at + 10000] != long.samples[at : at + 10000]).any()


def test_offsets_reach_both_ends(made: Made):
    row = {"audio": steady(0.01, 5000)}
    found = Counter(
        child.drawn["offset"][1]
        for seed in range(8)
        for child in made(MixSounds(n=50), row, [{"audio": steady(0.01, 4997)}], seed)
    )
    assert set(found) == {0, 1, 2, 3}
    assert min(found.values()) > 60
    short = [c.drawn["offset"] for c in made(MixSounds(n=50), {"audio": steady(0.01, 4999)}, [row])]
    assert {tuple(at) for at in short} == {(0, 0), (1, 0)}


def test_levels_are_drawn_anew_for_each_child(made: Made):
    children = made(MixSounds(n=50), {"audio": steady(0.01, 400)}, [{"audio": steady(0.01, 300)}])
    drawn = [child.drawn["snr"][0] for child in children]
    assert len(set(drawn)) == 50
    assert -5 <= min(drawn) < -3.5
    assert 3.5 < max(drawn) <= 5


def test_too_loud_a_sum_is_made_quieter_and_says_so(made: Made):
    loud = steady(0.81, 8000)
    [child] = made(MixSounds(snr=0), {"audio": loud}, [{"audio": loud}])
    assert child.drawn["scaled"] == round(1 / 1.8, 4)
    assert np.abs(child["audio"].samples).max() == pytest.approx(1.0)


def test_silence_has_no_level(made: Made):
    silence, sound = Audio.of(np.zeros(800, np.float32), 16000), steady(0.01, 800)
    for row, other in ((silence, sound), (sound, silence)):
        [child] = made(MixSounds(), {"audio": row}, [{"audio": other}])
        assert child.reason == "silent"
    [child] = made(MixSounds(), {"audio": sound}, [{"audio": Audio(silence.encoded, "hush.wav")}])
    assert (child.reason, child.detail) == ("silent", "hush.wav")
    [child] = made(MixSounds(how="join"), {"audio": silence}, [{"audio": sound}])
    assert child.reason == ""


@given(
    st.lists(st.tuples(st.integers(1, 30), st.integers(0, 30), st.floats(0.1, 4)), min_size=1, max_size=4),
    st.integers(1, 2),
)
def test_overlaid_is_the_sum(parts: list[tuple[int, int, float]], channels: int):
    rng = np.random.default_rng(0)
    sounds = [rng.standard_normal((length, channels)).astype(np.float32) for length, _, _ in parts]
    found = overlaid(sounds, [gain for *_, gain in parts], [at for _, at, _ in parts])
    assert len(found) == max(length + at for length, at, _ in parts)
    wanted = np.zeros(found.shape)
    for sound, (length, at, gain) in zip(sounds, parts, strict=True):
        wanted[at : at + length] += sound * gain
    assert found == pytest.approx(wanted, abs=1e-4)


# -- several, in turn, alone -------------------------------------------------------------------------------------------


def test_three_over_each_other(made: Made):
    lengths = {"own": 4000, "long": 9000, "short": 2000}
    own, *source = [{"audio": steady(0.01, n), "caption": name} for name, n in lengths.items()]
    [child] = made(MixSounds(snr=3, draw=Draw(k=2)), own, source)
    assert len(child.parents) == 3
    assert len(child["audio"].samples) == 9000
    assert child.drawn["snr"] == [3, 3]
    names = [sound["caption"] for sound in child["sounds"]]
    assert names[0] == "own"
    for name, at in zip(names, child.drawn["offset"], strict=True):
        assert at == 0 if name == "long" else 0 < at <= 9000 - lengths[name]
    assert child["order"] == "together"


def test_in_turn(made: Made, tone: Tone):
    own = {"audio": tone(300, seconds=0.5), "segments": [{"start": 0.1, "end": 0.2, "label": "a"}]}
    other = {"audio": tone(900, seconds=0.25), "segments": [{"start": 0.0, "end": 0.25, "label": "b"}]}
    [child] = made(MixSounds(how="join"), own, [other])
    wanted = np.concatenate([own["audio"].samples, other["audio"].samples])
    assert child["audio"].samples == pytest.approx(wanted, abs=1e-4)
    assert child["order"] == "in turn"
    assert child["segments"] == [
        {"start": 0.1, "end": 0.2, "label": "a"},
        {"start": 0.5, "end": 0.75, "label": "b"},
    ]


def test_segments_of_a_mix_stand_where_the_sounds_do(made: Made):
    own = {"audio": steady(0.01, 16000), "segments": [{"start": 0.0, "end": 1.0, "label": "long"}]}
    other = {"audio": steady(0.01, 8000), "segments": [{"start": 0.0, "end": 0.5, "label": "short"}]}
    for child in made(MixSounds(n=10), own, [other]):
        at = round(child.drawn["offset"][1] / 16000, 6)
        assert child["segments"] == [own["segments"][0], {"start": at, "end": round(at + 0.5, 6), "label": "short"}]
    [child] = made(MixSounds(), own, [{**other, "segments": None}])
    assert child["segments"] is None


def test_either_is_one_of_the_two(made: Made, tone: Tone):
    children = made(MixSounds(how="either", n=50), {"audio": tone()}, [{"audio": tone(600)}])
    assert 15 < Counter(child["order"] for child in children)["in turn"] < 35


def test_alone(made: Made, tone: Tone):
    row = {"audio": tone(), "label": "tone", "changes": ["louder"]}
    [child] = made(MixSounds(), row)
    assert child.reason == "no_partner"
    [child] = made(MixSounds(alone=True), row)
    assert (child.reason, child["order"], child["audio"]) == ("", "alone", row["audio"])
    assert child["sounds"] == [{"label": "tone", "changes": ["louder"]}]
    [child] = made(MixSounds(alone=True), {"audio": tone()})
    assert child["sounds"] == [{"changes": []}]


# -- captions and labels -----------------------------------------------------------------------------------------------


def test_captions(made: Made, tone: Tone):
    own = {"audio": tone(), "caption": "A tone.", "changes": ["higher"]}
    other = {"audio": tone(500), "caption": "Another."}
    [mixed] = made(MixSounds(), own, [other])
    assert mixed["caption"] == "A tone and another."
    assert mixed["sounds"] == [{"caption": "A tone.", "changes": ["higher"]}, {"caption": "Another.", "changes": []}]
    [joined] = made(MixSounds(how="join"), own, [other])
    assert joined["caption"] == "A tone followed by another."
    [held] = made(MixSounds(holds=["caption"]), own, [other])
    assert held["caption"] == "A tone."


def test_labels(made: Made, tone: Tone):
    dog, cat = {"audio": tone(), "label": "dog"}, {"audio": tone(500), "label": "cat"}
    [child] = made(MixSounds(), dog, [cat])
    assert (child.reason, child.detail) == ("labels_differ", "cat, dog")
    [child] = made(MixSounds(holds=["label"]), dog, [cat])
    assert (child.reason, child["label"]) == ("", "dog")
    [child] = made(MixSounds(), dog, [{**cat, "label": "dog"}])
    assert (child.reason, child["label"]) == ("", "dog")
    [child] = made(MixSounds(), {**dog, "caption": "A dog."}, [{**cat, "caption": "A cat."}])
    assert (child.reason, child["label"], child["caption"]) == ("", None, "A dog and a cat.")
    [child] = made(MixSounds(), {**dog, "caption": "A dog."}, [{**cat, "caption": ""}])
    assert child.reason == "labels_differ", "nothing would say what is heard"
    [child] = made(MixSounds(soft=True), dog, [cat])
    assert (child["label_probs"], child["label"]) == ({"dog": 0.5, "cat": 0.5}, "dog")
    [child] = made(MixSounds(soft=True), dog, [{**cat, "label": None}])
    assert child.reason == "no_label"


def test_soft_labels_by_energy(made: Made):
    dog, cat = {"audio": steady(0.01, 16000), "label": "dog"}, {"audio": steady(0.04, 16000), "label": "cat"}
    op = MixSounds(soft=True, shares="energy", snr=-6.0206)
    [child] = made(op, dog, [cat])
    assert child["label_probs"] == pytest.approx({"dog": 0.2, "cat": 0.8}, abs=1e-4)
    assert child["label"] == "cat"
    [child] = made(MixSounds(soft=True, shares="energy", how="join"), dog, [{**cat, "audio": steady(0.04, 48000)}])
    assert child["label_probs"] == {"dog": 0.25, "cat": 0.75}
    before = {**cat, "label_probs": {"cat": 0.5, "fox": 0.5}}
    [child] = made(MixSounds(soft=True), dog, [before])
    assert child["label_probs"] == {"dog": 0.5, "cat": 0.25, "fox": 0.25}


def test_soft_labels_that_came_along_are_mixed_too(made: Made):
    dog = {"audio": steady(0.01, 800), "label": "dog", "label_probs": {"dog": 0.75, "cat": 0.25}}
    [child] = made(MixSounds(), dog, [{"audio": steady(0.02, 800), "label": "dog", "label_probs": None}])
    assert (child["label"], child["label_probs"]) == ("dog", {"dog": 0.875, "cat": 0.125})
    [child] = made(
        MixSounds(), {**dog, "caption": "A."}, [{"audio": steady(0.02, 800), "label": None, "caption": "B."}]
    )
    assert (child["label"], child["label_probs"]) == (None, None)


def test_a_row_without_a_sound_is_no_partner(made: Made):
    [child] = made(MixSounds(), {"audio": steady(0.01, 80)}, [{"audio": None}])
    assert child.reason == "no_partner"


def test_soft_labels_need_a_label():
    assert MixSounds(soft=True).needs == {"label"}
    assert MixSounds(draw=Draw(k=1, same="label")).needs == {"label"}
    assert MixSounds().needs == frozenset()


# -- shapes ------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(("own", "other"), [(1, 2), (2, 1), (2, 2), (3, 1)])
def test_channels_are_those_of_the_record(own: int, other: int, made: Made, tone: Tone):
    source = [{"audio": tone(700, channels=other)}]
    [child] = made(MixSounds(), {"audio": tone(channels=own)}, source)
    assert child["audio"].samples.shape == (16000, own)


@pytest.mark.parametrize("rate", [8000, 22050, 44100, 48000])
def test_a_partner_of_another_rate_keeps_its_pitch(rate: int, made: Made, tone: Tone):
    quiet = Audio.of(np.full((16000, 1), 1e-4, np.float32), 16000)
    [child] = made(MixSounds(snr=-60, offset="start"), {"audio": quiet}, [{"audio": tone(1000, rate=rate)}])
    samples = child["audio"].samples[:, 0]
    assert (child["audio"].rate, len(samples)) == (16000, 16000)
    assert np.abs(np.fft.rfft(samples * np.hanning(16000))).argmax() == 1000


@pytest.mark.parametrize(("own", "other"), [(1, 1), (1, 100), (100, 1), (1, 16000)])
def test_very_short_sounds(own: int, other: int, made: Made):
    [child] = made(MixSounds(snr=0), {"audio": steady(0.01, own)}, [{"audio": steady(0.01, other)}])
    assert child.reason == ""
    assert len(child["audio"].samples) == max(own, other)


@pytest.mark.parametrize("kind", ["PCM_16", "PCM_24", "FLOAT"])
def test_the_file_stays_of_its_kind(kind: str, made: Made, tone: Tone, written: Callable[..., Audio]):
    sound = written(tone().samples, 16000, kind)
    [child] = made(MixSounds(), {"audio": sound}, [{"audio": tone(700)}])
    assert Audio(child["audio"].encoded).kind == ("WAV", kind)


def test_the_same_bytes_twice(made: Made, tone: Tone):
    def once(seed: int) -> list[Any]:
        rows = made(MixSounds(n=3), {"audio": tone()}, [{"audio": tone(h, seconds=0.7)} for h in (500, 600)], seed)
        return [(row["audio"].encoded, dict(row.drawn)) for row in rows]

    assert once(1) == once(1)
    assert once(1) != once(2)


@pytest.mark.parametrize("wrong", [{"snr": [5, -5]}, {"snr": 100}, {"snr": [-70, 0]}])
def test_wrong_levels(wrong: dict[str, Any]):
    with pytest.raises(RecipeError, match=r"snr is .*; it goes from -60 to 60"):
        MixSounds(**wrong)
