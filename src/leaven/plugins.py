"""Plug-ins: installed packages that add operators, recipes and models.

A package says ``[project.entry-points.leaven]`` and ``mylab = "mylab"``: a name, and a package whose files are found by
their names as the built-in ones are.  ``mylab:sketch`` is then the operator in ``sketch.py`` and the recipe in
``recipes/sketch.yaml``.  The package's ``schemes`` says which class plays a model whose URI begins ``mylab:``.

What is installed is looked up only where a name has a colon, and only what a name stands for is imported.
"""

from __future__ import annotations

import importlib
import importlib.util
import sys
from functools import lru_cache
from pathlib import Path
from types import ModuleType
from typing import TYPE_CHECKING, Any

from leaven.errors import LeavenError, RecipeError, listed, nearest

if TYPE_CHECKING:
    from importlib.metadata import EntryPoint

GROUP = "leaven"


def names() -> list[str]:
    """The names of all plug-ins, sorted."""
    return sorted(_installed())


def folders() -> dict[str, Path]:
    """The folder of each plug-in that has one, by name; those that are broken say so once they are used."""
    found: dict[str, Path] = {}
    for name in names():
        try:
            found[name] = folder(name)
        except RecipeError:
            continue
    return found


def folder(name: str) -> Path:
    """The folder of a plug-in's package, which is not imported.  Raises RecipeError where there is none."""
    entry = _entry(name)
    try:
        spec = importlib.util.find_spec(entry.module)
    except Exception as error:  # a package above it is imported, and may do anything
        raise _broken(entry, error) from error
    if spec is None:
        raise _broken(entry, ModuleNotFoundError(f"No module named {entry.module!r}"))
    if not spec.submodule_search_locations:
        raise RecipeError(
            f"the plug-in `{name}` of {_of(entry)} names the module {entry.module}, and files are found in packages.",
            f'{name} = "PACKAGE", in its pyproject.toml.',
        )
    return Path(next(iter(spec.submodule_search_locations)))


def load(name: str, file: str = "") -> ModuleType:
    """A module of a plug-in, by the name of its file; without one the package itself.

    Raises RecipeError, which names the package, where it does not load.
    """
    entry = _entry(name)
    try:
        return importlib.import_module(f"{entry.module}.{file}" if file else entry.module)
    except LeavenError:
        raise
    except Exception as error:
        raise _broken(entry, error) from error


def scheme(name: str) -> Any | None:
    """The class that plays models whose URI begins ``NAME:``; None where no plug-in of that name has one.

    Called with the URI it makes a ``leaven.models.asker.Player``.
    """
    if name not in _installed():
        return None
    said = getattr(load(name), "schemes", {}).get(name)
    if said is None:
        return None
    module, _, attribute = str(said).partition(":")
    try:
        return getattr(importlib.import_module(module), attribute)
    except Exception as error:
        raise _broken(_entry(name), error) from error


def _installed() -> dict[str, list[EntryPoint]]:
    return _installed_at(tuple(sys.path))


@lru_cache(maxsize=1)
def _installed_at(path: tuple[str, ...]) -> dict[str, list[EntryPoint]]:
    """The entry points of all packages on this path: some files are read for each."""
    from importlib.metadata import entry_points

    found: dict[str, list[EntryPoint]] = {}
    for entry in entry_points(group=GROUP):
        found.setdefault(entry.name, []).append(entry)
    return found


def _entry(name: str) -> EntryPoint:
    found = _installed().get(name, [])
    if not found:
        close = nearest(name, names())
        others = f"those here add {listed(names())}" if names() else "none is installed here"
        raise RecipeError(
            f"no installed package adds `{name}`.",
            f"the nearest is `{close}`." if close else f"install the one that does; {others}.",
        )
    if len(found) > 1:
        packages = sorted(map(_of, found))
        raise RecipeError(
            f"{len(found)} packages add `{name}`: {listed(packages)}.", f"keep one: pip uninstall {packages[-1]}"
        )
    return found[0]


def _of(entry: EntryPoint) -> str:
    return entry.dist.name if entry.dist else entry.module


def _broken(entry: EntryPoint, error: Exception) -> RecipeError:
    return RecipeError(
        f"the plug-in `{entry.name}` of {_of(entry)} does not load: {type(error).__name__}: {error}.",
        f"update it, or pip uninstall {_of(entry)}",
    )
