"""What is wrong with marked spans: the first of five things."""

from __future__ import annotations

from typing import Any

import pytest

from leaven.any_record.span_fault import SpanFault
from leaven.errors import RecipeError

TEXT = "Jean-Luc met Bea in York"


def fault(spans: Any, **parameters: Any) -> Any:
    op = SpanFault(of="text", **{"among": ["PER", "LOC"], **parameters})
    return op({"text": TEXT, "spans": spans})[0]["span_fault"]


@pytest.mark.parametrize(
    ("spans", "word"),
    [
        ([], None),
        (None, None),
        ([{"start": 13, "end": 16, "label": "PER"}, {"start": 20, "end": 24, "label": "LOC"}], None),
        ([{"text": "Bea", "label": "PER"}], None),
        ([{"text": "Ann", "label": "PER"}], "not_in_text"),
        ([{"start": 20, "end": 25, "label": "LOC"}], "not_in_text"),
        ([{"start": 13, "end": 12, "label": "LOC"}], "not_in_text"),
        ([{"start": 12, "end": 13, "label": "LOC"}], "empty_span"),
        ([{"text": "Bea", "label": "ORG"}], "unknown_label"),
        ([{"text": "Bea", "label": "PER"}, {"start": 13, "end": 16, "label": "LOC"}], "same_span"),
        ([{"text": "Jean-Luc", "label": "PER"}], None),
        ('[{"text": "Bea", "label": "PER"}]', None),
        ('[{"text": "Bea", "label": "ORG"}]', "unknown_label"),
    ],
)
def test_each_fault(spans: Any, word: str | None):
    assert fault(spans) == word


def test_characters_that_no_span_may_hold():
    assert fault([{"text": "Jean-Luc", "label": "PER"}], without="-/") == "banned"
    assert fault([{"text": "Bea", "label": "PER"}], without="-/") is None


def test_the_labels_of_the_real_rows():
    source = [{"text": "Ann sang", "spans": [{"start": 0, "end": 3, "label": "PER"}]}, {"text": "x", "spans": None}]
    for label, word in (("PER", None), ("LOC", "unknown_label")):
        row = {"text": "Bea ran", "spans": [{"start": 0, "end": 3, "label": label}]}
        assert SpanFault(of="text")(row, source=source)[0]["span_fault"] == word


@pytest.mark.parametrize("spans", ["Bea", [3], [{"start": 0}]])
def test_what_is_no_list_of_spans(spans: Any):
    with pytest.raises(RecipeError, match="a span is"):
        fault(spans)
