"""reword: what a student that never saw the text doubts is refused, and the two likeliest of a text stay."""

from __future__ import annotations

from collections import Counter
from pathlib import Path
from typing import Any

from recordings import recording

CARD = ["my card is lost", "the card was stolen", "block my card now", "where is my new card", "my card is broken"]
HOURS = ["are you open today", "when do you open", "opening hours on sunday", "do you close at noon", "open until when"]
ROWS = [{"text": text, "label": label} for label, texts in (("card", CARD), ("hours", HOURS)) for text in texts]
WAYS = {
    "card": ["please stop my card", "my bank card is gone", "somebody took my card", "a lost card", "card broken"],
    "hours": ["open on monday", "what are the opening hours", "is it open tonight", "when is it closed", "open now"],
}
ENDS = ["thanks", "hello", "please", "right", "sure"]
OTHER = {"card": "are you open at all today", "hours": "my card was lost and stolen"}


def test_two_a_text_that_the_student_agrees_with(ran: Any, tmp_path: Path):
    answers = []
    for i, row in enumerate(ROWS):
        ways = WAYS[row["label"]]
        answers += [(row["text"], f"{ways[(i + k) % 5]}, {end}") for k, end in enumerate(ENDS)]
        answers.append((row["text"], OTHER[row["label"]]))
    found = ran("reword", ROWS, chat=recording(tmp_path, answers))
    reasons = Counter(row["_reason"] for row in found.refused)
    assert reasons["label_changed"] >= len(ROWS) - 2, "the sixth of each says another label"
    assert reasons.keys() <= {"label_changed", "near_duplicate", "duplicate", "below_top_k"}
    assert found.made
    assert max(Counter(row["_parents"][0] for row in found.made).values()) <= 2
    for row in found.made:
        assert row["label"] == found.real[row["_parents"][0]]["label"]
        assert row["_scores"]["in_sample"] == 0
