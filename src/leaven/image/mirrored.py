"""What texts and labels say of an image once it is mirrored, turned or tinted: mended, or the change is not made.

English only.  A word decides: `left` and `right` change places in a mirror.  Where they may mean no side (`he left`,
`right next to`), or where a text speaks of writing in the image, it may be false of the mirrored one: none is made.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Collection, Mapping, Sequence
from typing import Any

TEXTS = ("caption", "text", "question", "answer", "choices", "rationale")
LABELS = ("label", "label_probs")
FAR = 45.0
"""Degrees of a turn after which left, right, top and bottom are elsewhere."""

_SIDE = re.compile(
    r"(?:(?<![A-Za-z])(?:left|right|Left|Right)|(?<=[a-z])(?:Left|Right))(?=(?:most|wards?)?(?![a-z]))"
    r"|(?<![A-Za-z])(?:LEFT|RIGHT)(?=(?:MOST|WARDS?)?(?![A-Za-z]))"
)
_OTHER = {"left": "right", "right": "left"}
_BEFORE = re.compile(
    r"the|to|on|from|at|in|of|by|a|far|upper|lower|top|bottom|front|back|rear|middle|center|centre|near|his|"
    r"her|its|their|my|your|our|one's|turn|turns|turned|turning|face|faces|faced|facing|look|looks|looked|"
    r"looking|lean|leans|leaned|leaning|point|points|pointed|pointing|move|moves|moved|moving|walk|walks|"
    r"walked|walking|head|heads|headed|heading|go|goes|going|run|runs|running|tilt|tilts|tilted|tilting|bend|"
    r"bends|bending|curve|curves|curved|curving|keep|drive|drives|driving|first|second|third|last|extreme|"
    r"slightly|toward|towards"
)
"""Words after which `left` and `right` are sides."""
_AFTER = re.compile(
    r"side|sides|hand|hands|hander|arm|arms|leg|legs|foot|feet|eye|eyes|ear|ears|wing|wings|shoulder|knee|"
    r"elbow|wrist|thumb|cheek|half|corner|edge|lane|turn|third|part|panel|image|picture|photo|one|of|facing|"
    r"handed|bank|shoe|glove|sleeve|front|rear|wheel|headlight|door|breast|lung|ventricle|atrium|kidney|lobe|"
    r"hemisphere|border|margin"
)
"""Words before which they are."""
_NO_SIDE_BEFORE = re.compile(r"all|has|have|had|having|just|is|was|were|are|who|that|he|she|it|they")
_NO_SIDE_AFTER = re.compile(r"angle|angles|answer|away|before|choice|moment|next|now|size|thing|time|way")
"""Words after and before which they may be none, whatever else is near."""
_BOTH = re.compile(r"\b(?:left|right)\W+(?:and|or|to)\W+(?:left|right)\b", re.IGNORECASE)
_WRITING = re.compile(
    r"\b(?:signs?|signage|letters?|lettering|words?|says?|saying|reads?|reading|written|writing|numbers?|numbered"
    r"|numerals?|digits?|texts?|logos?|spells?|spelled|labell?ed|clocks?|clockwise|counterclockwise|anticlockwise)\b",
    re.IGNORECASE,
)
_CHARACTER = re.compile(r"(?:(?:letter|digit|number|char(?:acter)?)[\W_]*)?(?:[^\W\d_]|\d+)", re.IGNORECASE)
_HEIGHT = re.compile(
    r"\b(?:top|bottom|above|below|upper|lower|up|down|under|underneath|beneath|over|upside|upright|upwards?"
    r"|downwards?)\b",
    re.IGNORECASE,
)
_COLOUR = re.compile(
    r"\b(?:(?:red|green|blue|yellow|orange|purple|violet|pink|brown|turquoise|teal|cyan|magenta|golden|gold|beige|maroon"
    r"|crimson|scarlet|indigo|lilac|lavender|tan|khaki|olive|bluish)(?:dish|nish|ish)?|colou?rs?|colou?red)\b",
    re.IGNORECASE,
)


def swap_sides(text: str) -> str:
    """The text with left and right exchanged, each in its own case.

    >>> swap_sides("LEFT of the rightmost dog, not upright")
    'RIGHT of the leftmost dog, not upright'
    """

    def other(found: re.Match[str]) -> str:
        word = _OTHER[found[0].lower()]
        return word.upper() if found[0].isupper() else word.title() if found[0][0].isupper() else word

    return _SIDE.sub(other, text)


def mirror(fields: Mapping[str, tuple[str, Any]], labels: Collection[str] = ()) -> tuple[dict[str, Any], str]:
    """The fields (name: type and value) that a mirrored image needs anew, or why it cannot be: a sentence's part.

    A label that names a side becomes the other where that is among ``labels``.
    """
    new: dict[str, Any] = {}
    for name, (kind, value) in fields.items():
        if value is None:
            continue
        why = _unmirrored(kind, value, labels)
        if why:
            return {}, f"{name} {why}"
        swapped = _each(value, swap_sides)
        if swapped != value:
            new[name] = swapped
    return new, ""


def turned(fields: Mapping[str, tuple[str, Any]]) -> str:
    """Why an image may not be turned far or stood on its head; empty where nothing speaks against it."""
    for name, (kind, value) in fields.items():
        for text in _texts(value):
            if kind in LABELS and _CHARACTER.fullmatch(text):
                return f"{name} is a character, `{text}`"
            word = _SIDE.search(text) or _HEIGHT.search(text.replace("_", " "))
            if word:
                return f"{name} says `{word[0]}`"
    return ""


def tinted(fields: Mapping[str, tuple[str, Any]]) -> str:
    """Why the colours of an image may not be turned; empty where nothing speaks against it."""
    for name, (_, value) in fields.items():
        for text in _texts(value):
            word = _COLOUR.search(text.replace("_", " "))
            if word:
                return f"{name} says `{word[0]}`"
    return ""


def mirror_marks(
    marks: Mapping[str, tuple[str, Sequence[Mapping[str, Any]]]], labels: Collection[str] = ()
) -> tuple[dict[str, list[dict[str, Any]]], str]:
    """The boxes and points (name: type and value) whose labels name sides, with the other side; or why not.

    The parts of a body, which points name, come in pairs; a box's label must have its counterpart among ``labels``, or
    among the record's boxes.
    """
    new: dict[str, list[dict[str, Any]]] = {}
    for name, (kind, value) in marks.items():
        known = {*labels, *(mark.get("label") for mark in value)}
        swapped = [{**mark, "label": _each(mark.get("label"), swap_sides)} for mark in value]
        for old, mark in zip(value, swapped, strict=True):
            if kind == "boxes" and mark["label"] not in known:
                return {}, f"{name}: `{old['label']}` has no counterpart `{mark['label']}` among the labels"
        if any(old.get("label") != mark["label"] for old, mark in zip(value, swapped, strict=True)):
            new[name] = swapped
    return new, ""


def _unmirrored(kind: str, value: Any, labels: Collection[str]) -> str:
    for text in _texts(value):
        if kind in LABELS:
            if _CHARACTER.fullmatch(text):
                return f"is a character, `{text}`"
            other = swap_sides(text)
            if other != text and other not in labels:
                return f"has no counterpart `{other}` among the labels"
            continue
        word = _WRITING.search(text) or _doubtful(text)
        if word:
            return f"says `{word[0]}`"
    return ""


def _doubtful(text: str) -> re.Match[str] | None:
    """The first `left` or `right` that may mean no side."""
    both = [found.span() for found in _BOTH.finditer(text)]
    for found in _SIDE.finditer(text):
        if any(begin <= found.start() < end for begin, end in both):
            continue
        if text[found.end() : found.end() + 4].lower() in ("most", "ward"):
            continue
        before = _LAST_WORD.search(text[: found.start()])
        after = _NEXT_WORD.match(text[found.end() :])
        word, gap = (before[1].lower(), before[2].strip()) if before else ("", "")
        follows, until = (after[2].lower(), after[1].strip()) if after else ("", "")
        if (_NO_SIDE_BEFORE.fullmatch(word) and not gap) or (_NO_SIDE_AFTER.fullmatch(follows) and not until):
            return found
        alone = bool(gap or not word) and bool(until or not follows)
        side = (_BEFORE.fullmatch(word) and not gap) or (_AFTER.fullmatch(follows) and until in ("", "-", "_"))
        if not (alone or side):
            return found
    return None


_LAST_WORD = re.compile(r"([A-Za-z']+)([^A-Za-z']*)$")
_NEXT_WORD = re.compile(r"([^A-Za-z]*)([A-Za-z]+)")


def _each(value: Any, change: Callable[[str], str]) -> Any:
    """The same value with its texts changed: a text, a list of them, or the keys of soft labels."""
    if isinstance(value, str):
        return change(value)
    if isinstance(value, Mapping):
        return {change(str(key)): share for key, share in value.items()}
    if isinstance(value, list | tuple):
        return [_each(item, change) for item in value]
    return value


def _texts(value: Any) -> list[str]:
    if isinstance(value, Mapping):
        return [str(key) for key in value]
    if isinstance(value, list | tuple):
        return [text for item in value for text in _texts(item)]
    return [] if value is None else [str(value)]
