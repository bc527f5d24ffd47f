"""One loader for recipes, label files and ``--set`` values: plain data from YAML, with line numbers.

YAML 1.1, which most loaders speak, reads ``on:`` as True, the label ``no`` as False and ``12:30:00`` as
45000.  Here only ``true`` and ``false`` are booleans, ``null``, ``~`` and nothing at all are None, numbers
are decimal, and everything else is a text.  What a recipe does not need is refused: tags, anchors, repeated keys.
"""

from __future__ import annotations

import difflib
import math
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from leaven.errors import RecipeError

MOST_BYTES = 1_000_000
MOST_DEPTH = 50

_INT = re.compile(r"[-+]?(0|[1-9][0-9]{0,3999})")
_FLOAT = re.compile(r"[-+]?((0|[1-9][0-9]*)\.[0-9]*|\.[0-9]+|(0|[1-9][0-9]*)(?=[eE]))([eE][-+]?[0-9]+)?")
_TAG = "tag:yaml.org,2002:"

# The parser's words for what people do wrong most often, in plainer ones: (what it says, what, fix).
_PLAIN = [
    ("found a tab character", "a tab stands where the line is indented", "indent with blanks."),
    ("cannot start any token", "a character stands where a value should begin",
     "indent with blanks, never with tabs; quote a text that begins with @, `, %, * or &."),
    ("mapping values are not allowed", "a second `: ` stands in one line",
     'put the text in quotes: about: "note: this is one text".'),
    ("expected ',' or", "a list or mapping in one line is not closed, or holds a bare bracket",
     "close it with ] or }; quote an expression that holds a comma or a bracket: n: \"choice([1, 2])\"."),
    ("did not find expected key", "this line does not fit the indentation of the lines above",
     "give keys of one level the same indentation; quote texts that begin with a quote."),
    ("end of stream", "a quote or a bracket is not closed", "close it."),
    ("could not find expected ':'", "a key has no `:`, or a text of several lines is not indented",
     "write `key: value`; indent the lines of a long text below `key: |`."),
]  # fmt: skip


class Map(dict[str, Any]):
    """A mapping that knows where it stands: ``line``, and ``lines[key]`` of each key; the first line is 1."""

    def __init__(self, line: int = 0) -> None:
        super().__init__()
        self.line = line
        self.lines: dict[str, int] = {}


class Seq(list[Any]):
    """A list that knows where it stands: ``line``, and ``lines[i]`` of each item; the first line is 1."""

    def __init__(self, line: int = 0) -> None:
        super().__init__()
        self.line = line
        self.lines: list[int] = []


def load(text: str | bytes, name: str) -> Any:
    """The data in a YAML text: `Map`, `Seq`, text, int, float, bool or None; ``name`` is what errors call it.

    Raises RecipeError, with the line, for whatever is not plain data: bad syntax, tags, anchors, aliases, a
    key given twice, several documents, nothing at all, more than 1 MB, deeper than 50, not UTF-8.
    """
    import yaml

    size = len(text) if isinstance(text, bytes) else len(text.encode("utf-8", "surrogatepass"))
    if size > MOST_BYTES:
        what = f"it is larger than {MOST_BYTES:,} bytes."
        raise RecipeError(what, "split it; data belongs in a table of its own.", where=name)
    if isinstance(text, bytes):
        try:
            text = text.decode("utf-8")
        except UnicodeDecodeError as error:
            line = error.object[: error.start].count(b"\n") + 1
            what = f"byte {error.start:,} is not UTF-8."
            raise RecipeError(what, "save the file as UTF-8.", where=f"{name} line {line}") from None
    text = text.removeprefix("\ufeff")
    loader: Any = getattr(yaml, "CSafeLoader", yaml.SafeLoader)
    try:
        return _Reader(yaml.parse(text, Loader=loader), name).document()
    except yaml.MarkedYAMLError as error:
        problem = error.problem or "it cannot be read"
        unclosed = "expected ',' or" in problem or "end of stream" in problem
        mark = (unclosed and error.context_mark) or error.problem_mark or error.context_mark
        line = mark.line + 1 if mark else 1  # of what is not closed: where it was opened
        for words, what, fix in _PLAIN:
            if words in problem:
                raise RecipeError(what + ".", fix, where=f"{name} line {line}") from None
        raise RecipeError(f"{problem}.", "correct the YAML of this line.", where=f"{name} line {line}") from None
    except (yaml.YAMLError, UnicodeError) as error:
        line = text.count("\n", 0, getattr(error, "position", None) or getattr(error, "start", 0)) + 1
        what = "a character stands here that no text may hold (a control character, or half of one)."
        raise RecipeError(what, "remove it.", where=f"{name} line {line}") from None


def load_file(path: str | Path) -> Any:
    """The data in a YAML file, as `load`; RecipeError also where the file cannot be opened."""
    path = Path(path)
    try:
        with path.open("rb") as file:
            return load(file.read(MOST_BYTES + 1), str(path))
    except FileNotFoundError:
        folder = path.parent
        beside = sorted(p.name for p in folder.iterdir() if p.is_file()) if folder.is_dir() else []
        close = difflib.get_close_matches(path.name, beside, n=1)
        fix = f"{close[0]} is in the same folder." if close else "check the path."
        raise RecipeError("there is no such file.", fix, where=str(path)) from None
    except OSError as error:
        what = f"it cannot be read ({error.strerror or error})."
        raise RecipeError(what, "name a readable file.", where=str(path)) from None


def scalar(text: str) -> Any:
    """The value of ``--set STEP.PARAM=VALUE``: a number, true, false, null, a ``[list]``, a ``{mapping}``, a
    quoted text; any other text is itself, so that templates and expressions need no second pair of quotes.

    Raises RecipeError for a list or mapping that cannot be read.
    """
    text = text.strip()
    ends = text[:1] + text[-1:]
    if ends in ("[]", "{}") and len(text) > 1 and not text.startswith("{{"):
        return load(text, "--set")
    if ends in ('""', "''") and len(text) > 1:
        try:
            return load(text, "--set")
        except RecipeError:  # 'a' ~ 'b': an expression that begins and ends with a quote
            return text
    return _plain(text)


def _plain(text: str) -> Any:
    """What a scalar without quotes means."""
    if text in ("", "~", "null"):
        return None
    if text in ("true", "false"):
        return text == "true"
    if _INT.fullmatch(text):
        return int(text)
    if _FLOAT.fullmatch(text) and math.isfinite(float(text)):
        return float(text)
    return text


class _Reader:
    """Walks the parser's events, rather than its finished nodes: an anchor is seen even where nothing refers
    to it, and reading stops at the first thing refused, however much follows."""

    def __init__(self, events: Iterator[Any], name: str) -> None:
        import yaml

        self.events = events
        self.name = name
        self.kinds = yaml.events

    def document(self) -> Any:
        kinds = self.kinds
        next(self.events)  # the stream's start
        event = next(self.events)
        if isinstance(event, kinds.DocumentStartEvent):
            event = next(self.events)
            nothing = isinstance(event, kinds.ScalarEvent) and not event.value and event.style in (None, "")
            if not nothing or event.tag or event.anchor:
                value = self.value(event, 0, flow=False)
                next(self.events)  # the document's end
                event = next(self.events)
                if isinstance(event, kinds.DocumentStartEvent):
                    raise self.error(event, "a second document begins (`---`).", "one file holds one; remove the line.")
                return value
        raise RecipeError("it is empty.", "write something into it, or name another file.", where=self.name)

    def value(self, event: Any, depth: int, *, flow: bool) -> Any:
        kinds = self.kinds
        self.check(event)
        if isinstance(event, kinds.ScalarEvent):
            if event.style not in (None, ""):
                return event.value
            self.parentheses(event, flow)
            return _plain(event.value)
        if depth >= MOST_DEPTH:
            raise self.error(event, f"lists and mappings are nested deeper than {MOST_DEPTH}.", "nest less deeply.")
        if isinstance(event, kinds.SequenceStartEvent):
            seq, flow = Seq(_line(event)), bool(event.flow_style)
            while not isinstance(event := next(self.events), kinds.SequenceEndEvent):
                seq.lines.append(_line(event))
                seq.append(self.value(event, depth + 1, flow=flow))
            return seq
        map_, flow = Map(_line(event)), bool(event.flow_style)
        while not isinstance(event := next(self.events), kinds.MappingEndEvent):
            key = self.key(event, flow)
            if key in map_:
                what = f"`{key}` is given twice, in lines {map_.lines[key]} and {_line(event)}."
                raise self.error(event, what, "remove one of them.")
            map_.lines[key] = _line(event)
            map_[key] = self.value(next(self.events), depth + 1, flow=flow)
        return map_

    def key(self, event: Any, flow: bool) -> str:
        self.check(event)
        if not isinstance(event, self.kinds.ScalarEvent):
            what = "a list or a mapping stands where a key should."
            raise self.error(event, what, 'quote a text that begins with a brace: "{{ text }}".')
        if event.style in (None, ""):
            self.parentheses(event, flow)
            if event.value == "<<":
                raise self.error(event, "`<<` (merging) is not allowed.", "write the keys out.")
            if not event.value:
                raise self.error(event, "a key is empty.", "write `key: value`.")
        return str(event.value)

    def check(self, event: Any) -> None:
        """Refuse what is not plain data."""
        if isinstance(event, self.kinds.AliasEvent) or getattr(event, "anchor", None):
            sign = "*" if isinstance(event, self.kinds.AliasEvent) else "&"
            what = f"`{sign}{event.anchor}` is not allowed; a recipe holds no anchors."
            raise self.error(event, what, "write the value out, or name it under `let:`; quote a text that begins so.")
        if tag := getattr(event, "tag", None):
            shown = tag.replace(_TAG, "!!").partition(":")[0]
            what = f"`{shown}` is not allowed; a recipe holds plain values only."
            raise self.error(event, what, "remove the tag. Python code belongs in an operator: docs/write-your-own.")

    def parentheses(self, event: Any, flow: bool) -> None:
        """A comma ends a value inside braces and brackets: `{weight: 1 / max(d, 1)}` would be two keys."""
        if flow and event.value.count("(") != event.value.count(")"):
            what = f"`{event.value}` is half of an expression: inside braces and brackets a comma ends a value."
            raise self.error(event, what, 'quote the expression: {weight: "1 / max(d, 1)"}.')

    def error(self, event: Any, what: str, fix: str) -> RecipeError:
        return RecipeError(what, fix, where=f"{self.name} line {_line(event)}")


def _line(event: Any) -> int:
    return int(event.start_mark.line) + 1
