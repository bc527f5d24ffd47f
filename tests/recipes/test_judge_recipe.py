"""Candidates made elsewhere: what is not new, what the student doubts and what the judge marks low is refused."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from recordings import recording

CARD = ["my card is lost", "the card was stolen", "block my card now", "where is my new card", "my card is broken"]
HOURS = ["are you open today", "when do you open", "opening hours on sunday", "do you close at noon", "open until when"]
ROWS = [{"text": text, "label": label} for label, texts in (("card", CARD), ("hours", HOURS)) for text in texts]
GIVEN = {
    "my card got stolen and is lost": ("card", 5, 4, ""),
    "My card is  lost": ("card", 5, 5, "duplicate"),
    "when is it open, the opening hours": ("card", 5, 5, "label_doubted"),
    "open opening hours today": ("hours", 4, 2, "judged_poor"),
}


def test_each_reason(ran: Any, tmp_path: Path):
    file = tmp_path / "given.jsonl"
    file.write_text("".join(json.dumps({"text": t, "label": g[0]}) + "\n" for t, g in GIVEN.items()), "utf-8")
    marks = [(text, json.dumps({"fits": g[1], "natural": g[2]})) for text, g in GIVEN.items()]
    found = ran("judge", ROWS, "--given", str(file), chat=recording(tmp_path, marks))
    said = {row["text"]: row["_reason"] for row in found.refused} | {row["text"]: "" for row in found.made}
    assert said == {text: g[3] for text, g in GIVEN.items()}
    [kept] = found.made
    assert (kept["_scores"]["judge"], kept["_scores"]["judge_min"], kept["_scores"]["judge_fits"]) == (4.5, 4, 5)
