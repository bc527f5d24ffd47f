"""AugGPT: six children a text, the label kept, the balance kept."""

from __future__ import annotations

from collections import Counter
from pathlib import Path
from typing import Any

from recordings import recording

ROWS = [{"text": f"text {i} of {label}", "label": label} for label in ("4", "5", "6") for i in (1, 2)]


def test_seven_times_the_rows_and_the_balance_stays(ran: Any, tmp_path: Path):
    answers = [(row["text"], f"{row['text']} said anew {i}") for row in ROWS for i in range(6)]
    found = ran("auggpt", ROWS, chat=recording(tmp_path, answers))
    assert len(found.train) == 7 * len(ROWS)
    assert Counter(row["label"] for row in found.train) == {"4": 14, "5": 14, "6": 14}
    for row in found.made:
        parent = found.real[row["_parents"][0]]
        assert row["label"] == parent["label"]
        assert row["text"].startswith(parent["text"])
    assert not found.refused


def test_what_repeats_is_refused(ran: Any, tmp_path: Path):
    """Of the shipped back-translations two of six equal their parents; here a paraphrase does."""
    ways = ["{}", "{} a", "{} b", "{} c", "{} d", "{} A"]
    answers = [(row["text"], way.format(row["text"])) for row in ROWS for way in ways]
    found = ran("auggpt", ROWS, chat=recording(tmp_path, answers))
    assert len(found.made) == 4 * len(ROWS)
    assert Counter(row["_reason"] for row in found.refused) == {"duplicate": 2 * len(ROWS)}


def test_one_call_a_record(ran: Any, server: Any):
    ran("auggpt", ROWS, chat=f"openai:m@{server.url}")
    assert len(server.bodies()) == len(ROWS)
