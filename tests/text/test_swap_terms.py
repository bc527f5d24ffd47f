"""One term of a caption exchanged for another of its category."""

from __future__ import annotations

from collections import Counter
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from leaven.beside import read_beside
from leaven.errors import RecipeError
from leaven.text.swap_terms import SwapTerms, tags_of, terms_of

TERMS = """term,category
flute,instrument
violin,instrument
guitar,instrument
bass guitar,instrument
rock,genre
folk,genre
calm,mood
"""


@pytest.fixture(scope="module")
def table(tmp_path_factory: pytest.TempPathFactory) -> str:
    path = tmp_path_factory.mktemp("terms") / "terms.csv"
    path.write_text(TERMS)
    return str(path)


def swapped(table: str, text: str, times: int = 40, **more: Any) -> Counter[str]:
    record = {"text": text, **more}
    op = SwapTerms(table, tags="tags" if "tags" in more else None)
    rows = [op(record, seed=seed)[0] for seed in range(times)]
    return Counter(row.get("_reason") or row["text"] for row in rows)


def test_one_term_for_another_of_its_category(table: str):
    assert set(swapped(table, "a flute solo")) == {"a violin solo", "a guitar solo", "a bass guitar solo"}
    assert set(swapped(table, "rock with a flute", tags=["guitar", "bass guitar"])) == {
        "folk with a flute",
        "rock with a violin",
    }


def test_the_longest_term_first_and_whole_words(table: str):
    assert set(swapped(table, "a bass guitar", tags="violin, guitar")) == {"a flute"}
    assert set(swapped(table, "rocking with flutes")) == {"no_term"}


def test_never_a_term_that_the_record_has_already(table: str):
    found = swapped(table, "flute and violin", tags=["Guitar"])
    assert set(found) == {"bass guitar and violin", "flute and bass guitar"}
    assert set(swapped(table, "a flute", tags="violin, guitar, bass guitar")) == {"no_other_term"}


def test_a_text_without_a_term_has_no_negative(table: str):
    [row] = SwapTerms(table, into="negative")({"text": "two people talk"})
    assert row["_reason"] == "no_term"
    assert "negative" not in row


def test_a_category_with_one_term_alone(table: str):
    assert set(swapped(table, "calm")) == {"no_other_term"}
    assert set(swapped(table, "calm rock")) == {"calm folk"}


def test_beside_the_text(table: str):
    op = SwapTerms(table, into="negative", tags="tags")
    [row] = op({"text": "rock", "tags": None})
    assert row == {"text": "rock", "tags": None, "negative": "folk"}
    assert op.changes() == {"negative"}
    assert op.writes()["negative"].about == {"text"}
    assert op.reads() == {"tags"}
    assert SwapTerms(table, on="text").changes() == {"text"}


def test_capitals_and_the_rest_stay(table: str):
    assert set(swapped(table, "Rock, loud & clear")) == {"Folk, loud & clear"}


def test_a_caption_is_read_too(table: str):
    assert SwapTerms(table)({"caption": "rock"}) == [{"caption": "folk"}]


def test_it_cannot_do_without_its_table():
    with pytest.raises(RecipeError, match="needs a table of terms"):
        SwapTerms()({"text": "a flute"})


def test_tags():
    assert tags_of("Flute, Violin ") == {"flute", "violin"}
    assert tags_of(["Flute"]) == {"flute"}
    assert tags_of('["Flute", "bass guitar"]') == {"flute", "bass guitar"}
    assert tags_of("['Flute', 'bass guitar']") == {"flute", "bass guitar"}, "as Python writes a list"
    assert tags_of("[flute, calm]") == {"flute", "calm"}
    assert tags_of(None) == set()


def test_of_several_captions_one_is_exchanged(table: str):
    record = {"caption": ["a flute solo", "no term here", "FLUTE and drum"], "tags": None}
    for seed in range(5):
        [row] = SwapTerms(table, on="caption", into="negative")(record, seed=seed)
        assert row["caption"] == record["caption"]
        assert row["negative"] in {"a violin solo", "a guitar solo", "a bass guitar solo"} | {
            f"{new} and drum" for new in ("Violin", "Guitar", "Bass guitar")
        }
        [row] = SwapTerms(table, on="caption")(record, seed=seed)
        assert sum(new != old for new, old in zip(row["caption"], record["caption"], strict=True)) == 1
    assert SwapTerms(table, on="caption")({"caption": []})[0]["_reason"] == "no_term"


@settings(deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(
    st.lists(st.sampled_from(["flute", "violin", "bass guitar", "rock", "the", "flutes"]), min_size=1, max_size=6),
    st.sets(st.sampled_from(["flute", "guitar", "folk"])),
    st.integers(0, 99),
)
def test_exactly_one_span_is_exchanged(table: str, words: list[str], tags: set[str], seed: int):
    [row] = SwapTerms(table, tags="tags")({"text": " ".join(words), "tags": sorted(tags)}, seed=seed)
    terms = terms_of(read_beside(table))
    if "_reason" in row:
        return
    ways = []
    for i, word in enumerate(words):
        for new in terms.of[terms.category[word]] if word in terms.category else ():
            if new not in tags and new not in words:
                ways.append(" ".join([*words[:i], new, *words[i + 1 :]]))
    assert row["text"] in ways
