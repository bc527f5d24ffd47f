"""T-SciQ: two explanations of each problem, and of each skill the kind whose examples lead a reader to fewer errors."""

from __future__ import annotations

from typing import Any

from saying import Heard, Said, Saying, chat

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
