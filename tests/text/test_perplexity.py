"""Perplexity as a server's log-probabilities have it, on a real server process; and where it gives none."""

from __future__ import annotations

from math import exp
from typing import Any

import pytest

from leaven.text.perplexity import Perplexity
from loopback.process import Server
from loopback.tokens import split, with_logprobs
from saying import Said, Saying

TEXT = "where is my card"


def logprobs(text: str) -> list[float]:
    """What the server says of each token."""
    return [logprob for _, _, logprob, _ in with_logprobs(split(text))]


def noted(server: Any, text: str = TEXT, **how: Any) -> tuple[float | None, int | None]:
    [row] = Perplexity(**how)({"text": text, "question": "What is it?"}, complete=f"openai:m@{server.url}")
    return row["perplexity"], row["perplexity_tokens"]


def test_of_a_text():
    with Server() as server:
        found = noted(server)
        [body] = server.bodies()
    assert found == (pytest.approx(exp(-sum(logprobs(TEXT)[1:]) / 3), abs=1e-3), 3)
    assert {name: body[name] for name in ("prompt", "echo", "max_tokens")} == {
        "prompt": TEXT,
        "echo": True,
        "max_tokens": 0,
    }


def test_of_a_text_after_another():
    with Server() as server:
        found = noted(server, after="{{ question }} ")
        prompts = [body["prompt"] for body in server.bodies()]
    assert prompts == [f"What is it? {TEXT}", "What is it?"]
    own = logprobs(f"What is it? {TEXT}")[3:]
    assert found == (pytest.approx(exp(-sum(own) / 4), abs=1e-3), 4)


@pytest.mark.parametrize("text", ["", "   "])
def test_no_text_no_call(text: str):
    with Server() as server:
        assert noted(server, text) == (None, None)
        assert server.bodies() == []


def test_a_word_alone_has_nothing_before_it():
    with Server() as server:
        assert noted(server, "where") == (None, None)


@pytest.mark.parametrize(
    "choice",
    [
        {"text": TEXT},  # no log-probabilities
        {"text": " here it is", "logprobs": {"token_logprobs": [-0.5, -0.1, -1.0]}},  # knows no echo
        {"text": f"{TEXT} gone", "logprobs": {"token_logprobs": [None, -0.5, -0.1, -1.0, -2.0]}},  # must write a word
        {"text": TEXT, "logprobs": {"token_logprobs": [None, None]}},
    ],
)
def test_a_server_that_says_none(choice: dict[str, Any]):
    with Saying(lambda heard: Said({"choices": [choice]})) as server:
        assert noted(server) == (None, None)


def test_by_hand():
    said = {"text": TEXT, "logprobs": {"token_logprobs": [None, -0.5, -0.1, -3.0]}}
    with Saying(lambda heard: Said({"choices": [said]})) as server:
        assert noted(server) == (round(exp(1.2), 4), 3)
