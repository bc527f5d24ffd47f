"""FlipDA: at most one text for each row and label, the one of which a student is surest, under the student's label."""

from __future__ import annotations

import json
from collections import Counter
from typing import Any

CARD = ["my card is lost", "the card was stolen", "block my card now", "where is my new card", "my card is broken"]
HOURS = ["are you open today", "when do you open", "opening hours on sunday", "do you close at noon", "open until when"]
ROWS = [{"text": text, "label": label} for label, texts in (("card", CARD), ("hours", HOURS)) for text in texts]


def test_the_surest_of_each_row_and_label(ran: Any):
    found = ran("flipda", [{**row, "row": i} for i, row in enumerate(ROWS)], "--set", "repeat.times=2")
    every = [*found.made, *found.refused]
    steps = Counter(step["step"] for row in every for step in row["_steps"])
    assert steps["retarget"] == steps["fill"] == len(every) == 2 * 2 * len(ROWS), "two rounds, two labels, all rows"
    assert {row.get("_reason", "") for row in every} == {"", "below_top_k", "duplicate"}
    groups = [(row["row"], row["label"]) for row in every if row.get("_reason", "") != "duplicate"]
    assert max(Counter((row["row"], row["label"]) for row in found.made).values()) == 1
    assert {(row["row"], row["label"]) for row in found.made} == set(groups), "each has its best one"
    relabelled = [row for row in found.made if any("was" in json.loads(step["drawn"]) for step in row["_steps"])]
    assert 0 < len(relabelled) < len(found.made)
    assert {row["label"] for row in found.made} == {"card", "hours"}
