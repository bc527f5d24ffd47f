"""The shape of an answer that fills fields: from the words of ``into`` to a class, and from its object to values."""

from __future__ import annotations

import warnings
from collections.abc import Mapping
from functools import lru_cache
from typing import Any, Literal

from pydantic import BaseModel, Field, create_model

from leaven.errors import RecipeError
from leaven.fields import SCORE, VALUE, Column

Kind = Literal["str", "int", "float", "bool", "list"]
Into = str | list[str] | dict[str, Kind]
"""The fields that an answer fills: a name, names, or names and kinds; a name alone is a text."""

TYPES: dict[str, Any] = {"str": str, "int": int, "float": float, "bool": bool, "list": list[str]}


def kinds(into: Into) -> dict[str, Kind]:
    """Each field and its kind.  Raises RecipeError for a name that no field can have."""
    found: dict[str, Kind] = (
        dict(into) if isinstance(into, dict) else dict.fromkeys([into] if isinstance(into, str) else into, "str")
    )
    for name in found:
        if not name or name.startswith("_") or name == "model_config":
            raise RecipeError(f"`{name}` cannot name a field.", "into: [question, answer]")
    return found


def columns(fields: Mapping[str, Kind]) -> dict[str, Column]:
    """The columns that the fields are where the data has none of their names.

    They are about nothing: what a model answered stays when the text changes that it was asked about.
    """
    return {name: Column(SCORE if kind in ("int", "float") else VALUE) for name, kind in fields.items()}


def shape_of(fields: Mapping[str, Kind], many: bool = False) -> type[BaseModel]:
    """The class of an answer that holds the fields once, or a list of them; a single text is not wrapped."""
    return _shape(tuple(fields.items()), many)


def rows_of(answer: BaseModel, fields: Mapping[str, Kind], many: bool = False) -> list[dict[str, Any]]:
    """What an answer of that shape says of the fields, as often as it holds them."""
    if not many:
        return [_row(answer, fields)]
    [first, *_] = fields
    found: list[Any] = getattr(answer, ITEMS)
    return [_row(item, fields) if isinstance(item, BaseModel) else {first: item} for item in found]


ITEMS = "items"


@lru_cache(maxsize=256)
def _shape(fields: tuple[tuple[str, Kind], ...], many: bool) -> type[BaseModel]:
    one = class_of({name: (TYPES[kind], Field()) for name, kind in fields})
    if not many:
        return one
    single = len(fields) == 1 and fields[0][1] == "str"
    return class_of({ITEMS: (list[str] if single else list[one], Field())})  # type: ignore[valid-type]


def class_of(fields: Mapping[str, Any]) -> type[BaseModel]:
    """A class with these fields, each a type and its limits, whatever they are called."""
    with warnings.catch_warnings():
        warnings.simplefilter(
            "ignore", UserWarning
        )  # a column may be called `copy` or `json`, as pydantic's methods are
        made: type[BaseModel] = create_model("Answer", **dict(fields))
    return made


def _row(item: BaseModel, fields: Mapping[str, Kind]) -> dict[str, Any]:
    return {name: getattr(item, name) for name in fields}
