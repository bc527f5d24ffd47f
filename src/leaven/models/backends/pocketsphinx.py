"""PocketSphinx: a small recogniser of English speech whose model lies inside its wheel, offline.

A real recogniser and a weak one.  It keeps Python from anything else while it listens, so it does so in processes of
its own: this file, run as a program, is one of them.

Its model learned from microphones.  A synthetic voice, whose pauses are digital silence, it mishears throughout; with a
faint noise beneath it understands it about as well as a recorded one.  So each sound is brought to one level and gets
the same noise, 30 dB below, with a fifth of a second of it before and after.
"""

from __future__ import annotations

import asyncio
import json
import os
import subprocess
import sys
from contextlib import suppress
from importlib.util import find_spec
from typing import TYPE_CHECKING, Any

from leaven.errors import MissingExtra
from leaven.media.audio import Audio
from leaven.media.resampled import resampled
from leaven.models.calls import About, Answer, Ask, CallFailed

if TYPE_CHECKING:
    from asyncio.subprocess import Process

    import numpy as np
    from numpy.typing import NDArray

    from leaven.models.limiter import Limiter
    from leaven.models.prices import Price

RATE = 16_000
LEVEL = 1000.0
"""The root mean square of a sound, in steps of 16 bits."""
NOISE = -30.0
MARGIN = RATE // 5
PATIENCE, SLOWEST = 60.0, 20.0
"""Seconds that a sound may take, and how many for each of its own."""
MOST = 10 * 60
"""Seconds of the longest sound that is listened to."""


class PocketSphinx:
    """Plays ``pocketsphinx`` for the role ``transcribe``.  Raises MissingExtra where the package is absent."""

    limiter: Limiter | None = None
    price: Price | None = None
    free = True
    left_out = ()

    def __init__(self, uri: str) -> None:
        from importlib.metadata import version

        if find_spec("pocketsphinx") is None:
            raise MissingExtra(
                "pocketsphinx, which understands English speech, is not installed.",
                'pip install "leaven[audio]"',
                where="transcribe = pocketsphinx",
            )
        self.uri = uri
        self.model = f"pocketsphinx {version('pocketsphinx')}"
        self._idle: list[Process] = []
        self._room = asyncio.Semaphore(os.cpu_count() or 1)

    async def close(self) -> None:
        """End the processes: each does so where nothing more is to be read."""
        idle, self._idle = self._idle, []
        for process in idle:
            assert process.stdin
            process.stdin.close()
        await asyncio.gather(*(process.wait() for process in idle))

    async def play(self, ask: Ask, about: About) -> Answer:
        sound = ask.media[ask.content["audio"]]
        assert isinstance(sound, Audio)
        return Answer(await self.transcribe(sound))

    async def transcribe(self, sound: Audio) -> str:
        """What is said, in small letters; an empty text where nothing is understood.

        The same for equal sounds, whatever was heard before.  Raises Broken for what is no sound.
        """
        samples = await asyncio.to_thread(prepared, sound)
        seconds = len(samples) / RATE
        if seconds > MOST:
            raise CallFailed("too_long", f"a sound of {seconds:,.0f} s; pocketsphinx is given {MOST:,} at most")
        async with self._room:
            process = self._idle.pop() if self._idle else await _started()
            try:
                heard = await asyncio.wait_for(_heard(process, samples.tobytes()), PATIENCE + SLOWEST * seconds)
            except BaseException as error:  # what it would still say is no answer to the next question
                with suppress(ProcessLookupError):
                    process.kill()
                await process.wait()
                if isinstance(error, TimeoutError):
                    raise CallFailed("timed_out", f"pocketsphinx came to no end of {seconds:.1f} s") from None
                raise
            self._idle.append(process)
        return heard


async def _started() -> Process:
    # -P: no file of the folder where the command stands is taken for a module.
    command = (sys.executable, "-P", "-m", __spec__.name)
    return await asyncio.create_subprocess_exec(
        *command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL
    )


async def _heard(process: Process, samples: bytes) -> str:
    assert process.stdin
    assert process.stdout
    try:
        process.stdin.write(len(samples).to_bytes(4, "big") + samples)
        await process.stdin.drain()
        line = await process.stdout.readline()
        return str(json.loads(line))
    except (OSError, ValueError):
        code = await process.wait()
        raise CallFailed("no_answer", f"pocketsphinx ended with code {code}") from None


def prepared(sound: Audio) -> NDArray[np.int16]:
    """The samples as the recogniser takes them: 16,000 a second, 16 bits, one channel, at one level, never silent."""
    import numpy as np

    samples = resampled(sound.mono, sound.rate, RATE).astype(np.float64)
    loud = float(np.sqrt(np.square(samples).mean()))
    samples *= LEVEL / max(loud, 1e-5)
    samples = np.pad(samples, MARGIN)
    # Philox's words stay the same in every version of numpy; the sum of four numbers spread evenly is nearly normal.
    words = np.random.Philox(key=0).random_raw(len(samples)).view(np.uint16).reshape(-1, 4)
    noise = (words.sum(axis=1, dtype=np.float64) / 65536 - 2) * 3**0.5
    samples += noise * LEVEL * 10 ** (NOISE / 20)
    return np.clip(np.round(samples), -32768, 32767).astype(np.int16)


def listen() -> None:
    """Answer each sound on the standard input by a line of JSON on the standard output."""
    from pocketsphinx import Decoder

    # Levels of the whole sound, not of those that came before it.
    decoder: Any = Decoder(samprate=RATE, loglevel="FATAL", cmn="batch")
    while size := sys.stdin.buffer.read(4):
        samples = sys.stdin.buffer.read(int.from_bytes(size, "big"))
        decoder.start_utt()
        decoder.process_raw(samples, no_search=False, full_utt=True)
        decoder.end_utt()
        found = decoder.hyp()
        print(json.dumps(found.hypstr if found else ""), flush=True)


if __name__ == "__main__":
    listen()
