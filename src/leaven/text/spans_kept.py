"""Whether a text still holds what must not get lost: numbers, slots, links, names, spans."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping, Sequence
from typing import TYPE_CHECKING, Any, ClassVar, Literal

from leaven.errors import RecipeError
from leaven.fields import SCORE, VALUE, Column
from leaven.operators import Expr, Note
from leaven.records import Record

if TYPE_CHECKING:
    from leaven.context import Context

What = Literal["numbers", "slots", "links", "names"]
MOST_LOST = 20


class SpansKept(Note):
    """Note which share of the spans of another text stands in this one, letter for letter.

    `of` is the text that has them, mostly `parent.text` or `root.text`; of candidates made elsewhere, the column of
    their parent.  What is looked for:

    - `numbers`: figures, as they are written: `1,200` is not `1200`, and `two` is no figure.
    - `slots`: what a program fills in or reads: `{name}`, `{{ name }}`, `<name>`, `[name]`, `%s`, `$name`, `@name`.
    - `links`: addresses of pages and of mail.
    - `names`: capitalised words, but for those that begin a sentence; a rough rule, for languages that write names so
      and other words not.
    - `spans`: a list of texts, or of spans: mappings with `text`, or with `start` and `end` in the text `of`.

    Each counts once, however often it stands there.  Case does not count, but in slots and links.

    Needs two texts.
    Writes `spans_kept`, from 0 to 1, 1 where there is nothing to keep; `spans_lost`, those that are not there, 20 at
    most.

    >>> row = {"text": "A table for {n} at 7:30 in Rome", "seed": "Book {n} seats in Rome at 7:30 on May 4"}
    >>> [found] = SpansKept("seed", what=["numbers", "slots", "names"])(row)
    >>> found["spans_kept"], found["spans_lost"]
    (0.6, ['4', 'May'])
    """

    takes: ClassVar[str] = "text"
    of: Expr
    """The text that has the spans: a field, or an expression such as `root.text`."""
    what: list[What] = ["numbers", "slots", "links"]
    """The kinds that are looked for."""
    spans: Expr | None = None
    """A list of spans besides, such as `root.spans` or `[city, date]`."""
    on: str | None = None
    """The field that must hold them; the main text."""

    def writes(self) -> dict[str, Column]:
        about = self.reads()
        return {
            "spans_kept": Column(SCORE, about, written=False),
            "spans_lost": Column(VALUE, about, written=False),
        }

    def note(self, record: Record, ctx: Context) -> Mapping[str, Any]:
        values = ctx.values(record)
        text, source = str(record.get(self.on or "text") or ""), str(self.of(values, ctx.rng) or "")
        lost = list(self.lost(text, source, self.spans(values, ctx.rng) if self.spans else None))
        count, gone = len(lost), [span for span, kept in lost if not kept]
        return {"spans_kept": round(1 - len(gone) / count, 6) if count else 1.0, "spans_lost": gone[:MOST_LOST]}

    def lost(self, text: str, source: str, spans: Any) -> Iterator[tuple[str, bool]]:
        """Each span of the source, and whether the text holds it."""
        for kind in self.what:
            there, find = set(FIND[kind](text)), FIND[kind](source)
            for span in dict.fromkeys(find):
                yield span, span in there or (kind == "names" and holds(text, span))
        said = dict.fromkeys(span for span in values_of(spans, source) if span.strip())
        yield from ((span, holds(text, span)) for span in said)


def holds(text: str, span: str) -> bool:
    """Whether a text holds a span as whole words, case folded."""
    text, span = text.casefold(), span.casefold().strip()
    at = text.find(span)
    while at >= 0:
        end = at + len(span)
        begins = at == 0 or not (text[at - 1].isalnum() and span[0].isalnum())
        if begins and (end == len(text) or not (text[end].isalnum() and span[-1].isalnum())):
            return True
        at = text.find(span, at + 1)
    return False


def values_of(spans: Any, source: str) -> Sequence[str]:
    """The texts of a list of spans."""
    if spans is None:
        return []
    if not isinstance(spans, list | tuple):
        raise RecipeError(f"`spans` is no list: {str(spans)[:60]!r}.", "spans: root.spans, or spans: [city, date]")
    found = []
    for span in spans:
        if isinstance(span, Mapping):
            said = span.get("text", span.get("value"))
            if said is None and isinstance(span.get("end"), int):
                said = source[int(span.get("start") or 0) : span["end"]]
            if said is None:
                raise RecipeError(f"a span has neither `text` nor `end`: {str(dict(span))[:60]}.", "correct the field.")
            found.append(str(said))
        elif span is not None:
            found.append(str(span))
    return found


_NUMBER = re.compile(r"(?<![\w.,])\d+(?:[.,:/-]\d+)*(?![\d])")
_SLOT = re.compile(
    r"\{\{[^{}\n]{1,60}\}\}|\{[^{}\n]{1,60}\}|<[a-zA-Z_/][\w -]{0,40}>|\[[a-zA-Z_][\w ]{0,40}\]"
    r"|%(?:\(\w{1,40}\))?[sdf]\b|(?<!\w)\$[a-zA-Z_]\w{0,40}|(?<![\w.])@\w{1,40}"
)
_LINK = re.compile(
    r"\b(?:https?|ftp)://[^\s<>\"]{1,2000}|\bwww\.[^\s<>\"]{1,2000}|(?<![\w.+-])[\w.+-]{1,64}@(?:[\w-]{1,63}\.){1,8}[a-zA-Z]{2,24}"
)
_SENTENCES = re.compile(r"[.!?:;\n\"“(]\s*|^\s*")
_NAME = re.compile(r"[^\W\d_]+(?:['’-][^\W\d_]+)*")


def numbers(text: str) -> list[str]:
    return _NUMBER.findall(text)


def slots(text: str) -> list[str]:
    return _SLOT.findall(text)


def links(text: str) -> list[str]:
    return [found.rstrip(".,;:!?)]}'") for found in _LINK.findall(text)]


def names(text: str) -> list[str]:
    begins = {found.end() for found in _SENTENCES.finditer(text)}
    return [
        found[0]
        for found in _NAME.finditer(text)
        if found[0][0].isupper() and found.start() not in begins and found[0] not in ("I", "I'm", "I'd", "I'll", "I've")
    ]


FIND: Mapping[What, Any] = {"numbers": numbers, "slots": slots, "links": links, "names": names}
