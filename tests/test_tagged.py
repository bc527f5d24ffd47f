"""Names marked within a text, and read out of it again."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from leaven._tagged import no_urls, tagged, tagged_spans, untag
from leaven.errors import RecipeError
from leaven.expressions import parse_expression

TEXT = "Ann met Bob Dee in New York"
ANN, BOB = {"start": 0, "end": 3, "label": "PER"}, {"text": "Bob Dee", "label": "PER"}
NEW_YORK, YORK = {"text": "New York", "label": "LOC"}, {"text": "York", "label": "LOC"}


def test_marks_stand_before_each_word_of_a_name():
    marked = tagged(TEXT, [ANN, BOB, NEW_YORK])
    assert marked == "B-PER Ann met B-PER Bob I-PER Dee in B-LOC New I-LOC York"
    assert untag(marked) == TEXT
    assert tagged_spans(marked) == [
        {"start": 0, "end": 3, "text": "Ann", "label": "PER"},
        {"start": 8, "end": 15, "text": "Bob Dee", "label": "PER"},
        {"start": 19, "end": 27, "text": "New York", "label": "LOC"},
    ]


@pytest.mark.parametrize("spans", [[NEW_YORK, YORK], [YORK, NEW_YORK]])
def test_of_names_within_each_other_the_longest_is_marked(spans: list[Any]):
    assert tagged("in New York", spans) == "in B-LOC New I-LOC York"


def test_a_name_that_comes_twice_is_marked_where_it_is_meant():
    again = "York and New York"
    assert tagged(again, [{"start": 0, "end": 4, "label": "PER"}]) == "B-PER York and New York"
    assert tagged("Ann saw Ann", [{"text": "Ann", "label": "PER"}] * 2) == "B-PER Ann saw B-PER Ann"
    assert tagged("Ann saw Ann", '[{"text": "Ann", "label": "PER"}]') == "B-PER Ann saw Ann"


def test_what_looks_like_a_mark_and_is_none():
    text = "Ann took the I-95 in a B-52"
    assert untag(text) == text
    assert tagged_spans(text) == []
    assert untag(tagged(text, [ANN])) == text


def test_a_name_next_to_a_mark_is_parted_from_it():
    marked = tagged("(Ann, Bob)", [{"start": 1, "end": 4, "label": "PER"}, {"start": 6, "end": 9, "label": "PER"}])
    assert marked == "( B-PER Ann , B-PER Bob )"
    assert [span["text"] for span in tagged_spans(marked)] == ["Ann", "Bob"]


def test_marks_of_punctuation_are_no_part_of_a_name():
    spans = tagged_spans("hi B-PER Ann, meet B-LOC U.S. and B-ORG Acme! or B-PER Bob.")
    assert [span["text"] for span in spans] == ["Ann", "U.S.", "Acme!", "Bob"]
    assert tagged_spans("B-LOC U.S.")[0]["text"] == "U.S."


def test_broken_marks():
    assert tagged_spans("I-PER Ann") == [{"start": 0, "end": 3, "text": "Ann", "label": "PER"}]
    assert [(s["text"], s["label"]) for s in tagged_spans("B-PER Ann I-LOC Oslo")] == [("Ann", "PER"), ("Oslo", "LOC")]
    assert untag("Ann met B-PER") == "Ann met"
    assert tagged_spans("Ann met B-PER") == []
    assert (untag(""), tagged_spans("")) == ("", [])


NAME = st.lists(st.from_regex(r"[A-Za-z0-9éß]{1,6}", fullmatch=True), min_size=1, max_size=3)
PLAIN = st.lists(st.from_regex(r"[a-z0-9.-]{1,6}", fullmatch=True), max_size=3)


@given(st.lists(st.tuples(PLAIN, NAME, st.sampled_from(["PER", "LOC", "PERSON-actor"])), max_size=5), PLAIN)
def test_there_and_back(parts: list[tuple[list[str], list[str], str]], end: list[str]):
    words: list[str] = []
    spans = []
    for plain, name, label in parts:
        words += plain
        start = sum(len(word) + 1 for word in words)
        spans.append({"start": start, "end": start + len(" ".join(name)), "text": " ".join(name), "label": label})
        words += name
    text = " ".join([*words, *end])
    marked = tagged(text, spans)
    assert untag(marked) == text
    assert tagged_spans(marked) == spans


def test_no_words_with_http():
    assert no_urls("Ann in Oslo https://t.co/x8 (HTTP://a.b) now") == "Ann in Oslo now"


def test_they_are_words_of_the_language():
    values = {"text": TEXT, "spans": [ANN], "marked": "B-PER Ann ran http://x"}
    assert parse_expression("text|tagged(spans)")(values) == "B-PER Ann met Bob Dee in New York"
    assert parse_expression("marked|untag|no_urls")(values) == "Ann ran"
    assert parse_expression("(marked|tagged_spans)[0].label")(values) == "PER"
    with pytest.raises(RecipeError, match="a span is"):
        parse_expression("text|tagged(['Ann'])")(values)
