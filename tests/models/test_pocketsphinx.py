"""The recogniser, where it is installed: what it hears of a voice, the same whatever it heard before."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from importlib.util import find_spec
from pathlib import Path
from shutil import which
from typing import Any

import numpy as np
import pytest

from leaven.errors import MissingExtra
from leaven.media.audio import Audio
from leaven.media.broken import Broken
from leaven.models.backends import pocketsphinx
from leaven.models.backends.espeak import Espeak
from leaven.models.backends.pocketsphinx import PocketSphinx, prepared
from leaven.models.calls import About, Ask, CallFailed

pytestmark = pytest.mark.skipif(find_spec("pocketsphinx") is None, reason="pip install pocketsphinx")
voiced = pytest.mark.skipif(not which("espeak-ng"), reason="apt install espeak-ng")


def heard(*sounds: Audio, at_once: bool = False) -> list[Any]:
    async def work() -> list[Any]:
        own = PocketSphinx("pocketsphinx")
        try:
            if at_once:
                return await asyncio.gather(*map(own.transcribe, sounds), return_exceptions=True)
            return [await own.transcribe(sound) for sound in sounds]
        finally:
            await own.close()

    return asyncio.run(work())


def voices(*texts: str) -> Sequence[Audio]:
    async def work() -> list[Audio]:
        own = Espeak("espeak")
        return [await own.speak(text, voice="en-us+f2", rate=1.0) for text in texts]

    return asyncio.run(work())


@voiced
def test_it_understands_and_forgets_what_it_heard():
    light, clock = voices("Turn on the kitchen light.", "What time is it?")
    first = heard(light, clock)
    assert "kitchen light" in first[0]
    assert "time is it" in first[1]
    assert heard(clock, clock, light, at_once=True) == [first[1], *first[::-1]]


def test_silence_and_a_moment_are_heard_as_some_text():
    silence, moment = Audio.of(np.zeros(16000, np.float32), 16000), Audio.of(np.ones(1, np.float32), 8000)
    assert all(isinstance(text, str) for text in heard(silence, moment))


def test_what_it_is_given():
    tone = np.sin(np.arange(44100) / 20).astype(np.float32)
    stereo = Audio.of(np.stack([tone, tone], 1), 44100)
    samples = prepared(stereo)
    assert samples.dtype == np.int16
    assert len(samples) == 16000 + 2 * 3200
    inside, margin = samples[3200:-3200].astype(float), samples[:3200].astype(float)
    assert np.sqrt(np.square(inside).mean()) == pytest.approx(1000, rel=0.01)
    assert np.sqrt(np.square(margin).mean()) == pytest.approx(1000 / 10**1.5, rel=0.05)
    quiet = Audio.of(np.stack([tone, tone], 1) * 0.1, 44100)
    assert np.abs(prepared(quiet).astype(int) - samples).max() <= 2
    assert prepared(stereo).tobytes() == samples.tobytes()


def test_as_a_player():
    own = PocketSphinx("pocketsphinx")
    assert own.model.startswith("pocketsphinx 5.")
    assert own.free
    sound = Audio.of(np.zeros(800, np.float32), 16000)

    async def work() -> str:
        try:
            return (await own.play(Ask("transcribe", {"audio": "x"}, media={"x": sound}), About("t", 0, "r"))).text
        finally:
            await own.close()

    assert asyncio.run(work()) == heard(sound)[0]


def test_no_sound_and_too_long_a_one(monkeypatch: pytest.MonkeyPatch):
    with pytest.raises(Broken):
        heard(Audio(b"nothing", "x.wav"))
    monkeypatch.setattr(pocketsphinx, "MOST", 1)
    with pytest.raises(CallFailed, match="2 s; pocketsphinx is given 1 at most"):
        heard(Audio.of(np.zeros(32000, np.float32), 16000))


def test_a_process_that_takes_too_long_is_ended_and_another_answers(monkeypatch: pytest.MonkeyPatch):
    sound = Audio.of(np.zeros(8000, np.float32), 16000)

    async def work() -> tuple[str, str]:
        own = PocketSphinx("pocketsphinx")
        with monkeypatch.context() as now:
            now.setattr(pocketsphinx, "PATIENCE", 0.0)
            now.setattr(pocketsphinx, "SLOWEST", 0.0)
            with pytest.raises(CallFailed) as raised:
                await own.transcribe(sound)
        assert not own._idle
        text = await own.transcribe(sound)
        await own.close()
        return raised.value.reason, text

    assert asyncio.run(work()) == ("timed_out", heard(sound)[0])


def test_a_module_in_the_folder_is_not_run(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    (tmp_path / "pocketsphinx.py").write_text("raise SystemExit(7)")
    monkeypatch.chdir(tmp_path)
    assert isinstance(heard(Audio.of(np.zeros(800, np.float32), 16000))[0], str)


def test_not_installed(monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(pocketsphinx, "find_spec", lambda name: None)
    with pytest.raises(MissingExtra, match="pocketsphinx, which understands English speech, is not installed"):
        PocketSphinx("pocketsphinx")
