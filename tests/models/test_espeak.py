"""The program that speaks, where it is installed; else only what is said without it."""

from __future__ import annotations

import asyncio
import json
import os
import stat
from pathlib import Path
from shutil import which
from typing import Any

import numpy as np
import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from leaven.errors import MissingExtra, ModelError
from leaven.media.audio import Audio
from leaven.models.backends import espeak
from leaven.models.backends.espeak import Espeak, spoken
from leaven.models.calls import About, Ask, CallFailed

installed = pytest.mark.skipif(not which("espeak-ng"), reason="apt install espeak-ng")
SIGNS = "[]{}<>\\/|&;$`\"'-~ \n\t\r\x00\x1b\x85\u2028\ud800漢é1a"


def say(*texts: str, voice: str = "en-us", rate: float = 1.0) -> list[Audio]:
    async def work() -> list[Audio]:
        program = Espeak("espeak")
        return await asyncio.gather(*(program.speak(text, voice=voice, rate=rate) for text in texts))

    return asyncio.run(work())


@installed
def test_it_speaks():
    [sound] = say("My card is lost.")
    assert sound.encoded[:4] == b"RIFF"
    assert int.from_bytes(sound.encoded[4:8], "little") == len(sound.encoded) - 8
    assert (sound.rate, sound.channels) == (22050, 1)
    assert 0.5 < sound.seconds < 3
    assert np.abs(sound.samples).max() > 0.1


@installed
def test_equal_calls_give_equal_bytes_and_others_do_not():
    text = "Where is my package?"
    first, again = say(text, text)
    assert first == again
    assert first not in (*say(text, voice="en-us+f3"), *say(text, voice="en-gb"), *say(f"{text} now"))


@installed
def test_the_rate_is_that_of_the_words():
    text = "one two three four five six seven eight"
    seconds = {rate: say(text, rate=rate)[0].seconds for rate in (0.5, 1.0, 2.0)}
    assert 1.6 < seconds[0.5] / seconds[1.0] < 2.4
    assert 1.6 < seconds[1.0] / seconds[2.0] < 2.4


@installed
def test_the_voices_of_which_one_is_drawn_all_speak():
    program = Espeak("espeak")
    voices = program.voices()
    assert len(voices) == len(set(voices)) >= 30
    assert {"en-us", "en-us+f3", "en-gb+m2"} <= set(voices)
    assert all(voice.startswith("en-") for voice in voices)
    sounds = [say("hello", voice=voice)[0].encoded for voice in voices[:: len(voices) // 8]]
    assert len(set(sounds)) == len(sounds)


@installed
def test_a_voice_of_another_language_and_none():
    assert say("hola", voice="es+f2") != say("hola", voice="en-us+f2")
    with pytest.raises(ModelError, match="no voice `xx`"):
        say("hello", voice="xx")
    with pytest.raises(ModelError, match="no timbre `nobody`"):
        say("hello", voice="en-us+nobody")
    with pytest.raises(ModelError, match="no voice `--version`"):
        say("hello", voice="--version")


@installed
def test_no_text_is_a_command():
    assert say("[[h@l'oU]]") != say("hello")
    assert say("a\x00b\x1b c\ud800") == say("a b c")
    with pytest.raises(CallFailed, match="said nothing"):
        say("...")


@installed
def test_a_text_of_any_length_but_the_longest():
    with pytest.raises(CallFailed, match="20,001 characters; espeak-ng is given 20,000 at most"):
        say("a" * 20_001)


@given(st.text(SIGNS, max_size=30))
@example("[[[a]]]")
def test_what_goes_to_the_program_is_one_line_without_marks(text: str):
    line = spoken(text)
    assert "[[" not in line
    assert line.isprintable()
    assert len(line.splitlines()) <= 1
    line.encode()


@installed
@settings(max_examples=5)
@given(st.text(st.characters(codec=None), max_size=40))
def test_any_text_is_spoken_or_fails_alone(text: str):
    try:
        [sound] = say(text)
    except CallFailed:
        return
    assert sound.seconds > 0


# -- as a player ------------------------------------------------------------------------------------------------------


@installed
def test_what_it_plays():
    program = Espeak("espeak")
    assert program.model.startswith("espeak-ng 1.")
    assert program.free
    ask = Ask("speak", {"text": "hello", "voice": "en-us", "rate": 1.0})
    answer = asyncio.run(program.play(ask, About("speak", 0, "r")))
    assert (answer.text, [answer.media]) == ("", say("hello"))
    voices = asyncio.run(program.play(Ask("speak", {"voices": "all"}), About("speak", 0, "voices")))
    assert json.loads(voices.text) == program.voices()


def program(folder: Path, body: str) -> None:
    """A stand-in for the program."""
    path = folder / "espeak-ng"
    says = 'case "$1" in --version) echo "eSpeak NG text-to-speech: 9.9"; exit;; --voices) echo; echo '
    path.write_text(f'#!/bin/sh\n{says}" 5  en-us  --/M  American  gmw/en-US"; exit;; esac\n{body}\n')
    path.chmod(path.stat().st_mode | stat.S_IXUSR)


@pytest.fixture
def fake(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("PATH", f"{tmp_path}{os.pathsep}{os.environ['PATH']}")
    return tmp_path


def test_not_installed(monkeypatch: pytest.MonkeyPatch, tmp_path: Path):
    monkeypatch.setenv("PATH", str(tmp_path))
    with pytest.raises(MissingExtra, match="`espeak-ng` is not on this machine") as raised:
        Espeak("espeak")
    assert "apt install espeak-ng" in raised.value.fix


@pytest.mark.parametrize(
    ("body", "reason"),
    [
        ("cat >/dev/null; exit 3", "no_answer"),
        ("cat >/dev/null; echo short", "no_answer"),
        ("exec sleep 9", "timed_out"),
    ],
)
def test_a_program_that_breaks(fake: Path, monkeypatch: pytest.MonkeyPatch, body: str, reason: str):
    monkeypatch.setattr(espeak, "TIMEOUT", 0.3)
    program(fake, body)
    with pytest.raises(CallFailed) as raised:
        say("hello")
    assert raised.value.reason == reason


def test_not_more_at_a_time_than_there_are_cores(fake: Path, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(os, "cpu_count", lambda: 2)
    program(fake, f"echo in >> {fake}/log; cat >/dev/null; sleep 0.05; echo out >> {fake}/log; exit 1")

    async def work() -> list[Any]:
        own = Espeak("espeak")
        calls = (own.speak(f"{i}", voice="en-us", rate=1.0) for i in range(6))
        return await asyncio.gather(*calls, return_exceptions=True)

    assert len(asyncio.run(work())) == 6
    running = most = 0
    for line in (fake / "log").read_text().split():
        running += 1 if line == "in" else -1
        most = max(most, running)
    assert most <= 2
