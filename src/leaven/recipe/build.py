"""From plain data to a recipe: every error names the file and the line."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping, Sequence
from copy import copy
from dataclasses import replace
from importlib import resources
from importlib.resources.abc import Traversable
from pathlib import Path
from typing import Any

from pydantic import BaseModel, ValidationError

from leaven import operators, plugins
from leaven.beside import of_recipe
from leaven.blend.blend import Blend
from leaven.draws import Draw, placed
from leaven.errors import RecipeError, nearest, suggest
from leaven.expressions import Expression, Template, parse_expression, parse_template
from leaven.fields import TYPES, VALUE
from leaven.models.roles import ASKED
from leaven.operators import Operator
from leaven.parameters import wrong
from leaven.plain_yaml import Map, Seq, load, load_file
from leaven.recipe.adapters import with_adapters
from leaven.recipe.model import Chain, Fork, Node, Recipe, Repeat, Start, Step, Until, with_place
from leaven.recipe.settings import apply
from leaven.records import canonical, short_hash

KEYS = [
    "name",
    "paper",
    "about",
    "fields",
    "pool",
    "given",
    "labels",
    "models",
    "let",
    "steps",
    "blend",
    "train",
    "cost",
    "base",
    "change",
]
LATER = {
    "aside": "sets beside the stream",
    "base": "variants of a recipe",
    "change": "variants of a recipe",
}
SETS = ("source", "pool", "given")
REPEAT = ["times", "until", "calls", "result", "steps"]


def names() -> list[str]:
    """All recipes that ``-r`` takes by name: the built-in ones, then those of plug-ins."""
    added = [f"{plugin}:{own}" for plugin, at in plugins.folders().items() for own in _files(at / "recipes")]
    return [*_files(resources.files("leaven") / "recipes"), *added]


def _files(folder: Traversable) -> list[str]:
    """The recipes in a folder, sorted."""
    found = folder.iterdir() if folder.is_dir() else ()
    return sorted(Path(entry.name).stem for entry in found if entry.name.endswith(".yaml"))


def read(recipe: str, *, sets: Sequence[str] = (), folders: Sequence[str] = ()) -> Recipe:
    """Read a recipe by built-in name or by file (a ``/`` or ``.yaml`` in it), with ``--set`` changes applied."""
    for named in folders:
        if not Path(named).is_dir():
            fix = "--operators DIR, with a .py file of each operator"
            raise RecipeError("there is no such folder.", fix, where=named)
    beside: Path | None
    if "/" in recipe or recipe.endswith((".yaml", ".yml")):
        path = Path(recipe)
        if path.is_dir():
            raise RecipeError("it is a folder.", "name a file: -r mine.yaml", where=recipe)
        data, beside = load_file(path), path.parent
        text, where, name = path.read_text("utf-8"), path.name, path.stem
    else:
        plugin, colon, _ = recipe.rpartition(":")
        text, beside = source(recipe), plugins.folder(plugin) / "recipes" if colon else None
        data, where, name = load(text, f"recipe {recipe}"), f"recipe {recipe}", recipe
    return build(data, text=text, where=where, name=name, sets=sets, folders=folders, folder=beside)


def source(name: str) -> str:
    """The file of a built-in recipe, or of a plug-in's (``PACKAGE:NAME``)."""
    plugin, colon, own = name.rpartition(":")
    folder = (plugins.folder(plugin) if colon else resources.files("leaven")) / "recipes"
    known = _files(folder)
    if own not in known:
        close = nearest(own, known)
        way = f"the nearest is `{plugin}{colon}{close}`" if close else "leaven recipes lists them"
        raise RecipeError(f"there is no recipe `{name}`.", f"{way}; a file is named with its .yaml.")
    return (folder / f"{own}.yaml").read_text("utf-8")


def build(
    data: Any,
    *,
    text: str,
    where: str,
    name: str,
    sets: Sequence[str] = (),
    folders: Sequence[str] = (),
    folder: Path | None = None,
) -> Recipe:
    """Build a recipe from plain data; files that it names lie in ``folder``, of a built-in one where the user is."""
    with of_recipe(folder):
        return _build(data, text=text, where=where, name=name, sets=sets, folders=folders)


def _build(data: Any, *, text: str, where: str, name: str, sets: Sequence[str], folders: Sequence[str]) -> Recipe:
    if not isinstance(data, Map) or "steps" not in data:
        raise RecipeError("a recipe is a mapping with the key `steps`.", "see leaven recipes classic-text", where=where)
    for key in data:
        at = f"{where} line {data.lines[key]}"
        if key not in KEYS:
            raise RecipeError(f"a recipe has no key `{key}`.", f"{suggest(key, KEYS)}.", where=at)
        if key in LATER:
            raise RecipeError(f"`{key}` ({LATER[key]}) is not built yet.", "leave it out.", where=at)
    if data["steps"] is None:
        raise RecipeError(
            "`steps` is empty.", "write one step a line: - edit_chars", where=f"{where} line {data.lines['steps']}"
        )
    for key in ("let", "labels", "blend", "models"):
        if not isinstance(data.get(key) or Map(), Map):
            raise RecipeError(f"`{key}` is a mapping.", f"{key}: {{...}}", where=f"{where} line {data.lines[key]}")
    for key in ("name", "about", "paper", "cost"):
        if isinstance(data.get(key), Map | Seq):
            raise RecipeError(f"`{key}` is a text.", f"{key}: ...", where=f"{where} line {data.lines[key]}")
    if sets:  # what --set changes is looked for in a recipe that is well built
        _Builder(where, folders, data.get("let") or {}).chains(data["steps"])
        apply(data, sets, folders)
    builder = _Builder(where, folders, data.get("let") or {})
    chains = with_adapters(builder.chains(data["steps"]), where)
    return Recipe(
        name=str(data.get("name", name)),
        chains=chains,
        blend=builder.model(Blend, data.get("blend") or {}, "blend", data.lines.get("blend", 0)),
        fields=builder.fields(data, "fields"),
        optional=builder.optional(data),
        pool=builder.fields(data, "pool"),
        text=text,
        where=where,
        about=str(data.get("about", "")),
        paper=str(data.get("paper", "")),
        cost=str(data.get("cost", "")),
        let=dict(data.get("let") or {}),
        texts=texts(data.get("let") or Map(), where),
        models=builder.hints(data),
        labels={str(k): str(v) for k, v in (data.get("labels") or {}).items()},
    )


def texts(let: Map, where: str) -> dict[str, Template]:
    """The values of ``let`` that hold ``{{ }}``."""
    return {
        name: parse_template(value, where=f"{where} line {let.lines.get(name, 1)}")
        for name, value in let.items()
        if isinstance(value, str) and ("{{" in value or "{%" in value)
    }


class _Builder:
    """From plain data to steps; knows the file, for errors."""

    def __init__(self, where: str, folders: Sequence[str], let: Mapping[str, Any]) -> None:
        self.where = where
        self.folders = folders
        self.let = let
        self.seen: dict[str, int] = {}

    def at(self, line: int) -> str:
        return f"{self.where} line {line}" if line else self.where

    def chains(self, items: Any) -> tuple[Chain, ...]:
        chains: list[Chain] = []
        start, line, nodes = "source", 1, Seq()
        began = False
        for number, item in self.items(items, 1):
            if (isinstance(item, Map) and list(item) in (["from"], ["start"])) or item == "start":
                if nodes or began:
                    chains.append(Chain(start, self.nodes(nodes), line))
                if item == "start" or "start" in item:
                    start, line, nodes, began = "start", number, Seq(), True
                    nodes.append(item)
                    nodes.lines.append(number)
                    continue
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
        found = tuple(self.node(item, number) for number, item in self.items(items, line))
        for node in found[1:]:
            if isinstance(node, Start):
                raise RecipeError(
                    "`start` stands after other steps.",
                    "begin a chain with it, or the steps of a `repeat`.",
                    where=self.at(node.line),
                )
        return found

    def start(self, value: Any, line: int) -> Start:
        """``start: {per: label, n: 100}``: records from nothing."""
        value = Map(line) if value is None else value
        if not isinstance(value, Map) or set(value) - {"per", "n"}:
            raise RecipeError("`start` is not understood.", "start: {per: label, n: 100}", where=self.at(line))
        n = None if value.get("n") is None else parse_expression(value["n"], where=self.at(line))
        return Start(str(value.get("per", "")), n, line)

    def hints(self, data: Map) -> dict[str, str]:
        """``models:``: which model suits a role, or which other role plays it."""
        found: dict[str, str] = {}
        for name, said in (data.get("models") or Map()).items():
            role = name.partition(".")[0]
            if role not in ASKED:
                raise RecipeError(
                    f"there is no role `{role}`.", f"{suggest(role, ASKED)}.", where=self.at(data.lines["models"])
                )
            found[name] = str(said)
        return found

    def node(self, item: Any, line: int) -> Node:
        if item == "start":
            return self.start(None, line)
        if isinstance(item, str):
            return self.step(item, None, None, line)
        if not isinstance(item, Map) or not item:
            raise RecipeError(
                "a step is an operator, alone or with parameters.", "- paraphrase: {n: 6}", where=self.at(line)
            )
        heads = [key for key in item if key != "when"]
        if not heads:
            raise RecipeError(
                "`when` stands without an operator.",
                "begin the step with one: - edit_chars, and `when:` below it.",
                where=self.at(line),
            )
        if len(heads) != 1:
            raise with_place(self.crowded(heads), self.at(line))
        head = heads[0]
        value = item[head]
        when = item.get("when")
        if head in LATER or head == "from":
            what = LATER.get(head, "a chain inside another step")
            raise RecipeError(f"`{head}` ({what}) is not built yet.", "leave it out.", where=self.at(line))
        if when is not None and head in ("any", "repeat"):
            raise RecipeError(
                f"`when` beside `{head}` is not built yet.",
                "put `when` beside the steps inside it.",
                where=self.at(line),
            )
        if head == "start":
            return self.start(value, line)
        if head == "any":
            return self.fork(value, line)
        if head == "repeat":
            return self.repeat(value, line)
        return self.step(head, value, when, line)

    def crowded(self, heads: Sequence[str]) -> RecipeError:
        """Several keys where one operator belongs; mostly the others are its parameters."""
        for head in heads:
            try:
                cls = operators.find(head.partition(" ")[0], self.folders)
            except RecipeError:
                continue
            beside = [other for other in heads if other != head]
            if all(other in cls.model_fields for other in beside):
                named = " and ".join(f"`{other}`" for other in beside)
                said = "stands beside" if len(beside) == 1 else "stand beside"
                fix = f"{head}: {{{', '.join(f'{other}: ...' for other in beside)}}}, or indent it below `{head}:`"
                return RecipeError(f"{named} {said} {cls.name}, and not among its parameters.", fix)
        return RecipeError(
            f"one step names {len(heads)} operators: {', '.join(heads)}.",
            "begin each with `- `; indent parameters below their operator.",
        )

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
            if key not in REPEAT:
                raise RecipeError(
                    f"repeat has no parameter `{key}`.",
                    f"{suggest(key, REPEAT)}.",
                    where=self.at(value.lines[key]),
                )
        until = self.until(value.get("until"), line)
        times = value.get("times", 10 if until else 1)
        if not isinstance(times, int) or isinstance(times, bool) or not 1 <= times <= 1000:
            raise RecipeError(f"times is {times}; repeat allows 1 to 1000.", "times: 10", where=self.at(line))
        if (result := value.get("result", "all")) not in ("all", "last"):
            raise RecipeError(f"result is {result}; repeat allows all and last.", "result: last", where=self.at(line))
        if result == "last" and until and until.kept is not None:
            raise RecipeError(
                "`result: last` forgets what earlier rounds kept, which `until: {per, kept}` counts.",
                "leave out `result`.",
                where=self.at(line),
            )
        calls = value.get("calls")
        if calls is not None and (not isinstance(calls, int) or isinstance(calls, bool) or calls < 1):
            raise RecipeError(
                f"calls is {calls}; repeat takes a whole number from 1.", "calls: 2000", where=self.at(line)
            )
        return Repeat(self.nodes(value["steps"], line), times, until, result == "last", line, calls)

    def until(self, value: Any, line: int) -> Until | None:
        if value is None:
            return None
        good = isinstance(value, Map) and (
            set(value) == {"per", "kept"} or set(value) in ({"dev"}, {"dev", "patience"})
        )
        if not good or value.get("dev", "accuracy") != "accuracy":
            raise RecipeError(
                "`until` is not understood.",
                "until: {per: label, kept: median}, or until: {dev: accuracy, patience: 2}",
                where=self.at(line),
            )
        if "dev" in value:
            patience = value.get("patience", 1)
            if not isinstance(patience, int) or isinstance(patience, bool) or not 1 <= patience <= 1000:
                raise RecipeError(
                    f"patience is {patience}; until allows 1 to 1000.",
                    "patience: 2",
                    where=self.at(value.lines["patience"]),
                )
            return Until(dev="accuracy", patience=patience)
        return Until(per=str(value["per"]), kept=parse_expression(value["kept"], where=self.at(line)))

    def step(self, head: str, value: Any, when: Any, line: int) -> Step:
        at = self.at(line)
        match = re.fullmatch(r"\s*([\w.:]+)(?:\s+as\s+(\w+))?\s*", head)
        if not match:
            raise RecipeError(f"`{head}` is no step.", "a step is OPERATOR or OPERATOR as NAME.", where=at)
        try:
            cls = operators.find(match[1], self.folders)
        except RecipeError as error:
            raise with_place(error, at) from None
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
            return self.drawing(value)
        first = cls.first_parameter()
        if not first:
            raise RecipeError(f"{cls.name} takes no parameter.", f"- {cls.name}", where=self.at(line))
        return {first: value}

    def drawing(self, parameters: Map) -> dict[str, Any]:
        """The parameters, with the rows that `draw: {of: NAME}` means where `let` has a list of that name."""
        draw = parameters.get("draw")
        of = draw.get("of") if isinstance(draw, Map) else None
        if isinstance(draw, Map) and isinstance(of, str) and isinstance(rows := self.let.get(of), Seq):
            found, drawn = copy(parameters), copy(draw)
            drawn["of"], found["draw"] = rows, drawn
            return found
        return parameters

    def operator(
        self, cls: type[Operator], parameters: dict[str, Any], line: int
    ) -> tuple[Operator, dict[str, Expression]]:
        """The operator; a text where it wants a number is an expression, evaluated when the step runs."""
        values: dict[str, Expression] = {}
        try:
            return self.placed(cls.checked(parameters), line), values
        except RecipeError as error:
            raise with_place(error, self.at(line)) from None
        except ValidationError as error:
            for problem in error.errors():
                key = str(problem["loc"][0]) if problem["loc"] else ""
                if isinstance(parameters.get(key), str) and problem["type"] in _NUMBER_ERRORS:
                    values[key] = parse_expression(parameters[key], where=self.at(line))
            if not values:
                raise self.invalid(cls, parameters, error, line, cls.name) from None
        rest = {k: v for k, v in parameters.items() if k not in values}
        standing = dict.fromkeys(values, 1)  # until the step runs
        known = Map(line)
        known.update({**rest, **standing})
        known.lines = getattr(parameters, "lines", {})
        return self.placed(self.model(cls, known, cls.name, line), line), values

    def placed(self, op: Operator, line: int) -> Operator:
        """The operator, whose expressions and templates know their line for what only a record can show wrong."""
        at = self.at(line)

        def put(value: Any) -> Any:
            if isinstance(value, Expression | Template):
                return value if value.where else replace(value, where=at)
            if isinstance(value, Draw):
                return placed(value, at)
            return {k: put(v) for k, v in value.items()} if isinstance(value, dict) else value

        found = {key: getattr(op, key) for key in type(op).model_fields}
        changed = {key: new for key, old in found.items() if (new := put(old)) is not old and new != old}
        changed |= {k: put(v) for k, v in found.items() if isinstance(v, Expression | Template) and not v.where}
        return op.model_copy(update=changed) if changed else op

    def model(self, cls: type[Blend] | type[Operator], parameters: Any, name: str, line: int) -> Any:
        if not isinstance(parameters, dict):
            raise RecipeError(f"{name} is a mapping.", f"{name}: {{...}}", where=self.at(line))
        try:
            return cls.checked(parameters) if issubclass(cls, Operator) else cls(**parameters)
        except RecipeError as error:
            raise with_place(error, self.at(line)) from None
        except ValidationError as error:
            raise self.invalid(cls, parameters, error, line, name) from None

    def invalid(
        self, cls: type[BaseModel], parameters: Any, error: ValidationError, line: int, name: str
    ) -> RecipeError:
        place = error.errors()[0]["loc"]
        lines = getattr(parameters, "lines", {})
        return with_place(wrong(cls, error, name), self.at(lines.get(place[0], line) if place else line))

    def optional(self, data: Map) -> frozenset[str]:
        """The fields that end in a question mark, or whose type does: the data may lack them."""
        value = data.get("fields") or ()
        said = [(k, v) for k, v in value.items() if isinstance(v, str)] if isinstance(value, Map) else zip(value, value)
        return frozenset(name.removesuffix("?") for name, kind in said if kind.endswith("?"))

    def fields(self, data: Map, key: str) -> dict[str, str]:
        value = data.get(key)
        if value is None:
            return {}
        if isinstance(value, Seq) and all(isinstance(v, str) for v in value):
            names = [v.removesuffix("?") if key == "fields" else v for v in value]
            return {v: v if v in TYPES else VALUE for v in names}
        if isinstance(value, Map):
            for name, kind in value.items():
                if isinstance(kind, str) and key == "fields":
                    kind = kind.removesuffix("?")
                if not isinstance(kind, list) and kind not in {*TYPES, VALUE}:
                    close = nearest(str(kind), TYPES)
                    raise RecipeError(
                        f"`{name}: {'' if kind is None else kind}` names no type of field.",
                        f"the nearest is `{close}`." if close else f"{name}: text",
                        where=self.at(value.lines[name]),
                    )
            return {k: "label" if isinstance(v, list) else str(v).removesuffix("?") for k, v in value.items()}
        raise RecipeError(f"`{key}` is a list of fields.", f"{key}: [text, label]", where=self.at(data.lines[key]))


_NUMBER_ERRORS = {
    "int_parsing",
    "float_parsing",
    "int_type",
    "float_type",
    "list_type",
    "int_from_float",
    "bool_parsing",
}
