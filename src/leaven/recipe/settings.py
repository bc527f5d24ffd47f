"""``--set``: change a parameter of a recipe from outside."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from leaven import operators
from leaven.errors import RecipeError, suggest
from leaven.plain_yaml import Map, Seq, scalar


def apply(data: Map, sets: Sequence[str], folders: Sequence[str]) -> None:
    """Apply ``--set STEP.PARAM=VALUE``, ``blend.PARAM=VALUE`` and ``NAME=VALUE`` (a name from ``let``)."""
    for setting in sets:
        name, equals, raw = setting.partition("=")
        target, dot, parameter = name.strip().partition(".")
        if not equals:
            raise RecipeError(f"--set {setting} has no `=`.", "--set STEP.PARAM=VALUE")
        if not target or (dot and not parameter):
            raise RecipeError(f"--set {setting} names no parameter.", "--set STEP.PARAM=VALUE")
        value = _value(raw)
        if not dot:
            let = data.get("let") or {}
            if target not in let:
                way = f"{suggest(target, let)}" if let else "--set STEP.PARAM=VALUE changes a step"
                raise RecipeError(f"--set {setting}: the recipe's `let` has no `{target}`.", f"{way}.")
            let[target] = value
        elif target == "blend":
            if not data.get("blend"):
                data["blend"] = Map()
                data.lines.setdefault("blend", 0)
            data["blend"][parameter] = value
        else:
            _set_step(data["steps"], target, parameter, value, setting, folders)


def _set_step(steps: Any, target: str, parameter: str, value: Any, setting: str, folders: Sequence[str]) -> None:
    found: list[tuple[Any, Any, str]] = []
    known: list[str] = []

    def walk(items: Any) -> None:
        for index, item in enumerate(items or ()):
            heads = (
                [item] if isinstance(item, str) else [k for k in item if k != "when"] if isinstance(item, Map) else []
            )
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
                    if head == "start":
                        continue
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
        first = "" if head == "repeat" else operators.find(head.split()[0], folders).first_parameter()
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
        try:
            return path.read_text("utf-8")
        except (OSError, UnicodeDecodeError):
            raise RecipeError("it cannot be read as UTF-8.", "save it as UTF-8.", where=str(path)) from None
    return scalar(raw)
