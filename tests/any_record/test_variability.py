"""Training dynamics: the worked numbers of the fact sheet on WANLI, and who judges whom."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from leaven.any_record.variability import Variability, dynamics, snapshots
from leaven.context import Context, Rows
from leaven.errors import DataError
from leaven.models.backends.linear import LinearState, per_epoch, predict_proba
from leaven.one_record import table
from leaven.records import Record

WORDS = ("card", "open", "unicorn", "zebra")


class Embedder:
    """One direction for each of a few words."""

    def embed(self, texts: Any) -> Any:
        found = np.array([[float(word in text.split()) for word in WORDS] for text in texts]).reshape(-1, len(WORDS))
        return found / np.maximum(np.linalg.norm(found, axis=1, keepdims=True), 1e-9)


SOURCE = [{"text": f"{word} {i}", "label": word} for word in ("card", "open") for i in range(6)]


def noted(op: Variability, source: list[dict[str, Any]], *asked: Record) -> dict[str, tuple[Any, Any]]:
    """What is noted of the source's rows and of further records, by text."""
    op = op.model_copy(update={"input": "text"})
    labels = {label: label for label in sorted({row["label"] for row in source})}
    constants = {"labels": labels, "label_field": "label"}
    given = table(source)
    state = op.fit({"source": Rows(given)}, Context(models=Embedder(), constants=constants))
    held = [Record(row["_id"], row, root=row["_id"]) for row in given.to_pylist()] + list(asked)
    found = op.notes(held, Context(models=Embedder(), constants=constants, state=state))
    return {record["text"]: (row["variability"], row["correctness"]) for record, row in zip(held, found, strict=True)}


def asked(text: str, label: str | None = None, root: str = "elsewhere") -> Record:
    return Record("q", {"text": text, "label": label}, root=root, parents=("p",))


# Three epochs of one row: A .1 .5 .9, B .2 .3 .1, C .7 .2 .0
PROBA = np.array([[[0.1, 0.2, 0.7]], [[0.5, 0.3, 0.2]], [[0.9, 0.1, 0.0]]])


@pytest.mark.parametrize(("own", "moved", "right"), [(0, 0.326599, 2 / 3), (1, 0.081650, 0.0), (2, 0.294392, 1 / 3)])
def test_the_numbers_of_the_fact_sheet(own: int, moved: float, right: float):
    spread, share = dynamics(PROBA, np.array([own]))
    assert spread.tolist() == [pytest.approx(moved, abs=1e-6)]
    assert share.tolist() == [pytest.approx(right)]


def test_epochs_are_those_of_the_student():
    """The probabilities of the rows that it learns from are those that `per_epoch` gives of them."""
    rng = np.random.default_rng(1)
    vectors, y = rng.standard_normal((90, 5)), rng.integers(0, 3, 90)
    found = snapshots(vectors, y, 10.0, 4, seed=6)
    states = [LinearState(t[:-1].T.astype(float), t[-1].astype(float), np.arange(3), 3) for t in found]
    proba = np.stack([predict_proba(state, vectors) for state in states])
    assert np.abs(proba - per_epoch(vectors, y, C=10.0, epochs=4, seed=6)).max() < 1e-5


def test_plain_rows_are_learned():
    found = noted(Variability(), SOURCE)
    assert all(right == 1.0 for _, right in found.values())
    assert all(0 < moved < 0.3 for moved, _ in found.values())
    wrong = noted(Variability(), SOURCE, asked("card", "open"))["card"]
    assert wrong[1] == 0.0


def test_a_row_is_judged_by_models_that_never_saw_it():
    """Only one row holds the word unicorn: without it, the models have nothing to say of the word but the intercept."""
    planted = [*SOURCE, {"text": "unicorn", "label": "card"}]
    root = next(row["_id"] for row in table(planted).to_pylist() if row["text"] == "unicorn")
    child, stranger = asked("unicorn a", "card", root), asked("unicorn b", "card")
    found = noted(Variability(), planted, child, stranger)
    assert found["unicorn a"] == found["unicorn"]
    assert found["unicorn b"] != found["unicorn"]
    seen = noted(Variability(folds=0), planted, child, stranger)
    assert seen["unicorn"] == seen["unicorn a"] == seen["unicorn b"] == found["unicorn b"]


def test_the_only_row_of_a_label_is_judged_by_none():
    planted = [*SOURCE, {"text": "zebra", "label": "zoo"}]
    for op in (Variability(), Variability(over="labels")):
        found = noted(op, planted, asked("zebra b", "zoo"))
        assert found["zebra"] == (None, None)
        assert found["zebra b"][1] == 0.6, "a stranger is judged by all, which learn the one row in the third epoch"
    assert noted(Variability(folds=0), planted)["zebra"][1] == 0.6


def test_over_labels_needs_no_label_and_is_no_less_than_any():
    rows = [*SOURCE, *({"text": f"zebra {i}", "label": "zoo"} for i in range(6))]
    most = noted(Variability(over="labels"), rows, asked("card open"))
    assert most["card open"][0] > 0
    assert most["card open"][1] is None
    for label in ("card", "open", "zoo"):
        own = noted(Variability(), rows, asked("card open", label))["card open"][0]
        assert own <= most["card open"][0]
    assert noted(Variability(), rows, asked("card open", "other"))["card open"] == (None, None)


def test_nothing_to_learn_from():
    with pytest.raises(DataError, match="variability has no row with a `label`"):
        Variability()({"text": "x"}, source=[{"text": "y"}])


def test_no_other_student_is_fitted_for_it(monkeypatch: pytest.MonkeyPatch):
    def refuse(*_: Any, **__: Any) -> None:
        raise AssertionError("of a prediction it needs how the rows are dealt")

    monkeypatch.setattr("leaven.models.backends.linear.fit_linear", refuse)
    assert noted(Variability(), SOURCE)
