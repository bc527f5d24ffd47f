"""What a recipe says of a fit, and what a way of fitting makes of it."""

from __future__ import annotations

import tempfile
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal, Protocol, TypeVar

from leaven.errors import ModelError, RecipeError
from leaven.expressions import Template, parse_template
from leaven.records import Record

if TYPE_CHECKING:
    from leaven.context import Context, Rows
    from leaven.fields import Column
    from leaven.operators import State


P = TypeVar("P")


class Said(Protocol):
    """The parameters of ``adapter``, which says what they mean."""

    @property
    def role(self) -> str: ...
    @property
    def how(self) -> str: ...
    @property
    def input(self) -> str | list[str] | None: ...
    @property
    def target(self) -> str | None: ...
    @property
    def steps(self) -> int | None: ...
    @property
    def epochs(self) -> int: ...
    @property
    def batch(self) -> int | None: ...
    @property
    def lr(self) -> float | None: ...
    @property
    def rank(self) -> int: ...
    @property
    def alpha(self) -> float: ...
    @property
    def dropout(self) -> float: ...
    @property
    def layers(self) -> Literal["attention", "all"]: ...
    @property
    def size(self) -> int | None: ...
    @property
    def flip(self) -> bool: ...
    @property
    def prompt(self) -> str | None: ...
    @property
    def prior(self) -> str | None: ...
    @property
    def priors(self) -> int: ...
    @property
    def per(self) -> str | None: ...
    @property
    def init(self) -> str: ...


class Way(Protocol):
    """A module that fits the model of a role."""

    def check(self, said: Said) -> None:
        """Raises RecipeError where something is not said that it needs, or cannot be."""

    def bound(self, said: Said, columns: Mapping[str, Column]) -> dict[str, Any]:
        """What it takes of the data's fields where the recipe names none.  Raises RecipeError where there is none."""

    def reads(self, said: Said) -> frozenset[str]:
        """The fields that it reads."""

    def fit(self, said: Said, rows: Rows, ctx: Context) -> State:
        """Fit the model and leave it in ``ctx.folder``; what comes back says how it went."""


def first(said: Said) -> str | None:
    """The field that a model is shown, or steered by."""
    return said.input[0] if isinstance(said.input, list) else said.input


def second(said: Said) -> str:
    """What it is told besides: a text with ``{{ }}``, a field or an expression."""
    return said.input[1] if isinstance(said.input, list) and len(said.input) > 1 else ""


def template_of(source: str) -> Template:
    """A text with ``{{ }}``; anything else is an expression, or the name of a field or of a text of ``let``."""
    return parse_template(source if "{{" in source or "{%" in source else f"{{{{ {source} }}}}")


def column_of(kind: str, columns: Mapping[str, Column]) -> str | None:
    """The first field of a type."""
    return next((name for name, column in columns.items() if column.type == kind and column.written), None)


def target_of(kind: str, said: Said, columns: Mapping[str, Column]) -> str:
    """The field of what is to be made: the one that is named, else the first of its type."""
    target = said.target or column_of(kind, columns)
    known = columns.get(target) if target else None
    if target is None or (known is not None and known.type != kind):
        lack = f"`{target}` holds none" if target else "the data has none"
        raise RecipeError(f"adapter learns to make {PLURAL[kind]}, and {lack}.", f"name the field: target: {kind}")
    return target


def player_of(ctx: Context, kind: type[P], role: str, what: str, scheme: str = "transformers") -> P:
    """Who plays the role that is fitted further.  Raises ModelError where that does not run here."""
    player = ctx.fitted_further
    if isinstance(player, kind):
        return player
    raise ModelError(
        f"{getattr(player, 'uri', '') or 'nobody'} plays {role}, and cannot be fitted: only {what} that runs here can.",
        f"name one: --model {role}={scheme}:FOLDER",
    )


def records(rows: Rows, ctx: Context) -> Iterator[tuple[Record, Context]]:
    """The rows as records, each with the context in which its texts and expressions are taken."""
    for i, own in enumerate(rows.ids):
        record = Record(own, rows.row(i), own)
        yield record, ctx.of(record)


PLURAL = {"image": "images", "audio": "sounds"}


@contextmanager
def folder_of(ctx: Context) -> Iterator[Path]:
    """Where what is fitted is left: the folder of the step's state; apart from a run one that goes again."""
    if ctx.folder:
        yield ctx.folder
        return
    with tempfile.TemporaryDirectory(prefix="leaven-") as folder:
        yield Path(folder)
