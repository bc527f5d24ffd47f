"""eSpeak NG: a formant synthesiser from the system's packages, offline, some milliseconds a sentence.

A real voice and a plain one, in many accents and timbres.  It is GPL, so it stays a program of its own: the text goes
to it on its standard input, and a wav comes back.  Equal texts, voices and rates give equal bytes.
"""

from __future__ import annotations

import asyncio
import io
import json
import os
import re
import subprocess
import wave
from shutil import which
from typing import TYPE_CHECKING

from leaven.errors import MissingExtra, ModelError
from leaven.media.audio import Audio
from leaven.models.calls import About, Answer, Ask, CallFailed

if TYPE_CHECKING:
    from leaven.models.limiter import Limiter
    from leaven.models.prices import Price

PROGRAM = "espeak-ng"
LANGUAGE = "en"
"""What `any` speaks; a voice of another language is named."""
ROUGH = ("en-gb-x-gbclan", "en-gb-x-gbcwmd")
"""Accents that `any` leaves out: of 40 commands in them a recogniser took a quarter of the words for what they were."""
TIMBRES = ("", "+m1", "+m2", "+m3", "+m4", "+m5", "+m6", "+m7", "+m8", "+f1", "+f2", "+f3", "+f4", "+f5", "+klatt")
"""Those that sound like a person; of the hundred others many are robots, whispers and jokes."""
WORDS_A_MINUTE = 175
SLOWEST, FASTEST = 80, 450
NONE = "variant"
"""The language of voices that are no language's: timbres."""
TIMEOUT = 60.0
MOST = 20_000
"""Characters of the longest text: twenty minutes of speech."""
UNSPOKEN = re.compile("[\x00-\x1f\x7f-\x9f\u2028\u2029\ud800-\udfff]+")
PHONEMES = re.compile(r"\[(?=\[)")
VOICE = re.compile(r"^\s*\d+\s+(\S+)\s+\S+\s+\S+\s+(\S.*?)\s*((?:\(\S+ \d+\))*)$")
"""A line of ``--voices``: priority, language, age and sex, name, file, and other languages that it speaks."""


class Espeak:
    """Plays ``espeak`` for the role ``speak``.  Raises MissingExtra where the program is absent."""

    limiter: Limiter | None = None
    price: Price | None = None
    free = True
    left_out = ()

    def __init__(self, uri: str) -> None:
        self.uri = uri
        self.program = which(PROGRAM) or ""
        if not self.program:
            raise MissingExtra(
                f"the program `{PROGRAM}` is not on this machine.",
                f"apt install {PROGRAM}",
                where="speak = espeak",
            )
        said = self._asked("--version")
        version = re.search(r"\d+\.\d+[\w.-]*", said)
        self.model = f"{PROGRAM} {version[0] if version else 'of no version'}"
        self._languages: list[str] = []
        self._timbres: list[str] = []
        self._room = asyncio.Semaphore(os.cpu_count() or 1)

    async def close(self) -> None: ...

    async def play(self, ask: Ask, about: About) -> Answer:
        if "voices" in ask.content:
            return Answer(json.dumps(await asyncio.to_thread(self.voices)))
        text, voice, rate = (ask.content[name] for name in ("text", "voice", "rate"))
        return Answer("", media=await self.speak(text, voice=voice, rate=rate))

    def voices(self) -> list[str]:
        """The voices of which one is drawn: each accent of English in each timbre, ``en-us+f3``."""
        accents = [known for known in self.languages() if known.split("-")[0] == LANGUAGE and known not in ROUGH]
        return [accent + timbre for accent in accents for timbre in TIMBRES]

    def languages(self) -> list[str]:
        """The languages that are installed, by their codes; not those that need MBROLA, another program."""
        if not self._languages:
            lines = filter(None, map(VOICE.match, self._asked("--voices").splitlines()))
            self._languages = sorted({line[1] for line in lines if not line[2].startswith("mb/") and line[1] != NONE})
        return self._languages

    def timbres(self) -> list[str]:
        """What may follow the `+` of a voice."""
        if not self._timbres:
            lines = filter(None, map(VOICE.match, self._asked("--voices=variant").splitlines()))
            self._timbres = sorted(line[2].removeprefix("!v/") for line in lines)
        return self._timbres

    async def speak(self, text: str, *, voice: str, rate: float) -> Audio:
        """A wav of the text, 16 bits, mono; ``rate`` is 1 at 175 words a minute.

        Raises ModelError for a voice that is not there, CallFailed where nothing is said.
        """
        self._check(voice)
        if len(text) > MOST:
            raise CallFailed("too_long", f"a text of {len(text):,} characters; {PROGRAM} is given {MOST:,} at most")
        speed = min(FASTEST, max(SLOWEST, round(WORDS_A_MINUTE * rate)))
        async with self._room:
            data = await self._wav(spoken(text), voice, speed)
        samples = data.partition(b"data")[2][4:]  # its header claims two gigabytes, since it goes to a pipe
        samples = samples[: len(samples) // 2 * 2]
        if not any(samples):
            raise CallFailed("no_answer", f"{PROGRAM} said nothing for a text of {len(text):,} characters")
        out = io.BytesIO()
        with wave.open(out, "wb") as file:
            file.setnchannels(1)
            file.setsampwidth(2)
            file.setframerate(int.from_bytes(data[24:28], "little"))
            file.writeframes(samples)
        return Audio(out.getvalue())

    async def _wav(self, text: str, voice: str, speed: int) -> bytes:
        command = (self.program, "--stdout", "-v", voice, "-s", f"{speed}", "-b", "1", "--stdin")
        process = await asyncio.create_subprocess_exec(
            *command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.PIPE
        )
        try:
            found, errors = await asyncio.wait_for(process.communicate(text.encode()), TIMEOUT)
        except TimeoutError:
            raise CallFailed("timed_out", f"{PROGRAM} took more than {TIMEOUT:g} s") from None
        finally:
            if process.returncode is None:
                process.kill()
                await process.wait()
        if process.returncode or len(found) < 44:
            said = " ".join(errors.decode("utf-8", "replace").split())[:200] or "it said nothing"
            raise CallFailed("no_answer", f"{PROGRAM} ended with code {process.returncode}: {said}")
        return found

    def _check(self, voice: str) -> None:
        """Refuse a voice that is not there: the program speaks on in another one, and does not say so."""
        language, plus, timbre = voice.partition("+")
        if language != LANGUAGE and language not in self.languages():
            raise ModelError(
                f"{PROGRAM} has no voice `{voice}`.", f"name a language of {PROGRAM} --voices, such as en-us or de+f2."
            )
        if plus and timbre not in self.timbres():
            raise ModelError(
                f"{PROGRAM} has no timbre `{timbre}`.", f"{PROGRAM} --voices=variant lists them: {language}+f3"
            )

    def _asked(self, what: str) -> str:
        done = subprocess.run([self.program, what], capture_output=True, timeout=30, check=False)
        return done.stdout.decode("utf-8", "replace")


def spoken(text: str) -> str:
    """A text in one line, without what the program takes for commands: ``[[`` begins a word in phonemes."""
    return PHONEMES.sub("[ ", UNSPOKEN.sub(" ", text))
