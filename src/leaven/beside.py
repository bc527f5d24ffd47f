"""Files that a recipe names: they lie in its folder, are read once, and travel with the operator that names them."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from leaven.errors import RecipeError, nearest
from leaven.records import digest

LARGEST = 16_000_000
_folder: ContextVar[Path | None] = ContextVar("folder", default=None)
"""The folder of the recipe that is being built; None where a user's own code, or a built-in recipe, names the file."""


@dataclass(frozen=True)
class Beside:
    """A file by the name that the recipe gives it, and what it held when the recipe was read."""

    name: str
    data: bytes

    @property
    def text(self) -> str:
        """The file as text.  Raises RecipeError where it is not UTF-8."""
        try:
            return self.data.decode("utf-8-sig")
        except UnicodeDecodeError:
            raise RecipeError("it is not UTF-8.", "save it as UTF-8.", where=self.name) from None

    @property
    def spec(self) -> dict[str, str]:
        """What the file is to a plan: its name, and a hash of what it holds."""
        return {"file": self.name, "hash": digest(self.data).hex()}


@contextmanager
def of_recipe(folder: Path | None) -> Iterator[None]:
    """While a recipe is built, the names of files are taken in its folder."""
    before = _folder.set(folder)
    try:
        yield
    finally:
        _folder.reset(before)


def read_beside(value: Any) -> Beside | None:
    """The file that a parameter names.  Raises RecipeError where there is none, or where it lies elsewhere."""
    if value is None or isinstance(value, Beside):
        return value
    name = value.get("file") if isinstance(value, dict) else value
    if not isinstance(name, str | Path) or not str(name).strip():
        raise RecipeError("a file is named by a text.", "table: words.csv")
    folder = _folder.get()
    path = (folder or Path()) / name
    if folder is not None and not path.resolve().is_relative_to(folder.resolve()):
        raise RecipeError(f"`{name}` lies outside the recipe's folder.", "put the file beside the recipe.")
    try:
        if path.stat().st_size > LARGEST:
            raise RecipeError(f"`{name}` has more than {LARGEST:,} bytes.", "name a smaller file.")
        return Beside(str(name), path.read_bytes())
    except (OSError, ValueError):
        here = [p.name for p in path.parent.iterdir()] if path.parent.is_dir() else []
        close = nearest(path.name, here)
        fix = f"the nearest is `{close}`." if close else "put the file there, or correct its name."
        raise RecipeError(f"there is no file `{name}` in {folder or 'the current folder'}.", fix) from None
