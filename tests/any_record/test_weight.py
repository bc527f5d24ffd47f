"""Weights are what a prediction that never saw the record says of its label."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from leaven.any_record.prediction import Prediction
from leaven.any_record.weight import Weight
from leaven.context import Context, Rows
from leaven.errors import DataError, RecipeError
from leaven.fields import Column
from leaven.one_record import table
from leaven.operators import Note
from leaven.records import Record

WORDS = ("card", "open", "unicorn")


class Embedder:
    """One direction for each of a few words."""

    def embed(self, texts: Any) -> Any:
        found = np.array([[float(word in text.split()) for word in WORDS] for text in texts]).reshape(-1, len(WORDS))
        return found / np.maximum(np.linalg.norm(found, axis=1, keepdims=True), 1e-9)


SOURCE = [{"text": f"{word} {i}", "label": word} for word in ("card", "open") for i in range(6)]
PLANTED = [*SOURCE, {"text": "unicorn", "label": "card"}]


def noted(op: Note, column: str, asked: list[dict[str, Any]]) -> dict[str, Any]:
    constants = {"labels": {"card": "card", "open": "open"}, "label_field": "label"}
    given = table(PLANTED)
    state = op.fit({"source": Rows(given)}, Context(models=Embedder(), constants=constants))
    held = [Record(row["_id"], row, root=row["_id"]) for row in given.to_pylist()]
    held += [Record("q", row, root="elsewhere", parents=("p",)) for row in asked]
    found = op.notes(held, Context(models=Embedder(), constants=constants, state=state))
    return {record["text"]: row[column] for record, row in zip(held, found, strict=True)}


def test_the_probability_of_its_own_label_out_of_fold():
    asked = [{"text": "a card", "label": "card"}, {"text": "card a", "label": "open"}, {"text": "x", "label": None}]
    found = noted(Weight(input="text"), "weight", asked)
    assert found == noted(Prediction(input="text"), "label_prob", asked)
    assert found["a card"] > 0.9
    assert found["a card"] + found["card a"] == pytest.approx(1, abs=1e-5)
    assert found["x"] is None
    assert found["unicorn"] < 0.6 < noted(Weight(input="text", folds=0), "weight", [])["unicorn"]


def test_it_learns_from_what_a_prediction_does():
    columns = {"label": Column("label"), "text": Column("text"), "image": Column("image"), "who": Column("group")}
    bound = Weight().bind(columns)
    assert (bound.input, bound.group) == (["text", "image"], "who")
    assert bound.writes()["weight"].about == {"text", "image", "label"}


def test_what_it_cannot_do():
    with pytest.raises(RecipeError, match="by"):
        Weight("luck")
    with pytest.raises(DataError, match="no row with a `label`"):
        Weight()({"text": "x"}, source=[{"text": "y"}])


@pytest.mark.parametrize("of", ["given", "source", "made"])
def test_bilevel_weights_are_of_the_rows_themselves(of: Any):
    """One of sixty rows says another label than all its like; what came of a row has no weight of its own."""
    rows = [{"text": f"{word} {i}", "label": word} for i in range(30) for word in ("card", "open")]
    rows[0] = {"text": "card 0", "label": "open"}
    op = Weight(by="bilevel", of=of, input="text", rounds=3)
    given = table([*rows, {"text": "card 99", "label": None}])
    assert op.fits_on() == (of,)
    state = op.fit({of: Rows(given)}, Context(models=Embedder()))
    held = [Record(row["_id"], row) for row in given.to_pylist()]
    held.append(Record("child", {"text": "card 1", "label": "card"}, root=held[1].id, parents=(held[1].id,)))
    found = [row["weight"] for row in op.notes(held, Context(state=state))]
    assert found.pop() is None
    weights = dict(zip([record["text"] for record in held[:-1]], found, strict=True))
    assert weights.pop("card 99") is None
    unlike = weights.pop("card 0")
    assert unlike == pytest.approx(1 / (1 + np.exp(0.75)), abs=0.01), "three steps of .25 down"
    assert min(weights.values()) > 0.5


def test_bilevel_needs_labels():
    op = Weight(by="bilevel", of="given", input="text")
    with pytest.raises(DataError, match="weight finds no given row with a `label`"):
        op.fit({"given": Rows(table([{"text": "x"}]))}, Context(models=Embedder()))
