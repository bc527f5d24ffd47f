"""The cosine of two fields, of a field and a text, or of a field and the mean of a label."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

from leaven.any_record.match import Match
from leaven.context import Context, Rows
from leaven.errors import RecipeError
from leaven.one_record import table
from leaven.records import Record

PAIR = {"question": "where is my card", "context": "we sent the card by post", "label": "x"}


def test_two_fields():
    [same] = Match(["question", "question"])(PAIR)
    [other] = Match(["question", "context"])(PAIR)
    [turned] = Match(["context", "question"])(PAIR)
    assert same["match"] == 1.0
    assert 0 < other["match"] < 1
    assert turned == other
    assert {key: other[key] for key in PAIR} == PAIR


def test_nearer_is_higher():
    near, far = ("my card is lost", "the weather in spring")
    assert Match("question", to=near)(PAIR)[0]["match"] > Match("question", to=far)(PAIR)[0]["match"] + 0.1


def test_a_template():
    by_field = Match(["question", "context"])(PAIR)[0]["match"]
    assert Match("question", to="{{ context }}")(PAIR)[0]["match"] == by_field


def test_an_empty_field_fits_nothing():
    assert Match(["question", "context"])({"question": "x", "context": None})[0]["match"] == 0.0


@pytest.mark.parametrize(
    "wrong",
    [
        {},
        {"on": "text"},
        {"on": ["a", "b"], "to": "c"},
        {"on": ["a", "b", "c"]},
        {"on": "a", "to": "b", "centre": "c"},
        {"on": ["a", "b"], "centre": "c"},
    ],
)
def test_needs_two_things(wrong: dict[str, object]):
    with pytest.raises(RecipeError, match="two fields, or one and `to`"):
        Match(**wrong)


def test_similarity_to_the_parent(augmented: Callable[..., list]):
    """A swap of words changes nothing for an embedder that adds words up; of a text with others, it does."""
    data = "text,label\n" + "".join(f"word{i} and then {i} more of it,{i % 2}\n" for i in range(8))
    match = {"match": {"on": "text", "to": "{{ parent.text }}"}}
    rows = augmented(data, [{"edit_words": {"n": 2, "ops": ["swap", "delete"], "p": 0.3}}, match])
    text = {row["_id"]: row["text"] for row in rows}
    made = [row for row in rows if row["_synthetic"]]
    assert len(made) == 16
    for row in made:
        same = sorted(row["text"].split()) == sorted(text[row["_parents"][0]].split())
        assert (row["_scores"]["match"] > 0.99999) == same
    assert {row["_scores"]["match"] > 0.99999 for row in made} == {True, False}


class Plane:
    """Texts to directions in the plane, by their angle in degrees."""

    def embed(self, texts: Any) -> Any:
        turned = np.deg2rad([float(text) for text in texts])
        return np.stack([np.cos(turned), np.sin(turned)], axis=1)


@pytest.mark.parametrize(
    ("angle", "scale", "score"),
    [(90, 100, 0.5), (60, 2, 0.731059), (60, 3.469202, 0.85), (0, 100, 1.0), (180, 100, 0.0)],
)
def test_the_sigmoid_of_the_scaled_cosine(angle: float, scale: float, score: float):
    op = Match("text", to="0", scaled=True, scale=scale)
    [row] = op.notes([Record("q", {"text": str(angle)})], Context(models=Plane()))
    assert row["match"] == pytest.approx(score, abs=1e-6)


def test_the_sigmoid_is_of_the_cosine_as_it_is_noted():
    """Synthio's threshold of .85 is 1.734601 before the sigmoid: 1.7346 is below it, 1.7347 is not."""
    for cosine, kept in ((0.017346, False), (0.017347, True)):
        op = Match("text", to="0", scaled=True)
        [row] = op.notes([Record("q", {"text": str(np.rad2deg(np.arccos(cosine)))})], Context(models=Plane()))
        assert (row["match"] >= 0.85) == kept


def test_the_centre_of_a_label():
    source = [("0", "a"), ("60", "a"), ("180", "b"), ("90", None)]
    rows = Rows(table([{"text": text, "label": label} for text, label in source]))
    constants = {"labels": {"a": "a", "b": "b"}, "label_field": "label"}
    op = Match("text", centre="label")
    assert op.needs_state()
    assert not Match("text", to="x").needs_state()
    state = op.fit({"source": rows}, Context(models=Plane(), constants=constants))
    held = [Record("q", {"text": text, "label": label}) for text, label in (("30", "a"), ("90", "a"), ("0", "b"))]
    held.append(Record("q", {"text": "0", "label": "new"}))
    found = list(op.notes(held, Context(models=Plane(), constants=constants, state=state)))
    # the mean of 0 and 60 degrees points to 30
    assert [row["match"] for row in found] == [pytest.approx(x, abs=1e-6) for x in (1, 0.5, -1)] + [None]


def test_a_centre_needs_labels():
    with pytest.raises(RecipeError, match="no real row has one"):
        Match("text", centre="label")({"text": "x", "label": "a"}, source=[{"text": "y"}])
