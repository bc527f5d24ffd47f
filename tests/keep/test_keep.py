"""The general keep."""

from __future__ import annotations

import pytest

from leaven.errors import RecipeError
from leaven.keep.keep import KeepIf


def reason(op: KeepIf, **fields: object) -> str | None:
    [row] = op(fields)
    assert {key: row[key] for key in fields} == fields
    return row.get("_reason")


def test_keeps_where_it_is_true():
    op = KeepIf("label_prob > 0.7")
    assert reason(op, label_prob=0.8) is None
    assert reason(op, label_prob=0.7) == "label_prob"


@pytest.mark.parametrize(
    ("that", "word"),
    [
        ("prediction == label", "prediction"),
        ("0.2 < label_prob < 0.9", "label_prob"),
        ("text|length > 100 or size > 3", "text_length"),
        ("size > 3 and text|length > 100", "size"),
        ("3 < text | tokens", "text_tokens"),
        ("text|lower == 'y'", "text"),
        ("'size' in text and size > 5", "size"),
        ("false", "refused"),
    ],
)
def test_the_word_is_the_first_column_and_what_it_measures_of_it(that: str, word: str):
    assert reason(KeepIf(that), text="x", size=1, label="a", prediction="b", label_prob=0.1) == word


def test_a_word_of_its_own():
    assert reason(KeepIf("size > 3", reason="too_short"), size=1) == "too_short"
    with pytest.raises(RecipeError, match="reason"):
        KeepIf("size > 3", reason="too short")


def test_what_cannot_be_compared():
    with pytest.raises(RecipeError, match="size"):
        KeepIf("size > 3")({"size": None})
    with pytest.raises(RecipeError, match="names no field"):
        KeepIf("sizes > 3")({"size": 1})


def test_a_draw_hangs_on_seed_and_record():
    kept = [reason(KeepIf("uniform(0, 1) < 0.5"), text=f"t{i}") is None for i in range(200)]
    assert kept == [reason(KeepIf("uniform(0, 1) < 0.5"), text=f"t{i}") is None for i in range(200)]
    assert 70 < sum(kept) < 130
