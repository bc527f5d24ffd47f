"""Each rule of a sound text: what breaks it, and what only looks as if."""

from __future__ import annotations

import time
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from leaven.text.fluency import RULES, Fluency

SAID = [{"text": f"Where is card number {i}?"} for i in range(60)]
BREAKS = {
    "empty": ["", "  ", "?!", "—", "\n"],
    "broken_characters": ["caf\ufffd is open", "the cafÃ© is open", "itâ€™s open", "is it\x00 open", "a\udc80b"],
    "odd_letters": ["𝓌𝒽𝑒𝓇𝑒 is it", "where is my саrd", "Ⓦⓗⓔⓡⓔ is it", "ｗｈｅｒｅ is it", "🅰 card"],
    "prompt_leaked": [
        "As an AI language model, I have no card.",
        "I'm sorry, but I can't assist with that.",
        "I cannot fulfill this request",
        "Sure! Where is my card?",
        "Sure, here are six ways to ask it",
        "Of course, here it is.",
        "Here are some paraphrases of it",
        "Here's a rewritten version",
        "Paraphrase 3: where is my card",
        '"Rewritten sentence: where is my card"',
        "where is my card<|im_end|>",
        "[INST] where is my card",
        "### Response: where is it",
        "Dear [Your Name], where is my card",
        "table for two in [location]",
        "It keeps the meaning of the original sentence.",
    ],
    "list_mark": [
        "1. where is it",
        "12) where is it",
        "- where is it",
        "• where is it",
        "a) where is it",
        "(2) yes it is",
    ],
    "markup": ["**where** is it", "```where is it```", "# Where", "where <b>is</b> it", "see [it](https://x.org)"],
    "quoted": ['"where is my card?"', "“where is it”", "'where is it'"],
    "unfinished": ["where is it,", "where is the", "I want my card because", "these are:", "he said (", "you and"],
    "no_end_mark": ["where is it", 'I said "where is it"', "where is it,"],
    "doubled_word": [
        "where are are the cards",
        "where where is it",
        "what is the the?",
        "I want my my card",
    ],
    "looping": [
        "card card card card",
        "where is it where is it where is it",
        "I want to go to see it I want to go to see it",
        "and then it broke and then it broke, and then it broke",
    ],
    "unbalanced": ["where (is it", "where] is it", 'he said "where is it', "“where is it", "{name where"],
}
SOUND = [
    "Where is my card?",
    'She said "it is here" (twice).',
    "It is very very good, and I had had enough.",
    "Let them play Jar Jar Binks. Jar jar is good (as I like it) in plan (b).",
    "Is it 5\" or 6\" long :) a) yes b) no",
    "Play the The Blacklist, then Chu Chu!",
    "what does d s stand for for meals",
    "I'd like to eat in Hitchita OR",
    "What are you waiting for?",
    "Sure, I would like to fly at 5 pm.",
    "Here is my card, where is yours?",
    "Certainly the best film of the year.",
    "1.5 litres, please", "3 cards", "-5 degrees outside",
    "Где моя карта?", "¿Dónde está «la tarjeta»?", "我的银行卡丢了", "Straße, Ελλάδα, naïve café 😀",
    "account balance(s) after it", "email me at a_b@x.org <3",
]  # fmt: skip


@pytest.mark.parametrize(("rule", "text"), [(rule, text) for rule, texts in BREAKS.items() for text in texts])
def test_what_breaks_a_rule(rule: str, text: str):
    assert RULES[rule](text)


@pytest.mark.parametrize("text", SOUND)
def test_what_breaks_none(text: str):
    assert [name for name, rule in RULES.items() if rule(text) and name != "no_end_mark"] == []


def test_every_rule_is_told_of_and_tried():
    assert set(BREAKS) == set(RULES)
    assert all(f"- `{name}`:" in str(Fluency.__doc__) for name in RULES)


def noted(text: str, source: list[dict[str, Any]] = SAID, **how: Any) -> tuple[int, str | None]:
    [row] = Fluency(**how)({"text": text, "label": "made"}, source=source)
    return row["fluency"], row["fluency_rule"]


def test_how_many_and_the_first():
    assert noted("Where is my card?") == (0, None)
    assert noted("1. Where is the") == (3, "list_mark")
    assert noted("") == (2, "empty")


def test_what_real_rows_do_is_no_error():
    loud = [{"text": f"- card {i} was was lost"} for i in range(10)]
    assert noted("- it was was the", loud) == (1, "unfinished")
    dash = {"text": "- Is it here?"}
    assert noted("- Where is it?", [*SAID, dash]) == (1, "list_mark")  # one row may slip
    assert noted("- Where is it?", [*SAID, dash], real=0) == (1, "list_mark")
    assert noted("- Where is it?", [*SAID, dash, {"text": "- Is it there?"}]) == (0, None)  # two of 62 are 3.2 %
    assert noted("- Where is it?", [*SAID, dash, {"text": "- Is it there?"}], real=0.04) == (1, "list_mark")


def test_a_mark_at_the_end_is_a_habit_of_many_rows():
    assert noted("where is it", SAID) == (1, "no_end_mark")
    assert noted("where is it", SAID[:49]) == (0, None)
    assert noted("where is it", [*SAID, {"text": "no mark"}, {"text": "none here"}]) == (0, None)


@given(st.text(max_size=80))
@settings(max_examples=40)
def test_any_text(text: str):
    count, rule = noted(text)
    assert 0 <= count <= len(RULES)
    assert (rule is None) == (count == 0)
    assert rule is None or RULES[rule](text)


@pytest.mark.parametrize("piece", ["a", "1. ", "(", "the ", "as an ", "here is ", "[your ", "**", "𝓌", "a\n"])
def test_a_long_text_takes_no_long(piece: str):
    text = piece * (400_000 // len(piece))
    began = time.perf_counter()
    for rule in RULES.values():
        rule(text)
    assert time.perf_counter() - began < 6
