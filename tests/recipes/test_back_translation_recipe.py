"""There and back: two calls a child, the pivot in its history, and no child that equals a real row."""

from __future__ import annotations

import json
from collections import Counter
from pathlib import Path
from typing import Any

from recordings import recording

ROWS = [{"text": f"text {i} of {label}", "label": label} for label in "ab" for i in (1, 2, 3)]


def test_an_engine_that_changes_nothing(ran: Any, tmp_path: Path):
    answers = [(row["text"], row["text"]) for row in ROWS for _ in range(2)]
    found = ran("back-translation", ROWS, translate=recording(tmp_path, answers))
    assert not found.made
    assert Counter(row["_reason"] for row in found.refused) == {"duplicate": len(ROWS)}


def test_the_pivot_is_written_down(ran: Any, tmp_path: Path):
    answers = [(row["text"], text) for row in ROWS for text in (row["text"][::-1], f"{row['text']} again")]
    found = ran("back-translation", ROWS, translate=recording(tmp_path, answers))
    assert len(found.made) == len(ROWS)
    for row in found.made:
        parent = found.real[row["_parents"][0]]
        assert (row["text"], row["label"]) == (f"{parent['text']} again", parent["label"])
        assert json.loads(row["_steps"][0]["drawn"]) == {"via": "spa", "between": parent["text"][::-1]}
