"""GPT3Mix: two rows before a new text, and the label from the likeliest first tokens after the same two."""

from __future__ import annotations

from math import log
from typing import Any

import pytest

from saying import Heard, Said, Saying

ROWS = [
    {"text": "A gem", "label": "positive"},
    {"text": "So dull", "label": "negative"},
    {"text": "It shines", "label": "positive"},
]
FEW = ("--concurrency", "4", "--set", "kind=movie review", "--set", "what=sentiment")
HEAD = "Each item of this list is a movie review with its sentiment, 'negative' or 'positive'."
TOPS = {" Positive": log(0.6), "positive": log(0.1), " Negative": log(0.2), " bad": log(0.1)}


def asked_for_the_label(heard: Heard) -> bool:
    return bool(heard.body["max_tokens"] == 1)


@pytest.fixture
def run(ran: Any) -> Any:
    def go(written: list[str], tops: dict[str, float], *options: str) -> Any:
        left = list(written)

        def reply(heard: Heard) -> Said:
            if asked_for_the_label(heard):
                return Said({"choices": [{"text": " Po", "logprobs": {"top_logprobs": [tops]}}]})
            return Said({"choices": [{"text": left.pop(0)}]})

        with Saying(reply) as server:
            found = ran(
                "gpt3mix", ROWS, *FEW, "--set", f"many={len(written)}", *options, complete=f"openai:m@{server.url}"
            )
        found.heard = server.heard
        return found

    return go


def test_prompts(run: Any):
    found = run([" A new one (Sentiment: Strange)"], TOPS)
    first, second = (heard.body for heard in found.heard)
    head, empty, *items, last = first["prompt"].split("\n")
    assert (head, empty, last) == (HEAD, "", "Movie review:")
    texts = {f"Movie review: {row['text']} (Sentiment: {row['label'].capitalize()})" for row in ROWS}
    assert len(set(items)) == 2
    assert set(items) < texts
    assert second["prompt"] == f"{first['prompt']} A new one (Sentiment:", "the same two rows, in the same order"
    wanted = {"temperature": 1.0, "max_tokens": 100, "frequency_penalty": 0.01, "stop": "\n"}
    assert {name: first[name] for name in wanted} == wanted


def test_the_label_is_a_share_of_what_the_model_thinks(run: Any):
    found = run([" A new one (Sentiment: Strange)"], TOPS)
    [row] = found.made
    assert (row["text"], row["label"]) == ("A new one", "positive"), "what it wrote for a label counts for nothing"
    assert row["label_probs"] == '{"negative": 0.222222, "positive": 0.777778}', row


def test_as_many_as_asked_for(run: Any):
    found = run([f" New {i} (Sentiment: Positive)" for i in range(14)], TOPS)
    assert {row["text"] for row in found.made} == {f"New {i}" for i in range(14)}
    assert len(found.heard) == 28


def test_what_is_refused(run: Any):
    written = [
        " No label",
        " Cut (Sentiment: Posi",
        " (Sentiment: Positive)",
        " Of (Sentiment: a) (Sentiment: Positive)",
    ]
    found = run(written, TOPS)
    assert [row["text"] for row in found.made] == ["Of (Sentiment: a)"], "split at the last one"
    assert {row["text"]: row["_reason"] for row in found.refused} == {
        "No label": "no_label",
        "Cut (Sentiment: Posi": "no_label",
        "(Sentiment: Positive)": "no_label",
    }


def test_no_label_among_the_tokens_is_no_label_at_all(run: Any):
    found = run([" A new one (Sentiment: Positive)"], {" bad": log(0.9), " good": log(0.1)})
    assert [(row["text"], row["_reason"]) for row in found.refused] == [("A new one", "unknown_label")]
    assert not found.made
