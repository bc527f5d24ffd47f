"""What stands in an answer that is no JSON: a numbered list, a sentence, one word of several."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator
from itertools import islice, pairwise

from leaven.records import folded

_TAG = re.compile(r"(?i:</?(?:think|thinking|thought|reasoning)>)|\[/?THINK\]")
_FENCE = re.compile(r"^[ \t]*(```+|~~~+)[^\n]*$", re.MULTILINE)
_STRONG = r"(?:\*\*|__)?"
_NUMBER = re.compile(
    rf"(\s*){_STRONG}(?:[^\W\d_]{{1,20}} )?\(?#?(\d{{1,3}})(?:[.):]\)?|{_STRONG}[.):]|\s[-–—](?=\s)){_STRONG}"
    r"(?:\s+|(?=[^\d\s.,:])|$)(.*)"
)
_BULLET = re.compile(r"(\s*)(?:[-*+–—](?:\s+|$)|[•‣◦·]\s*)(.*)")
_SENTENCE = re.compile(r"[.!?…。！？][\"'”’»)*]*$")
_HEADING = re.compile(r"(?:\*\*|__)[^*_\n]{1,60}(?::\s*(?:\*\*|__)|(?:\*\*|__)\s*:)\s*(?=\S)")
_BOLD = re.compile(r"(\*\*|__)(?=\S)([^*_\n]+)(?<=\S)\1")
_AROUND = (
    ("**", "**"), ("__", "__"), ("*", "*"), ("_", "_"), ("`", "`"),
    ('"', '"'), ("'", "'"), ("“", "”"), ("‘", "’"), ("«", "»"), ("„", "“"),
)  # fmt: skip
_APOSTROPHE = re.compile(r"(?<!\w)['‘’]|['‘’](?!\w)")
_EMPTY = re.compile(r"[!-/:-@\[-`{-~\s]*")
_PREAMBLE = re.compile(
    r"(?:sure|certainly|of course|okay|ok|absolutely|here)\b[^\n]{0,200}:[ \t*]*\n+(?=\S)", re.IGNORECASE
)
_OPENERS = frozenset(begin[0] for begin, _ in _AROUND)
_SAID = re.compile(r"(?:[^\s:=]{1,30} ){0,5}?[^\s:=]{1,30}(?:\s*[:=]|\s+is:?\s)\s*(\S.*)")
FENCES = 8
LINES = 2000
LONGEST_LINE = 300
"""Of a line in which a single value is looked for."""


def without_thoughts(text: str) -> str:
    """The answer without what a model thought aloud; one that never stops thinking says nothing.

    A closing tag without an opening one, which some servers leave out, makes all before it a thought.
    """
    kept: list[str] = []
    at, deep = 0, False
    for tag in _TAG.finditer(text):
        if tag[0][1] != "/":
            if not deep:
                kept.append(text[at : tag.start()])
                deep = True
        else:
            if not deep:
                kept = []
            at, deep = tag.end(), False
    if not deep:
        kept.append(text[at:])
    return "".join(kept).strip()


def fenced(text: str) -> list[str]:
    """What stands between the first code fences; the last one may be left open."""
    marks = list(islice(_FENCE.finditer(text), FENCES))
    inner = [text[a.end() : b.start()] for a, b in list(pairwise(marks))[::2]]
    return [*inner, text[marks[-1].end() :]] if len(marks) % 2 else inner


def unfenced(text: str) -> str:
    """The answer itself where all of it stands in one fence, whatever the fence's language."""
    text = text.strip()
    inner = fenced(text)
    return inner[0].strip() if len(inner) == 1 and text.startswith(("```", "~~~")) else text


def listed_texts(text: str, cut: bool) -> list[str]:
    """The items of a numbered or bulleted list, without what stands before and after it.

    Of an answer that was cut off, the last item is left out.
    """
    lines = text.split("\n", LINES)[:LINES]
    items = _marked(lines, _numbers(lines))
    if not items or all(item.rstrip("*_").endswith(":") for item in items):  # headings, or none at all
        items = _marked(lines, _bullets(lines)) or items
    if not items:
        quoted = [line.strip().rstrip(",;") for line in lines if line.strip()]
        items = [line for line in quoted if clean(line) != line] if len(quoted) > 1 else []
    items = items[:-1] if cut else items
    return [item for item in map(clean, items) if not _EMPTY.fullmatch(item)]


def sentence(text: str, names: Iterable[str]) -> str:
    """A plain answer as the text that was asked for: without "Sure, here it is:", its field's name, its quotes."""
    text = unfenced(text)
    text = _PREAMBLE.sub("", text, count=1) if _PREAMBLE.match(text) else text
    for name in names:
        begin = re.match(rf"{_STRONG}{re.escape(name)}{_STRONG}\s*:\s*{_STRONG}\s*", text, re.IGNORECASE)
        text = text[begin.end() :] if begin else text
    return _bared(text.strip())


def values(text: str, cut: bool) -> Iterator[list[str]]:
    """Spellings of the one value that an answer may be: of all of it, then of each line.

    Of an answer that was cut off, the last line is left out.
    """
    lines = [line.strip() for line in unfenced(text).split("\n")]
    lines = [line for line in (lines[:-1] if cut else lines) if line and len(line) <= LONGEST_LINE]
    for line in lines if len(lines) <= 20 else [*lines[:10], *lines[-10:]]:
        said = _SAID.match(_BOLD.sub(r"\2", line))
        rest = [_bared(said[1])] if said else []
        bare = _bared(line)
        yield [folded(form) for form in (line, bare, bare.rstrip(".!"), *rest, *(r.rstrip(".!") for r in rest))]


def is_number(text: str) -> bool:
    return re.fullmatch(r"[-+]?[0-9]{1,15}(\.[0-9]{1,15})?", text) is not None


def clean(item: str) -> str:
    """An item of a list without bold print, a bold heading and the quotes around it."""
    item = _HEADING.sub("", item.strip(), count=1) if _HEADING.match(item.strip()) else item.strip()
    if item[-1:] in (",", ";") and item[-2:-1] in ('"', "'", "”", "’"):
        item = item[:-1]
    return _bared(_BOLD.sub(r"\2", item))


def _bared(text: str) -> str:
    """Without the pairs of quotes or stars that stand around all of it."""
    if text[:1] not in _OPENERS:  # by far the most
        return text
    for begin, end in _AROUND * 3:
        if len(text) > len(begin + end) and text.startswith(begin) and text.endswith(end):
            inner = text[len(begin) : -len(end)]
            apart = _APOSTROPHE.search(inner) if begin in "'‘" else begin in inner or end in inner
            text = text if apart else inner.strip()
    return text


def _numbers(lines: list[str]) -> dict[int, str]:
    """Lines that bear the next number of a list, with what follows it."""
    found: dict[int, str] = {}
    last = 0
    for i, line in enumerate(lines):
        mark = _NUMBER.match(line)
        if mark and int(mark[2]) in ((last + 1, 1) if found else (0, 1)):
            opened = "**" if mark[3].count("**") % 2 else ""  # the stars before the number belong to more than it
            found[i], last = opened + mark[3], int(mark[2])
    return found


def _bullets(lines: list[str]) -> dict[int, str]:
    return {i: mark[2] for i, line in enumerate(lines) if (mark := _BULLET.match(line)) and not _EMPTY.fullmatch(line)}


def _marked(lines: list[str], marks: dict[int, str]) -> list[str]:
    """The items that begin at these lines, each with the lines that go on with it.

    A line goes on where it is indented, begins small, or stands between two items of which the first is no sentence;
    after a blank line nothing does.
    """
    starts = list(marks)
    sentences = any(_SENTENCE.search(text.strip()) for text in marks.values())
    items: list[str] = []
    for start, end in zip(starts, [*starts[1:], len(lines)]):
        item = marks[start].strip()
        inside = end < len(lines)
        for line in lines[start + 1 : end]:
            more = line.strip()
            if not more and item:
                break
            if not more or _BULLET.match(line) or _FENCE.match(line):
                continue
            goes_on = line[0] in " \t" or more[0].islower() or (not _SENTENCE.search(item) and (inside or sentences))
            if item and not goes_on:
                break
            item = f"{item} {more}".strip()
        items.append(item)
    return items
