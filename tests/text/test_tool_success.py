"""Whether an answer calls the right tools: the scores of GPT4Tools, on worked values."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from leaven.text.tool_success import ToolSuccess, alike, bleu_1, iou, mean, of_inputs

YES, NO = "Thought: Do I need to use a tool? Yes", "Thought: Do I need to use a tool? No"


def call(inputs: str, action: str = "Cut") -> str:
    return f"{YES}\nAction: {action}\nAction Input: {inputs}\nObservation:"


def scores(said: str, right: str) -> tuple[Any, ...]:
    [row] = ToolSuccess("said", to="right")({"said": said, "right": right})
    return row["tool_success"], row["thought"], row["action"], row["inputs"], row["iou"]


@pytest.mark.parametrize(
    ("said", "right", "wanted"),
    [
        (call("b.png, cat"), call("a.png, cat"), (1, 1, 1, 1, 1)),
        (call("cat"), call("a.png, cat"), (0, 1, 1, 0, 0.666667)),
        (call("a.jpg, cat"), call("a.png, cat"), (0, 1, 1, 0, 0.666667)),
        (call("a.png, dog"), call("a.png, cat"), (1, 1, 1, 0.5, 0.833333)),
        (call("a.png, cat", "Paste"), call("a.png, cat"), (0, 1, 0, 1, 0.666667)),
        (call("a.png, the cat"), call("a.png, the old cat"), (1, 1, 1, 0.803265, 0.934422)),
        (call("a.png, a very old cat"), call("a.png, cat"), (1, 1, 1, 0.625, 0.875)),
        (f"{call('a.png, cat')} c.png\n{NO}\nAI: c.png", call("a.png, cat"), (1, 1, 1, 1, 1)),
        (f"{call('a.png')}\n{call('b.png, cat', 'Paste')}", call("a.png"), (0, 0.5, 0.5, 0.5, 1)),
        (call("a.png"), f"{call('a.png')}\n{call('b.png, cat', 'Paste')}", (0, 0.5, 0.5, 0.5, 0.5)),
        (f"{NO}\nAI: a cat", call("a.png, cat"), (0, 0, 0, 0, 0)),
        ("", call("a.png, cat"), (0, 0, 0, 0, 0)),
        (f"{NO}\nAI: whatever", f"{NO}\nAI: a pear", (1, 1, None, None, 1)),
        (NO, f"{NO}\nAI: a pear", (0, 1, None, None, 1)),
        (f"{call('a.png')}\n{NO}\nAI: a", f"{NO}\nAI: a pear", (0, 0, None, None, 0)),
    ],
)
def test_worked_values(said: str, right: str, wanted: tuple[Any, ...]):
    assert scores(said, right) == wanted


def test_bleu_of_single_words():
    assert bleu_1("the the the", "the cat") == pytest.approx(1 / 3)
    assert bleu_1("cat", "the cat") == pytest.approx(0.36788, abs=1e-5)
    assert bleu_1("", "") == 1
    assert bleu_1("", "cat") == bleu_1("cat", "") == 0


words = st.lists(st.sampled_from(["cat", "dog", "x.png"]), min_size=1, max_size=4)


@settings(max_examples=40)
@given(st.lists(words, max_size=3), st.lists(words, max_size=3))
def test_scores_are_shares(said: list[list[str]], right: list[list[str]]):
    assert 0 <= mean(of_inputs(said, right)) <= 1
    assert mean(of_inputs(right, right)) == 1
    names, wanted = [row[0] for row in said], [row[0] for row in right]
    assert (mean(alike(names, wanted)) == 1) == (names == wanted)
    both = [(alike(names, wanted), len(wanted)), (of_inputs(said, right), len(right))]
    assert 0 <= iou(both) <= 1
    extra = [(alike([*names, "cat"], wanted), len(wanted)), both[1]]
    assert iou(extra) == iou(both) or len(names) < len(wanted), "what is too much does not lower it"
