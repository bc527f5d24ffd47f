"""t-sciq-students: students of two stages, fitted to each kind, and of each skill the kind whose student errs less on
problems that it did not learn from."""

from __future__ import annotations

import threading
from collections import Counter
from pathlib import Path
from typing import Any

import pytest

from asked import cli, source, table
from leaven.models.backends.local import tuned_texts
from leaven.models.backends.local.speaks import Speaks
from leaven.models.calls import Answer
from saying import Heard, Said, Saying, chat
from tiny import readers, writers

pytest.importorskip("transformers")

SKILLS = {"a": (0, 1), "b": (1, 1), "c": (2, 1)}  # errors of the plain student, and of the planned one
EACH = 8
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
QUICK = ("--set", "times=1", "--set", "share=0.5", "--seed", "1")


def teacher(heard: Heard) -> Said:
    prompt = heard.prompt
    if "general lecture" in prompt:
        return chat("A lecture.")
    if "short general plan" in prompt:
        return chat("1. Look. 2. Think.")
    return chat("Solved by plan." if "Carry out the plan" in prompt else "Explained plainly.")


def number(prompt: str) -> str:
    return prompt.partition("Question: ")[2].partition("?")[0]


def test_what_students_learn_and_which_kind_stays(ran: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    llama = writers.llama(tmp_path / "llama", chats=False, room=2048)
    taught: list[list[tuple[str, str]]] = []
    asked: list[tuple[str, str]] = []
    tune, errors, lock = tuned_texts.tune, Counter[tuple[str, str]](), threading.Lock()

    def spied(role: str, weights: Any, examples: Any, how: Any, *more: Any) -> Any:
        assert (role, weights.place, how.lora, how.epochs, how.lr) == ("complete", str(llama), None, 1, 5e-5)
        taught.append([(one.prompt, one.target) for one in examples])
        return tune(role, weights, examples, how, *more)

    def answers(self: Speaks, asks: Any) -> Any:
        [ask] = asks
        assert (ask.adapter.folder / "model.safetensors").is_file()
        assert ask.sampling["temperature"] == 0
        prompt = ask.content["prompt"]
        with lock:
            asked.append((ask.adapter.name, prompt))
            if "Solution: " not in prompt:
                assert ask.sampling["max_tokens"] == 512
                first = [name for name, _ in asked].index(ask.adapter.name)
                return [Answer(f"Solution: {'own plain' if first == 0 else 'own planned'} words")]
            assert ask.sampling["max_tokens"] == 64
            of = number(prompt)[0], "plain" if "own plain words" in prompt else "planned"
            errors[of] += 1
        if errors[of] <= SKILLS[of[0]][of[1] == "planned"]:
            return [
                Answer("Answer: The answer is (B). The answer is (B)." if errors[of] == 1 else "The answer is (A).")
            ]
        return [Answer("Answer: The answer is (B).")]

    monkeypatch.setattr(tuned_texts, "tune", spied)
    monkeypatch.setattr(Speaks, "answers", answers)
    with Saying(teacher) as server:
        named = {"chat": f"openai:m@{server.url}", "complete": f"transformers:{llama}"}
        found = ran("t-sciq-students", ROWS, *QUICK, "--concurrency", "1", **named)
    assert len(server.heard) == 2 * len(ROWS) + 2 * len(SKILLS)

    # What is fitted to what, in this order: two first stages, two second ones.
    learnt = [{number(prompt) for prompt, _ in examples} for examples in taught]
    assert len(taught) == 4
    assert all(of == learnt[0] for of in learnt)
    assert [{target for _, target in examples} for examples in taught] == [
        {"Solution: Explained plainly."},
        {"Solution: A lecture. Solved by plan."},
        {"Answer: The answer is (B)."},
        {"Answer: The answer is (B)."},
    ]
    [(problem, _)] = [pair for pair in taught[0] if number(pair[0]) == sorted(learnt[0])[0]]
    context = "A hint." if number(problem).endswith("0") else "N/A"
    count = number(problem)[-1]
    assert problem == f"Question: {number(problem)}?\nContext: {context}\nOptions: (A) no (B) yes {count}"
    seconds = {prompt for prompt, _ in taught[3]}
    assert f"{problem}\nSolution: A lecture. Solved by plan." in seconds, "the teacher's words"

    # Nobody is asked what it learnt; the second stage reads what the first one wrote itself.
    held = {row["question"][:-1] for row in ROWS} - learnt[0]
    assert min(Counter(of[0] for of in held).values()) >= 2
    assert Counter(number(prompt) for _, prompt in asked) == dict.fromkeys(held, 4)
    assert all("own " in prompt for _, prompt in asked if "Solution: " in prompt)
    names = list(dict.fromkeys(name for name, _ in asked))
    assert [len([1 for name, _ in asked if name == one]) for one in names] == [len(held)] * 4

    kept = {skill: {row["kind"] for row in found.made if row["skill"] == skill} for skill in SKILLS}
    assert kept == {"a": {"plain"}, "b": {"planned"}, "c": {"planned"}}  # b is a tie
    assert sorted(row["question"] for row in found.made) == sorted(row["question"] for row in ROWS)
    assert {row["taught"] for row in found.made if row["kind"] == "plain"} == {"Solution: Explained plainly."}
    assert {row["rationale"] for row in found.made if row["kind"] == "planned"} == {"Solved by plan."}
    assert len(found.refused) == len(ROWS)
    assert not found.real


def test_small_models_of_both_families_end_to_end(ran: Any, tmp_path: Path):
    """A T5, as the paper's, from nothing: it learns no skill, so ties and lots decide; each problem stays once."""
    t5 = readers.t5(tmp_path / "t5", learns=True)
    with Saying(teacher) as server:
        named = {"chat": f"openai:m@{server.url}", "complete": f"transformers:{t5}"}
        less = ("--set", "plain_thought.max_tokens=4", "--set", "planned_thought.max_tokens=4")
        found = ran("t-sciq-students", ROWS, *QUICK, *less, "--set", "plain_reply.max_tokens=4", **named)
    assert sorted(row["question"] for row in found.made) == sorted(row["question"] for row in ROWS)
    assert all(len({row["kind"] for row in found.made if row["skill"] == skill}) == 1 for skill in SKILLS)
    states = [path.parent.name for path in (found.out / "states").glob("*/model.safetensors")]
    assert len(states) == 4


def test_the_last_student_of_the_page(tmp_path: Path):
    page = (Path(__file__).parents[2] / "docs" / "systems" / "t-sciq-students.md").read_text("utf-8")
    said = page.partition("## The student in the end")[2].partition("    leaven augment")[0]
    lines = [line.removeprefix("    ") for line in said.splitlines() if line.startswith("    ")]
    (tmp_path / "student.yaml").write_text("\n".join(lines))
    data = source(tmp_path, [{**row, "taught": "Solution: It is so."} for row in ROWS[:10]])
    pool = source(
        tmp_path, [{name: row[name] for name in ("question", "choices", "context")} for row in ROWS[-3:]], "p.jsonl"
    )
    llama = writers.llama(tmp_path / "llama", chats=False, room=1024)
    less = [
        f"--set={said}" for said in ("first.epochs=1", "second.epochs=1", "think.max_tokens=4", "reply.max_tokens=4")
    ]
    named = ("--model", f"complete=transformers:{llama}", "--unlabelled", pool, "-q", *less)
    done = cli("augment", data, "-o", tmp_path / "out", "-r", tmp_path / "student.yaml", *named)
    assert done.code == 0, done.err
    rows = table(tmp_path / "out")
    assert sorted(row["question"] for row in rows) == [row["question"] for row in ROWS[-3:]]
    assert len(list((tmp_path / "out" / "states").glob("*/model.safetensors"))) == 2


def test_the_list_of_recipes_says_which_model_has_to_run_here():
    said = " ".join(cli("recipes").out.split())
    needs = "needs question, choices, answer, context, skill; --model chat=URI; --model complete=transformers:FOLDER"
    assert needs in said.partition("t-sciq-students")[2]
