"""Rewrites: how many, what is taken off them, what they must hold."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from leaven.text.bare import bare
from leaven.text.paraphrase import Paraphrase, lost
from loopback.process import Server
from recordings import recording

CARD = {"text": "my card is lost", "label": "card"}


def said(tmp_path: Path, op: Paraphrase, *texts: str) -> list[tuple[str, str]]:
    """The texts that come of these answers, each with the reason it was refused for."""
    rows = op(CARD, chat=recording(tmp_path, [(CARD["text"], text) for text in texts]))
    assert {row["label"] for row in rows} == {"card"}
    return [(row["text"], row.get("_reason", "")) for row in rows]


def test_as_many_as_asked_for_and_what_lacks_is_refused(tmp_path: Path):
    texts = ["the card is gone", "I lost my card", "no card any more"]
    assert said(tmp_path, Paraphrase(2), *texts) == [(text, "") for text in texts[:2]]
    rows = Paraphrase(5)(CARD, chat=recording(tmp_path, [(CARD["text"], text) for text in texts]))
    assert [row.get("_reason") for row in rows] == [None] * 3 + ["too_few"] * 2


def test_a_copy_is_left_to_unique(tmp_path: Path):
    assert said(tmp_path, Paraphrase(1), CARD["text"]) == [(CARD["text"], "")]


def test_what_models_put_around_a_text_is_taken_off(tmp_path: Path):
    assert said(tmp_path, Paraphrase(3), '1. "the card is gone"', "Version 2: I lost it", " ") == [
        ("the card is gone", ""),
        ("I lost it", ""),
        ("", "empty"),
    ]


@pytest.mark.parametrize(
    ("text", "left"),
    [
        ("  where is it ", "where is it"),
        ('"where is it"', "where is it"),
        ("“where is it?”", "where is it?"),
        ("3. where is it", "where is it"),
        ("2) where is it", "where is it"),
        ('Example 11: "where is it"', "where is it"),
        ("where is it (80% card, 20% hours)", "where is it"),
        ('1. "where is it" (85 %)', "where is it"),
        ("12.50 euros are missing", "12.50 euros are missing"),
        ("2 cards are lost", "2 cards are lost"),
        ("a fee (20 % of it)", "a fee (20 % of it)"),
        ('he said "no" and "yes"', 'he said "no" and "yes"'),
        ("example 2 is wrong", "example 2 is wrong"),
        ("", ""),
    ],
)
def test_bare(text: str, left: str):
    assert bare(text) == left
    assert bare(left) == left


def test_what_must_stay_stays_as_a_whole(tmp_path: Path):
    assert lost(["US"], "in the USA") == "US"
    assert lost(["US", "5 %"], "the US takes 5 % off") == ""
    assert lost(["c++"], "I like c++") == ""
    found = said(tmp_path, Paraphrase(3, lock=["card"]), "card gone", "cards gone", "a lost card!")
    assert [reason for _, reason in found] == ["", "lock_lost", ""]
    row = {**CARD, "names": ["card", "lost"]}
    made = Paraphrase(2, lock="names")(row, chat=recording(tmp_path, [(CARD["text"], t) for t in ("lost card", "?")]))
    assert [r.get("_reason", "") for r in made] == ["", "lock_lost"]


def test_the_prompt():
    with Server() as server:

        def prompt(op: Paraphrase, **sets: Any) -> str:
            server.reset()
            op(CARD, seed=1, chat=f"openai:m@{server.url}", **sets)
            [body] = server.bodies()
            [message] = body["messages"]
            text: str = message["content"]
            return text.partition("\n\nAnswer with")[0]

        plain = prompt(Paraphrase())
        assert "in 6 other ways." in plain
        assert plain.endswith("Text: my card is lost")
        assert "label" not in plain, "AugGPT shows no label"
        styled = prompt(Paraphrase(2, style="{{ choice(['short', 'polite']) }}", lang="Spanish", lock=["card"]))
        assert "in 2 other ways, each of them " in styled
        assert "Write in Spanish. These stay in every one, letter by letter: card." in styled
        source = [{"text": "no card", "label": "card"}, {"text": "open late", "label": "hours"}]
        shown = prompt(Paraphrase(draw={"k": 3, "same": "label"}), source=source)
        assert "\n- no card\n" in shown
        assert "open late" not in shown
        assert prompt(Paraphrase(prompt="{{ n }} x {{ text }} ({{ label }})")) == "6 x my card is lost (card)"


def test_another_field():
    [row] = Paraphrase(1, on="answer")({"text": "x", "answer": "the desk is open"}, chat="fake:shape")
    assert row["text"] == "x"
    assert row["answer"] != "the desk is open"
