"""PromptMix: shares on their grid, the partner, the examples, and the labels to choose from."""

from __future__ import annotations

import re
from collections import Counter
from typing import Any

import numpy as np
import pytest

from leaven import operators, recipe

TEXTS = {
    "card": ["my card is lost", "a stolen card", "block the card"],
    "hours": ["are you open now", "opening hours please", "closed on sunday"],
    "room": ["book a room", "hire the hall", "a room for ten"],
    "fine": ["pay my fine", "late return costs", "a fee for delay"],
    "wifi": ["the wifi is down", "internet password", "no network here"],
    "print": ["print in colour", "the printer is out of paper", "scan a page"],
    "event": ["a reading tonight", "courses for kids", "author visit"],
}
ROWS = [{"text": text, "label": label} for label, texts in TEXTS.items() for text in texts]


def test_shares():
    [note] = [s.op for s in recipe.read("promptmix").steps() if s.name == "note" and "alpha" in s.op.fields]
    values = {"label": "card", "labels": dict.fromkeys(TEXTS, "")}
    rng = np.random.default_rng(0)
    alphas = np.array([note.fields["alpha"](values, rng) for _ in range(8000)])
    assert alphas.min() >= 0.5
    assert alphas.max() <= 1
    assert np.allclose(alphas * 20, np.rint(alphas * 20))
    assert alphas.mean() == pytest.approx(0.857, abs=0.005)
    classes = [note.fields["classes"](values, rng) for _ in range(2000)]
    assert all(len(set(drawn)) == 4 and drawn[0] == "card" for drawn in classes)
    assert {drawn[1] for drawn in classes} == TEXTS.keys() - {"card"}


def test_a_run(ran: Any, server: Any):
    found = ran("promptmix", ROWS, "--limit", "2", chat=f"openai:m@{server.url}")
    written, guessed = [], []
    for body in server.bodies():
        text = body["messages"][0]["content"]
        (written if "short, different utterances" in text else guessed).append((text, body))
    assert len(written) == 2 * len(TEXTS)
    for text, body in written:
        a, first, b, second = re.search(r"belongs (\d+) % to (\w+) and (\d+) % to (\w+)\.", text).groups()
        assert int(a) + int(b) == 100
        assert int(a) in range(50, 101, 5)
        assert first != second
        shown = blocks(text)
        assert list(shown)[:2] == [first, second]
        assert len(shown) == 4
        assert all(len(set(rows)) == 2 and set(rows) <= set(TEXTS[label]) for label, rows in shown.items())
        assert (body["temperature"], body["top_p"], body["max_tokens"]) == (1.0, 1.0, 256)
    assert Counter(re.search(r"% to (\w+) and", text)[1] for text, _ in written) == dict.fromkeys(TEXTS, 2)

    assert len(guessed) == len(found.made) == len(written), "one of the three that a call wrote, none asked for twice"
    for number, (text, body) in enumerate(guessed):
        assert body["temperature"] == 0
        among = body["response_format"]["json_schema"]["schema"]["properties"]["label"]["enum"]
        assert among == list(blocks(text))
        if number < 3:  # each fits anew what the run fits once
            sentence = text.partition("\n\nAnswer with")[0].splitlines()[-1]
            [near] = operators.find("neighbours")(5, of="labels")({"text": sentence}, source=ROWS)
            assert among == near["neighbours"]
    assert Counter(row["_reason"] for row in found.refused)["not_drawn"] == 2 * len(written) - sum(
        row["_reason"] != "not_drawn" for row in found.refused
    )
    assert {row["label"] for row in found.made} <= TEXTS.keys()


def test_what_labels_mean_stands_in_the_prompts(ran: Any, server: Any, tmp_path: Any):
    (tmp_path / "labels.yaml").write_text("".join(f"{label}: all of {label} matters\n" for label in TEXTS))
    ran("promptmix", ROWS, "--limit", "1", "--labels", str(tmp_path / "labels.yaml"), chat=f"openai:m@{server.url}")
    for body in server.bodies():
        text = body["messages"][0]["content"]
        assert len(re.findall(r"^(\w+) is about all of \1 matters$", text, re.MULTILINE)) in (4, 5)


def blocks(text: str) -> dict[str, list[str]]:
    """Each label of a prompt with the examples below it."""
    found: dict[str, list[str]] = {}
    for line in text.partition("\n\n")[0].splitlines():
        if line.startswith("- "):
            found[list(found)[-1]].append(line[2:])
        elif line:
            found[line] = []
    return found
