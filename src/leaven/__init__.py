"""leaven: raise small datasets.  Make new records, keep the good ones, blend, and measure whether it helped.

Names are loaded when they are used.  Each operator is here by its class: ``leaven.EditWords``.
"""

from __future__ import annotations

import importlib
import re
import sys
from pathlib import Path
from types import ModuleType
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from leaven.api.blended import Blended
    from leaven.api.data import Data, read
    from leaven.api.measurement import Measurement
    from leaven.api.pipeline import Pipeline
    from leaven.api.rows import Rows
    from leaven.api.run import Run
    from leaven.api.steps import any_of as any
    from leaven.api.steps import note, repeat
    from leaven.api.transform import Transform, as_transform
    from leaven.errors import BudgetReached, DataError, LeavenError, MissingExtra, ModelError, RecipeError
    from leaven.keep.keep import KeepIf as keep
    from leaven.operators import Keep, Make, Note, Operator

__version__ = "0.1.0"

_NAMES = {
    **dict.fromkeys(("Data", "read"), "leaven.api.data"),
    **dict.fromkeys(("note", "repeat"), "leaven.api.steps"),
    **dict.fromkeys(("Transform", "as_transform"), "leaven.api.transform"),
    "Blended": "leaven.api.blended",
    "Measurement": "leaven.api.measurement",
    "Pipeline": "leaven.api.pipeline",
    "Rows": "leaven.api.rows",
    "Run": "leaven.api.run",
    **dict.fromkeys(
        ("BudgetReached", "DataError", "LeavenError", "MissingExtra", "ModelError", "RecipeError"), "leaven.errors"
    ),
    **dict.fromkeys(("Keep", "Make", "Note", "Operator"), "leaven.operators"),
}
_CALLED = {"keep": ("leaven.keep.keep", "KeepIf"), "recipe": ("leaven.api.pipeline", "recipe")}
"""Functions that are called as a package of leaven is; the package is both."""

__all__ = [
    "Blended",
    "BudgetReached",
    "Data",
    "DataError",
    "Keep",
    "LeavenError",
    "Make",
    "Measurement",
    "MissingExtra",
    "ModelError",
    "Note",
    "Operator",
    "Pipeline",
    "RecipeError",
    "Rows",
    "Run",
    "Transform",
    "any",
    "as_transform",
    "keep",
    "note",
    "read",
    "recipe",
    "repeat",
]


class _Called(ModuleType):
    """A package that may be called."""

    def __call__(self, *arguments: Any, **options: Any) -> Any:
        module, name = _CALLED[self.__name__.removeprefix("leaven.")]
        return getattr(importlib.import_module(module), name)(*arguments, **options)


class _Leaven(ModuleType):
    """This package, which makes some of those in it callable as they are imported."""

    def __setattr__(self, name: str, value: Any) -> None:
        if name in _CALLED and isinstance(value, ModuleType):
            value.__class__ = _Called
        super().__setattr__(name, value)


sys.modules[__name__].__class__ = _Leaven


def __getattr__(name: str) -> Any:
    if name.startswith("__"):
        raise AttributeError(f"module 'leaven' has no attribute {name!r}")
    if name == "any":
        return importlib.import_module("leaven.api.steps").any_of
    if name in _NAMES:
        return getattr(importlib.import_module(_NAMES[name]), name)
    if name in _CALLED:
        return importlib.import_module(f"leaven.{name}")
    here = Path(__file__).parent
    if (here / name).is_dir() or (here / f"{name}.py").is_file():  # `from leaven import terminal` asks here first
        raise AttributeError(f"leaven.{name} is not imported")
    operators = importlib.import_module("leaven.operators")
    if name[:1].isupper():
        known = {_class_name(operator): operator for operator in operators.names()}
        if name in known:
            return operators.find(known[name])
    suggest = importlib.import_module("leaven.errors").suggest
    raise AttributeError(f"leaven has no `{name}`; {suggest(name, __dir__())}.")


def __dir__() -> list[str]:
    operators = importlib.import_module("leaven.operators").names()
    return sorted({*__all__, "__version__", *map(_class_name, operators)})


def _class_name(operator: str) -> str:
    return re.sub(r"(?:^|_)(\w)", lambda found: found[1].upper(), operator)
