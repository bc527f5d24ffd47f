"""T-SciQ: two explanations of each problem, and of each skill the kind whose examples lead a reader to fewer errors."""

from __future__ import annotations

import json
from collections import Counter
from pathlib import Path
from typing import Any

import pytest

from asked import ledger
from saying import Heard, Said, Saying, chat
from tiny import repliers, writers

SKILLS = {"a": (0, 2), "b": (1, 1), "c": (2, 1)}  # errors with plain examples, and with planned ones
EACH = 7
ROWS = [
    {
        "question": f"{skill} question {i}?",
        "choices": ["no", f"yes {i}"],
        "answer": 1,
        "context": "" if i else "A hint.",
        "skill": skill,
    }
    for skill in SKILLS
    for i in range(EACH)
]
FEW = ("--concurrency", "4")


def reply(heard: Heard) -> Said:
    prompt = heard.prompt
    if "Solve this last problem" in prompt:
        kind = "planned" if "by plan" in prompt else "plain"
        asked = prompt.rpartition("Question: ")[2]
        skill, number = asked[0], int(asked.split("question ")[1].split("?")[0])
        wrong = number < SKILLS[skill][kind == "planned"]
        return chat(f"So it is.\nThe answer is ({'A' if wrong else 'B'}).")
    if "general lecture" in prompt:
        return chat("A lecture.")
    if "short general plan" in prompt:
        return chat("1. Look. 2. Think.")
    return chat("solved by plan" if "Carry out the plan" in prompt else "explained plainly")


def test_of_each_skill_the_kind_that_errs_less(ran: Any):
    with Saying(reply) as server:
        uri = f"openai:m@{server.url}"
        found = ran("t-sciq", ROWS, *FEW, "--model", f"chat.reader={uri}", chat=uri)
    kept = {skill: {row["kind"] for row in found.made if row["skill"] == skill} for skill in SKILLS}
    assert kept == {"a": {"plain"}, "b": {"planned"}, "c": {"planned"}}  # b is a tie
    assert sorted(row["question"] for row in found.made) == sorted(row["question"] for row in ROWS)
    assert {row["rationale"] for row in found.made if row["kind"] == "plain"} == {"explained plainly"}
    assert {row["rationale"] for row in found.made if row["kind"] == "planned"} == {"solved by plan"}
    assert len(found.refused) == len(ROWS)
    assert not found.real

    prompts = [heard.prompt for heard in server.heard]
    assert len(prompts) == 4 * len(ROWS) + 2 * len(SKILLS)
    of_skills = [p for p in prompts if "general lecture" in p or "general plan" in p]
    assert len(of_skills) == 2 * len(SKILLS)
    for prompt in of_skills:
        shown = [line for line in prompt.splitlines() if line.startswith("Question: ")]
        assert len(shown) == len(set(shown)) == 5
        assert len({line.split()[1] for line in shown}) == 1  # of the one skill
    for prompt in prompts:
        if "Carry out" in prompt:
            order = [
                prompt.index(word)
                for word in ("Skill:", "Lecture:", "Plan:", "Question:", "Correct Answer: (B)", "Carry")
            ]
            assert order == sorted(order)
        if "Solve this last" in prompt:
            assert prompt.count("Question: ") == 4
            assert len({line for line in prompt.splitlines() if line.startswith("Question: ")}) == 4
    assert sum("Context: N/A" in p for p in prompts) > 0
    assert all(heard.body["temperature"] == 0 and heard.body["max_tokens"] == 512 for heard in server.heard)


PROBLEMS = [
    {"question": f"{skill} question {i}?", "choices": ["no", f"yes {skill}{i}"], "answer": 1, "skill": skill}
    | {"context": "" if i else "A hint."}
    for skill, n in {"a": 6, "b": 4, "c": 4}.items()
    for i in range(n)
]
ASKED = {
    "Explain in detail": "explained plainly",
    "general lecture": "A lecture.",
    "short general plan": "1. Look. 2. Think.",
    "Carry out the plan": "solved by plan",
}
SOLVE = "Solve this last problem"
RIGHT, WRONG, BOTH = "The answer is (B).", "The answer is (A).", "The answer is (B). The answer is (A)."
READS = (
    (("explained plainly",), RIGHT),
    (("solved by plan",), RIGHT),
    *((("solved by plan", f"yes a{i}\n{SOLVE}"), WRONG) for i in range(2)),
    (("explained plainly", f"yes b0\n{SOLVE}"), "It cannot be known."),
    (("solved by plan", f"yes b1\n{SOLVE}"), WRONG),
    (("explained plainly", f"yes c0\n{SOLVE}"), WRONG),
    (("explained plainly", f"yes c3\n{SOLVE}"), BOTH),
    *((("solved by plan", f"yes c{i}\n{SOLVE}"), WRONG) for i in range(2)),
)
"""A reader that errs after plain and planned examples 0 and 2 times in skill a, 1 and 1 in b, 2 and 2 in c: two answers
are none."""


def test_with_models_of_the_real_class(ran: Any, tmp_path: Path):
    """A Llama that explains and another that reads: the fact sheet's check."""
    pytest.importorskip("transformers")
    teacher = repliers.replier(tmp_path / "teacher", *(((words,), reply) for words, reply in ASKED.items()))
    reader = repliers.replier(tmp_path / "reader", *READS)
    more = f"--model=chat.reader=transformers:{reader}"
    found = ran("t-sciq", PROBLEMS, more, chat=f"transformers:{teacher}")

    by_skill = {skill: {row["kind"] for row in found.made if row["skill"] == skill} for skill in "abc"}
    assert by_skill == {"a": {"plain"}, "b": {"planned"}, "c": {"planned"}}  # b and c are ties
    assert sorted(row["question"] for row in found.made) == sorted(row["question"] for row in PROBLEMS)
    said = {"plain": "explained plainly", "planned": "solved by plan"}
    assert all(row["rationale"] == said[row["kind"]] for row in found.made)
    assert [row["_reason"] for row in found.refused] == ["other_kind"] * len(PROBLEMS)
    assert not found.real

    calls = [(row["model"], json.loads(row["asked"])) for row in ledger(found.out)]
    assert all((call["temperature"], call["max_tokens"]) == (0, 512) for _, call in calls)
    prompts = [(model.split()[0], call["messages"][-1]["content"]) for model, call in calls]
    order = [model if model == "reader" else next(w for w in ASKED if w in prompt) for model, prompt in prompts]
    assert Counter(order) == {
        "Explain in detail": 14, "general lecture": 3, "short general plan": 3, "Carry out the plan": 14, "reader": 28,
    }  # fmt: skip
    assert order.index("short general plan") > len(order) - 1 - order[::-1].index("general lecture")
    assert order.index("Carry out the plan") > len(order) - 1 - order[::-1].index("short general plan")
    assert order.index("reader") == 34
    for (model, prompt), of in zip(prompts, order, strict=True):
        shown = [line.removeprefix("Question: ") for line in prompt.splitlines() if line.startswith("Question: ")]
        assert len(shown) == len(set(shown))
        assert len({line[0] for line in shown}) == 1
        assert ("Context: N/A" in prompt) == (shown != [f"{shown[0][0]} question 0?"])
        if of in ("general lecture", "short general plan"):
            assert len(shown) == min(5, {"a": 6, "b": 4, "c": 4}[shown[0][0]])
        elif model == "reader":
            assert len(shown) == 4
            assert prompt.count("Solution: ") == prompt.count("The answer is (B).") == 3
        else:
            assert "Correct Answer: (B) yes" in prompt
        if of == "Carry out the plan":
            begin = f'Skill: "{shown[0][0]}"\nLecture: "A lecture."\nPlan: "1. Look. 2. Think."\n\nQuestion: '
            assert prompt.startswith(begin)


def test_a_model_that_talks_nonsense(ran: Any, tmp_path: Path):
    """No answer of the reader names a choice: all err alike, and the planned kind stays, whatever it says."""
    pytest.importorskip("transformers")
    teacher = writers.llama(tmp_path / "teacher", room=2048)
    few = [f"--set={step}.max_tokens=8" for step in ("plain", "lecture", "plan", "planned", "reading")]
    uri = f"transformers:{teacher}"
    rows = [row for row in PROBLEMS if row["skill"] == "b"]
    found = ran("t-sciq", rows, *few, "--model", f"chat.reader={uri}", chat=uri)
    assert [row["kind"] for row in found.made] == ["planned"] * 4
    assert all(row["rationale"] for row in found.made)
