"""The sandboxed language of keeps, prompts and values.

An expression (``label_prob > 0.7 and label != 'other'``) makes a value of a record's fields, a template
(``Say in other words: {{ text }}``) makes a text.  Both are Jinja with the words of `_words` and no others,
within limits; they are parsed once and evaluated for each record.  What is wrong with them is a RecipeError
that quotes the expression: at parsing what no record could mend, at evaluation the rest.
"""

from __future__ import annotations

import copy
import json
import math
import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from itertools import repeat
from typing import TYPE_CHECKING, Any, TypeVar

from leaven._words import MADE
from leaven.errors import RecipeError, nearest

if TYPE_CHECKING:
    from collections.abc import Callable

    import numpy as np
    from numpy.random import Generator

    from leaven._sandbox import Split

LANGUAGE = frozenset([
    "labels", "examples", "rows", "root", "parent", "parents", "record", "count", "median", "mean",
    "sum", "quantile", "diff", "round_number", "dev", MADE,
])  # fmt: skip
"""Names that the language gives a meaning; they win over columns: record['count'] is the column."""


class Row(Mapping[str, Any]):
    """A record's fields for templates, to read only: ``row.text`` or ``row['text']``, whatever the column is
    called (``row.items`` is a column)."""

    __slots__ = ("_fields",)

    def __init__(self, fields: Mapping[str, Any]) -> None:
        self._fields = dict(fields)

    def __getitem__(self, name: str) -> Any:
        return self._fields[name]

    def __iter__(self) -> Iterator[str]:
        return iter(self._fields)

    def __len__(self) -> int:
        return len(self._fields)

    def __repr__(self) -> str:
        return repr(self._fields)


@dataclass(frozen=True)
class _Parsed:
    source: str
    """As the author wrote it."""
    names: frozenset[str]
    """The names that it needs: columns, and what else the step gives."""
    optional: frozenset[str]
    """The names that it asks about with ``is defined``, and can do without."""
    where: str
    """What an error names as its place."""
    _given: Any = field(repr=False, compare=False)
    _run: Callable[[Mapping[str, Any], Any], Any] = field(repr=False, compare=False)

    def __reduce__(self) -> tuple[object, ...]:  # compiled code does not travel between processes
        return (_parse, (type(self), self._given, self.where))

    def _evaluate(self, values: Mapping[str, Any], rng: Generator | None) -> Any:
        for name in self.names:
            if name not in values:
                raise self._missing(values)
        try:
            return self._run(values, rng)
        except Exception as error:
            raise _refused(error, self.source, self.where) from None

    def _missing(self, values: Mapping[str, Any]) -> RecipeError:
        name = min(name for name in self.names if name not in values)
        known = [str(value) for value in values]
        close = nearest(name, known)
        there = ", ".join(known[:12]) + (" ..." if len(known) > 12 else "") if known else "none"
        within = "" if self.source.strip() == name else f" in `{_short(self.source)}`"
        fix = f"the nearest is `{close}`." if close else f"name a field, or guard it with `{name} is defined`."
        return RecipeError(f"`{name}`{within} names no field; there are {there}.", fix, where=self.where)


class Expression(_Parsed):
    """A parsed expression; call it with a record's values."""

    def __call__(self, values: Mapping[str, Any], rng: Generator | None = None) -> Any:
        """The value for these fields.  ``rng`` is for what is drawn: the same state, the same value.

        Raises RecipeError where a name is not among the values, where types do not fit, and at the limits.
        """
        return self._evaluate(values, rng)


@dataclass(frozen=True)
class Grouped(Expression):
    """An expression with functions of a group, such as ``x > mean(x, per='label')``: parts of it are read off each
    record, the functions work on the parts of all records of a group, and `whole` puts the two together."""

    split: Split = field(repr=False, compare=False)

    def __reduce__(self) -> tuple[object, ...]:
        return (_grouped, (self.source, self.where))

    def __call__(self, values: Mapping[str, Any], rng: Generator | None = None) -> Any:
        raise TypeError("an expression with functions of a group has no value for one record")

    def parts(self, values: Mapping[str, Any], rng: Generator | None) -> list[float]:
        """What its parts come to for one record: numbers, NaN for nothing; raises RecipeError as an expression does."""
        for name in self.names:
            if name not in values:
                raise self._missing(values)
        try:
            return [_number(run(values, rng)) for run in self.split.parts]
        except Exception as error:
            raise _refused(error, self.source, self.where) from None

    def wholes(self, parts: Sequence[np.ndarray], groups: Sequence[np.ndarray]) -> Iterable[Any]:
        """As ``whole``, for all records, each a place in these arrays."""
        if self.split.columns is not None:
            values = {f"__part{i}": part for i, part in enumerate(parts)}
            values |= {f"__group{i}": value for i, value in enumerate(groups)}
            with suppress(ZeroDivisionError):
                found: Iterable[Any] = self.split.columns(values)
                return found
        rows = zip(*parts, strict=True) if parts else repeat(())
        return (self.whole(row, found) for row, found in zip(rows, zip(*groups, strict=True), strict=False))

    def whole(self, parts: Iterable[float], groups: Iterable[float]) -> Any:
        """Its value for one record, from its parts and from what the functions came to for the record's group."""
        values = {f"__part{i}": part for i, part in enumerate(parts)}
        values |= {f"__group{i}": value for i, value in enumerate(groups)}
        try:
            return self.split.run(values, None)
        except Exception as error:
            raise _refused(error, self.source, self.where) from None


def _number(value: Any) -> float:
    if value is None:
        return math.nan
    if isinstance(value, int | float):
        return float(value)
    from leaven._words import Wrong, kind

    fix = "compare numbers: label_prob > mean(label_prob, per='label')"
    raise Wrong(f"functions of a group work on numbers, and a part is {kind(value)}", fix)


class Template(_Parsed):
    """A parsed template; render it with a record's values."""

    def render(self, values: Mapping[str, Any], rng: Generator | None = None) -> str:
        """The text for these fields, 1,000,000 characters at most; raises RecipeError as an expression does."""
        text: str = self._evaluate(values, rng)
        return text


def parse_expression(source: str | float | list[Any] | None, *, where: str = "") -> Expression:
    """An expression from its source; what is not a text (a number, a list) is the value for every record.

    Raises RecipeError, naming ``where``, for bad syntax, unknown functions and filters, and whatever else the
    language refuses.
    """
    return _parse(Expression, source, where)


def parse_grouped(source: str | float | list[Any] | None, *, where: str = "") -> Expression:
    """As `parse_expression`, where functions of a group may stand: with any it is a `Grouped`."""
    split = _split(source, where) if isinstance(source, str) else None
    if split is None or not isinstance(source, str):
        return _parse(Expression, source, where)
    names, asked = frozenset(split.names), frozenset(split.asked)
    return Grouped(source, names - asked, asked, where, source, split.run, split)


def parse_template(source: str, *, where: str = "") -> Template:
    """A template from its source; raises RecipeError, naming ``where``, as `parse_expression` does."""
    return _parse(Template, source, where)


_Kind = TypeVar("_Kind", bound=_Parsed)


def _parse(kind: type[_Kind], source: Any, where: str) -> _Kind:
    if not isinstance(source, str):
        constant = copy.deepcopy(source)
        return kind(
            json.dumps(source, default=str),
            frozenset(),
            frozenset(),
            where,
            constant,
            lambda values, rng: copy.copy(constant),
        )
    from leaven import _sandbox

    try:
        run, names, optional = _sandbox.compile_source(source, template=issubclass(kind, Template))
    except Exception as error:
        raise _refused(error, source, where) from None
    return kind(source, frozenset(names - optional), frozenset(optional), where, source, run)


def _grouped(source: str, where: str) -> Expression:
    return parse_grouped(source, where=where)


def _split(source: str, where: str) -> Split | None:
    from leaven import _sandbox

    try:
        return _sandbox.split_source(source)
    except Exception as error:
        raise _refused(error, source, where) from None


def _refused(error: Exception, source: str, where: str) -> RecipeError:
    """What went wrong, in words for the author."""
    import jinja2

    from leaven._words import Wrong

    fix = "check what the fields hold: it must fit every record."
    quoted = True
    if isinstance(error, Wrong):
        what, fix, quoted = error.what, error.fix, error.quoted
    elif isinstance(error, jinja2.UndefinedError):
        what = error.message or "something is not there"
        fix = "guard it with `is defined`, or with |default('')."
    elif isinstance(error, RecursionError):
        what = "a value is nested too deeply"
    elif isinstance(error, MemoryError):
        what, fix = "it needs more memory than there is", "make its texts and lists shorter."
    else:
        what = (str(error).splitlines() or [type(error).__name__])[0][:200]
        what = re.sub(r"^[\w.<>]+\(\) ", "a word of it ", what)  # Python's name of the function says nothing here
    begin = f"`{_short(source)}`: " if quoted else ""
    return RecipeError(f"{begin}{what.rstrip('.')}.", fix, where=where)


def _short(source: str) -> str:
    """A source as errors quote it: one line, 80 characters at most."""
    line = " ".join(source[:500].split())
    return line if len(line) <= 80 and len(source) <= 500 else line[:77] + "..."
