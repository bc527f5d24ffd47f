"""What is wrong with a text, by rules that need no model."""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Callable, Iterator, Mapping, Sequence
from itertools import pairwise
from typing import TYPE_CHECKING, Any, ClassVar

from pydantic import Field

from leaven.fields import SCORE, VALUE, Column
from leaven.operators import Note, State
from leaven.records import Record
from leaven.text.words import words

if TYPE_CHECKING:
    from leaven.context import Context, Rows

ENOUGH = 50
"""Of fewer real rows one cannot tell whether they end with a mark by habit."""


class Fluency(Note):
    """Note how many rules of a sound text a text breaks, and which is the first.

    - `empty`: no letter and no digit.
    - `broken_characters`: control characters, the sign of a lost character, UTF-8 read as Latin-1.
    - `odd_letters`: letters of mathematics or in circles, or one word of Latin and Cyrillic (Greek ...) letters.
    - `prompt_leaked`: what a model says about its answer (`Sure, here are ...:`, `As an AI language model`), tokens of
      its template, places left to fill (`[your name]`).
    - `list_mark`: it begins with the number or the dot of a list.
    - `markup`: Markdown or HTML.
    - `quoted`: all of it stands in quotes.
    - `unfinished`: it ends with a comma, a colon, an open bracket, or with an English word that must go on (`the`,
      `and`, `because`).
    - `no_end_mark`: no mark at its end, where the real rows (50 or more) have one.
    - `doubled_word`: a word twice in a row, unless one says so (`very very`).
    - `looping`: the same words over and over.
    - `unbalanced`: a bracket or a quote that is not closed, or not opened.

    A rule that two or more of the real rows break, and more of them than the share ``real``, is none for this data and
    does not count: rows that end with a colon, codes, song titles.

    Needs a text.
    Writes `fluency`, how many rules it breaks, and `fluency_rule`, the first of them, in the order above.

    >>> desk = [{"text": "Where is my card?"}, {"text": "Are you open on Sunday?"}]
    >>> [row] = Fluency()({"text": "Sure, here are six ways to say it:"}, source=desk)
    >>> row["fluency"], row["fluency_rule"]
    (2, 'prompt_leaked')
    """

    takes: ClassVar[str] = "text"
    real: float = Field(0.02, ge=0, le=1)
    """The share of the real rows from which on what they do is no error."""
    on: str | None = None
    """The field to read; the main text."""

    def writes(self) -> dict[str, Column]:
        about = frozenset({self.on or "text"})
        return {"fluency": Column(SCORE, about, written=False), "fluency_rule": Column(VALUE, about, written=False)}

    def fit(self, rows: Mapping[str, Rows], ctx: Context) -> State:
        """How many of the real rows there are, and how many break each rule."""
        import numpy as np

        [table] = rows.values()
        broken = np.zeros(len(RULES), np.int64)
        for block in table.blocks():
            for text in block.texts([self.on or "text"]):
                broken += np.array([rule(text) for rule in RULES.values()])
        return {"rows": np.array(len(table)), "broken": broken}

    def notes(self, records: Sequence[Record], ctx: Context) -> Iterator[Mapping[str, Any]]:
        count = int(ctx.state["rows"])
        some = {
            name: rule
            for (name, rule), broken in zip(RULES.items(), ctx.state["broken"].tolist(), strict=True)
            if broken <= max(1, self.real * count) and (name != "no_end_mark" or count >= ENOUGH)
        }
        for record in records:
            text = str(record.get(self.on or "text") or "")
            found = [name for name, rule in some.items() if rule(text)]
            yield {"fluency": len(found), "fluency_rule": found[0] if found else None}


# -- the rules ------------------------------------------------------------------------------------------------------

_LOST = re.compile(
    "[\x00-\x08\x0b\x0c\x0e-\x1f\x7f-\x9f\ufffd\ufffe\uffff\ud800-\udfff]|Ã[\u0080-\u00bf]|â€|Â[\u00a0-\u00bf]"
)
_FANCY = frozenset({"MATHEMATICAL", "FULLWIDTH", "DOUBLE-STRUCK", "SCRIPT", "BLACK-LETTER"})
_LIKE_LATIN = frozenset({"CYRILLIC", "GREEK", "CHEROKEE", "ARMENIAN", "LISU"})
_WORD = re.compile(r"[^\W\d_]+")
_BEGINS = re.compile(
    r"(?:sure|certainly|absolutely)(?: thing)? ?[!:]"
    r"|(?:sure|certainly|absolutely|okay|ok|of course|great|yes)(?: thing)?\b ?[,!.:] (?:here|i can|i'd be|i would be"
    r"|i'll|i will|i have|let me|below|the following)\b"
    r"|here(?:'s|’s| is| are)\b[^.!?\n]{0,60}\b(?:paraphras|rephras|rewrit|rewrot|rewor[dk]|variation|variant|version"
    r"|alternative|example|sentence|utterance|possible way|ways to (?:say|ask|phrase|express))"
    r"|(?:paraphrase|rephrase|rephrased|rewrite|rewritten|version|variation|variant|example|sentence|utterance|output"
    r"|response|text|option)(?: sentence| text| version)? ?#?\d{0,3} ?:",
    re.IGNORECASE,
)
_REFUSES = (
    r"(?:cannot|can't|can’t|am unable to|am not able to) (?:fulfil|assist|comply|generate|paraphrase|rewrite|help with)"
)
_SAYS = re.compile(
    r"\bas an? (?:ai|artificial intelligence|large language|language)\b(?: language)?(?: model| assistant|,)"
    r"|\bi(?:'|’| a)m (?:just )?an? (?:ai|language model|virtual assistant)\b"
    rf"|\bi(?:'|’| a)?m (?:sorry|afraid)[,.]? (?:but )?(?:as an ai|i {_REFUSES})|^i {_REFUSES}"
    r"|\bknowledge cut-?off\b|\b(?:the|your) (?:original|given|provided) (?:text|sentence|utterance)\b"
    r"|\b(?:paraphrased|rephrased|rewritten) (?:text|sentence|utterance|version)s?\b"
    r"|<\|[a-z_]{1,30}\|>|</?s>|\[/?inst\]|<</?sys>>|^ ?#{2,6} ?(?:instruction|response|input)"
    r"|\[(?:your|insert|enter|add)\b[^\]\n]{0,40}\]|\[(?:name|date|time|place|location|city|company|number)\]",
    re.IGNORECASE | re.MULTILINE,
)
_LIST = re.compile(r"\s*(?:\(?\d{1,2}[.)]|\(?[a-hA-H]\)|[-*•‣◦·–])[ \t]+\S")
_MARKUP = re.compile(
    r"```|\*\*[^*\n]{1,200}\*\*|^#{1,6} \S|\]\(https?:"
    r"|</?(?:p|b|i|u|br|em|strong|div|span|li|ul|ol|a|h[1-6])(?: [^<>]{0,200})?/?>",
    re.MULTILINE,
)
_OPEN_END = tuple(",;:-–—([{&/+=<")
_GOES_ON = frozenset(["the", "an", "and", "or", "but", "because", "your", "their", "our", "than", "whose", "although"])
_END = tuple(".!?…。！？।؟")
_CLOSING = "\"'”’»“)]}*"
_MEANT_TWICE = frozenset(
    ["again", "big", "blah", "bye", "da", "do", "far", "for", "go", "had", "ha", "haha", "hear", "her", "hey", "is",
     "knock", "la", "long", "many", "more", "much", "never", "no", "now", "oh", "please", "really", "so", "that",
     "there", "too", "very", "well", "who", "wow", "yes", "you"]
)  # fmt: skip
_QUOTES = (('"', '"'), ("“", "”"), ("«", "»"), ("„", "“"), ("'", "'"), ("‘", "’"))
_NOT_A_BRACKET = re.compile(r"[:;=8xX]['-]?[()\[\]{}]+|[()\[\]{}]['-]?[:;=](?!\w)|(?:^|(?<=\s))\(?\w{1,2}\)")
_PAIRS = ("()", "[]", "{}", "“”", "«»")
LONGEST_PERIOD = 40


def empty(text: str) -> bool:
    return not any(map(str.isalnum, text))


def broken_characters(text: str) -> bool:
    return _LOST.search(text) is not None


def odd_letters(text: str) -> bool:
    if text.isascii() or max(text) < "\u0370":
        return False
    for word in _WORD.findall(text):
        if not word.isascii():
            names = {unicodedata.name(c, "").partition(" ")[0] for c in word}
            if names & _FANCY or ("LATIN" in names and names & _LIKE_LATIN):
                return True
    return any("\u249c" <= c <= "\u24e9" or "\U0001f110" <= c <= "\U0001f189" for c in text)


def prompt_leaked(text: str) -> bool:
    return _BEGINS.match(text.lstrip(" \t\n\"'“*")) is not None or _SAYS.search(text) is not None


def list_mark(text: str) -> bool:
    return _LIST.match(text) is not None


def markup(text: str) -> bool:
    return _MARKUP.search(text) is not None


def quoted(text: str) -> bool:
    text = text.strip()
    inner = text[1:-1]
    return len(inner) > 1 and any(
        text[0] == a and text[-1] == b and a not in inner and b not in inner for a, b in _QUOTES
    )


def unfinished(text: str) -> bool:
    text = text.rstrip()
    if text.endswith(_OPEN_END):
        return _NOT_A_BRACKET.search(text[-3:]) is None
    return text[-20:].rpartition(" ")[2] in _GOES_ON


def no_end_mark(text: str) -> bool:
    return not text.rstrip().rstrip(_CLOSING).rstrip().endswith(_END)


def doubled_word(text: str) -> bool:
    """Names (`Chu Chu`, `Jar jar`) may say a word twice."""
    for one, two in pairwise(text.split()):
        twice = len(one) > 1 and one == two.rstrip(".,!?;:\"')")
        if twice and one.isalpha() and not one[0].isupper() and one not in _MEANT_TWICE:
            return True
    return False


def looping(text: str) -> bool:
    """Four times one word, three times two or three, twice four or more, one after the other."""
    said = words(text)
    if len(said) - len(set(said)) < 3:
        return False
    import numpy as np

    numbers = np.unique(said, return_inverse=True)[1]
    for period in range(1, min(LONGEST_PERIOD, len(said) // 2) + 1):
        times = 4 if period == 1 else 3 if period < 4 else 2
        again = np.concatenate([[False], numbers[period:] == numbers[:-period], [False]])
        edges = np.flatnonzero(again[1:] != again[:-1])
        if len(edges) and (edges[1::2] - edges[::2]).max() >= period * (times - 1):
            return True
    return False


def unbalanced(text: str) -> bool:
    if not any(c in text for c in '()[]{}“”«»"'):
        return False
    quotes = text.count('"') % 2 == 1 and (text.count('"') - len(re.findall(r'\d"', text))) % 2 == 1
    # `b)` counts an item, or ends what is in brackets: one of the two must come out even.
    return quotes or (_uneven(text) and _uneven(_NOT_A_BRACKET.sub(" ", text)))


def _uneven(text: str) -> bool:
    return "„" not in text and any(text.count(pair[0]) != text.count(pair[1]) for pair in _PAIRS)


RULES: Mapping[str, Callable[[str], bool]] = {
    rule.__name__: rule
    for rule in (
        empty, broken_characters, odd_letters, prompt_leaked, list_mark, markup, quoted, unfinished, no_end_mark,
        doubled_word, looping, unbalanced,
    )
}  # fmt: skip
