"""Candidates made elsewhere, without a model: each hostile row is refused for a reason that says what is wrong."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

pytest.importorskip("py3langid", reason="the extra `text` is not installed")

PLACES = [
    "Rome",
    "Oslo",
    "Lima",
    "Kyoto",
    "Accra",
    "Quito",
    "Riga",
    "Perth",
    "Hanoi",
    "Turin",
    "Malmo",
    "Davos",
    "Cork",
]
ROWS = [
    *({"text": f"Please book me a flight to {place} for next week.", "label": "book"} for place in PLACES),
    *({"text": f"Where can I find my luggage in {place} today?", "label": "bag"} for place in PLACES),
    *({"text": f"I would like to change my seat on the plane to {place}.", "label": "seat"} for place in PLACES),
    *({"text": f"Is there any food served between here and {place}?", "label": "food"} for place in PLACES),
    {"text": "You can reach me at ann.lee@mail.org about my luggage.", "label": "bag"},
]
GIVEN = {
    "Could you reserve a plane ticket to Vienna for the coming Monday?": "",
    "My suitcase has not turned up, who do I ask?": "",
    'Does "first class" come with a meal (or a snack)?': "",
    "Sure, here are six ways to ask for a seat:": "prompt_leaked",
    "As an AI language model, I cannot fly, but a window seat is nice.": "prompt_leaked",
    "Paraphrase 2: May I sit elsewhere?": "prompt_leaked",
    "1. May I sit somewhere else on that plane?": "prompt_leaked",
    '"May I have a seat by the window?"': "prompt_leaked",
    "Dear [your name], may I change my place?": "prompt_leaked",
    "May I please change my seat because": "unfinished",
    "May I sit at the window,": "unfinished",
    "May I sit somewhere else": "unfinished",
    "?!": "empty",
    "May I sit sit at the window?": "not_fluent",
    "May I sit there and may I sit there and may I sit there?": "not_fluent",
    "Is there a meal (with wine on the plane?": "not_fluent",
    "Where is my lu\ufffdgage now?": "not_fluent",
    "Whеrе is my luggage then?": "not_fluent",  # two of the letters are Cyrillic
    "Haben Sie auf diesem Flug auch etwas zu essen für uns?": "wrong_language",
    "¿Dónde puedo recoger mi maleta esta noche?": "wrong_language",
    "My bag is gone, write to Ann.Lee@mail.org.": "personal_data",
    "My bag is gone, write to lost@luggage.example.": "",
    "please book me a flight to Rome, for next week.": "copied_real",
    "Please book me a flight to Oslo for next week. Thanks!": "copied_real",
    "my suitcase  has not turned up, who do I ask?": "duplicate",
    "<script>alert('a seat')</script> for me, may I?": "",
    "a" * 100_000 + ".": "",
}


def test_each_reason(ran: Any, tmp_path: Path):
    file = tmp_path / "given.jsonl"
    file.write_text("".join(json.dumps({"text": text, "label": "seat"}) + "\n" for text in GIVEN), "utf-8")
    found = ran("screen", ROWS, "--given", str(file))
    said = {row["text"]: row["_reason"] for row in found.refused} | {row["text"]: "" for row in found.made}
    assert {text[:80]: reason for text, reason in said.items()} == {text[:80]: why for text, why in GIVEN.items()}
    [copied] = [row for row in found.refused if row["text"].startswith("Please book me a flight to Oslo")]
    noted = copied["_scores"]
    assert (noted["copied"], noted["copied_share"], noted["novelty"]) == (10, 0.909091, 0.111111)
    assert copied["_detail"] == "copied_share 0.909, copied 10"
    assert len(found.real) == len(ROWS)
