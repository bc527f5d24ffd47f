"""Recipes: operators in order, and a blend.  Parse a YAML file, build its steps, check them against a dataset.

Nothing here runs a step.  Every error names the file and the line, and is found before anything is spent.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from importlib import resources
from pathlib import Path
from typing import Any, Literal

from pydantic import BaseModel, ValidationError

from leaven import operators
from leaven.blend.blend import Blend
from leaven.errors import LeavenError, RecipeError, nearest, suggest
from leaven.expressions import LANGUAGE, Expression, Template, parse_expression
from leaven.fields import SCORE, TYPES, VALUE, Column, dropped
from leaven.operators import Keep, Make, Note, Operator
from leaven.plain_yaml import Map, Seq, load, load_file, scalar
from leaven.records import canonical, short_hash

KEYS = "name paper about fields pool given labels models let steps blend train cost base change".split()
LATER = {
    "aside": "sets beside the stream",
    "start": "records from nothing",
    "base": "variants of a recipe",
    "change": "variants of a recipe",
}
SETS = ("source", "pool", "given")


@dataclass(frozen=True)
class Step:
    """One operator of a recipe.  ``name`` is what people call it, ``key`` what ids and draws are keyed by."""

    op: Operator
    name: str
    key: str
    line: int
    when: Expression | None = None
    values: Mapping[str, Expression] = field(default_factory=dict)
    branch: tuple[str, ...] = ()
    renamed: bool = False

    def column(self, written: str) -> str:
        """The name in the stream of a column that the operator calls ``written``."""
        if not self.renamed or self.op.name == "note":
            return written
        return self.name if written == self.op.name else f"{self.name}_{written}"

    def expressions(self) -> Iterator[Expression | Template]:
        if self.when:
            yield self.when
        yield from self.values.values()
        for key in type(self.op).model_fields:
            value = getattr(self.op, key)
            for item in value.values() if isinstance(value, dict) else [value]:
                if isinstance(item, Expression | Template):
                    yield item


@dataclass(frozen=True)
class Fork:
    """``any``: each record goes into every branch; the branch's name is the column ``branch``."""

    branches: Mapping[str, tuple[Node, ...]]
    line: int


@dataclass(frozen=True)
class Until:
    """When rounds end: each group has ``kept`` records, or ``dev`` has not gained for ``patience`` rounds."""

    per: str = ""
    kept: Expression | None = None
    dev: str = ""
    patience: int = 1


@dataclass(frozen=True)
class Repeat:
    steps: tuple[Node, ...]
    times: int
    until: Until | None
    last: bool
    line: int


Node = Step | Fork | Repeat


@dataclass(frozen=True)
class Chain:
    start: str
    nodes: tuple[Node, ...]
    line: int


@dataclass(frozen=True)
class Recipe:
    """A recipe that was read and built; ``text`` is its file, as printed by ``leaven recipes NAME``."""

    name: str
    chains: tuple[Chain, ...]
    blend: Blend
    fields: Mapping[str, str]
    pool: Mapping[str, str]
    text: str
    where: str
    about: str = ""
    paper: str = ""
    cost: str = ""
    let: Mapping[str, Any] = field(default_factory=dict)
    labels: Mapping[str, str] = field(default_factory=dict)

    def steps(self) -> Iterator[Step]:
        for chain in self.chains:
            yield from _steps(chain.nodes)


def names() -> list[str]:
    """The built-in recipes, sorted."""
    folder = resources.files("leaven") / "recipes"
    return sorted(Path(entry.name).stem for entry in folder.iterdir() if entry.name.endswith(".yaml"))


def read(recipe: str, *, sets: Sequence[str] = (), folders: Sequence[str] = ()) -> Recipe:
    """Read a recipe by built-in name or by file (a ``/`` or ``.yaml`` in it), with ``--set`` changes applied."""
    if "/" in recipe or recipe.endswith((".yaml", ".yml")):
        path = Path(recipe)
        if not path.is_file():
            raise RecipeError("there is no such file.", "leaven recipes lists the built-in ones.", where=recipe)
        data, text, where, name = load_file(path), path.read_text("utf-8"), path.name, path.stem
    else:
        text = source(recipe)
        data, where, name = load(text, f"recipe {recipe}"), f"recipe {recipe}", recipe
    return build(data, text=text, where=where, name=name, sets=sets, folders=folders)


def source(name: str) -> str:
    """The file of a built-in recipe."""
    known = names()
    if name not in known:
        close = nearest(name, known)
        way = f"the nearest is `{close}`" if close else "leaven recipes lists them"
        raise RecipeError(f"there is no recipe `{name}`.", f"{way}; a file is named with its .yaml.")
    return (resources.files("leaven") / "recipes" / f"{name}.yaml").read_text("utf-8")


def build(
    data: Any, *, text: str, where: str, name: str, sets: Sequence[str] = (), folders: Sequence[str] = ()
) -> Recipe:
    """Build a recipe from plain data."""
    if not isinstance(data, Map) or "steps" not in data:
        raise RecipeError("a recipe is a mapping with the key `steps`.", "see leaven recipes classic-text", where=where)
    for key in data:
        at = f"{where} line {data.lines[key]}"
        if key not in KEYS:
            raise RecipeError(f"a recipe has no key `{key}`.", f"{suggest(key, KEYS)}.", where=at)
        if key in LATER:
            raise RecipeError(f"`{key}` ({LATER[key]}) is not built yet.", "leave it out.", where=at)
    builder = _Builder(where, folders)
    _apply(data, sets, builder)
    chains = builder.chains(data["steps"] or Seq())
    return Recipe(
        name=str(data.get("name", name)),
        chains=chains,
        blend=builder.model(Blend, data.get("blend") or {}, "blend", data.lines.get("blend", 0)),
        fields=builder.fields(data, "fields"),
        pool=builder.fields(data, "pool"),
        text=text,
        where=where,
        about=str(data.get("about", "")),
        paper=str(data.get("paper", "")),
        cost=str(data.get("cost", "")),
        let=dict(data.get("let") or {}),
        labels={str(k): str(v) for k, v in (data.get("labels") or {}).items()},
    )


def check(recipe: Recipe, columns: Mapping[str, Column], sets: Mapping[str, int]) -> Recipe:
    """The recipe bound to a dataset: parameters that name fields resolved, branches without a field left out.

    ``columns`` are the fields of the data, ``sets`` the rows of each set.  Raises RecipeError with up to five findings.
    """
    found: list[RecipeError] = []
    chains = []
    for name, kind in recipe.fields.items():
        if name not in columns and kind in TYPES:
            have = ", ".join(columns)
            raise RecipeError(
                f"it needs the field {name} ({kind}); the data has {have}.",
                f"name a column with --field {name}=COLUMN, or take another recipe: leaven recipes",
                where=recipe.where,
            )
    for chain in recipe.chains:
        if chain.start == "pool" and not sets.get("pool"):
            raise RecipeError(
                "it starts from rows without a label (the pool), and there are none.",
                "give them with --unlabelled FILE, or leave the label of some rows empty.",
                where=f"{recipe.where} line {chain.line}",
            )
        stream = dict(columns)
        if chain.start == "pool":  # the label of a pool row is not known before a step says it
            stream = {n: c for n, c in stream.items() if c.type != "label"}
        checker = _Checker(recipe, found, dict(columns))
        nodes, _ = checker.nodes(chain.nodes, stream)
        chains.append(replace(chain, nodes=nodes))
    if found:
        raise found[0] if len(found) == 1 else _joined(found)
    if recipe.blend.weight:
        known = set(columns) | _written(chains)
        if recipe.blend.weight not in known:
            raise RecipeError(
                f"blend.weight is `{recipe.blend.weight}`, which names no column.",
                f"{suggest(recipe.blend.weight, sorted(known))}.",
                where=recipe.where,
            )
    return replace(recipe, chains=tuple(chains))


def lineage(recipe: Recipe) -> tuple[frozenset[str], frozenset[str]]:
    """The fields that some expression reads of ``parent`` and of ``root``; children carry a copy of just these."""
    text = "\n".join(e.source for step in recipe.steps() for e in step.expressions())
    found: dict[str, set[str]] = {"parent": set(), "root": set()}
    for line, attribute, item in re.findall(r"\b(parent|root)(?:\.(\w+)|\[['\"]([^'\"]+)['\"]\])", text):
        found[line].add(attribute or item)
    return frozenset(found["parent"]), frozenset(found["root"])


class _Builder:
    """From plain data to steps; knows the file, for errors."""

    def __init__(self, where: str, folders: Sequence[str]) -> None:
        self.where = where
        self.folders = folders
        self.seen: dict[str, int] = {}

    def at(self, line: int) -> str:
        return f"{self.where} line {line}" if line else self.where

    def chains(self, items: Any) -> tuple[Chain, ...]:
        chains: list[Chain] = []
        start, line, nodes = "source", 1, Seq()
        began = False
        for number, item in self.items(items, 1):
            if isinstance(item, Map) and list(item) == ["from"]:
                if nodes or began:
                    chains.append(Chain(start, self.nodes(nodes), line))
                start, line, nodes, began = str(item["from"]), number, Seq(), True
                if start not in SETS:
                    raise RecipeError(
                        f"`from: {start}` names no set.", f"{suggest(start, SETS)}.", where=self.at(number)
                    )
            else:
                nodes.append(item)
                nodes.lines.append(number)
        if nodes or began or not chains:
            chains.append(Chain(start, self.nodes(nodes), line))
        return tuple(chains)

    def items(self, items: Any, line: int) -> Iterator[tuple[int, Any]]:
        if not isinstance(items, Seq):
            raise RecipeError("steps are a list.", "begin each step with `- `.", where=self.at(line))
        yield from zip(items.lines, items, strict=True)

    def nodes(self, items: Any, line: int = 1) -> tuple[Node, ...]:
        return tuple(self.node(item, number) for number, item in self.items(items, line))

    def node(self, item: Any, line: int) -> Node:
        if isinstance(item, str):
            return self.step(item, None, None, line)
        if not isinstance(item, Map) or not item:
            raise RecipeError("a step is an operator, alone or with parameters.", "- paraphrase: {n: 6}",
                              where=self.at(line))
        heads = [key for key in item if key != "when"]
        if len(heads) != 1:
            raise RecipeError(
                f"one step names {len(heads)} operators: {', '.join(heads)}.",
                "begin each with `- `; indent parameters below their operator.",
                where=self.at(line),
            )
        head = heads[0]
        value = item[head]
        when = item.get("when")
        if head in LATER or head == "from":
            what = LATER.get(head, "a chain inside another step")
            raise RecipeError(f"`{head}` ({what}) is not built yet.", "leave it out.", where=self.at(line))
        if head == "any":
            return self.fork(value, line)
        if head == "repeat":
            return self.repeat(value, line)
        return self.step(head, value, when, line)

    def fork(self, value: Any, line: int) -> Fork:
        if isinstance(value, Map):
            branches = {name: self.nodes(steps, value.lines[name]) for name, steps in value.items()}
        elif isinstance(value, Seq):
            numbered = zip(value.lines, value, strict=True)
            branches = {str(i): self.nodes(steps, n) for i, (n, steps) in enumerate(numbered, 1)}
        else:
            raise RecipeError("`any` holds branches.", "any: [[STEP, ...], [STEP, ...]]", where=self.at(line))
        return Fork(branches, line)

    def repeat(self, value: Any, line: int) -> Repeat:
        if not isinstance(value, Map) or "steps" not in value:
            raise RecipeError("`repeat` needs `steps`.", "repeat: {times: 5, steps: [...]}", where=self.at(line))
        for key in value:
            if key not in ("times", "until", "result", "steps"):
                raise RecipeError(
                    f"repeat has no parameter `{key}`.",
                    f"{suggest(key, ['times', 'until', 'result', 'steps'])}.",
                    where=self.at(value.lines[key]),
                )
        until = self.until(value.get("until"), line)
        times = value.get("times", 10 if until else 1)
        if not isinstance(times, int) or not 1 <= times <= 1000:
            raise RecipeError(f"times is {times}; repeat allows 1 to 1000.", "times: 10", where=self.at(line))
        if (result := value.get("result", "all")) not in ("all", "last"):
            raise RecipeError(f"result is {result}; repeat allows all and last.", "result: last", where=self.at(line))
        return Repeat(self.nodes(value["steps"], line), times, until, result == "last", line)

    def until(self, value: Any, line: int) -> Until | None:
        if value is None:
            return None
        good = isinstance(value, Map) and (set(value) == {"per", "kept"} or set(value) in ({"dev"}, {"dev", "patience"}))
        if not good or value.get("dev", "accuracy") != "accuracy":
            raise RecipeError(
                "`until` is not understood.",
                "until: {per: label, kept: median}, or until: {dev: accuracy, patience: 2}",
                where=self.at(line),
            )
        if "dev" in value:
            return Until(dev="accuracy", patience=int(value.get("patience", 1)))
        return Until(per=str(value["per"]), kept=parse_expression(value["kept"], where=self.at(line)))

    def step(self, head: str, value: Any, when: Any, line: int) -> Step:
        at = self.at(line)
        match = re.fullmatch(r"\s*([\w.:]+)(?:\s+as\s+(\w+))?\s*", head)
        if not match:
            raise RecipeError(f"`{head}` is no step.", "a step is OPERATOR or OPERATOR as NAME.", where=at)
        try:
            cls = operators.find(match[1], self.folders)
        except RecipeError as error:
            raise _with_place(error, at) from None
        parameters = self.parameters(cls, value, line)
        op, values = self.operator(cls, parameters, line)
        condition = None if when is None else parse_expression(when, where=at)
        name = match[2] or cls.name
        if op.kind == "keep" or cls.name == "note":  # such a step is known by its own words, so none shifts another
            said = canonical([cls.name, op.spec(), {k: v.source for k, v in values.items()}, str(when)])
            key = match[2] or f"{cls.name}-{short_hash(said.decode('utf-8', 'replace'))}"
        else:
            key = name
            if name in self.seen:
                raise RecipeError(
                    f"two steps are called `{name}` (line {self.seen[name]} too).",
                    f"name one of them: {cls.name} as NAME",
                    where=at,
                )
            self.seen[name] = line
        return Step(op, name, key, line, condition, values, renamed=bool(match[2]))

    def parameters(self, cls: type[Operator], value: Any, line: int) -> dict[str, Any]:
        if value is None:
            return {}
        if cls.name == "note":
            return {"fields": value}
        if isinstance(value, Map):
            return dict(value)
        first = cls.first_parameter()
        if not first:
            raise RecipeError(f"{cls.name} takes no parameter.", f"- {cls.name}", where=self.at(line))
        return {first: value}

    def operator(
        self, cls: type[Operator], parameters: dict[str, Any], line: int
    ) -> tuple[Operator, dict[str, Expression]]:
        """The operator; a text where it wants a number is an expression, evaluated when the step runs."""
        values: dict[str, Expression] = {}
        try:
            return cls(**parameters), values
        except ValidationError as error:
            for problem in error.errors():
                key = str(problem["loc"][0]) if problem["loc"] else ""
                if isinstance(parameters.get(key), str) and problem["type"] in _NUMBER_ERRORS:
                    values[key] = parse_expression(parameters[key], where=self.at(line))
            if not values:
                raise self.invalid(cls, parameters, error, line) from None
        rest = {k: v for k, v in parameters.items() if k not in values}
        required = {k: 1 for k in values if cls.model_fields[k].is_required()}
        return self.model(cls, {**rest, **required}, cls.name, line), values

    def model(self, cls: type[Any], parameters: Any, name: str, line: int) -> Any:
        if not isinstance(parameters, dict):
            raise RecipeError(f"{name} is a mapping.", f"{name}: {{...}}", where=self.at(line))
        try:
            return cls(**parameters)
        except ValidationError as error:
            raise self.invalid(cls, parameters, error, line, name) from None

    def invalid(
        self, cls: type[BaseModel], parameters: Any, error: ValidationError, line: int, name: str = ""
    ) -> RecipeError:
        problem = error.errors()[0]
        key = str(problem["loc"][0]) if problem["loc"] else ""
        lines = getattr(parameters, "lines", {})
        at = self.at(lines.get(key, line))
        name = name or getattr(cls, "name", cls.__name__)
        takes = ", ".join(cls.model_fields) or "no parameter"
        if problem["type"] == "extra_forbidden":
            if "(" in key or ")" in key or " " in key:
                return RecipeError(f"`{key}` is no parameter of {name}.", "quote the expression.", where=at)
            close = nearest(key, cls.model_fields)
            way = f"the nearest is `{close}`; it takes {takes}." if close else f"it takes {takes}."
            return RecipeError(f"{name} has no parameter `{key}`.", way, where=at)
        if problem["type"] == "missing":
            return RecipeError(f"{name} needs the parameter `{key}`.", f"{name}: {{{key}: ...}}", where=at)
        cause = problem.get("ctx", {}).get("error")
        if isinstance(cause, LeavenError):
            return RecipeError(cause.what, cause.fix, where=cause.where or at)
        wants = problem["msg"].removeprefix("Input should be ").removeprefix("Value error, ")
        return RecipeError(
            f"{key} is {problem.get('input')!r}; {name} allows {wants}.", f"correct `{key}`; it takes {takes}.", where=at
        )

    def fields(self, data: Map, key: str) -> dict[str, str]:
        value = data.get(key)
        if value is None:
            return {}
        if isinstance(value, list):
            return {str(v): str(v) if v in TYPES else VALUE for v in value}
        if isinstance(value, dict):
            return {k: "label" if isinstance(v, list) else str(v) for k, v in value.items()}
        raise RecipeError(f"`{key}` is a list of fields.", f"{key}: [text, label]", where=self.at(data.lines[key]))


_NUMBER_ERRORS = {"int_parsing", "float_parsing", "int_type", "float_type", "list_type", "int_from_float", "bool_parsing"}


class _Checker:
    """Walks a chain with the columns that stand at each point; collects what is wrong."""

    def __init__(self, recipe: Recipe, found: list[RecipeError], data: dict[str, Column]) -> None:
        self.recipe = recipe
        self.found = found
        self.data = data
        self.lost: dict[str, tuple[str, int]] = {}

    def nodes(self, nodes: Sequence[Node], columns: dict[str, Column]) -> tuple[tuple[Node, ...], dict[str, Column]]:
        checked: list[Node] = []
        for node in nodes:
            if isinstance(node, Step):
                step = self.step(node, columns)
                if step:
                    checked.append(step)
            elif isinstance(node, Fork):
                checked.append(self.fork(node, columns))
            else:
                steps, after = self.nodes(node.steps, dict(columns))
                columns.update(after)
                checked.append(replace(node, steps=steps))
        return tuple(checked), columns

    def fork(self, fork: Fork, columns: dict[str, Column]) -> Fork:
        branches: dict[str, tuple[Node, ...]] = {}
        after: list[dict[str, Column]] = []
        for name, nodes in fork.branches.items():
            lacking = [s for s in _steps(nodes) if s.op.takes and not self.main(s.op.takes, columns)]
            if lacking:  # a branch for images in a recipe for texts, say: left out of the plan
                continue
            checked, columns_after = self.nodes(nodes, dict(columns))
            branches[name] = checked
            after.append(columns_after)
        if not branches:
            self.add(f"no branch of `any` fits the data, which has {', '.join(self.data)}.",
                     "take another recipe: leaven recipes", fork.line)
        columns["branch"] = Column("text", written=False)
        for columns_after in after:
            columns.update(columns_after)
        return replace(fork, branches=branches)

    def step(self, step: Step, columns: dict[str, Column]) -> Step | None:
        before = len(self.found)
        op = step.op
        for name in self.named(step):
            if name not in columns:
                self.unknown(step, name, columns)
        if op.takes and getattr(op, "on", "") is None:
            main = self.main(op.takes, columns)
            if not main:
                have = ", ".join(n for n, c in columns.items() if c.written)
                self.add(f"{step.name} needs {op.takes}; the data has {have}.",
                         "name a column with --field NAME=COLUMN, or take another recipe: leaven recipes", step.line)
                return None
            op = op.model_copy(update={"on": main})
        try:
            op = bind(op, columns)
        except RecipeError as error:
            self.found.append(_with_place(error, f"{self.recipe.where} line {step.line}"))
        step = replace(step, op=op)
        for name in sorted(op.reads()):
            if name not in columns and name not in LANGUAGE and name not in self.recipe.let and len(self.found) == before:
                self.unknown(step, name, columns)
        for expression in step.expressions():
            allowed = set(columns) | set(self.recipe.let) | set(type(op).model_fields) | KNOWN | {"record"}
            for name in sorted(expression.names - allowed):
                if len(self.found) == before:
                    self.unknown(step, name, columns)
        after = advance(step, columns, self.data)
        for gone in columns.keys() - after.keys():
            self.lost[gone] = (step.name, step.line)
        columns.clear()
        columns.update(after)
        for name in columns.keys() & self.lost.keys():
            del self.lost[name]
        return step

    def named(self, step: Step) -> list[str]:
        """The fields that parameters such as ``on`` and ``per`` name."""
        found: list[str] = []
        for key in ("on", "per"):
            value = getattr(step.op, key, None)
            found += [value] if isinstance(value, str) else value or []
        return [name for name in found if name not in ("root", "parent", "all", "branch")]

    def main(self, kind: str, columns: Mapping[str, Column]) -> str:
        """The field of a type that a step means when it names none: the recipe's first, else the data's."""
        mine = [name for name, t in self.recipe.fields.items() if t == kind and name in columns]
        return next(iter(mine or [name for name, c in columns.items() if c.type == kind]), "")

    def unknown(self, step: Step, name: str, columns: Mapping[str, Column]) -> None:
        if name in self.lost:
            by, line = self.lost[name]
            self.add(f"{step.name} needs {name}; the step {by} dropped it (line {line}).",
                     f"put {step.name} before {by}, or note {name} again after it.", step.line)
            return
        have = sorted(columns)
        close = nearest(name, have)
        self.add(f"{step.name} reads `{name}`, which names no field; there are {', '.join(have)}.",
                 f"the nearest is `{close}`." if close else "correct the name.", step.line)

    def add(self, what: str, fix: str, line: int) -> None:
        self.found.append(RecipeError(what, fix, where=f"{self.recipe.where} line {line}"))


KNOWN = frozenset({"labels", "median", "round_number", "branch", "parent", "root"})


def advance(step: Step, columns: Mapping[str, Column], data: Mapping[str, Column]) -> dict[str, Column]:
    """The columns that stand after a step; a field of the data keeps its type whoever writes it."""
    after = dict(columns)
    if isinstance(step.op, Make):
        for gone in dropped(step.op.changes(), columns):
            del after[gone]
        after.update(step.op.writes())
    elif isinstance(step.op, Note):
        for name, column in step.op.writes().items():
            after[step.column(name)] = data.get(name, column) if step.op.name == "note" else column
    return after


def bind(op: Operator, columns: Mapping[str, Column]) -> Operator:
    """Let an operator resolve what it left to the data, such as the inputs of a prediction."""
    resolve = getattr(op, "bind", None)
    return resolve(columns) if resolve else op


def _steps(nodes: Sequence[Node]) -> Iterator[Step]:
    for node in nodes:
        if isinstance(node, Step):
            yield node
        elif isinstance(node, Fork):
            for branch in node.branches.values():
                yield from _steps(branch)
        else:
            yield from _steps(node.steps)


def _written(chains: Sequence[Chain]) -> set[str]:
    return {
        step.column(name)
        for chain in chains
        for step in _steps(chain.nodes)
        if isinstance(step.op, Note)
        for name in step.op.writes()
    }


def _with_place(error: RecipeError, where: str) -> RecipeError:
    return RecipeError(error.what, error.fix, where=error.where or where)


def _joined(found: list[RecipeError]) -> RecipeError:
    shown = [str(error) for error in found[:5]]
    if len(found) > 5:
        shown.append(f"and {len(found) - 5} more")
    first = found[0]
    joined = RecipeError(first.what, first.fix, where=first.where)
    joined.args = ("\n".join(shown),)
    return joined


def _apply(data: Map, sets: Sequence[str], builder: _Builder) -> None:
    """Apply ``--set STEP.PARAM=VALUE``, ``blend.PARAM=VALUE`` and ``NAME=VALUE`` (a name from ``let``)."""
    for setting in sets:
        name, equals, raw = setting.partition("=")
        target, dot, parameter = name.strip().partition(".")
        if not equals:
            raise RecipeError(f"--set {setting} has no `=`.", "--set STEP.PARAM=VALUE")
        value = _value(raw)
        if not dot:
            let = data.get("let") or {}
            if target not in let:
                raise RecipeError(f"--set {setting}: the recipe's `let` has no `{target}`.",
                                  "--set STEP.PARAM=VALUE changes a step.")
            let[target] = value
        elif target == "blend":
            if not data.get("blend"):
                data["blend"] = Map()
                data.lines.setdefault("blend", 0)
            data["blend"][parameter] = value
        else:
            _set_step(data["steps"], target, parameter, value, setting, builder)


def _set_step(steps: Any, target: str, parameter: str, value: Any, setting: str, builder: _Builder) -> None:
    found: list[tuple[Any, Any, str]] = []
    known: list[str] = []

    def walk(items: Any) -> None:
        for index, item in enumerate(items or ()):
            heads = [item] if isinstance(item, str) else [k for k in item if k != "when"] if isinstance(item, Map) else []
            for head in heads:
                if head == "any":
                    inner = item[head]
                    for branch in inner.values() if isinstance(inner, Map) else inner:
                        walk(branch)
                elif head == "repeat":
                    if parameter in ("times", "result") and target == "repeat":
                        found.append((item, "repeat", head))
                    walk(item[head].get("steps"))
                else:
                    known.append(head.rpartition(" as ")[2] if " as " in head else head)
                    if known[-1] == target:
                        found.append((items, index, head) if isinstance(item, str) else (item, head, head))

    walk(steps)
    if len(found) != 1:
        what = "stands several times" if found else "is no step of the recipe"
        fix = f"name it with `{target} as NAME`" if found else suggest(target, known)
        raise RecipeError(f"--set {setting}: `{target}` {what}.", f"{fix}.")
    holder, key, head = found[0]
    if isinstance(holder, Seq):
        entry = _map({head: None}, holder.lines[key])
        holder[key] = entry
        holder, key = entry, head
    old = holder[key]
    if not isinstance(old, Map):
        first = "" if head == "repeat" else operators.find(head.split()[0], builder.folders).first_parameter()
        holder[key] = old = _map({} if old is None else {first: old}, holder.lines[key])
    old[parameter] = value
    old.lines[parameter] = holder.lines[key]


def _map(values: Mapping[str, Any], line: int) -> Map:
    made = Map(line)
    made.update(values)
    made.lines = dict.fromkeys(values, line)
    return made


def _value(raw: str) -> Any:
    if raw.startswith("@"):
        path = Path(raw[1:])
        if not path.is_file():
            raise RecipeError("there is no such file.", "--set STEP.prompt=@FILE reads a file.", where=str(path))
        return path.read_text("utf-8")
    return scalar(raw)


__all__ = ["SCORE", "Chain", "Fork", "Keep", "Literal", "Recipe", "Repeat", "Step", "Until", "build", "check", "read"]
