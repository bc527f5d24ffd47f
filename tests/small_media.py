"""Small images and sounds for tests, and the rows of what was opened."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path
from typing import Any

import numpy as np
import soundfile
from PIL import Image

from leaven.io.tables import open_table

IMAGES = Path(__file__).parents[1] / ".." / "shared" / "data" / "image"
SOUNDS = Path(__file__).parents[1] / ".." / "shared" / "data" / "audio"


def picture(path: Path, size: tuple[int, int] = (8, 6), colour: int = 100, **options: Any) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    Image.fromarray(np.full((size[1], size[0], 3), colour, np.uint8)).save(path, **options)
    return path


def codes(path: Path, size: tuple[int, int] = (8, 6), code: int = 1) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    Image.fromarray(np.full((size[1], size[0]), code, np.uint8)).save(path)
    return path


def sound(path: Path, seconds: float = 0.01) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    soundfile.write(path, np.zeros(int(8000 * seconds), np.float32), 8000)
    return path


def text(path: Path, said: str) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(said, "utf-8")
    return path


def opened(what: Any) -> tuple[list[dict[str, Any]], dict[str, str], list[str]]:
    """The rows of a table, its kinds, and what was said aloud."""
    said: list[str] = []
    table = open_table(what, said.append)
    rows = [row for batch in table.batches() for row in batch.to_pylist()]
    assert list(rows[0]) == table.columns
    return rows, dict(table.kinds), said


def paths(rows: Iterable[dict[str, Any]], column: str = "image") -> list[str | None]:
    return [row[column] and row[column]["path"] for row in rows]
