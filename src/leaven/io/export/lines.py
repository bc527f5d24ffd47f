"""JSON lines, and what every file of text shares: UTF-8, compressed or not."""

from __future__ import annotations

import gzip
import io
import json
import math
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any, TextIO

from leaven.io.export.train import Train, Warn


def write_jsonl(table: Train, path: Path, zipped: bool, warn: Warn) -> int:
    table.refuse_bytes("jsonl")
    return write_lines(path, zipped, (plain(row) for row in table.rows()))


def write_lines(path: Path, zipped: bool, rows: Iterable[Any]) -> int:
    written = 0
    with text_file(path, zipped) as file:
        for row in rows:
            file.write(json.dumps(row, ensure_ascii=False) + "\n")
            written += 1
    return written


def plain(value: Any) -> Any:
    """What JSON can hold: a number that is none is null, a date is ISO."""
    if isinstance(value, dict):
        return {key: plain(inner) for key, inner in value.items()}
    if isinstance(value, Sequence) and not isinstance(value, str):
        return [plain(inner) for inner in value]
    if isinstance(value, float) and not math.isfinite(value):
        return None
    if value is None or isinstance(value, str | int | float):
        return value
    return value.isoformat() if hasattr(value, "isoformat") else str(value)


def said(value: Any) -> str:
    """A value of a cell as one text: a date as ISO, a list or an object as JSON."""
    found = plain(value)
    return found if isinstance(found, str) else json.dumps(found, ensure_ascii=False)


@contextmanager
def text_file(path: Path, zipped: bool) -> Iterator[TextIO]:
    """The file as UTF-8; compressed bytes hold neither the name nor the hour, so that equal rows give equal files."""
    with path.open("wb") as raw:
        if not zipped:
            with io.TextIOWrapper(raw, encoding="utf-8", newline="") as file:
                yield file
            return
        with (
            gzip.GzipFile(filename="", mode="wb", fileobj=raw, mtime=0) as packed,
            io.TextIOWrapper(packed, encoding="utf-8", newline="") as file,
        ):
            yield file
