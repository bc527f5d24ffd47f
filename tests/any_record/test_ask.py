"""Questions: a plain answer, fields of kinds, several answers."""

from __future__ import annotations

from pathlib import Path

from leaven.any_record.ask import Ask
from loopback.process import Server
from recordings import recording

CARD = {"text": "my card is lost", "label": "card"}


def test_a_plain_answer(tmp_path: Path):
    [row] = Ask("Why? {{ text }}")(CARD, chat=recording(tmp_path, [(CARD["text"], " It fell out.")]))
    assert row == {**CARD, "ask": "It fell out."}


def test_fields(tmp_path: Path):
    said = '{"polite": false, "tone": "dry"}'
    op = Ask("How? {{ text }}", into={"polite": "bool", "tone": "str"})
    [row] = op(CARD, chat=recording(tmp_path, [(CARD["text"], said)]))
    assert row == {**CARD, "polite": False, "tone": "dry"}
    assert op.writes().keys() == {"polite", "tone"}


def test_several_answers_are_a_list(tmp_path: Path):
    answers = [(CARD["text"], said) for said in ("yes", "no", "yes")]
    [row] = Ask("Polite? {{ text }}", samples=3)(CARD, chat=recording(tmp_path, answers))
    assert row["ask"] == ["yes", "no", "yes"]
    [row] = Ask("Polite? {{ text }}", into="polite", samples=2)(CARD, chat=recording(tmp_path, answers))
    assert row["polite"] == ["yes", "no"]


def test_an_answer_stays_whatever_changes():
    assert all(not column.about for column in Ask("Polite? {{ text }}", into=["a", "b"]).writes().values())


def test_a_second_model_by_its_nick():
    with Server() as first, Server() as second:
        models = {"chat": f"openai:a@{first.url}", "chat.reader": f"openai:b@{second.url}"}
        Ask("x {{ text }}", model="reader")(CARD, **models)
        assert [len(server.bodies()) for server in (first, second)] == [0, 1]
