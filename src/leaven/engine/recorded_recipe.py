"""The recipe of a run, as its folder recorded it."""

from __future__ import annotations

from collections.abc import Sequence

from leaven.engine.folder import Folder
from leaven.plain_yaml import load
from leaven.recipe import Recipe, build


def recorded_recipe(folder: Folder, operators: Sequence[str] = ()) -> Recipe:
    """Its text with what ``--set`` changed, and the files that lay beside it.

    Raises KeyError where ``run.json`` names none, LeavenError where an operator of it is not at hand (``operators`` are
    folders of the user's own).
    """
    said = folder.describe()
    where = f"recipe {said['recipe']}"
    return build(
        load(said["recipe_text"], where),
        text=said["recipe_text"],
        where=where,
        name=said["recipe"],
        sets=said.get("set") or (),
        folders=operators,
        folder=folder.recipe,
    )
