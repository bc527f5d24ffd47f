"""A command that goes on from this one, to be pasted as printed."""

from __future__ import annotations

import shlex
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from leaven.engine.augment import Request


def command(name: str, request: Request, out: Path | None, **more: str) -> str:
    """``leaven NAME`` with what the user said: the data, the folder, the recipe, the models, and ``more`` options."""
    said = ["leaven", name, request.data]
    if out:
        said += ["-o", str(out)]
    if request.recipe:
        said += ["-r", request.recipe]
    for role, uri in request.models.items():
        said += ["--model", f"{role}={uri}"]
    for field, column in request.named.items():
        said += [f"--{field}", column] if field in ("text", "label") else ["--field", f"{field}={column}"]
    for option in ("unlabelled", "given", "labels", "test", "dev"):
        if value := getattr(request, option):
            said += [f"--{option}", str(value)]
    for change in request.sets:
        said += ["--set", change]
    for folder in request.operators:
        said += ["--operators", folder]
    if request.seed:
        said += ["--seed", str(request.seed)]
    for option, value in more.items():
        said += [f"--{option}", value]
    return shlex.join(said)
