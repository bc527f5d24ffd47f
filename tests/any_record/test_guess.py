"""A label out of several: by name, or by the likeliest first tokens."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from leaven.any_record.guess import Guess
from leaven.errors import RecipeError
from loopback.process import Server
from recordings import recording

CARD = {"text": "my card is lost", "label": "card"}
SOURCE = [CARD, {"text": "are you open", "label": "Hours"}, {"text": "where to park", "label": "parking"}]


def guessed(tmp_path: Path, op: Guess, said: str, **fields: Any) -> dict[str, Any]:
    [row] = op({**CARD, **fields}, source=SOURCE, chat=recording(tmp_path, [(CARD["text"], said)] * 2))
    return row


def test_a_named_label_in_any_spelling(tmp_path: Path):
    row = guessed(tmp_path, Guess(), "hours")
    assert row["guess"] == "Hours"
    assert row["guess_index"] == 0, "labels stand in the order of the source: Hours, card, parking"
    assert row["guess_prob"] is None
    assert row["guess_probs"] is None
    assert row["label"] == "card"


def test_among(tmp_path: Path):
    assert guessed(tmp_path, Guess(["no", "card"]), "card")["guess_index"] == 1
    assert guessed(tmp_path, Guess("likely"), "card", likely=["card", "parking"])["guess"] == "card"
    assert guessed(tmp_path, Guess("likely"), "Hours", likely=["card", "parking"])["_reason"] == "unknown_label"
    assert guessed(tmp_path, Guess("likely"), "Hours", likely=[])["_reason"] == "unknown_label"
    with pytest.raises(RecipeError, match="is no list of labels: 'card'"):
        guessed(tmp_path, Guess("label"), "card")


def test_one_that_is_not_known_is_refused(tmp_path: Path):
    assert guessed(tmp_path, Guess(), "the weather")["_reason"] == "unknown_label"


def test_the_prompt_shows_those_to_choose_from():
    with Server() as server:
        op = Guess(["card", "hours"], on=["question", "text"])
        op({**CARD, "question": "what?"}, source=SOURCE, chat=f"openai:m@{server.url}")
        [body] = server.bodies()
        text = body["messages"][0]["content"]
        assert "\n- card\n- hours\n" in text
        assert "question: what?\ntext: my card is lost" in text
        assert body["response_format"]["json_schema"]["schema"]["properties"]["label"]["enum"] == ["card", "hours"]


def test_probabilities_of_a_model_that_completes():
    with Server(script=[{"match": "card", "answer": "card"}]) as server:
        op = Guess(["card", "hours"], prompt="Text: {{ text }}\nLabel:")
        [row] = op(CARD, complete=f"openai:m@{server.url}")
        [body] = server.bodies()
    assert body["prompt"] == "Text: my card is lost\nLabel:"
    assert body["max_tokens"] == 1
    assert row["guess"] == "card"
    assert row["guess_probs"] == {"card": 1.0, "hours": 0.0}
    assert row["guess_prob"] == 1.0
