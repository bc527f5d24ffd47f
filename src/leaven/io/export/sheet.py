"""A csv for a spreadsheet."""

from __future__ import annotations

import csv
import re
from pathlib import Path
from typing import Any

from leaven.io.export.lines import said, text_file
from leaven.io.export.train import Train, Warn

RUN = ("=", "+", "-", "@", "\t", "\r")
"""What a cell begins with that a spreadsheet takes for a formula."""
NUMBER = re.compile(r"[+-]?([0-9]+([.,][0-9]+)*|[.,][0-9]+)([eE][+-]?[0-9]+)? ?%?")


def write_csv(table: Train, path: Path, zipped: bool, warn: Warn) -> int:
    """A header and a line a row; what is no text or number is JSON, what a spreadsheet would run gets an apostrophe."""
    table.refuse_bytes("csv")
    names = table.schema.names
    guarded = 0

    def cell(value: Any) -> str | int | float | None:
        nonlocal guarded
        if value is None or (isinstance(value, int | float) and not isinstance(value, bool)):
            return value
        text = value if isinstance(value, str) else said(value)
        if text.startswith(RUN) and not NUMBER.fullmatch(text):
            guarded += 1
            return "'" + text
        return text

    written = 0
    with text_file(path, zipped) as file:
        writer = csv.writer(file)  # it ends lines with both characters, so that it quotes a text that holds either
        writer.writerow([cell(name) for name in names])
        for row in table.rows():
            writer.writerow([cell(row[name]) for name in names])
            written += 1
    if guarded:
        cells = "cell begins" if guarded == 1 else "cells begin"
        warn(
            f"{guarded:,} {cells} with =, +, -, @, a tab or a carriage return, which a spreadsheet would run:"
            " an apostrophe stands before each; --as jsonl writes them as they are"
        )
    return written
