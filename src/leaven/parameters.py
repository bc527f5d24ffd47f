"""Kinds of parameters that operators have beside plain numbers and texts."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated, Any

from pydantic import BeforeValidator, PlainSerializer

from leaven.beside import Beside, read_beside
from leaven.expressions import Expression, Template, parse_expression, parse_template

if TYPE_CHECKING:
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
