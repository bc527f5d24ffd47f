"""Apertium: a rule-based translator from the system's packages, offline, half a millisecond a sentence in bulk.

A real translator and a weak one: what it says is rough.  It is GPL, so it stays a program of its own.  Texts go to it
in its null-flush mode: a NUL ends a text, and each stage of its pipe forgets there what it read, so that a text gets
the same translation alone and among others.
"""

from __future__ import annotations

import asyncio
import os
import re
import signal
import subprocess
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import suppress
from shutil import which
from typing import TYPE_CHECKING

from leaven.errors import MissingExtra, ModelError, listed
from leaven.models.calls import About, Answer, Ask, CallFailed

if TYPE_CHECKING:
    from leaven.models.limiter import Limiter
    from leaven.models.prices import Price

TOGETHER = 0.02
"""Seconds for which a text waits for others: starting the program takes six times as long."""
MOST = 200_000
"""Characters for one process: some seconds of work."""
TIMEOUT = 120.0
END = "[].[][\n]"
"""Stands after each text: a full stop between format marks.  Where no sentence ends, the program loses words."""
APART = re.compile("([\x00-\x1f\x7f-\x9f\u2028\u2029\ud800-\udfff\uffff]+)")
"""What stands between the lines that are translated, and comes back as it was: line ends, and what the program cannot
read (U+FFFF ends its input)."""
SPECIAL = re.compile(r"[][{}^$/\\@<>]")
"""The characters of the program's own format."""
FORMAT = re.compile(r"\\(.)|\[(.*?)\]", re.DOTALL)
Found = Mapping[str, str | CallFailed]


class Apertium:
    """Translates between the two languages of a pair, ``eng-spa``, in both directions.

    Calls that wait at the same time share a process.  Raises MissingExtra where the program or the pair is absent.
    """

    def __init__(self, pair: str) -> None:
        self.pair = pair
        where, other = f"translate = apertium:{pair}", "or --model translate=openai:MODEL"
        self.program = which("apertium") or ""
        if not self.program:
            what = "the program `apertium` is not on this machine."
            raise MissingExtra(what, f"apt install apertium-{pair}, {other}", where=where)
        known = directions(self.program)
        one, _, two = pair.partition("-")
        self.ways = [way for way in (f"{one}-{two}", f"{two}-{one}") if way in known]
        if not self.ways:
            what = f"apertium has no pair `{pair}` on this machine; it has {listed(known)}."
            raise MissingExtra(what, f"apt install apertium-{pair}, {other}", where=where)
        self._open: dict[str, tuple[dict[str, None], asyncio.Task[Found]]] = {}

    async def translate(self, texts: Sequence[str], *, to: str, source: str) -> list[str]:
        """The texts in the language ``to``, in their order; line ends and unknown words stay as they are.

        Languages are named as the pair names them.  Raises ModelError for other ones and where the program fails,
        CallFailed where it has no answer for a text.
        """
        way = f"{source}-{to}"
        if way not in self.ways:
            raise ModelError(
                f"apertium:{self.pair} does not translate from {source} to {to}, but {' and '.join(self.ways)}.",
                f"--model translate=apertium:{way}, where that pair is installed, or translate=openai:MODEL",
            )
        pieces = [APART.split(text) for text in texts]
        lines = dict.fromkeys(line for text in pieces for piece in text[::2] if (line := piece.strip()))
        found = await self._found(way, lines)
        return ["".join(_translated(text, found)) for text in pieces]

    async def _found(self, way: str, lines: Mapping[str, None]) -> Found:
        """The translations of these lines and of those that came with them."""
        if not lines:
            return {}
        if way not in self._open or self._open[way][1].done():
            waiting: dict[str, None] = {}
            self._open[way] = waiting, asyncio.create_task(self._send(way, waiting))
        waiting, sent = self._open[way]
        waiting |= lines
        return await asyncio.shield(sent)  # whoever gives up leaves the others theirs

    async def _send(self, way: str, waiting: Mapping[str, None]) -> Found:
        await asyncio.sleep(TOGETHER)
        del self._open[way]
        found: dict[str, str | CallFailed] = {}
        for lines in _portions(waiting):
            found |= await self._translations(way, lines)
        return found

    async def _translations(self, way: str, lines: Sequence[str]) -> Found:
        """Each line's translation.  A line at which a stage of the pipe dies takes those after it along: it is found by
        halving, and fails alone."""
        try:
            said = await self._call(way, "".join(escaped(line) + END + "\0" for line in lines))
        except TimeoutError:
            failed = CallFailed("timed_out", f"apertium took more than {TIMEOUT:g} s")
            return dict.fromkeys(lines, failed)
        whole, rest = said.split("\0")[: len(lines)], said.split("\0")[len(lines) :]
        if rest and not any(rest) and all(text.endswith(END) for text in whole):
            return {line: _tidy(line, text.removesuffix(END)) for line, text in zip(lines, whole, strict=True)}
        if len(lines) == 1:
            return {lines[0]: CallFailed("no_answer", f"apertium broke off at a text of {len(lines[0]):,} characters")}
        half = len(lines) // 2
        return {**await self._translations(way, lines[:half]), **await self._translations(way, lines[half:])}

    async def _call(self, way: str, texts: str) -> str:
        """What the program prints.  It is a shell script with a pipe of a dozen stages: it ends as a group."""
        own = {key: value for key, value in os.environ.items() if key not in ("LC_ALL", "AP_SETVAR")}
        process = await asyncio.create_subprocess_exec(
            *(self.program, "-f", "none", "-z", "-u", way),
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            start_new_session=True,
            env=own,  # it looks for a locale of UTF-8 itself
        )
        try:
            printed, errors = await asyncio.wait_for(process.communicate(texts.encode()), TIMEOUT)
        finally:
            if process.returncode is None:
                with suppress(ProcessLookupError):
                    os.killpg(process.pid, signal.SIGKILL)
                await process.wait()
        if process.returncode:
            said = " ".join(errors.decode("utf-8", "replace").split()) or "it said nothing"
            raise ModelError(
                f"apertium ended with code {process.returncode}: {said[:200]}.", f"try it: echo hello | apertium {way}"
            )
        return printed.decode("utf-8", "replace")


class Translator:
    """Plays ``apertium:PAIR`` for the role ``translate``."""

    limiter: Limiter | None = None
    price: Price | None = None
    free = True
    left_out = ()

    def __init__(self, uri: str, pair: str) -> None:
        self.uri = self.model = uri
        self.apertium = Apertium(pair)

    async def close(self) -> None: ...

    async def play(self, ask: Ask, about: About) -> Answer:
        content = ask.content
        [text] = await self.apertium.translate([content["text"]], to=content["to"], source=content["source"])
        return Answer(text)


def directions(program: str) -> list[str]:
    """The directions that are installed: ``eng-spa``, ``spa-eng``."""
    done = subprocess.run([program, "-l"], capture_output=True, text=True, timeout=30, check=False)
    return done.stdout.split()


def escaped(line: str) -> str:
    """A line in the program's format.  It drops a tilde, but for one that stands as a format mark."""
    return SPECIAL.sub(r"\\\g<0>", line).replace("~", "[~]")


def unescaped(line: str) -> str:
    return FORMAT.sub(lambda match: match[1] or match[2], line)


def _tidy(line: str, text: str) -> str:
    """A translation without the blanks that words left behind which it does not have (` Vivo` for `I live`)."""
    said = unescaped(text).strip()
    return said if "  " in line else re.sub(" {2,}", " ", said)


def _translated(pieces: Sequence[str], found: Found) -> Iterator[str]:
    """The pieces of a text; every second one stands between lines, as do the blanks around a line."""
    for i, piece in enumerate(pieces):
        line = piece.strip()
        if i % 2 or not line:
            yield piece
            continue
        said = found[line]
        if isinstance(said, CallFailed):
            raise said
        yield piece.replace(line, said, 1)


def _portions(lines: Iterable[str]) -> Iterator[list[str]]:
    """Lines in lists of ``MOST`` characters, or of one line that has more."""
    portion: list[str] = []
    size = 0
    for line in lines:
        if portion and size + len(line) > MOST:
            yield portion
            portion, size = [], 0
        portion.append(line)
        size += len(line)
    if portion:
        yield portion
