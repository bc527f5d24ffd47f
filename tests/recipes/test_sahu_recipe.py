"""Sahu et al.: the prompt's form, how many of a label, empty answers asked for again, and a label said anew."""

from __future__ import annotations

import json
import re
from collections import Counter
from typing import Any

import pytest

WORDS = ["card", "key", "book", "room", "hall", "desk", "lamp", "door", "page", "shelf", "chair"]
LABELS = {"lost": 11, "found": 10}
ROWS = [{"text": f"the {WORDS[i]} is {label}", "label": label} for label, n in LABELS.items() for i in range(n)]


@pytest.fixture
def made(ran: Any, server: Any) -> Any:
    def run(script: list[dict[str, Any]]) -> Any:
        server.set(script=script)
        server.reset()
        return ran("sahu", ROWS, complete=f"openai:m@{server.url}"), server.bodies()

    return run


def test_prompts_and_numbers(made: Any):
    found, bodies = made([])
    assert len(bodies) == 2 * 10, "the median of 10 and 11, truncated, for each label"
    texts = {label: {row["text"] for row in ROWS if row["label"] == label} for label in LABELS}
    seen = Counter()
    for body in bodies:
        head, *lines, last = body["prompt"].split("\n")
        assert last == "Example 11:"
        assert len(lines) == 10
        label = re.fullmatch(r".*'(\w+)':", head)[1]
        seen[label] += 1
        shown = [re.fullmatch(r"Example (\d+): (.*)", line).groups() for line in lines]
        assert [int(number) for number, _ in shown] == list(range(1, 11))
        assert len({text for _, text in shown}) == 10
        assert {text for _, text in shown} <= texts[label]
        assert {body[name] for name in ("temperature", "top_p")} == {1.0}
        assert body["max_tokens"] == 32
        assert body["stop"] == "\n"
    assert seen == {"lost": 10, "found": 10}
    assert len(found.made) == 20, "relabelling drops none"
    assert not found.refused


def test_the_label_is_said_anew_and_the_old_one_stays_in_the_history(made: Any):
    lost, kept = {"match": "'lost'", "answer": "the umbrella is found"}, {"match": "'found'", "answer": "so found"}
    found, _ = made([lost, kept])
    assert {row["label"] for row in found.made} == {"found"}
    drawn = [json.loads(step["drawn"]) for row in found.made for step in row["_steps"]]
    assert [said["was"] for said in drawn if "was" in said] == [{"label": "lost"}] * 10


def test_an_empty_one_is_asked_for_again_once(made: Any):
    lines = [f"Example {i}: {ROWS[0]['text']}\n" for i in (1, 2, 3)]
    found, bodies = made([{"match": line, "answer": "  "} for line in lines])
    empty = sum(any(line in body["prompt"] for line in lines) for body in bodies)
    assert empty > 0, "the script met no prompt"
    assert [row["_reason"] for row in found.refused] == ["empty"] * empty
    assert len(bodies) == 20 + empty
    assert len(found.made) == 20
