"""Answers by heart, in the file that ``recorded:FILE`` plays."""

from __future__ import annotations

import json
from collections.abc import Iterable
from pathlib import Path


def recording(folder: Path, answers: Iterable[tuple[str, str]], name: str = "answers") -> str:
    """The URI of a model that gives these (parent, answer) pairs, in their order."""
    file = folder / f"{name}.jsonl"
    lines = [json.dumps({"parent": parent, "text": text}) for parent, text in answers]
    file.write_text("\n".join(lines) + "\n", "utf-8")
    return f"recorded:{file}"
