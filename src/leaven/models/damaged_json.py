"""JSON as models write it: in prose, in single quotes, with raw quotes inside texts, stopped in the middle.

One scan finds the outermost brackets and writes down what stands in them as proper JSON.  A quote ends a text only
where a comma, a colon, a bracket or the end follows, so that ``'it's late'`` and ``"a 12" plate"`` stay whole.

Libraries that mend JSON try many readings of a damaged text: 4 kB of 40 brackets and some quotes keep json_repair 0.64
busy for more than ten seconds.  This reads everything once, and reads it the same way in every version.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any

MOST = 200
"""Pairs of brackets that are looked at."""
DEEPEST = 100
"""Brackets in brackets; nobody asks for a deeper shape."""
RESTARTS, RESTARTED = 8, 32_000
"""A bracket that never closes is passed over so often, where so few characters are left to read again."""

_OPENING = re.compile(r"[\[{]")
_TOKEN = re.compile(r"[\"'“‘`\[\]{},:]")
_CLOSES = {'"': '"”“', "'": "'’", "“": '”"“', "‘": "’'", "`": "`"}
_QUOTES = {quote: re.compile(rf"\\.|[{closing}]", re.DOTALL) for quote, closing in _CLOSES.items()}
_BEGINS = r"(?:[\"'“‘`\[{\]},]|-?\d|(?:true|false|null|True|False|None)\b|\w{1,60}\s*:|\.\.\.|//|\Z)"
_AFTER_VALUE = re.compile(
    rf"\s*(?:[\]}}]|\Z|,\s*{_BEGINS}|//|[\"'“]\w{{1,60}}[\"'”]\s*:)"
    r"|[ \t]*\n\s*[\"“\[{]|[ \t]+\"(?![\s,\]}:])"  # a comma is missing
)
_AFTER_KEY = re.compile(r"\s*(?:[:}]|\Z|,\s*[\"'“‘}])")
_ESCAPE = re.compile(r'\\(?:["\\/bfnrt]|u[0-9a-fA-F]{4})|\\(.)|["\\]', re.DOTALL)
_COMMENT = re.compile(r"\s*//[^\n]*")
_WORDS = {"True": "true", "False": "false", "None": "null", **{word: word for word in ("true", "false", "null")}}
_NUMBER = re.compile(r"-?[0-9]{1,300}(\.[0-9]{1,300})?([eE][-+]?[0-9]{1,3})?")
_LIKE_JSON = re.compile(r"\{\s*(?:[\"'“‘}]|\w{1,60}\s*:)|\[\s*[\"'“‘\[{\d-]")


@dataclass
class Span:
    """An outermost pair of brackets: as it stands, and as proper JSON."""

    raw: str
    tidy: str
    """Of one that never closes: its complete items, and the brackets that were open; empty where there are none."""
    whole: bool
    """False where it never closes."""
    nested: bool = False
    """True where it stands in one that never closes."""


@dataclass
class _Frame:
    bracket: str
    cut: int
    """How many pieces of the output end in a complete member of this bracket."""
    begun: int = field(init=False)
    value: bool = False
    """In braces: after the colon."""

    def __post_init__(self) -> None:
        self.begun = self.cut


def loaded(text: str) -> Any:
    """The value of a JSON text, raw line breaks inside texts allowed.  Raises ValueError."""
    try:
        return json.loads(text, strict=False)
    except RecursionError:
        raise ValueError("it is nested too deeply") from None


def spans(text: str) -> Iterator[Span]:
    """The outermost brackets of a text, in order, in time that grows with its length."""
    at, restarts = 0, 0
    for _ in range(MOST):
        found = _OPENING.search(text, at)
        if not found:
            return
        span, end = _scan(text, found.start())
        span.nested = restarts > 0
        yield span
        if span.whole:
            at = end
        elif restarts < RESTARTS and len(text) - found.end() <= RESTARTED:
            at, restarts = found.end(), restarts + 1
        else:
            return


def like_json(text: str) -> bool:
    """True for a text that begins as JSON does, or holds an object."""
    return bool(_LIKE_JSON.match(text.lstrip("`json \n")) or re.search(r"\{\s*\"", text))


def read(span: Span) -> list[Any]:
    """The one value of a span, as it stands or else as proper JSON; none where it is neither."""
    texts = [span.raw] if span.whole else []
    texts += [span.tidy] if _LIKE_JSON.match(span.raw) else []
    for text in texts:
        try:
            return [loaded(text)]
        except ValueError:
            continue
    return []


def _scan(text: str, start: int) -> tuple[Span, int]:
    """The span that opens at ``start``, and where it ends."""
    out: list[str] = []
    frames: list[_Frame] = []
    open_of = {"[": 0, "{": 0}
    last = ""  # what was written last that is no blank: an opening, "," or ":", or "v" for a value
    at = start
    while True:
        while comment := _COMMENT.match(text, at):
            at = comment.end()
        token = _TOKEN.search(text, at)
        if not token:
            break
        sign = token[0]
        word = text[at : token.start()].strip()
        at = token.end()
        if word.strip(".…"):
            out.append(_bare(word, sign))
            last = "v"
        frame = frames[-1] if frames else None
        if sign in "[{":
            if len(frames) == DEEPEST:
                return Span(text[start:], "", False), len(text)
            if last == "v":
                out.append(",")
            out.append(sign)
            frames.append(_Frame(sign, len(out)))
            open_of[sign] += 1
            last = sign
        elif sign in "]}":
            opened = "[" if sign == "]" else "{"
            if not open_of[opened]:
                continue  # one too many
            while True:
                if last == ",":
                    out.pop()
                closed = frames.pop()
                open_of[closed.bracket] -= 1
                out.append("]" if closed.bracket == "[" else "}")
                last = "v"
                if closed.bracket == opened:
                    break
            if not frames:
                return Span(text[start:at], "".join(out), True), at
            frames[-1].cut = len(out)
        elif sign in ",:":
            assert frame
            if sign == "," and last == "v" and (frame.bracket == "[" or frame.value):
                frame.cut = len(out)
            if sign == ":" or last == "v":  # of two commas one is left; a colon out of place stays, and is no JSON
                out.append(sign)
                last = sign
            frame.value = sign == ":"
        elif last == "v" and (word or sign in "'`"):
            out.append(sign)  # a quote inside bare words
        else:
            assert frame
            if last == "v":
                out.append(",")
                frame.value = False
            key = frame.bracket == "{" and not frame.value
            end = _ends(text, at, sign, _AFTER_KEY if key else _AFTER_VALUE)
            if end < 0:
                break
            out.append(_quoted(text[at:end]))
            at = end + 1
            last = "v"
            if not key:
                frame.cut = len(out)
    return Span(text[start:], _cut(out, frames), False), len(text)


def _ends(text: str, at: int, quote: str, after: re.Pattern[str]) -> int:
    """Where the text that began before ``at`` ends, or -1."""
    for found in _QUOTES[quote].finditer(text, at):
        if found[0][0] != "\\" and after.match(text, found.end()):
            return found.start()
    return -1


def _cut(out: list[str], frames: list[_Frame]) -> str:
    """What is complete: up to the last whole item of the outermost list that has one, or the last whole member."""
    lists = [i for i, frame in enumerate(frames) if frame.bracket == "["]
    full = [i for i in lists if frames[i].cut > frames[i].begun]
    if lists and not full:
        return ""
    inner = full[0] if full else 0
    if not frames or frames[inner].cut == frames[inner].begun:
        return ""
    closers = ["]" if frame.bracket == "[" else "}" for frame in reversed(frames[: inner + 1])]
    return "".join(out[: frames[inner].cut] + closers)


def _bare(word: str, sign: str) -> str:
    """What stands outside quotes: a number, a word of JSON's or Python's, or a text that lacks its quotes."""
    if sign != ":" and (word in _WORDS or _NUMBER.fullmatch(word)):
        return _WORDS.get(word, word)
    return word if "\n" in word else _quoted(word)


def _quoted(text: str) -> str:
    """A text as a JSON string: what is escaped stays, a stray quote or backslash is escaped."""

    def escaped(found: re.Match[str]) -> str:
        if found[0] in ('"', "\\"):
            return "\\" + found[0]
        if found[1] is None:
            return found[0]
        return "'" if found[1] == "'" else json.dumps(found[0])[1:-1]

    return f'"{_ESCAPE.sub(escaped, text)}"'
