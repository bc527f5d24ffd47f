"""Parameters: the kinds that operators have beside plain numbers and texts, and what is said where one is wrong."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated, Any

from pydantic import BaseModel, BeforeValidator, PlainSerializer, ValidationError

from leaven.beside import Beside, read_beside
from leaven.errors import LeavenError, RecipeError, nearest, suggest
from leaven.expressions import Expression, Template, parse_expression, parse_template

if TYPE_CHECKING:
    from pydantic_core import ErrorDetails

    Expr = Expression
    Text = Template
    File = Beside
else:  # pydantic would look into the two classes; it has only to let them through
    _words = PlainSerializer(lambda value: None if value is None else value.source)
    Expr = Annotated[Any, BeforeValidator(lambda v: v if isinstance(v, Expression) else parse_expression(v)), _words]
    Text = Annotated[Any, BeforeValidator(lambda v: v if isinstance(v, Template) else parse_template(v)), _words]
    File = Annotated[Any, BeforeValidator(read_beside), PlainSerializer(lambda file: file and file.spec)]

"""``Expr`` is a parameter that holds an expression, ``Text`` one with ``{{ }}``; the check of a recipe reads the names
that they need.  ``File`` is a file beside the recipe: in the recipe its name, in the operator what it holds."""


def wrong(cls: type[BaseModel], error: ValidationError, name: str) -> RecipeError:
    """What pydantic finds wrong first with the parameters of ``name``, an operator or a part of a recipe."""
    problem = error.errors()[0]
    key, *inner = map(str, problem["loc"] or [""])
    takes = ", ".join(_own_first(cls)) or "no parameter"
    if problem["type"] == "extra_forbidden" and inner:
        kind = cls.model_fields[key].annotation if key in cls.model_fields else None
        known = [n for part in getattr(kind, "__args__", ()) for n in getattr(part, "model_fields", {})]
        return RecipeError(f"`{key}` of {name} has no parameter `{inner[-1]}`.", f"{suggest(inner[-1], known)}.")
    if problem["type"] == "extra_forbidden":
        if "(" in key or ")" in key or " " in key:
            return RecipeError(f"`{key}` is no parameter of {name}.", "quote the expression.")
        close = nearest(key, cls.model_fields)
        way = f"the nearest is `{close}`; it takes {takes}." if close else f"it takes {takes}."
        return RecipeError(f"{name} has no parameter `{key}`.", way)
    if problem["type"] == "missing" and inner:
        return RecipeError(f"`{key}` of {name} needs `{inner[-1]}`.", f"{key}: {{{inner[-1]}: ...}}")
    if problem["type"] == "missing":
        return RecipeError(f"{name} needs the parameter `{key}`.", f"{name}: {{{key}: ...}}")
    cause = problem.get("ctx", {}).get("error")
    if cause is not None and cause.args and isinstance(cause.args[0], LeavenError):
        return RecipeError(cause.args[0].what, cause.args[0].fix)
    said = _shown(problem.get("input"))
    if wants := _bounds(cls, key, problem["type"]) if problem["type"] in _BOUND_ERRORS else None:
        return RecipeError(f"{key} is {said}; {name} allows {wants[0]}.", f"{key}: {wants[1]}")
    wanted = " or ".join(dict.fromkeys(_wanted(other) for other in error.errors() if other["loc"][:1] == (key,)))
    return RecipeError(
        f"{key} is {said}; {name} allows {wanted or _wanted(problem)}.", f"correct `{key}`; it takes {takes}."
    )


def _wanted(problem: ErrorDetails) -> str:
    said = problem["msg"].removeprefix("Input should be ").removeprefix("Value error, ")
    return _KINDS.get(problem["type"], said)


def _own_first(cls: type[BaseModel]) -> list[str]:
    """The parameters that a class declares itself, then those that it shares with others."""
    own = [name for name in vars(cls).get("__annotations__", {}) if name in cls.model_fields]
    return [*own, *(name for name in cls.model_fields if name not in own)]


def _shown(value: Any) -> str:
    return cut if len(cut := repr(value)) <= 60 else cut[:57] + "..."


def _bounds(cls: type[BaseModel], key: str, problem: str) -> tuple[str, str] | None:
    """What a number may be, in words, and the nearest value that it may have."""
    found: dict[str, Any] = {}
    for rule in cls.model_fields[key].metadata:
        found |= {name: v for name in ("ge", "gt", "le", "lt") if (v := getattr(rule, name, None)) is not None}
    low = f"{found['ge']} or more" if "ge" in found else f"above {found['gt']}" if "gt" in found else ""
    high = f"{found['le']} at most" if "le" in found else f"below {found['lt']}" if "lt" in found else ""
    if not low and not high:
        return None
    said = (
        f"{found['ge']} to {found['le']}"
        if "ge" in found and "le" in found
        else " and ".join(filter(None, (low, high)))
    )
    edge = found.get("ge" if problem.startswith("greater") else "le")
    standard = cls.model_fields[key].default
    if edge is None and isinstance(standard, int | float):
        edge = standard
    return said, "..." if edge is None else str(edge)


_BOUND_ERRORS = {"greater_than", "greater_than_equal", "less_than", "less_than_equal"}
_KINDS = {
    **dict.fromkeys(("int_parsing", "int_type", "int_from_float"), "a whole number"),
    **dict.fromkeys(("float_parsing", "float_type", "finite_number"), "a number"),
    **dict.fromkeys(("bool_parsing", "bool_type"), "true or false"),
    **dict.fromkeys(("list_type", "tuple_type"), "a list"),
    **dict.fromkeys(("dict_type", "mapping_type", "model_type"), "a mapping"),
    "string_type": "a text",
}
