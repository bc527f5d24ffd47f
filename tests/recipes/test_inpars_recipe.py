"""InPars: which of the questions stay, by their number of tokens and the mean log-probability of their tokens."""

from __future__ import annotations

import json
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import pytest

from asked import cli
from saying import Heard, Said, Saying

SHOWN = [{"context": f"The shown page {i}.", "question": f"what is on page {i}"} for i in range(3)]
LOGPROBS = {
    "what is a": [-0.1, -0.2, -0.3],
    "why b": [-0.05, -0.05],
    "how is c": [-0.2, -0.2, -0.2],
    "when was d made": [-0.9, -0.01, -0.01, -0.01],
}
A, B, C, D = LOGPROBS
FEW = ("--concurrency", "4")  # the small server hears no more at once
Asked = dict[str, Sequence[float] | None]


class Questions:
    """A model that asks, about page i, the i-th question, with these log-probabilities of its tokens."""

    def __init__(self, ran: Any, folder: Path) -> None:
        self.ran, self.folder = ran, folder
        self.asked: Asked = {}

    def __enter__(self) -> Questions:
        self.server = Saying(self.reply).__enter__()
        return self

    def __exit__(self, *wrong: Any) -> None:
        self.server.__exit__(*wrong)

    def reply(self, heard: Heard) -> Said:
        page = heard.body["prompt"].splitlines()[-2].removeprefix("Document: Page ")
        question = list(self.asked)[int(page.rstrip("."))]
        said = self.asked[question]
        logprobs = None if said is None else {"token_logprobs": said}
        return Said({"choices": [{"text": f" {question}", "logprobs": logprobs, "finish_reason": "stop"}]})

    def run(self, asked: Asked, *options: str) -> Any:
        self.asked = asked
        pool = self.folder / "pool.jsonl"
        pages = [json.dumps({"context": f"Page {i}."}) + "\n" for i in range(len(asked))]
        pool.write_text("".join(pages), "utf-8")
        return self.ran(
            "inpars", SHOWN, "--unlabelled", str(pool), *FEW, *options, complete=f"openai:m@{self.server.url}"
        )


@pytest.fixture
def questions(ran: Any, tmp_path: Path) -> Iterator[Questions]:
    with Questions(ran, tmp_path) as found:
        yield found


@pytest.mark.parametrize(
    ("order", "n", "kept", "refused"),
    [
        ([A, B, C, D], 2, [A, C], {B: "length", D: "below_top_k"}),
        ([C, B, A, D], 1, [C], {B: "length", A: "below_top_k", D: "below_top_k"}),  # a tie goes to the first
        ([A, B, C, D], 1, [A], {B: "length", C: "below_top_k", D: "below_top_k"}),
        ([D, A, B, C], 3, [D, A, C], {B: "length"}),
        ([A, B, C, D], 10000, [A, C, D], {B: "length"}),
    ],
)
def test_the_most_probable_stay(questions: Questions, order: list[str], n: int, kept: list[str], refused: Any):
    found = questions.run({name: LOGPROBS[name] for name in order}, "--set", f"top.n={n}")
    assert sorted(row["question"] for row in found.made) == sorted(kept)
    assert {row["question"]: row["_reason"] for row in found.refused} == refused
    pages = {row["question"]: row["context"] for row in found.made}
    assert pages == {name: f"Page {order.index(name)}." for name in kept}, "a question stays with its page"
    means = {A: -0.2, C: -0.2, D: -0.2325}
    assert {row["question"]: row["_scores"]["logprob"] for row in found.made} == {name: means[name] for name in kept}


def test_scored_tokens_from_3_to_1000_and_what_has_no_score(questions: Questions):
    sizes = {f"what of these {n}": [-0.5] * n for n in (2, 3, 1000, 1001)}
    found = questions.run({**sizes, "no score at all": None, "": [-0.1] * 5})
    assert {row["question"]: row["_scores"]["tokens"] for row in found.made} == {
        "what of these 3": 3,
        "what of these 1000": 1000,
    }
    said = {row["question"]: row["_reason"] for row in found.refused}
    assert said == {
        "what of these 2": "length",
        "what of these 1001": "length",
        "no score at all": "no_score",
        "": "empty",
    }


def test_the_prompt_shows_three_questions(questions: Questions):
    questions.run({A: [-0.1]})
    [heard] = questions.server.heard
    assert {name: heard.body[name] for name in ("temperature", "max_tokens", "stop")} == {
        "temperature": 0.0,
        "max_tokens": 64,
        "stop": "\n",
    }
    *shown, last = heard.body["prompt"].split("\n\n")
    assert last == "Example 4:\nDocument: Page 0.\nRelevant Query:"
    of = [text.split("\n") for text in shown]
    assert [head for head, *_ in of] == ["Example 1:", "Example 2:", "Example 3:"]
    assert sorted(lines for _, *lines in of) == [
        [f"Document: {row['context']}", f"Relevant Query: {row['question']}"] for row in SHOWN
    ]


def test_a_chat_model_is_refused_before_it_is_paid(tmp_path: Path):
    rows = [{"context": f"Page {i}.", "question": f"What is on page {i}?"} for i in range(4)]
    source, pool = tmp_path / "shown.jsonl", tmp_path / "pages.jsonl"
    source.write_text("".join(json.dumps(row) + "\n" for row in rows), "utf-8")
    pool.write_text('{"context": "Page 9."}\n', "utf-8")
    given = ["augment", source, "-r", "inpars", "--unlabelled", pool, "-o", tmp_path / "out"]
    done = cli(*given, "--model", "chat=fake:shape")
    assert done.code == 1
    said, fix = done.error
    assert "recipe inpars chooses by `logprob`, which the chat model fake:shape does not give" in said
    assert "--model complete=URI" in fix
    assert not (tmp_path / "out").exists()
