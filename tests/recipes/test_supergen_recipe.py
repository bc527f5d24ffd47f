"""SuperGen: of each label the most probable pairs, one for each premise; the neutral ones by lot."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from asked import table
from saying import Heard, Said, Saying

LABELS = ["entailment", "contradiction", "neutral"]
CONNECTIVE = {"In other words,": "entailment", "However, the truth is:": "contradiction", "Furthermore,": "neutral"}
ROWS = [{"premise": f"Row {i} is real.", "hypothesis": f"It is {i}.", "label": LABELS[i % 3]} for i in range(6)]
A, AGAIN, B, C = "Ann sang.", "Ann  sang.", "Bea ran.", "Cy sat."
WORKED = {A: -0.5, AGAIN: -0.1, B: -0.3, C: -0.2}
FEW = ("--concurrency", "4")  # the small server hears no more at once
Scores = dict[str, dict[str, float | None]]
Made = Callable[..., Any]


@pytest.fixture
def made(ran: Any, tmp_path: Path) -> Iterator[Made]:
    """A run on premises, whose pairs score what is said of each label and premise."""
    scores: Scores = {}
    said: dict[str, str] = {}

    def reply(heard: Heard) -> Said:
        prompt = heard.body["prompt"]
        [label] = [label for words, label in CONNECTIVE.items() if prompt.endswith(words)]
        [premise] = [p for p in scores[label] if p.casefold() in prompt.casefold()]
        score = scores[label][premise]
        logprobs = None if score is None else {"token_logprobs": [score - 0.05, score + 0.05]}
        return Said({"choices": [{"text": said.get(premise, " so it is"), "logprobs": logprobs}]})

    def run(of: Scores, *options: str, **texts: str) -> Any:
        scores.update(of)
        said.update(texts)
        pool = tmp_path / "pool.jsonl"
        pool.write_text("".join(json.dumps({"premise": text}) + "\n" for text in of["neutral"]), "utf-8")
        return ran("supergen", ROWS, "--unlabelled", str(pool), *FEW, *options, complete=f"openai:m@{server.url}")

    with Saying(reply) as server:
        run.server = server  # type: ignore[attr-defined]
        yield run


def of_label(rows: list[dict[str, Any]], label: str) -> set[str]:
    return {row["premise"] for row in rows if row["label"] == label}


def reasons(found: Any, label: str) -> dict[str, str]:
    return {row["premise"]: row["_reason"] for row in found.refused if row["label"] == label}


def test_the_first_of_a_premise_and_then_the_most_probable(made: Made):
    falling = {A: -0.1, AGAIN: -0.05, B: -0.3, C: -0.2}
    found = made({"entailment": WORKED, "contradiction": falling, "neutral": WORKED}, "--set", "pairs=6")
    assert of_label(found.made, "entailment") == {B, C}
    assert reasons(found, "entailment") == {AGAIN: "duplicate", A: "below_top_k"}
    assert of_label(found.made, "contradiction") == {A, C}
    assert reasons(found, "contradiction") == {AGAIN: "duplicate", B: "below_top_k"}
    assert sorted(reasons(found, "neutral").values()) == ["duplicate", "not_drawn"]
    assert reasons(found, "neutral")[AGAIN] == "duplicate"
    assert found.train == found.made, "no real row goes into the set"
    scores = {row["premise"]: row["_scores"]["logprob"] for row in found.made if row["label"] == "entailment"}
    assert scores == {B: -0.3, C: -0.2}


@pytest.mark.parametrize(("pairs", "each"), [(5, 1), (9, 3), (6000, 4)])
def test_as_many_of_each_label_rounded_down(made: Made, pairs: int, each: int):
    scores: dict[str, float | None] = {f"Number {n} came.": -n / 10 for n in (4, 2, 1, 3)}
    found = made(dict.fromkeys(LABELS, scores), "--set", f"pairs={pairs}")
    best = {f"Number {n} came." for n in range(1, each + 1)}
    assert of_label(found.made, "entailment") == of_label(found.made, "contradiction") == best
    assert len(of_label(found.made, "neutral")) == each


def test_the_neutral_ones_are_drawn_whatever_they_score(made: Made, tmp_path: Path):
    kept = []
    for sign in (1, -1):
        scores: dict[str, float | None] = {f"Number {n} came.": -1 + sign * n / 10 for n in range(8)}
        made(dict.fromkeys(LABELS, scores), "--set", "pairs=12", "-o", str(tmp_path / f"out{sign}"))
        kept.append(table(tmp_path / f"out{sign}"))
    for label, same in (("entailment", False), ("neutral", True)):
        one, other = (of_label(rows, label) for rows in kept)
        assert (one == other) is same
        assert len(one) == len(other) == 4


def test_what_has_a_line_break_or_no_score_is_no_candidate(made: Made):
    scores: dict[str, float | None] = {A: -0.1, B: None, C: -0.4}
    found = made(dict.fromkeys(LABELS, scores), **{A: " one\ntwo"})
    for label in LABELS:
        assert reasons(found, label) == {A: "line_break", B: "no_score"}
        assert of_label(found.made, label) == {C}


def test_prompts(made: Made):
    made({label: {A: -0.1} for label in LABELS})
    assert {heard.body["prompt"] for heard in made.server.heard} == {  # type: ignore[attr-defined]
        "Ann sang. In other words,",
        "There is a rumor that ann sang. However, the truth is:",
        "Ann sang. Furthermore,",
    }
