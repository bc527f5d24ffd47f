"""Marks: by criterion, averaged, on a scale."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from leaven.any_record.judge import Judge
from leaven.errors import RecipeError
from loopback.process import Server
from recordings import recording

CARD = {"text": "my card is lost", "label": "card"}
TWO = {"fits": "says what the label means", "natural": "a person could have written it"}


def judged(tmp_path: Path, op: Judge, *marks: Any) -> dict[str, Any]:
    answers = [(CARD["text"], mark if isinstance(mark, str) else json.dumps(mark)) for mark in marks]
    [row] = op(CARD, chat=recording(tmp_path, answers))
    return {name: value for name, value in row.items() if name not in CARD}


def test_one_criterion(tmp_path: Path):
    assert judged(tmp_path, Judge("well made"), "4") == {"judge": 4, "judge_min": 4}


def test_several_and_the_lowest(tmp_path: Path):
    marks = {"judge": 3.5, "judge_min": 2, "judge_fits": 5, "judge_natural": 2}
    assert judged(tmp_path, Judge(TWO), {"fits": 5, "natural": 2}) == marks
    assert Judge(TWO).writes().keys() == marks.keys()


def test_samples_are_averaged_before_the_lowest_is_taken(tmp_path: Path):
    found = judged(tmp_path, Judge(TWO, samples=2), {"fits": 5, "natural": 2}, {"fits": 2, "natural": 4})
    assert found == {"judge": 3.25, "judge_min": 3, "judge_fits": 3.5, "judge_natural": 3, "judge_agreement": 0}


def test_how_often_two_answers_give_the_same_mark(tmp_path: Path):
    answers = [{"fits": 5, "natural": 2}, {"fits": 5, "natural": 4}, {"fits": 5, "natural": 2}]
    op = Judge(TWO, samples=3)
    found = judged(tmp_path, op, *answers)
    assert found["judge_agreement"] == 4 / 6, "all three pairs of the one criterion, one of the other"
    assert op.writes().keys() == found.keys()


@pytest.mark.parametrize(("said", "mark"), [("4.5", 4.5), ("4.4", 4.5), ("4", 4)])
def test_halves_the_nearest_that_there_is(tmp_path: Path, said: str, mark: float):
    found = judged(tmp_path, Judge("well made", scale=[0, 5], step=0.5), said)
    assert found == {"judge": mark, "judge_min": mark}


def test_halves_are_asked_for():
    op = Judge("well made", scale=[0, 5], step=0.5)
    with Server(script=[{"match": "Text:", "answer": "3.5"}]) as server:
        op(CARD, chat=f"openai:m@{server.url}")
        [body] = server.bodies()
    assert "by each criterion, in steps of 0.5 from 0 (not at all) to 5 (fully)" in body["messages"][0]["content"]


def test_every_second_answer_is_asked_for_in_the_other_order():
    with Server() as server:
        Judge(TWO, samples=3)(CARD, chat=f"openai:m@{server.url}")
        bodies = server.bodies()
    heads = [text.index("- fits:") < text.index("- natural:") for text in (b["messages"][0]["content"] for b in bodies)]
    assert sorted(heads) == [False, True, True]
    first = [next(iter(b["response_format"]["json_schema"]["schema"]["properties"])) for b in bodies]
    assert [name == "fits" for name in first] == heads


def test_a_mark_off_the_scale_is_asked_for_again():
    script = [{"match": "cannot be used", "answer": {"quality": 9}}, {"match": "Text:", "answer": "12"}]
    with Server(script=script) as server:
        [row] = Judge("well made", scale=[0, 10])(CARD, chat=f"openai:m@{server.url}")
    assert row["judge"] == 9


def test_the_prompt():
    with Server() as server:
        Judge(TWO, scale=[1, 7])(CARD, source=[CARD], chat=f"openai:m@{server.url}")
        [body] = server.bodies()
    text = body["messages"][0]["content"]
    assert "from 1 (not at all) to 7 (fully)" in text
    assert "- fits: says what the label means\n- natural: a person could have written it\n" in text
    assert "Text: my card is lost\nLabel: card\n" in text


@pytest.mark.parametrize(
    ("wrong", "what"),
    [
        ({"rubric": {"min": "x"}}, "`min` cannot name a criterion"),
        ({"rubric": {"agreement": "x"}}, "`agreement` cannot name a criterion"),
        ({"rubric": {"two words": "x"}}, "`two words` cannot name a criterion"),
        ({"rubric": {}}, "the rubric is empty"),
        ({"rubric": "x", "scale": [5, 1]}, "has no marks"),
    ],
)
def test_wrong_parameters(wrong: dict[str, Any], what: str):
    with pytest.raises(RecipeError, match=what):
        Judge(**wrong)
