"""Which numbers of a recipe can be moved, and what each keep did with each row."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from leaven.errors import DataError
from leaven.plain_yaml import load
from leaven.recipe import Recipe, build
from leaven.report.content import Content
from leaven.review.made import Made
from leaven.review.thresholds import holds, moved, number, parsed, thresholds


def recipe(*steps: str) -> Recipe:
    text = "steps:\n" + "".join(f"  - {step}\n" for step in steps)
    return build(load(text, "mine"), text=text, where="mine", name="mine")


@pytest.mark.parametrize(
    ("source", "conditions", "rest"),
    [
        ("sim < 0.9", [("sim", "<", 0.9)], []),
        ("0.9 >= sim", [("sim", "<=", 0.9)], []),
        ("0.2 < sim <= 0.8", [("sim", ">", 0.2), ("sim", "<=", 0.8)], []),
        ("sim < 0.9 and prob >= -1", [("sim", "<", 0.9), ("prob", ">=", -1.0)], []),
        ("prob is not none and prob >= 0.5", [("prob", ">=", 0.5)], []),
        ("prediction == label and prob > 0.7", [("prob", ">", 0.7)], ["prediction == label"]),
        ("label != ' and sim < 3 or' and prob > 1", [("prob", ">", 1.0)], ["label != ' and sim < 3 or'"]),
        ("(sim < 1 or prob > 1) and prob > 2", [("prob", ">", 2.0)], ["(sim < 1 or prob > 1)"]),
        ("sim < 0.9 or prob > 1", [], ["sim < 0.9 or prob > 1"]),
        ("sim < 0.9 if prob > 1 else false", [], ["sim < 0.9 if prob > 1 else false"]),
        ("text|length > 3", [], ["text|length > 3"]),
        ("sim < prob", [], ["sim < prob"]),
        ("other < 0.5", [], ["other < 0.5"]),
    ],
)
def test_the_numbers_of_an_expression(source: str, conditions: list[tuple[str, str, float]], rest: list[str]):
    [step] = recipe(f"keep: {{that: {json_text(source)}}}").steps()
    found, others = parsed(step, {"sim": 0, "prob": 0})
    assert [(c.score, c.op, c.value) for c in found] == conditions
    assert others == rest
    assert all(float(source[slice(*c.at)]) == c.value for c in found)


def json_text(source: str) -> str:
    return '"' + source + '"'


def test_a_row_without_the_score_meets_no_condition():
    [step] = recipe("keep: sim < 0.9 and sim >= 0.1").steps()
    conditions, _ = parsed(step, {"sim": 0})
    values = {"sim": np.array([0.1, 0.5, 0.9, np.nan])}
    assert holds(conditions, values).tolist() == [True, True, False, False]


def test_what_a_keep_did_with_each_row(out: Path):
    content = Content(out)
    made = Made(content)
    columns = made.columns(())
    [found] = thresholds(content.recipe, made, columns)
    sim = columns.scores["sim"]
    assert found.met[: len(made.kept)].tolist() == [1] * len(made.kept)
    refused = found.met[len(made.kept) :]
    assert set(refused.tolist()) == {2}
    assert (sim[len(made.kept) :] >= 0.9).all()
    assert (sim[: len(made.kept)] < 0.9).all()
    assert list(found.later) == []


@pytest.mark.parametrize(
    ("steps", "offered"),
    [
        (["edit_chars", "keep: sim < 0.9", "unique"], 1),
        (["keep: sim < 0.9", "edit_chars"], 0),
        (["edit_chars", "any: [[{keep: sim < 0.9}], [unique]]"], 0),
        (["edit_chars", "any: [[unique], [edit_chars as again]]", "keep: sim < 0.9", "keep: 0.1 < sim < 0.95"], 2),
    ],
)
def test_only_keeps_after_the_last_make_are_offered(out: Path, steps: list[str], offered: int):
    made = Made(Content(out))
    found = thresholds(recipe(*steps), made, made.columns(()))
    assert len(found) == offered
    if "unique" in steps:
        assert found[0].later == ["unique"]
    if offered == 2:
        assert [[c.value for c in some] for some in found[0].after] == [[0.1, 0.95]]


def test_the_recipe_is_written_with_one_number_changed(out: Path):
    content = Content(out)
    made = Made(content)
    [found] = thresholds(content.recipe, made, made.columns(()))
    text = str(content.said["recipe_text"])
    new, line, at = moved(text, found, 0, 0.875)
    assert new == text.replace("sim < 0.9 ", "sim < 0.875 ")
    assert new != text
    assert (line.startswith('- keep: {that: "sim < 0.875 and'), at) == (True, 4)
    with pytest.raises(DataError, match="does not stand in the recipe's text"):
        moved(text.replace("0.9", "0.8"), found, 0, 0.875)


@given(st.floats(-1e6, 1e6))
def test_a_number_is_written_short_and_near(value: float):
    said = number(value)
    assert len(said) < 20
    assert "e" not in said
    assert float(said) == pytest.approx(value, rel=1e-3, abs=1e-9)
