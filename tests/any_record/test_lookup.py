"""A row of a table that fits the record."""

from __future__ import annotations

from collections import Counter
from pathlib import Path
from typing import Any

import pytest

from leaven.any_record.lookup import Lookup
from leaven.beside import read_beside
from leaven.errors import RecipeError
from leaven.io.side_table import side_table

NEAR = "source,target,distance\nerhu,violin,3\npipa,violin,4\nkoto,harp,3\n"
WORDS = {"new": "row.source", "old": "row.target", "far": "row.distance"}


@pytest.fixture
def near(tmp_path: Path) -> str:
    path = tmp_path / "near.csv"
    path.write_text(NEAR)
    return str(path)


def many(op: Lookup, times: int, **record: Any) -> Counter[Any]:
    return Counter(op(record, seed=seed)[0]["new"] for seed in range(times))


def test_a_row_that_fits(near: str):
    [row] = Lookup(near, where="row.target in text", into=WORDS)({"text": "a harp"})
    assert row == {"text": "a harp", "new": "koto", "old": "harp", "far": 3}


def test_no_row_fits(near: str):
    [row] = Lookup(near, where="row.target in text", into=WORDS)({"text": "a drum"})
    assert row == {"text": "a drum", "new": None, "old": None, "far": None}


def test_drawn_by_weight(near: str):
    """Inverse distances: 1/3 to 1/4 is 4 to 3."""
    op = Lookup(near, where="row.target in text", weight="1 / max(row.distance, 1)", into=WORDS)
    drawn = many(op, 700, text="a violin")
    assert set(drawn) == {"erhu", "pipa"}
    assert drawn["erhu"] / drawn["pipa"] == pytest.approx(4 / 3, rel=0.2)
    alike = many(Lookup(near, into=WORDS), 300, text="a drum")
    assert set(alike) == {"erhu", "pipa", "koto"}
    assert min(alike.values()) > 70


def test_the_same_seed_draws_the_same(near: str):
    op = Lookup(near, into=WORDS)
    assert [op({"text": str(i)}) for i in range(20)] == [op({"text": str(i)}) for i in range(20)]


def test_a_weight_of_nothing_leaves_a_row_out(near: str):
    assert set(many(Lookup(near, weight="row.distance - 3", into=WORDS), 20, text="x")) == {"pipa"}
    [row] = Lookup(near, weight=0, into=WORDS)({"text": "x"})
    assert row["new"] is None


def test_a_distance_of_nothing_is_an_error_that_says_how_to_guard(tmp_path: Path):
    path = tmp_path / "near.csv"
    path.write_text("source,target,distance\nangklung,angklung,0\n")
    with pytest.raises(RecipeError, match=r"1 / row\.distance"):
        Lookup(str(path), weight="1 / row.distance", into=WORDS)({"text": "x"})
    [row] = Lookup(str(path), weight="1 / max(row.distance, 1)", into=WORDS)({"text": "x"})
    assert row["new"] == "angklung"
    for wrong in ("-1", "row.source", "none"):
        with pytest.raises(RecipeError, match="it is a number from 0 on"):
            Lookup(str(path), weight=wrong, into=WORDS)({"text": "x"})


def test_it_reads_the_fields_that_its_expressions_name(near: str):
    op = Lookup(near, where="row.target in text and row.lang == lang", into={"new": "row.source"})
    assert op.reads() == {"text", "lang"}
    assert set(op.writes()) == {"new"}


# -- the file ---------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("name", "content"),
    [
        ("t.csv", "word,n\ncat,1\ndog,\n"),
        ("t.csv", "word;n\ncat;1\ndog;\n"),
        ("t.tsv", "word\tn\ncat\t1\ndog\t\n"),
        ("t.json", '[{"word": "cat", "n": 1}, {"word": "dog"}]'),
        ("t.csv", 'word,n\r\n"cat",1\r\n\r\ndog,\r\n'),
        ("t.jsonl", '{"word": "cat", "n": 1}\n{"word": "dog", "n": null}\n'),
        ("t.yaml", "- {word: cat, n: 1}\n- {word: dog}\n"),
    ],
)
def test_what_a_table_may_be(tmp_path: Path, name: str, content: str):
    (tmp_path / name).write_text(content)
    assert [dict(row) for row in side_table(read_beside(tmp_path / name))] == [
        {"word": "cat", "n": 1},
        {"word": "dog", "n": None},
    ]


def test_a_column_holds_numbers_or_texts(tmp_path: Path):
    path = tmp_path / "t.csv"
    path.write_text("a,b,c\n1,1.5,1\n2,-2,x\n")
    assert [dict(row) for row in side_table(read_beside(path))] == [
        {"a": 1, "b": 1.5, "c": "1"},
        {"a": 2, "b": -2.0, "c": "x"},
    ]


@pytest.mark.parametrize(
    ("name", "content", "said"),
    [
        ("t.csv", "word,n\ncat,1\n", "it has no column `lang`; it has word, n"),
        ("t.csv", "", "a table begins with the names of its columns"),
        ("t.csv", "word,word\ncat,dog\n", "a table begins with the names of its columns"),
        ("t.csv", "word,lang\ncat,eng,1\n", "row 2 has 3 cells; the header has 2"),
        ("t.csv", 'word,lang\n"cat,eng\n', "it is no csv"),
        ("t.xlsx", "PK", "a table is csv, tsv, jsonl, json or yaml"),
        ("t.yaml", "word: cat\n", "a table is a list of mappings"),
        ("t.json", '["cat"]', "a table is a list of mappings"),
        ("t.jsonl", "{", "it is no JSON"),
        ("t.yaml", "- [1\n", "t.yaml"),
    ],
)
def test_what_is_wrong_with_a_table(tmp_path: Path, name: str, content: str, said: str):
    (tmp_path / name).write_text(content)
    with pytest.raises(RecipeError, match=said):
        side_table(read_beside(tmp_path / name), ["lang"])


def test_the_table_is_read_when_the_step_is_built(tmp_path: Path):
    with pytest.raises(RecipeError, match=r"there is no file .*no\.csv"):
        Lookup(str(tmp_path / "no.csv"), into=WORDS)
    (tmp_path / "t.csv").write_text("")
    with pytest.raises(RecipeError, match="a table begins with"):
        Lookup(str(tmp_path / "t.csv"), into=WORDS)
