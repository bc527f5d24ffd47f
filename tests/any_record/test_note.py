"""Fields set to the values of expressions."""

from __future__ import annotations

import json
from collections.abc import Callable

import pytest

from leaven.any_record.note import NoteFields
from leaven.errors import RecipeError


def test_sets_and_overwrites():
    op = NoteFields({"label": "prediction", "size": "text|length", "fixed": 3, "list": ["a"]})
    record = {"text": "four", "label": "a", "prediction": "b"}
    assert op(record) == [{"text": "four", "label": "b", "prediction": "b", "size": 4, "fixed": 3, "list": ["a"]}]


def test_all_read_the_record_as_it_was():
    assert NoteFields({"a": "b", "b": "a"})({"a": 1, "b": 2}) == [{"a": 2, "b": 1}]


def test_a_draw_hangs_on_seed_and_record():
    op = NoteFields({"x": "uniform(0, 1)", "y": "uniform(0, 1)"})
    [one] = op({"text": "a"})
    assert op({"text": "a"}) == [one]
    assert one["x"] != one["y"]
    assert len({op({"text": text}, seed=seed)[0]["x"] for text in "ab" for seed in (0, 1)}) == 4


def test_an_unknown_name():
    with pytest.raises(RecipeError, match=r"`predicton`.*the nearest is `prediction`|`predicton` names no field"):
        NoteFields({"label": "predicton"})({"prediction": "b"})


def test_history_keeps_the_old_value(augmented: Callable[..., list]):
    data = "text,label\n" + "".join(f"word {i},{'ab'[i % 2]}\n" for i in range(4))
    rows = augmented(data, [{"note": {"label": "'b' if label == 'a' else label"}}])
    assert [row["label"] for row in rows] == ["b"] * 4
    for row in rows:
        changed = row["text"] in ("word 0", "word 2")
        assert row["_synthetic"] == changed
        assert [json.loads(step["drawn"]) for step in row["_steps"]] == ([{"was": {"label": "a"}}] if changed else [])
