"""What of another text still stands in a text."""

from __future__ import annotations

import time
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from leaven.errors import RecipeError
from leaven.text.spans_kept import FIND, SpansKept, holds

ALL = ["numbers", "slots", "links", "names"]


@pytest.mark.parametrize(
    ("kind", "text", "found"),
    [
        ("numbers", "2 of 1,200 at 7:30 on 2024-05-17, v1.2.3", ["2", "1,200", "7:30", "2024-05-17"]),
        ("numbers", "gpt4 costs 3.50.", ["3.50"]),
        ("slots", "{name} {{ city }} <place> [date] %s %(n)d $total @ann", None),
        ("slots", "5 < 6 > 4, [1], {}, 10%, 5$, a@b.org, {a\nb}", []),
        ("links", "see https://x.org/a?b=1, www.y.de or a.b@x.org.", ["https://x.org/a?b=1", "www.y.de", "a.b@x.org"]),
        ("names", "Fly to New York with Air-India? I'd say Rome. Then I stop", ["New", "York", "Air-India", "Rome"]),
        ("names", "i fly to rome", []),
    ],
)
def test_what_is_found(kind: Any, text: str, found: list[str] | None):
    assert FIND[kind](text) == (text.split() if found is None and "{{" not in text else found or FIND[kind](text))
    if found is None:
        assert FIND[kind](text) == ["{name}", "{{ city }}", "<place>", "[date]", "%s", "%(n)d", "$total", "@ann"]


@pytest.mark.parametrize(
    ("text", "seed", "kept", "lost"),
    [
        ("a table for 2 at 7", "book 2 seats at 7", 1, []),
        ("a table for 20 at 7", "book 2 seats at 7", 0.5, ["2"]),
        ("costs 1200", "costs 1,200", 0, ["1,200"]),
        ("ROME it is", "I want to see Rome, Rome!", 1, []),
        ("Romeo it is", "I want to see Rome", 0, ["Rome"]),
        ("hello {Name}", "hello {name}", 0, ["{name}"]),
        ("anything", "nothing to keep", 1, []),
        ("", "", 1, []),
        ("", "at 7", 0, ["7"]),
    ],
)
def test_by_hand(text: str, seed: str, kept: float, lost: list[str]):
    [row] = SpansKept("seed", what=ALL)({"text": text, "seed": seed})
    assert (row["spans_kept"], row["spans_lost"]) == (kept, lost)


def test_spans_of_a_field():
    seed = "book a table in New York for Ann"
    spans = [{"start": 16, "end": 24, "label": "city"}, {"text": "Ann"}, "table", None, {"value": "for"}]
    row = {"text": "I need a TABLE in new york", "seed": seed, "marked": spans}
    [found] = SpansKept("seed", spans="marked")(row)
    assert (found["spans_kept"], found["spans_lost"]) == (0.5, ["Ann", "for"])
    [found] = SpansKept("seed", spans="[city, 'York']")({**row, "city": "Boston"})
    assert (found["spans_kept"], found["spans_lost"]) == (0.5, ["Boston"])


def test_of_a_parent():
    [row] = SpansKept("root.text")({"text": "at 7"})
    assert row["spans_kept"] == 1


@pytest.mark.parametrize(("spans", "said"), [("'Rome'", "is no list"), ("[{'label': 'city'}]", "neither `text` nor")])
def test_what_is_no_list_of_spans(spans: str, said: str):
    with pytest.raises(RecipeError, match=said):
        SpansKept("seed", spans=spans)({"text": "a", "seed": "b"})


def test_whole_words():
    assert holds("in New York.", "new york")
    assert not holds("in New Yorkshire", "york")
    assert not holds("aaa", "a")
    assert holds("aa a", "a")
    assert holds("c++!", "c++")
    assert holds("我在罗马。", "我在罗马")


@given(st.text(max_size=60), st.text(max_size=60))
@settings(max_examples=60)
def test_any_texts(text: str, seed: str):
    [row] = SpansKept("seed", what=ALL)({"text": text, "seed": seed})
    assert 0 <= row["spans_kept"] <= 1
    assert (row["spans_kept"] == 1) == (row["spans_lost"] == [])
    [same] = SpansKept("seed", what=ALL)({"text": seed, "seed": seed})
    assert same["spans_kept"] == 1


@pytest.mark.parametrize("piece", ["{", "{a", "<a", "1.", "a@", "A ", "http://", "[a ", "%(", "a a"])
def test_a_long_text_takes_no_long(piece: str):
    text = piece * (300_000 // len(piece))
    began = time.perf_counter()
    for find in FIND.values():
        find(text)
    holds(text, piece * 3 + "x")
    assert time.perf_counter() - began < 3
