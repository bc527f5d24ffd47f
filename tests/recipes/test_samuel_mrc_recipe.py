"""Samuel et al.: an answer must stand in its passage, and a second reading must find the same."""

from __future__ import annotations

import json
from typing import Any

from saying import Heard, Said, Saying, chat

READ = [  # the passage, the answer written for it, the second reader's, and why the pair is refused
    ("You may bring it back within 14 days, at no cost.", "14 days", "The 14 days.", ""),
    ("You may bring it back within 14 days of today.", "14 days", "14", "read_differently"),
    ("The parcel came from the U.S. on a Monday.", "U.S.", "US", ""),
    ("You have 14 days to reply to the letter.", "two weeks", None, "not_a_span"),
    ("The Desk opens at nine.", "the desk", None, "not_a_span"),  # letter by letter
    ("You have 14 days to pay the bill.", "14 days", "", "read_differently"),
    ("The desk closes at noon.", "noon", "At  NOON", "read_differently"),
    ("The desk closes at six.", "The desk", "DESK!", ""),
]
ROWS = [
    {"context": f"Old passage {i} takes {i + 2} days.", "question": f"how long is {i}", "answer": f"{i + 2} days"}
    for i in range(len(READ))
]


FEW = ("--concurrency", "4")  # the small server hears no more at once


def reply(heard: Heard) -> Said:
    prompt = heard.prompt
    if "one more passage" in prompt:
        [i] = [i for i, row in enumerate(ROWS) if row["context"] in prompt]
        return chat(json.dumps({"context": READ[i][0]}))
    [(_, answer, again, _)] = [found for found in READ if found[0] in prompt]
    if "copy the span" in prompt:
        return chat(json.dumps({"question": "What does it say?", "answer": answer}))
    assert again is not None, "what is no span is not read again"
    return chat(json.dumps({"again": again}))


def test_a_second_reading_must_agree(ran: Any):
    with Saying(reply) as server:
        found = ran("samuel-mrc", ROWS, *FEW, chat=f"openai:m@{server.url}")
    expected = {passage: (answer, again, reason) for passage, answer, again, reason in READ}
    said = {row["context"]: (row["answer"], row.get("again"), row.get("_reason", "")) for row in found.made}
    said |= {row["context"]: (row["answer"], row["again"], row["_reason"]) for row in found.refused}
    assert said == expected, "those that are refused keep both answers"

    spans = [passage for passage, _, again, _ in READ if again is not None]
    asked = [heard.prompt.partition("\nAnswer with a span") for heard in server.heard]
    read = [prompt for prompt, found, _ in asked if found]
    assert sorted(read) == sorted(f"{passage}\n\nWhat does it say?" for passage in spans)
    assert len(server.heard) == 2 * len(READ) + len(spans)


def test_temperatures_and_the_example(ran: Any):
    with Saying(reply) as server:
        ran("samuel-mrc", ROWS, *FEW, chat=f"openai:m@{server.url}")
    asked = {"one more passage": 0.7, "copy the span": 0.7, "What does it say?\nAnswer with": 0.0}
    for words, temperature in asked.items():
        bodies = [heard.body for heard in server.heard if words in heard.prompt]
        assert {body["temperature"] for body in bodies} == {temperature}
    shown = [heard.prompt.partition("\n\n")[0] for heard in server.heard if "copy the span" in heard.prompt]
    real = {f"Passage: {row['context']}\nQuestion: {row['question']}\nAnswer: {row['answer']}" for row in ROWS}
    assert set(shown) <= real
    assert len(shown) == len(READ)
