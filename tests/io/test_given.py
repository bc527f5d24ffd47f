"""``--given``: candidates made elsewhere."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pyarrow.parquet as pq
import pytest

import leaven as lv
from leaven.errors import DataError
from leaven.io.dataset import SET_BITS, SETS, Dataset, read

PLAIN = {"text": "text", "label": "label"}
SOURCE = "utterance,intent\nplease stop it,cancel\nstop that,cancel\nwhere is it,track\nfind it,track\n"
GIVEN = "score,intent,utterance\n1,cancel,end it now\n2,track,has it left\n3,track,where is it\n"


def dataset(folder: Path, source: str, given: str, name: str = "given.csv", **options: Any) -> Dataset:
    (folder / "a.csv").write_text(source, "utf-8")
    (folder / name).write_text(given, "utf-8")
    fields = options.pop("fields", PLAIN)
    return read(str(folder / "a.csv"), folder / "in", fields=fields, given=str(folder / name), **options)


def rows_of(found: Dataset, name: str) -> list[dict[str, Any]]:
    return found.table(name).to_pylist() if found.counts.get(name) else []


def test_its_rows_are_the_set_given_and_the_source_stays_as_it_is(tmp_path: Path):
    found = dataset(tmp_path, SOURCE, GIVEN)
    assert found.counts == {"source": 4, "given": 3}
    assert found.labels == {"cancel": 2, "track": 2}
    given = {row["text"]: row for row in rows_of(found, "given")}
    assert {text: row["label"] for text, row in given.items()} == {
        "end it now": "cancel",
        "has it left": "track",
        "where is it": "track",
    }
    assert all(row["_order"] >> SET_BITS == SETS.index("given") for row in given.values())
    assert found.warnings == []
    ids = [row["_id"] for name in ("source", "given") for row in rows_of(found, name)]
    assert len(set(ids)) == 7  # an equal row of the source has another number among equal ones
    (tmp_path / "alone").mkdir()
    alone = read(str(tmp_path / "a.csv"), tmp_path / "alone", fields=PLAIN)
    assert [{**row, "score": None} for row in rows_of(alone, "source")] == rows_of(found, "source")
    scores = {"end it now": "1", "has it left": "2", "where is it": "3"}
    assert {text: row["score"] for text, row in given.items()} == scores, "a column that the source has not"
    assert alone.fingerprint != found.fingerprint


def test_a_column_may_bear_the_fields_own_name(tmp_path: Path):
    found = dataset(tmp_path, SOURCE, '{"text": "end it", "label": "cancel"}\n', name="given.jsonl")
    assert [row["text"] for row in rows_of(found, "given")] == ["end it"]


def test_the_label_is_needed_where_the_recipe_has_one(tmp_path: Path):
    with pytest.raises(DataError, match=r"given\.csv has no column `intent`, the label of a\.csv; it has utterance"):
        dataset(tmp_path, SOURCE, "utterance\nend it\n")
    found = dataset(tmp_path, SOURCE, "utterance\nend it\n", fields={"text": "text"})
    assert found.counts["given"] == 1


def test_an_error_names_the_file_and_the_row(tmp_path: Path):
    with pytest.raises(DataError, match=r"given\.csv row 2: the text is empty; 1 of 3 rows is \(2\)"):
        dataset(tmp_path, SOURCE, "utterance,intent\na,cancel\n ,cancel\nb,track\n")
    with pytest.raises(DataError, match=r"given\.csv line 3 has 3 fields, the header has 2"):
        dataset(tmp_path, SOURCE, "utterance,intent\na,cancel\nb,c,cancel\n")


def test_labels_that_the_source_lacks_are_said(tmp_path: Path):
    found = dataset(tmp_path, SOURCE, "utterance,intent\na,Cancel\nb,\nc,track\n")
    assert found.counts["given"] == 3
    assert found.warnings == ["2 of 3 given rows have no label of the source; check how theirs are spelled"]


def test_an_id_names_one_row_of_both_files(tmp_path: Path):
    source = "_id,text,label\n1,a,x\n2,b,x\n3,c,y\n4,d,y\n"
    with pytest.raises(DataError, match=r"id `3` stands in row 3 and in given\.csv row 1"):
        dataset(tmp_path, source, "_id,text,label\n3,e,x\n")
    found = dataset(tmp_path, source, "_id,text,label\n9,e,x\n")
    assert [row["_id"] for row in rows_of(found, "given")] == ["9"]


def test_made_rows_are_in_one_place(tmp_path: Path):
    source = "text,label,_synthetic\na,x,false\nb,y,false\nc,x,true\n"
    with pytest.raises(DataError, match="has made rows of its own"):
        dataset(tmp_path, source, "text,label\nd,x\n")


def test_a_recipe_judges_what_is_given(tmp_path: Path):
    (tmp_path / "a.csv").write_text(SOURCE, "utf-8")
    (tmp_path / "given.csv").write_text(GIVEN, "utf-8")
    out = tmp_path / "o"
    data = lv.read(tmp_path / "a.csv", label="intent", given=tmp_path / "given.csv")
    (data | {"from": "given"} | lv.Unique()).run(out, progress=False)
    train = pq.read_table(out / "train").to_pylist()
    assert sorted(row["utterance"] for row in train if row["_synthetic"]) == ["end it now", "has it left"]
    assert sum(not row["_synthetic"] for row in train) == 4
    assert all(row["_parents"] == [] for row in train)
    refused = pq.read_table(out / "refused").to_pylist()
    assert [(row["utterance"], row["_reason"]) for row in refused] == [("where is it", "duplicate")]
    assert json.loads((out / "run.json").read_text())["counts"]["made"] == 3
