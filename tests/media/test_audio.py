"""A sound whatever its file holds: finite samples, or one clear reason why not."""

from __future__ import annotations

import pickle
import tracemalloc
from contextlib import suppress

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from leaven.media.audio import Audio
from leaven.media.broken import Broken
from media.files import lying, not_numbers, sound, tone


@pytest.mark.parametrize(
    ("kind", "subtype", "rate", "channels", "off"),
    [
        ("WAV", "PCM_16", 8000, 1, 1e-4),
        ("WAV", "PCM_24", 8000, 2, 1e-6),
        ("WAV", "FLOAT", 16000, 1, 0),
        ("FLAC", "PCM_16", 8000, 2, 1e-4),
        ("OGG", "VORBIS", 16000, 1, 0.05),
        ("MP3", None, 16000, 1, 0.2),
    ],
)
def test_formats(kind: str, subtype: str | None, rate: int, channels: int, off: float):
    audio = Audio(sound(kind, subtype, rate, channels))
    audio.check()
    assert (audio.rate, audio.channels) == (rate, channels)
    assert audio.samples.dtype == np.float32
    n = len(tone(0.25, rate))
    assert abs(len(audio.samples) - n) <= (0 if kind != "MP3" else 2500)
    if kind != "MP3":
        assert np.abs(audio.samples - tone(0.25, rate, channels)).max() <= off
        assert audio.seconds == 0.25


@pytest.mark.parametrize(
    ("data", "reason", "said"),
    [
        (b"", "broken_audio", "x.wav is empty (0 bytes)"),
        (b"RIFF nonsense", "broken_audio", "x.wav: Format not recognised"),
        (sound()[:30], "broken_audio", "x.wav: "),
        (sound()[:44], "broken_audio", "x.wav holds no samples"),
        (not_numbers(), "not_a_number", "x.wav holds samples that are no numbers"),
    ],
    ids=["empty", "text", "head cut", "no samples", "nan"],
)
def test_what_cannot_be_used_says_so(data: bytes, reason: str, said: str):
    for use in (Audio.check, lambda audio: audio.samples):
        with pytest.raises(Broken) as broken:
            use(Audio(data, "x.wav"))
        assert (broken.value.reason, broken.value.detail[: len(said)]) == (reason, said)


def test_a_header_that_lies_is_read_as_far_as_there_are_samples():
    tracemalloc.start()
    audio = Audio(lying())
    assert np.abs(audio.samples - tone()).max() < 1e-4
    assert tracemalloc.get_traced_memory()[1] < 20_000_000
    tracemalloc.stop()


@given(st.binary(max_size=120), st.integers(0, 400))
def test_any_bytes_are_a_sound_or_broken(junk: bytes, cut: int):
    for data in (junk, sound()[:cut] + junk, sound("FLAC")[:cut] + junk):
        with suppress(Broken):
            assert np.isfinite(Audio(data).samples).all()


@pytest.mark.parametrize(
    ("kind", "subtype", "child"),
    [
        ("WAV", "PCM_16", ("WAV", "PCM_16")),
        ("WAV", "PCM_24", ("WAV", "PCM_24")),
        ("WAV", "FLOAT", ("WAV", "FLOAT")),
        ("WAV", "ULAW", ("FLAC", "PCM_16")),
        ("MP3", None, ("FLAC", "PCM_16")),
        ("OGG", "VORBIS", ("FLAC", "PCM_16")),
    ],
)
def test_a_child_is_written_without_loss_and_always_the_same(kind: str, subtype: str | None, child: tuple[str, str]):
    parent = Audio(sound(kind, subtype))
    one, two = (Audio.of(parent.samples * 0.5, parent.rate, parent) for _ in range(2))
    assert one.kind == child
    assert one.encoded == two.encoded
    again = Audio(one.encoded)
    assert (again.rate, again.kind) == (parent.rate, child)
    step = {"PCM_16": 2**-15, "PCM_24": 2**-23}.get(child[1], 0)
    assert np.abs(again.samples - parent.samples * 0.5).max() <= step


def test_too_loud_is_cut_at_full_scale_where_the_format_ends_there():
    loud = np.array([0.5, 1.5, -3.0], np.float32)
    assert Audio(Audio.of(loud, 8000).encoded).samples[:, 0] == pytest.approx([0.5, 1.0, -1.0], abs=1e-4)
    floating = Audio.of(loud, 8000, Audio(sound("WAV", "FLOAT")))
    assert Audio(floating.encoded).samples[:, 0].tolist() == [0.5, 1.5, -3.0]


def test_mono_settled_carried():
    audio = Audio.of(np.array([[0.2, 0.4], [0.0, 0.5]], np.float32), 8000)
    assert audio.mono == pytest.approx([0.3, 0.25])
    audio.settle()
    assert audio._samples is None
    carried = pickle.loads(pickle.dumps(audio))  # noqa: S301
    assert carried == audio
    assert carried.channels == 2


@pytest.mark.parametrize("samples", [np.array([np.nan]), np.zeros((0, 1)), np.zeros((2, 2, 2))])
def test_samples_of_another_kind_are_refused(samples: np.ndarray):
    with pytest.raises(ValueError, match="samples are finite"):
        Audio.of(samples, 8000)
