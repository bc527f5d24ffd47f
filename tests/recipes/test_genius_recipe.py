"""GENIUS: what the model is shown, and the children whose label a student is sure of."""

from __future__ import annotations

import json
from typing import Any

from saying import Heard, Said, Saying, chat

CARD = ["my card is lost", "the card was stolen", "block my card now", "where is my new card", "my card is broken"]
HOURS = ["are you open today", "when do you open", "opening hours on sunday", "do you close at noon", "open until when"]
ROWS = [{"text": text, "label": label} for label, texts in (("card", CARD), ("hours", HOURS)) for text in texts]
WRITTEN = ["my bank card is stolen", "are you open on sunday", "my card got lost", "when do you open today"]


def reply(heard: Heard) -> Said:
    return chat(json.dumps({"texts": WRITTEN}))


def test_sketch_write_and_filter(ran: Any):
    with Saying(reply) as server:
        found = ran("genius-f", ROWS, "--concurrency", "4", chat=f"openai:m@{server.url}")
    assert len(server.heard) == len(ROWS), "one call a row"
    for heard in server.heard:
        label, _, sketch = heard.prompt.split("\n\n")[1].partition(": ")
        kept = [stretch.strip() for stretch in sketch.split("____") if stretch.strip()]
        assert any(all(part in row["text"] for part in kept) for row in ROWS if row["label"] == label)
        assert 1 <= len(" ".join(kept).split()) <= 3, "one phrase of 4 or 5 words"
    every = [*found.made, *found.refused]
    assert len(every) == 4 * len(ROWS)
    assert {(row["text"], row["label"]) for row in found.made} == {
        (text, "card" if "card" in text else "hours") for text in WRITTEN
    }
    assert {row["_reason"] for row in found.refused} == {"label_doubted"}
    assert all(row["_scores"]["label_prob"] > 0.7 for row in found.made)
