"""New records: the fields of an answer, and what cannot be used of it."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from leaven.errors import RecipeError
from leaven.text.write import Write
from loopback.process import Server
from recordings import recording

CARD = {"text": "my card is lost", "label": "card"}
SOURCE = [CARD, {"text": "are you open", "label": "Hours"}]
ASK = "Write about {{ label }}: {{ text }}"


def written(server: Server, op: Write, answer: Any) -> list[dict[str, Any]]:
    server.set(script=[{"match": "Write about", "answer": answer}])
    return op(CARD, source=SOURCE, chat=f"openai:m@{server.url}")


def test_texts(server: Server, tmp_path: Path):
    answers = [(CARD["text"], text) for text in ("1. one", '"two"', "three", "four")]
    rows = Write(2, calls=2, prompt=ASK)(CARD, chat=recording(tmp_path, answers))
    assert rows == [{"text": text, "label": "card"} for text in ("one", "two", "three", "four")]
    assert written(server, Write(prompt=ASK), {"text": "alone"}) == [{"text": "alone", "label": "card"}]


def test_too_many_are_cut_and_too_few_are_refused(server: Server):
    assert [row["text"] for row in written(server, Write(2, prompt=ASK), {"items": ["a", "b", "c"]})] == ["a", "b"]
    rows = written(server, Write(3, prompt=ASK), {"items": ["a", ""]})
    assert [row.get("_reason", "") for row in rows] == ["", "empty", "too_few"]


def test_whole_records(server: Server):
    op = Write(3, into=["text", "label"], prompt=ASK)
    said = [{"text": "closed?", "label": " hours"}, {"text": "x", "label": "parking"}, {"text": "y", "label": "card"}]
    rows = written(server, op, {"items": said})
    assert [(row["text"], row["label"], row.get("_reason", "")) for row in rows] == [
        ("closed?", "Hours", ""),
        ("x", "parking", "unknown_label"),
        ("y", "card", ""),
    ]


def test_fields_of_other_kinds(server: Server):
    into = {"question": "str", "copy": "int", "share": "float", "sure": "bool", "words": "list"}
    said = {"question": "where", "copy": 3, "share": 0.5, "sure": True, "words": ["a", "b"]}
    assert written(server, Write(into=into, prompt=ASK), said) == [{**CARD, **said}]
    op = Write(into=into, prompt=ASK)
    assert {name: column.type for name, column in op.writes().items()} == {
        "question": "value", "copy": "score", "share": "score", "sure": "value", "words": "value",
    }  # fmt: skip
    assert op.changes() == set(into)
    with pytest.raises(RecipeError, match="into"):
        Write(into={"question": "text"}, prompt=ASK)
    with pytest.raises(Exception, match="`_id` cannot name a field"):
        Write(into="_id", prompt=ASK).writes()


def test_a_field_may_be_called_items(server: Server):
    assert written(server, Write(into="items", prompt=ASK), {"items": "milk"})[0]["items"] == "milk"


def test_system_and_prompt(server: Server):
    written(server, Write(2, prompt=ASK + " {{ n }}", system="You mind a {{ label }} desk."), {"items": ["a", "b"]})
    [body] = server.bodies()
    system, user = body["messages"]
    assert system == {"role": "system", "content": "You mind a card desk."}
    assert user["content"].startswith("Write about card: my card is lost 2\n")
    assert json.dumps(body["response_format"]).count('"items"') >= 1


def test_a_prompt_is_needed():
    with pytest.raises(RecipeError, match="prompt"):
        Write(2)
