"""LLaVA's instruction data: three calls an image, of captions and boxes, no pixels; the checks of its fact sheet."""

from __future__ import annotations

import json
from collections import Counter
from pathlib import Path
from typing import Any

import pytest

from asked import cli, failed, ledger, source, table
from leaven.recipe import read
from saying import Heard, Said, Saying, chat
from small_media import picture
from tiny import repliers, writers

FEW = ("--concurrency", "4")
N = 24


@pytest.fixture
def rows(tmp_path: Path) -> list[dict[str, Any]]:
    for i in range(N):
        picture(tmp_path / f"{i}.png", (80, 40), 10 * i)
    box = {"x": 8, "y": 4, "w": 16, "h": 20, "label": "cat"}
    return [
        {"image": f"{i}.png", "captions": [f"scene {i} said {j}" for j in range(5)], "boxes": [box]} for i in range(N)
    ]


def kind(heard: Heard) -> str:
    system = heard.body["messages"][0]["content"]
    return "conversation" if "conversation" in system else "reasoning" if "one question" in system else "detail"


def number(heard: Heard) -> int:
    asked = next(m["content"] for m in reversed(heard.body["messages"]) if "scene " in m["content"])
    return int(asked.partition("scene ")[2].split()[0])


def repaired(heard: Heard) -> bool:
    return "scene " not in heard.prompt


def reply(heard: Heard) -> Said:
    i, of = number(heard), kind(heard)
    if of == "conversation":
        answers = ["A cat.", "It sits.\n\nIt may sleep."][: 1 if i == 1 else 2]  # one answer lacks
        return chat(json.dumps({"questions": ["What is it?", "What does it do?"], "answers": answers}))
    if of == "detail":
        return chat(json.dumps({"answer": "The bounding box shows a cat." if i == 2 else "A cat, in grey."}))
    return chat(
        "no JSON" if i == 3 and not repaired(heard) else json.dumps({"question": "Why grey?", "answer": "It is dark."})
    )


def test_three_calls_an_image(ran: Any, rows: list[dict[str, Any]]):
    with Saying(reply) as server:
        found = ran("llava-instruct", rows, *FEW, chat=f"openai:m@{server.url}")
    first = [heard for heard in server.heard if not repaired(heard)]
    assert Counter(map(kind, first)) == {"conversation": N, "detail": N, "reasoning": N}
    sizes = {kind(heard): len(heard.body["messages"]) for heard in first}
    assert sizes == {"conversation": 6, "detail": 8, "reasoning": 8}
    for heard in first:
        messages = heard.body["messages"]
        assert [m["role"] for m in messages] == ["system", *["user", "assistant"] * ((len(messages) - 2) // 2), "user"]
        shown = [m["content"] for m in messages[1:-1:2]]
        assert len(set(shown)) == len(shown)
        asked = heard.prompt.partition("\n\nAnswer with")[0]
        if kind(heard) == "conversation":
            assert "[" not in messages[-1]["content"].partition("JSON")[0]
        else:
            said = [f"scene {number(heard)} said {j}" for j in range(5)]
            assert asked.startswith("\n".join(said) + "\n\ncat: [0.100, 0.100, 0.300, 0.600]\n")
        assert "base64" not in json.dumps(heard.body)

    why = Counter(row["_reason"] for row in found.refused)
    assert why == {"uneven": 1, "source_named": 1}
    assert len(server.heard) == 3 * N + 1  # what was no answer was asked about once more
    assert len(found.made) == 3 * N - 2
    assert not found.real


def test_the_messages(ran: Any, rows: list[dict[str, Any]]):
    with Saying(reply) as server:
        found = ran("llava-instruct", rows, *FEW, chat=f"openai:m@{server.url}")
    places = Counter()
    ways = read("llava-instruct").let["ways"]
    for row in found.made:
        messages = row["messages"] if isinstance(row["messages"], list) else json.loads(row["messages"])
        roles = [m["role"] for m in messages]
        [of] = {"conversation", "detail", "reasoning"} & {step["step"].rpartition("/")[2] for step in row["_steps"]}
        assert roles == ["user", "assistant"] * (2 if of == "conversation" else 1)
        assert sum(m["content"].count("<image>") for m in messages) == 1
        asked = messages[0]["content"]
        places["first" if asked.startswith("<image>\n") else "last"] += asked.endswith("\n<image>") or asked[0] == "<"
        if of == "detail":
            assert asked.replace("<image>", "").strip() in ways
        if of == "conversation":
            assert messages[3]["content"] == "It sits.\n\nIt may sleep."
    assert places.total() == len(found.made)
    assert min(places.values()) > len(found.made) / 4


TALK, DETAIL, WHY = "Write a conversation between", "Describe the scene in detail.", "Ask one question about it"
QUESTIONS = ["What is it?", "What does it do?"]
RULES = (
    ((TALK,), json.dumps({"questions": QUESTIONS, "answers": ["A cat.", "It sits.\n\nIt may sleep."]})),
    ((TALK, "scene 1 said 0"), json.dumps({"questions": QUESTIONS, "answers": ["A cat."]})),
    ((DETAIL,), '{"answer": "A cat, in grey."}'),
    ((DETAIL, "scene 2 said 0"), '{"answer": "The bounding box shows a cat."}'),
    ((WHY,), '{"question": "Why grey?", "answer": "It is dark."}'),
    ((WHY, "scene 3 said 0"), "I see no question."),
    ((WHY, "scene 3 said 0", "Your answer cannot be used"), '{"question": "Why so?", "answer": "It is late."}'),
)


def test_with_a_model_of_the_real_class(ran: Any, rows: list[dict[str, Any]], tmp_path: Path):
    """A Llama that chats, in this process: what it was asked, in its order, and what became of each answer."""
    pytest.importorskip("transformers")
    chat = repliers.replier(tmp_path / "chat", *RULES)
    found = ran("llava-instruct", rows[:4], chat=f"transformers:{chat}")

    calls = [json.loads(row["asked"]) for row in ledger(found.out)]
    assert {row["role"] for row in ledger(found.out)} == {"chat"}
    sizes: dict[str, Counter[int]] = {TALK: Counter(), DETAIL: Counter(), WHY: Counter()}
    for call in calls:
        messages = call["messages"]
        [of] = [said for said in sizes if said in messages[0]["content"]]
        sizes[of][len(messages)] += 1
        assert (call["temperature"], call["max_tokens"]) == (0.7, 1024)
        assert all(isinstance(message["content"], str) for message in messages), "no pixels"
    assert sizes == {TALK: {6: 4}, DETAIL: {8: 4}, WHY: {8: 4, 10: 1}}, "one was no answer, and asked about again"

    refused = {row["_reason"]: list(row["captions"]) for row in found.refused}
    assert refused == {"uneven": rows[1]["captions"], "source_named": rows[2]["captions"]}
    assert len(found.refused) == 2
    assert not found.real
    made: Counter[tuple[str, ...]] = Counter()
    lines = {(*row["_parents"], *row["captions"]) for row in found.made}
    assert len(lines) == len({line[0] for line in lines}) == 4, "what is made of an image has it for its parent"
    for row in found.made:
        messages = row["messages"] if isinstance(row["messages"], list) else json.loads(row["messages"])
        said = [message["content"].replace("<image>", "").strip() for message in messages]
        assert messages[0]["content"].count("<image>") == 1
        of = "detail" if said[0] in read("llava-instruct").let["ways"] else "other"
        made[(of, *said[of == "detail" :])] += 1
    assert made == {
        ("other", "What is it?", "A cat.", "What does it do?", "It sits.\n\nIt may sleep."): 3,
        ("detail", "A cat, in grey."): 3,
        ("other", "Why grey?", "It is dark."): 3,
        ("other", "Why so?", "It is late."): 1,
    }


def test_a_model_that_talks_nonsense(rows: list[dict[str, Any]], tmp_path: Path):
    """Each failed record is kept with what was answered; the run ends."""
    pytest.importorskip("transformers")
    chat = writers.llama(tmp_path / "chat", room=12_000)
    out, data = tmp_path / "out", source(tmp_path, rows[:1])
    few = [f"--set={step}.max_tokens=12" for step in ("conversation", "detail", "reasoning")]
    model = f"--model=chat=transformers:{chat}"
    assert cli("augment", data, "-o", out, "-r", "llava-instruct", "-q", "--workers", "1", model, *few).code == 3
    lost = Counter((row["_step"], row["_reason"], len(row["_answers"])) for row in failed(out))
    assert lost == {(step, "no_valid_json", 2): 1 for step in ("conversation", "detail", "reasoning")}
    assert table(out) == [], "no row of yours is in it, as the recipe says"
