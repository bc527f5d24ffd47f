"""A recipe that keeps, on candidates made elsewhere whose scores are columns: the steps that would ask a model for them
are left out, and all others run as they stand."""

from __future__ import annotations

import json
from collections.abc import Iterable
from pathlib import Path
from typing import Any

from leaven import recipe
from leaven.plain_yaml import load

Row = dict[str, Any]


def without(name: str, steps: Iterable[str], folder: Path) -> str:
    """A file with the recipe less these steps; each of them is there."""
    data = load(recipe.source(name), name)
    heads = [step if isinstance(step, str) else next(iter(step)) for step in data["steps"]]
    assert set(steps) <= set(heads), heads
    left = [step for step, head in zip(data["steps"], heads, strict=True) if head not in set(steps)]
    file = folder / f"{name}-scored.yaml"
    file.write_text(json.dumps({**data, "steps": left}), "utf-8")
    return str(file)


def given(rows: Iterable[Row], folder: Path) -> tuple[str, str]:
    file = folder / "given.jsonl"
    file.write_text("".join(json.dumps(row) + "\n" for row in rows), "utf-8")
    return "--given", str(file)


def fate(found: Any, by: str = "name") -> dict[str, str]:
    """Of each candidate, by a column that names it: why it was refused, or an empty text."""
    said = {row[by]: row["_reason"] for row in found.refused} | {row[by]: "" for row in found.made}
    assert len(said) == len(found.refused) + len(found.made)
    return said
