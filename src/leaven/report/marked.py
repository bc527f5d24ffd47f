"""A user's text as HTML: escaped, cut, with control characters and direction marks as small marks."""

from __future__ import annotations

import difflib
import html
import re
import unicodedata

from leaven.terminal import shown

LONGEST = 1000
"""Characters of a text that the page shows."""
JOINERS = "\n\t\u200c\u200d"  # blanks, and what Persian, Hindi and emoji need
TOKEN = re.compile(r"(?:[\u3040-\u30ff\u3400-\u9fff\uac00-\ud7af]|\w+|[^\w\s])\s*|\s+")
SAME, NEW, GONE = "", "mark", "del"
EDITED = 0.5
"""The share of equal words from which what was left out is shown too; below, a text was written anew."""


def plain(text: object, most: int = 200) -> str:
    """A text on one line, for titles, attributes and labels."""
    said = str(text)
    return html.escape(shown(said[:most])) + ("..." if len(said) > most else "")


def whole(text: str) -> str:
    """A text in full, as it is laid out in lines."""
    return "".join(_char(c) for c in text)


def cut(text: str, most: int = LONGEST, length: int = 0) -> str:
    """At most ``most`` characters; what is cut is counted.  ``length`` is that of the text before it came here."""
    more = max(length, len(text)) - most
    return whole(text[:most]) + (f'<span class="cap"> ... {more:,} more characters</span>' if more > 0 else "")


def _char(char: str) -> str:
    if char.isprintable():
        return html.escape(char) if char in "<>&\"'" else char
    if char in JOINERS or unicodedata.category(char) == "Zs":
        return char
    return f'<span class="ctl">U+{ord(char):04X}</span>'


def differing(text: str, parent: str, length: int = 0) -> str:
    """A child's text with the words that differ from its parent's marked, and where it is an edit of the parent's, the
    words that were left out struck through."""
    out = [whole(part) if kind == SAME else _tagged(kind, part) for kind, part in changes(text, parent, LONGEST)]
    more = max(length, len(text)) - LONGEST
    return "".join(out) + (f'<span class="cap"> ... {more:,} more characters</span>' if more > 0 else "")


def changes(text: str, parent: str, most: int) -> list[tuple[str, str]]:
    """The first ``most`` characters of a text in pieces: what its parent has too (``SAME``), what it has not (``NEW``),
    and where it is an edit of that one, what was left out (``GONE``)."""
    old, new = tokens(parent[:most]), tokens(text[:most])
    matcher = difflib.SequenceMatcher(None, [t.strip().casefold() for t in old], [t.strip().casefold() for t in new])
    edited = matcher.ratio() >= EDITED
    out: list[tuple[str, str]] = []
    for word, a, b, c, d in matcher.get_opcodes():
        if word == "equal":
            out.append((SAME, "".join(new[c:d])))
            continue
        if edited and b > a:
            if out and a and old[a - 1][-1:].isspace() and not out[-1][1][-1:].isspace():
                out.append((SAME, " "))
            out.append((GONE, "".join(old[a:b])))
        if edited and d > c and b > a and not old[b - 1][-1:].isspace():
            out.append((SAME, " "))
        out.append((NEW, "".join(new[c:d])))
    return out


def _tagged(tag: str, text: str) -> str:
    """Some words in a tag, with the blanks after them outside."""
    inner = text.rstrip()
    return (f"<{tag}>{whole(inner)}</{tag}>" if inner else "") + whole(text[len(inner) :])


def tokens(text: str) -> list[str]:
    """Words and marks of punctuation, each with the blanks after it; scripts without blanks go letter by letter."""
    return TOKEN.findall(text)
