"""What leaven's own exports say of an image beside its annotations: its id, and whether it was made."""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

ID, MADE = "_id", "_synthetic"
ROWS = "rows.jsonl"
"""Stands beside files of a format that has no place for it."""
FILE = "file"


def said_of(words: Mapping[str, Any]) -> dict[str, Any]:
    """The id and ``_synthetic`` among what is said of an image; nothing where that is no row of leaven's."""
    own, made = words.get(ID), words.get(MADE)
    return {ID: own, MADE: made} if isinstance(own, str) and own and isinstance(made, bool) else {}


def beside(root: Path) -> dict[str, dict[str, Any]]:
    """What ``rows.jsonl`` says, by the paths of the images; nothing where it is not there, or is something else."""
    try:
        with (root / ROWS).open(encoding="utf-8") as file:
            rows = [json.loads(line) for line in file]
        return {row[FILE]: said_of(row) for row in rows if isinstance(row[FILE], str)}
    except (OSError, ValueError, TypeError, KeyError, RecursionError):
        return {}
