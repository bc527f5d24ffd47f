"""Recipes with more steps: the scores that a search reads, and in the end the keep and the blend that it chose."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from leaven.plain_yaml import load
from leaven.recipe import Recipe
from leaven.recipe.yaml import write
from leaven.search.keeps import CHECK, KEEPS, Keeping

CHOSEN = ("ratio", "per_label", "cap", "most", "weight")
"""Keys of the blend that a search chooses."""


def keeps_for(recipe: Recipe) -> Sequence[Keeping]:
    """The keeps that can follow its steps: all where it is one chain, else none but to keep everything."""
    return KEEPS if len(recipe.chains) == 1 else KEEPS[:1]


def with_scores(recipe: Recipe, folder: Path) -> Path:
    """The recipe with the scores and everything it keeps, as a file in ``folder``."""
    steps = [CHECK] if len(recipe.chains) == 1 else []
    return _write(recipe, folder, steps, {})


def chosen(recipe: Recipe, keeping: Keeping, blend: Mapping[str, float], folder: Path) -> Path:
    """The recipe with a keep and a blend."""
    steps = [CHECK, *keeping.steps] if keeping.steps else []
    return _write(recipe, folder, steps, blend)


def _write(recipe: Recipe, folder: Path, steps: Sequence[Any], blend: Mapping[str, float]) -> Path:
    data = dict(load(recipe.text, recipe.where))
    data["name"] = recipe.name
    data["steps"] = [*data["steps"], *steps]
    before = {key: value for key, value in (data.pop("blend", None) or {}).items() if key not in CHOSEN}
    if before or blend:
        data["blend"] = {**before, **blend}
    folder.mkdir(parents=True, exist_ok=True)
    for name, held in recipe.files().items():
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).write_bytes(held)
    path = folder / "recipe.yaml"
    path.write_text(write(data), "utf-8")
    return path
