"""Continuations: where they end, their log-probability, and none."""

from __future__ import annotations

from pathlib import Path

from leaven import operators
from loopback.process import Server
from recordings import recording
from saying import Said, Saying

Continue = operators.find("continue")
CARD = {"text": "my card is lost", "label": "card"}
SOURCE = [{"text": f"card {i}", "label": "card"} for i in range(4)] + [{"text": "open?", "label": "hours"}]


def test_each_call_makes_one_child_up_to_the_stop(tmp_path: Path):
    answers = [(CARD["text"], text) for text in (" no card\nExample 3: x", "\n where is it  ", "  \n")]
    rows = Continue(calls=3, prompt="{{ text }}:", stop="\n")(CARD, complete=recording(tmp_path, answers))
    assert [row["text"] for row in rows] == ["no card", "where is it", ""]
    assert [row.get("_reason", "") for row in rows] == ["", "", "empty"]
    assert {row["logprob"] for row in rows} == {None}


def test_a_model_that_completes():
    with Server() as server:
        prompt = "{% for e in examples %}{{ e.text }}\n{% endfor %}{{ text }}:"
        op = Continue(
            prompt=prompt, draw={"k": 3, "same": "label"}, stop="\n", max_tokens=5, temperature=0.5,
            frequency_penalty=0.02,
        )  # fmt: skip
        [row] = op(CARD, source=SOURCE, complete=f"openai:m@{server.url}")
        [body] = server.bodies()
    *shown, last = body["prompt"].split("\n")
    assert last == "my card is lost:"
    assert len(set(shown)) == 3
    assert set(shown) <= {row["text"] for row in SOURCE if row["label"] == "card"}
    assert (body["max_tokens"], body["temperature"], body["frequency_penalty"]) == (5, 0.5, 0.02)
    assert row["logprob"] < 0
    assert row["label"] == "card"
    assert row["text"]


def test_a_chat_model_stands_in():
    with Server(script=[{"match": "my card", "answer": "and gone\nforever"}]) as server:
        [row] = Continue(prompt="{{ text }}", stop="\n")(CARD, chat=f"openai:m@{server.url}")
    assert (row["text"], row["logprob"], row["tokens"], row["finish"]) == ("and gone", None, None, None)


def test_how_many_tokens_and_why_it_ended():
    said = {"logprobs": {"token_logprobs": [None, -0.5, -0.1]}, "finish_reason": "length"}
    with Saying(lambda heard: Said({"choices": [{"text": " and gone", **said}]})) as server:
        [row] = Continue(prompt="{{ text }}")(CARD, complete=f"openai:m@{server.url}")
    assert (row["text"], row["logprob"], row["tokens"], row["finish"]) == ("and gone", -0.3, 2, "length")


def test_into_another_field():
    [row] = Continue(prompt="Q: {{ text }} A:", into="answer")(CARD, complete="fake:shape")
    assert row["text"] == CARD["text"]
    assert row["answer"]


def test_it_is_found_though_its_file_is_called_like_a_keyword():
    assert Continue.name == "continue"
    assert Continue.__module__ == "leaven.text.continue"
    assert Continue.first_parameter() == "calls"
