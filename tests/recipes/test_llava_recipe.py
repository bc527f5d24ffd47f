"""LLaVA's instruction data: three calls an image, of captions and boxes, no pixels; the checks of its fact sheet."""

from __future__ import annotations

import json
from collections import Counter
from pathlib import Path
from typing import Any

import pytest

from leaven.recipe import read
from saying import Heard, Said, Saying, chat
from small_media import picture

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
