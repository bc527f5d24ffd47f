"""Names marked within a text, as GMDA teaches a language model to write them (ACM MM 2024, 3664647.3681598).

``Ann met Bob Dee in New York`` becomes ``B-PER Ann met B-PER Bob I-PER Dee in B-LOC New I-LOC York``: a word before
each word of a name says what it is, and whether it begins the name.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from typing import Any

from leaven._words import Wrong, check_characters, check_items, from_json, items_of, kind, plain_string

_TAG = re.compile(r"([BI])-([^\W\d_]\S*)$")
"""A mark: letters follow the line, so that `I-95` is none."""
_WORD = re.compile(r"\S+")
_ENDS = ",;:"
_LAST = ".!?"


def tagged(value: Any, spans: Any) -> str:
    """A text with a mark before each word of its spans.

    Of spans that share characters the longest is marked, of equal ones the first.  Where a span ends within a word, as
    before a comma, a blank parts the two.
    """
    text = plain_string(value)
    found, at = [], 0
    for start, end, label in places(from_json(spans), text):
        inside = [f"{'I' if i else 'B'}-{label} {word}" for i, word in enumerate(text[start:end].split())]
        before, after = text[at:start], text[end : end + 1]
        found += [before, " " if before and not before[-1].isspace() else "", " ".join(inside)]
        found.append(" " if after and not after.isspace() else "")
        at = end
        check_characters(sum(map(len, found)))
    return "".join(found) + text[at:]


def places(spans: Any, text: str) -> list[tuple[int, int, str]]:
    """Where spans stand in a text, none in another, from left to right, each with its label.

    Spans are {start, end, label}, or {text, label} that are looked for from left to right; one that is not there is
    left out.
    """
    found: list[tuple[int, int, str]] = []
    after: dict[str, int] = {}
    for span in items_of(spans or []):
        if not isinstance(span, Mapping) or not ({"start", "end"} <= span.keys() or "text" in span):
            raise Wrong(f"a span is {{start, end, label}} or {{text, label}}, not {kind(span)}", "text|tagged(spans)")
        if span.get("start") is not None and span.get("end") is not None:
            start, end = int(span["start"]), int(span["end"])
        else:
            said = plain_string(span["text"])
            start = text.find(said, after.get(said, 0)) if said else -1
            end = after[said] = start + len(said)
        if 0 <= start < end <= len(text) and text[start:end].strip():
            found.append((start, end, str(span.get("label") or "")))
    taken: list[tuple[int, int, str]] = []
    for start, end, label in sorted(found, key=lambda one: (one[0] - one[1], one[0])):
        if all(end <= other[0] or other[1] <= start for other in taken):
            taken.append((start, end, label))
    return sorted(taken)


def untag(value: Any) -> str:
    """A marked text without its marks; lines and runs of blanks become one blank."""
    return " ".join(word for word, _ in _words(plain_string(value)))


def tagged_spans(value: Any) -> list[dict[str, Any]]:
    """The spans of a marked text, {start, end, text, label}, as they stand in ``untag`` of it.

    A comma, semicolon or colon at the end of a name is not part of it, nor is a mark that ends the whole text.
    """
    words = _words(plain_string(value))
    check_items(len(words))
    text = " ".join(word for word, _ in words)
    found: list[dict[str, Any]] = []
    at, open_label = 0, ""
    for word, mark in words:
        end = at + len(word)
        if mark:
            begins, label = mark
            if begins == "I" and label == open_label:
                found[-1]["end"] = end
            else:
                found.append({"start": at, "end": end, "text": "", "label": label})
        open_label = mark[1] if mark else ""
        at = end + 1
    for span in found:
        span["text"] = _without_mark(text[span["start"] : span["end"]], span["end"] == len(text))
        span["end"] = span["start"] + len(span["text"])
    return found


def no_urls(value: Any) -> str:
    """A text without the words that hold http."""
    return " ".join(word for word in plain_string(value).split() if "http" not in word.casefold())


def _words(text: str) -> list[tuple[str, tuple[str, str] | None]]:
    """The words of a text that are no marks, each with the mark before it."""
    found: list[tuple[str, tuple[str, str] | None]] = []
    mark: tuple[str, str] | None = None
    for word in _WORD.findall(text):
        if seen := _TAG.match(word):
            mark = seen[1], seen[2]
        else:
            found.append((word, mark))
            mark = None
    return found


def _without_mark(name: str, last: bool) -> str:
    short = name.rstrip(_ENDS)
    if last and short and short[-1] in _LAST and "." not in short[:-1]:
        short = short.rstrip(_LAST)
    return short or name


FILTERS: dict[str, Callable[..., Any]] = {
    "tagged": tagged, "untag": untag, "tagged_spans": tagged_spans, "no_urls": no_urls,
}  # fmt: skip
