"""What ``leaven recipes`` prints: each recipe in a sentence, what it needs, and whether that is here."""

from __future__ import annotations

import re
import textwrap
from collections.abc import Sequence
from importlib.util import find_spec

from leaven.engine.opening import recording, roles_of, scored
from leaven.errors import LeavenError
from leaven.models import config
from leaven.models.players import Players
from leaven.models.roles import FALLBACKS
from leaven.operators import Make, Note
from leaven.recipe import Recipe
from leaven.terminal import WIDTH, cut

EXTRAS = {"image": ("cv2", "PIL"), "audio": ("soundfile", "python_stretch")}
"""The kinds of media that an extra brings, and the modules in it."""
GROUPS = {"text": "For texts", "image": "For images", "audio": "For sounds", "vector": "For vectors"}
HERE = {
    "espeak": "the program espeak-ng", "pocketsphinx": "pocketsphinx", "apertium": "the program apertium", "fitted": "",
}  # fmt: skip
"""What plays a role on this machine, where nobody is named for it."""
FILE = re.compile(r"--set (\w+\.\w+)=FILE")
"""How a recipe's comments name a file that only its user has."""


def lines(recipes: Sequence[Recipe]) -> list[str]:
    """The answer of the command."""
    players = Players({}, config.load(), recording=recording)
    wide = max(len(recipe.name) for recipe in recipes) + 4
    said = []
    for kind, title in GROUPS.items():
        some = [recipe for recipe in recipes if _kind(recipe) == kind]
        said += [title] if some else []
        for recipe in some:
            first, *rest = textwrap.wrap(recipe.about, WIDTH - wide) or [""]
            said += [f"  {cut(recipe.name, wide - 4):<{wide - 2}}{first}", *(" " * wide + line for line in rest)]
            said += [" " * wide + line for line in textwrap.wrap(needs(recipe, players), WIDTH - wide)]
    said.append("In brackets: what is used where the data has it.")
    return said


def needs(recipe: Recipe, players: Players) -> str:
    """What the data must have, what must be named, and what must be installed first."""
    must = [name for name in recipe.fields if name not in recipe.optional]
    may = [name for name in recipe.fields if name in recipe.optional]
    found = [", ".join(must) + (f" ({', '.join(may)})" if may else "")]
    found += ["--unlabelled FILE"] if recipe.pool else []
    found += ["--given FILE"] if any(chain.start == "given" for chain in recipe.chains) else []
    found += [f"--set {name}=FILE" for name in dict.fromkeys(FILE.findall(recipe.text))]
    found += [SEES] if _looks_and_reads(recipe) and "embed" not in players.named else []
    lacking = []
    roles = roles_of(recipe)
    fitted = {(step.op.tunes(), getattr(step.op, "model", None)) for step in recipe.steps()}
    for role, nick in roles:
        over, uri = players.who(role, nick)
        over_chat = role in FALLBACKS and not (role == "complete" and scored(recipe))
        # A chat model could, and one of its own is smaller and better.
        own = role in OWN and ("chat", None) not in roles
        if own or (role, nick) in fitted:
            over_chat = False
        model = f"{role}.{nick}" if nick else "chat" if over_chat else role
        place = PLACE.get(role, "URI") if (role, nick) in fitted else "URI"
        found.append(HERE[uri.partition(":")[0]] if over else f"--model {model}={place}")
        if not over:
            continue
        try:
            players.player(role, nick)
        except LeavenError as error:
            lacking.append(error.fix)
    lacking += [
        f'pip install "leaven[{kind}]"'
        for kind, modules in EXTRAS.items()
        if kind in _kinds(recipe) and not all(map(find_spec, modules))
    ]
    said = "needs " + "; ".join(dict.fromkeys(filter(None, (part.strip() for part in found))))
    return said + (f"; first: {'; '.join(dict.fromkeys(lacking))}" if lacking else "")


OWN = ("caption", "tag")
"""Roles for which one names a model of their own, though a chat model can play them."""
PLACE = {"paint": "diffusers:FOLDER"} | dict.fromkeys(("caption", "chat", "complete"), "transformers:FOLDER")
"""Who plays a role whose model is fitted further: it has to run here."""
SEES = "--model embed=transformers:FOLDER"
"""One that puts images or sounds beside texts: CLIP, CLAP."""


def _looks_and_reads(recipe: Recipe) -> bool:
    """Whether a step holds images or sounds against texts."""
    for step in recipe.steps():
        if step.op.name not in ("match", "zero_shot"):
            continue
        on = getattr(step.op, "on", None)
        types = {recipe.fields.get(name, "") for name in ([on] if isinstance(on, str) else on or ())}
        alone = step.op.name == "match" and len(types) == 1 and getattr(step.op, "to", None) is None
        if types & {"image", "audio"} and not alone:
            return True
    return False


def _kind(recipe: Recipe) -> str:
    kinds = set(recipe.fields.values())
    return next((kind for kind in ("image", "audio", "vector") if kind in kinds), "text")


def _kinds(recipe: Recipe) -> set[str]:
    """The types of what it reads and of what its steps write."""
    written = (step.op.writes() for step in recipe.steps() if isinstance(step.op, Make | Note))
    return {*recipe.fields.values(), *(column.type for columns in written for column in columns.values())}
