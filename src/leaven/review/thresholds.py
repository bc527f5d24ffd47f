"""The numbers in a recipe's keeps that can be moved without a call: which rows each decides, and where it stands."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from leaven.errors import DataError, LeavenError
from leaven.expressions import Expression, parse_expression
from leaven.operators import Keep, Note
from leaven.recipe import Recipe, Step
from leaven.review.made import KEPT, Columns, Made

NUMBER = r"-?(?:\d+\.?\d*|\.\d+)"
NAME = r"[A-Za-z_]\w*"
OP = r"<=|>=|<|>"
ONE = re.compile(rf"({NAME})\s*({OP})\s*({NUMBER})")
TURNED = re.compile(rf"({NUMBER})\s*({OP})\s*({NAME})")
BAND = re.compile(rf"({NUMBER})\s*({OP})\s*({NAME})\s*({OP})\s*({NUMBER})")
MIRROR = {"<": ">", "<=": ">=", ">": "<", ">=": "<="}
NEVER, PASSED, TURNED_AWAY, OTHERWISE = range(4)
"""What a keep did with a row: it never came so far; it went on; it was refused, which the numbers alone decide; it was
refused, and would be whatever the numbers are."""


@dataclass(frozen=True)
class Condition:
    """``score op value``; ``at`` is where the value stands in the source."""

    score: str
    op: str
    value: float
    at: tuple[int, int]


@dataclass(frozen=True)
class Threshold:
    """A keep whose numbers can be moved.  ``met`` says of each row what the keep did with it, ``later`` the names of
    the keeps after it that cannot be recounted, ``after`` the conditions of those that can."""

    step: Step
    source: str
    conditions: Sequence[Condition]
    met: np.ndarray
    later: Sequence[str]
    after: Sequence[Sequence[Condition]]

    def as_json(self) -> dict[str, Any]:
        return {
            "step": self.step.name,
            "source": self.source,
            "conditions": [_said(c) for c in self.conditions],
            "later": list(self.later),
            "after": [[_said(c) for c in some] for some in self.after],
        }


def _said(condition: Condition) -> dict[str, Any]:
    return {"score": condition.score, "op": condition.op, "value": condition.value}


def thresholds(recipe: Recipe | None, made: Made, columns: Columns) -> list[Threshold]:
    """The keeps at the end of a recipe whose expressions compare scores with numbers.

    Only those after the last make of a recipe of one chain: what an earlier one refuses never became a record to look
    at.
    """
    tail = _tail(recipe)
    found = []
    for i, step in enumerate(tail):
        conditions, rest = parsed(step, columns.scores)
        if not conditions:
            continue
        later, after = [], []
        for other in tail[i + 1 :]:
            if isinstance(other.op, Keep):
                theirs, more = parsed(other, columns.scores)
                if theirs and not more:
                    after.append(theirs)
                else:
                    later.append(other.name if other.op.name != "keep" else f"keep {source_of(other)}")
        met = _met(step, tail[i + 1 :], rest, conditions, made, columns)
        found.append(Threshold(step, source_of(step), conditions, met, later, after))
    return found


def _tail(recipe: Recipe | None) -> list[Step]:
    """The steps after the last make."""
    if recipe is None or len(recipe.chains) != 1:
        return []
    tail: list[Step] = []
    for node in recipe.chains[0].nodes:
        if isinstance(node, Step) and isinstance(node.op, Keep | Note):
            tail.append(node)
        else:
            tail = []
    return tail


def source_of(step: Step) -> str:
    that = getattr(step.op, "that", None)
    return that.source if isinstance(that, Expression) and isinstance(that.source, str) else ""


def parsed(step: Step, scores: Mapping[str, Any]) -> tuple[list[Condition], list[str]]:
    """The conditions of a keep on scores, and the rest of its expression: all of them must be true.

    Of an expression that is no chain of ``and`` all is the rest.
    """
    source = source_of(step)
    if step.op.name != "keep" or step.when or not source:
        return [], []
    conditions: list[Condition] = []
    rest: list[str] = []
    for begin, end in _joined(source):
        part = source[begin:end]
        some = list(_conditions(part, begin))
        if some and all(c.score in scores for c in some):
            conditions += some
        else:
            rest.append(part.strip())
    there = {f"{c.score} is not none" for c in conditions}  # a score that is not there is below every threshold
    return conditions, [part for part in rest if part not in there]


def _joined(source: str) -> list[tuple[int, int]]:
    """Where the parts stand that ``and`` joins outside of brackets; all of it where that binds less than something."""
    bare = re.sub(r"'[^']*'|\"[^\"]*\"", lambda quoted: "_" * len(quoted[0]), source)
    found = []
    depth = begin = 0
    for match in re.finditer(r"[(\[{]|[)\]}]|\b(?:and|or|if)\b", bare):
        if match[0][0] in "([{)]}":
            depth += 1 if match[0] in "([{" else -1
        elif not depth and match[0] != "and":
            return [(0, len(source))]
        elif not depth:
            found.append((begin, match.start()))
            begin = match.end()
    return [*found, (begin, len(source))]


def _conditions(part: str, begin: int) -> Iterator[Condition]:
    lead = begin + len(part) - len(part.lstrip())
    text = part.strip()
    if match := ONE.fullmatch(text):
        yield Condition(match[1], match[2], float(match[3]), _at(match, 3, lead))
    elif match := TURNED.fullmatch(text):
        yield Condition(match[3], MIRROR[match[2]], float(match[1]), _at(match, 1, lead))
    elif match := BAND.fullmatch(text):
        yield Condition(match[3], MIRROR[match[2]], float(match[1]), _at(match, 1, lead))
        yield Condition(match[3], match[4], float(match[5]), _at(match, 5, lead))


def _at(match: re.Match[str], group: int, lead: int) -> tuple[int, int]:
    begin, end = match.span(group)
    return begin + lead, end + lead


def holds(conditions: Sequence[Condition], scores: Mapping[str, np.ndarray]) -> np.ndarray:
    """Where all conditions are true; a score that is not there makes them false."""
    found: Any = True
    for c in conditions:
        values = scores[c.score].astype(np.float64)
        with np.errstate(invalid="ignore"):
            found &= {"<": values < c.value, "<=": values <= c.value, ">": values > c.value, ">=": values >= c.value}[
                c.op
            ]
    return np.asarray(found)


def _met(
    step: Step,
    later: Sequence[Step],
    rest: Sequence[str],
    conditions: Sequence[Condition],
    made: Made,
    columns: Columns,
) -> np.ndarray:
    """What the keep did with each row.  Two keeps of one name are told apart by their reason, or by their numbers."""
    names = {s.name for s in later if isinstance(s.op, Keep)} | {"near_test", "review"}
    passed = columns.state == KEPT
    code = np.array([name == step.name for name in columns.steps])[columns.step]
    word = getattr(step.op, "word", lambda: "")()
    mine = code & np.array([reason == word for reason in columns.reasons])[columns.reason] & ~passed
    beyond = np.array([name in names for name in columns.steps])[columns.step] & ~passed & ~mine
    there = np.logical_and.reduce([np.isfinite(columns.scores[c.score]) for c in conditions])
    if step.name in names:  # a keep after it has the same name: what this one let through went on
        beyond &= holds(conditions, columns.scores) | ~code
    met = np.full(len(made), NEVER, np.uint8)
    met[(passed | beyond) & there] = PASSED
    met[mine & there] = TURNED_AWAY
    if rest:
        met[_fail(rest, made, np.flatnonzero(met == TURNED_AWAY))] = OTHERWISE
    return met


def _fail(rest: Sequence[str], made: Made, numbers: np.ndarray) -> np.ndarray:
    """Of some rows those that the rest of an expression refuses, or of which that cannot be said any more."""
    import json

    name_of = {column: name for name, column in made.content.dataset.columns.items()}
    columns = made.content.dataset.columns.values()
    expressions = [parse_expression(source) for source in rest]
    found = []
    for n, row in zip(numbers.tolist(), made.rows(numbers.tolist()), strict=True):
        values = {name_of.get(name, name): value for name, value in row.items() if not name.startswith("_")}
        for name in values.keys() - columns:
            try:  # what a note wrote is a text, or JSON
                values[name] = json.loads(values[name])
            except (TypeError, ValueError):
                continue
        values |= row.get("_scores") or {}
        try:
            if not all(expression(values) for expression in expressions):
                found.append(n)
        except LeavenError:
            found.append(n)
    return np.array(found, np.int64)


def moved(text: str, threshold: Threshold, index: int, value: float) -> tuple[str, str, int]:
    """The recipe's text with one number replaced, the new line, and its number.

    Raises DataError where the expression does not stand in the text as it ran, such as where ``--set`` gave it.
    """
    begin, end = threshold.conditions[index].at
    source = threshold.source
    new = f"{source[:begin]}{number(value)}{source[end:]}"
    lines = text.split("\n")
    here = [i for i in range(threshold.step.line - 1, len(lines)) if source in lines[i]]
    if not here:
        raise DataError(
            f"`{source}` does not stand in the recipe's text on one line.", f"write it there yourself: {new}"
        )
    lines[here[0]] = lines[here[0]].replace(source, new, 1)
    return "\n".join(lines), lines[here[0]].strip(), here[0] + 1


def number(value: float) -> str:
    """A threshold as people write it: four digits behind the point at most, and at least four that say something."""
    said = f"{value:.4f}" if abs(value) >= 0.1 else f"{value:.4g}"
    return f"{float(said):.10f}".rstrip("0").rstrip(".")
