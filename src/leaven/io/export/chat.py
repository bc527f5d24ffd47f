"""Chats to fine-tune a model on: ``{"messages": [...]}`` a line."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from leaven.errors import DataError, listed
from leaven.io.columns import OURS
from leaven.io.dataset import load
from leaven.io.export.lines import plain, said, write_lines
from leaven.io.export.train import Row, Train, Warn


def write_chat(table: Train, path: Path, zipped: bool, warn: Warn) -> int:
    """``{"messages": [...]}`` a line: the row's own messages, or its text asked and its label answered."""
    dataset = load(table.folder / "input")

    def column(kind: str) -> str:
        """The user's column of the first field of a type; a column of that name where the recipe has no such field."""
        found = dataset.columns.get(dataset.main(kind), kind)
        return found if found in table.schema.names else ""

    turns, asked, answered = column("messages"), column("text"), column("label")
    if not turns and not (asked and answered):
        missing = " and no ".join(kind for kind, name in (("text", asked), ("label", answered)) if not name)
        have = listed(name for name in table.schema.names if name not in OURS)
        raise DataError(
            f"a chat needs a text and a label, or messages; {table.folder} has no {missing}, its columns are {have}.",
            "--as jsonl writes all columns as they are.",
        )
    left_out = 0

    def chats() -> Iterator[Row]:
        nonlocal left_out
        for row in table.rows():
            messages = _messages(row[turns]) if turns else _asked(row[asked], row[answered])
            if messages:
                yield {"messages": messages}
            else:
                left_out += 1

    written = write_lines(path, zipped, chats())
    if left_out:
        what = f"no {turns}" if turns else "no label"
        warn(f"{left_out:,} {'row has' if left_out == 1 else 'rows have'} {what}; left out")
    return written


def _asked(text: Any, label: Any) -> list[Row]:
    if text is None or label is None:
        return []
    return [{"role": "user", "content": str(text)}, {"role": "assistant", "content": said(label)}]


def _messages(value: Any) -> list[Row]:
    """Messages as a list of objects, whichever way the column holds them."""
    if isinstance(value, str):
        try:
            value = json.loads(value)
        except ValueError:
            raise DataError("a row's messages are no JSON.", "--as jsonl writes all columns as they are.") from None
    found = plain(value) or []
    if not isinstance(found, list) or not all(isinstance(turn, dict) for turn in found):
        raise DataError("a row's messages are no list of objects.", "--as jsonl writes all columns as they are.")
    return [{key: value for key, value in turn.items() if value is not None} for turn in found]
