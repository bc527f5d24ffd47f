"""The nearest rows, with vectors that can be checked by hand."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from leaven.any_record.neighbours import Neighbours
from leaven.context import Context, Rows
from leaven.errors import RecipeError
from leaven.one_record import table
from leaven.records import Record

SOURCE = [
    {"_id": "r1", "text": "1 0", "label": "a", "lang": "en"},
    {"_id": "r2", "text": "0.8 0.6", "label": "a", "lang": "de"},
    {"_id": "r3", "text": "0 1", "label": "b", "lang": "en"},
]


class Plane:
    """A text is its own vector."""

    def embed(self, texts: Any) -> Any:
        return np.array([[float(x) for x in (text or "0 0").split()] for text in texts], np.float32).reshape(-1, 2)


def noted(op: Neighbours, *records: Record, made: list[dict[str, Any]] | None = None) -> list[tuple[list[str], Any]]:
    op = op.model_copy(update={"on": "text"})
    constants = {"labels": {"a": "a", "b": "b"}, "label_field": "label"}
    given = {"source": SOURCE, "made": made or []}
    rows = {name: Rows(table(given[name])) for name in op.fits_on() if given[name]}
    state = op.fit(rows, Context(models=Plane(), constants=constants))
    found = op.notes(records, Context(models=Plane(), state=state, constants=constants))
    return [(row["neighbours"], row["nearness"]) for row in found]


def asked(text: str, **fields: Any) -> Record:
    return Record("q", {"text": text, **fields}, root="elsewhere")


def test_nearest_first():
    assert noted(Neighbours(3), asked("1 0")) == [(["r1", "r2", "r3"], 1.0)]
    assert noted(Neighbours(2), asked("0 1")) == [(["r3", "r2"], 1.0)]
    assert noted(Neighbours(), asked("0.6 0.8")) == [(["r2"], 0.96)]
    assert noted(Neighbours(9), asked("1 0"))[0][0] == ["r1", "r2", "r3"]


def test_never_itself_nor_its_root():
    itself = Record("r1", {"text": "1 0"}, root="r1")
    child = Record("c", {"text": "1 0"}, root="r1", parents=("r1",))
    assert noted(Neighbours(3), itself, child) == [(["r2", "r3"], 0.8)] * 2


def test_only_rows_that_agree():
    assert noted(Neighbours(3, same="lang"), asked("0.8 0.6", lang="en")) == [(["r1", "r3"], 0.8)]
    assert noted(Neighbours(3, same="lang"), asked("0.8 0.6", lang="fr")) == [([], None)]


def test_labels_by_the_mean_of_their_rows():
    [(names, nearness)] = noted(Neighbours(2, of="labels"), asked("1 0"))
    assert names == ["a", "b"]
    assert nearness == pytest.approx(0.9 / np.hypot(0.9, 0.3), abs=1e-5)  # the mean of a is (0.9, 0.3)
    with pytest.raises(RecipeError, match="looks among rows, not labels"):
        Neighbours(of="labels", same="lang")


def test_the_label_may_bear_another_name():
    rows = Rows(table([{"text": row["text"], "topic": row["label"]} for row in SOURCE]))
    op = Neighbours(1, of="labels", on="text")
    constants = {"labels": {"a": "a", "b": "b"}, "label_field": "topic"}
    state = op.fit({"source": rows}, Context(models=Plane(), constants=constants))
    assert [str(name) for name in state["ids"]] == ["a", "b"]


def test_of_what_was_made():
    made = [{"_id": "m1", "_root": "r1", "text": "0 1"}, {"_id": "m2", "_root": "r2", "text": "1 0"}]
    assert noted(Neighbours(2, of="made"), asked("1 0"), made=made) == [(["m2", "m1"], 1.0)]
    assert noted(Neighbours(2, of="made"), asked("1 0")) == [([], None)], "nothing was made yet"


def test_a_tie_goes_to_the_first_and_an_empty_text_is_near_to_nothing():
    [(names, nearness)] = noted(Neighbours(3), asked(""))
    assert sorted(names) == ["r1", "r2", "r3"]
    assert nearness == 0


def test_the_same_alone_and_in_a_block():
    rng = np.random.default_rng(2)
    source = [
        {"text": f"{t[0]} {t[1]} word{i}", "label": "ab"[i % 2]} for i, t in enumerate(rng.random((40, 2)).round(3))
    ]
    op = Neighbours(5)
    assert op({"text": "0.5 word3"}, source=source) == op({"text": "0.5 word3"}, source=source[::-1])
