"""To another language, or there and back."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from leaven.errors import RecipeError
from leaven.text.translate import Translate
from loopback.process import Server
from recordings import recording

CARD = {"text": "my card is lost", "label": "card"}


def test_to(tmp_path: Path):
    [row] = Translate("spa")(CARD, translate=recording(tmp_path, [(CARD["text"], " mi tarjeta ")]))
    assert row == {"text": "mi tarjeta", "label": "card", "lang": "spa"}
    assert Translate("spa").writes().keys() == {"lang"}
    [row] = Translate("{{ want }}")({**CARD, "want": "deu"}, translate="fake:shape")
    assert row["lang"] == "deu"


def test_there_and_back_asks_twice(tmp_path: Path):
    answers = [(CARD["text"], "mi tarjeta"), (CARD["text"], "my card")]
    assert Translate(via="spa")(CARD, translate=recording(tmp_path, answers)) == [{"text": "my card", "label": "card"}]
    assert not Translate(via="spa").writes()


def test_over_a_chat_model_both_directions_are_told():
    with Server() as server:
        Translate(via="spa", source="fra")(CARD, translate=f"openai:m@{server.url}")
        there, back = server.bodies()
    assert re.search(r"from fra to spa\b", there["messages"][0]["content"])
    assert there["messages"][1]["content"] == "my card is lost"
    assert re.search(r"from spa to fra\b", back["messages"][0]["content"])


def test_a_pivot_may_be_drawn_and_stays_the_same():
    op = Translate(via="{{ choice(['deu', 'fra', 'spa', 'zho']) }}")
    with Server() as server:
        for seed in (1, 1, 2, 3, 4, 5):
            op(CARD, seed=seed, translate=f"openai:m@{server.url}")
        told = [re.findall(r"[a-z]{3}(?= to | \(ISO)", body["messages"][0]["content"]) for body in server.bodies()]
    assert all(there == back[::-1] for there, back in zip(told[::2], told[1::2]))
    assert told[0] == told[2]
    assert len({tuple(pair) for pair in told[::2]}) > 1


def test_nothing_comes_back(tmp_path: Path):
    [row] = Translate(via="spa")(CARD, translate=recording(tmp_path, [(CARD["text"], " ")]))
    assert row["_reason"] == "empty"


@pytest.mark.parametrize(
    ("wrong", "what"),
    [
        ({}, "needs `to` or `via`"),
        ({"to": "spa", "via": "deu"}, "needs `to` or `via`"),
        ({"to": "es"}, "`es` is no ISO 639-3 code"),
        ({"via": "Spanish"}, "`Spanish` is no ISO 639-3 code"),
        ({"to": "spa", "source": "en"}, "`en` is no ISO 639-3 code"),
    ],
)
def test_wrong_parameters(wrong: dict[str, str], what: str):
    with pytest.raises((RecipeError, ValueError), match=what):
        Translate(**wrong)
