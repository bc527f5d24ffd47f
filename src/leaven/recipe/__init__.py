"""Recipes: operators in order, and a blend.  Read a YAML file, build its steps, check them against a dataset.

Nothing here runs a step.  Every error names the file and the line, and is found before anything is spent.
"""

from leaven.recipe.build import build, names, read, source
from leaven.recipe.check import advance, bind, check
from leaven.recipe.model import Chain, Fork, Node, Recipe, Repeat, Start, Step, Until, lineage, walk_steps

__all__ = [
    "Chain",
    "Fork",
    "Node",
    "Recipe",
    "Repeat",
    "Start",
    "Step",
    "Until",
    "advance",
    "bind",
    "build",
    "check",
    "lineage",
    "names",
    "read",
    "source",
    "walk_steps",
]
