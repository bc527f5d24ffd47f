"""``train/`` as one file of another kind."""

from __future__ import annotations

import csv
import gzip
import json
import re
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from hypothesis import given
from hypothesis import strategies as st

import leaven as lv
from leaven.errors import DataError
from leaven.io.export import KINDS, NUMBER, OWN, RUN, export
from leaven.io.tables import open_table

DATA = """id,utterance,intent
1,please stop it,cancel
2,=1+1 is what I want,cancel
3,-5,cancel
4,"@you, ""where"" is it",track
5,"two
lines",track
6,plain words here,track
"""


@pytest.fixture(scope="module")
def out(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return made(tmp_path_factory.mktemp("run"), DATA, "intent")


def made(folder: Path, data: str, label: str) -> Path:
    (folder / "a.csv").write_text(data, "utf-8")
    read = lv.read(folder / "a.csv", text="utterance", label=label)
    return (read | lv.EditChars(n=1) | lv.Unique()).run(folder / "o", progress=False).path


def train(out: Path) -> list[dict[str, Any]]:
    found: list[dict[str, Any]] = pq.read_table(out / "train").to_pylist()
    return found


def lines(path: Path) -> list[Any]:
    return [json.loads(line) for line in path.read_text("utf-8").splitlines()]


def test_csv_has_the_users_columns_first_and_every_row(out: Path, tmp_path: Path):
    said: list[str] = []
    to = tmp_path / "new" / "a.csv"
    rows = train(out)
    assert export(out, "csv", to, said.append) == len(rows)
    with to.open(newline="", encoding="utf-8") as file:
        found = list(csv.DictReader(file))
    assert list(found[0]) == ["id", "utterance", "intent", *OWN[:3], *OWN[4:]]  # no step noted a score
    for row, cells in zip(rows, found, strict=True):
        text = row["utterance"]
        guard = text.startswith(("=", "@", "-", "+")) and text != "-5"
        assert cells["utterance"] == ("'" + text if guard else text)
        assert json.loads(cells["_parents"]) == row["_parents"]
        assert json.loads(cells["_steps"]) == row["_steps"]
        assert cells["_synthetic"] == str(row["_synthetic"]).lower()
        assert float(cells["_weight"]) == row["_weight"]
    guarded = sum(cells["utterance"].startswith("'") for cells in found)
    assert guarded >= 2
    assert len(said) == 1
    assert said[0].startswith(f"{guarded:,} cells begin with =")


@given(st.one_of(st.floats(allow_nan=False, allow_infinity=False).map(repr), st.integers().map(str)))
def test_numbers_stay_numbers(text: str):
    assert NUMBER.fullmatch(text)
    assert NUMBER.fullmatch(f"+{text.removeprefix('-')} %")


@given(st.text("=+-@\t\r'1.,eE (a%", min_size=1, max_size=8).filter(lambda text: text.startswith(RUN)))
def test_what_is_left_as_it_is_computes_nothing(text: str):
    if NUMBER.fullmatch(text):
        assert set(text) <= set("+-1.,eE %")
        assert not re.search(r"[+-]", text[1:].replace("e-", "").replace("e+", "").replace("E-", "").replace("E+", ""))


def test_a_cell_that_a_spreadsheet_would_run_never_begins_the_cell(tmp_path: Path):
    formulas = ["=1", "+a", "-a", "@a", "\ta", "\ra", "=cmd|' /C calc'!A0", "-1+2", "+1-1"]
    table = pa.table({"=x": [*formulas, "-1.5", "+3 %", "plain"], "n": list(range(-3, 9)), "_synthetic": [False] * 12})
    (tmp_path / "o" / "train").mkdir(parents=True)
    pq.write_table(table, tmp_path / "o" / "train" / "part-00000.parquet")
    said: list[str] = []
    assert export(tmp_path / "o", "csv", tmp_path / "a.csv", said.append) == 12
    with (tmp_path / "a.csv").open(newline="", encoding="utf-8") as file:
        header, *rows = csv.reader(file)
    assert header == ["'=x", "n", "_synthetic"]
    assert [row[0] for row in rows] == [*("'" + text for text in formulas), "-1.5", "+3 %", "plain"]
    assert [row[1] for row in rows] == [str(n) for n in range(-3, 9)]
    assert said[0].startswith("10 cells")


def test_jsonl_and_parquet_hold_what_train_holds(out: Path, tmp_path: Path):
    said: list[str] = []
    rows = train(out)
    assert export(out, "jsonl", tmp_path / "a.jsonl", said.append) == len(rows)
    assert lines(tmp_path / "a.jsonl") == rows
    assert export(out, "parquet", tmp_path / "a.parquet", said.append) == len(rows)
    assert pq.read_table(tmp_path / "a.parquet").to_pylist() == rows
    assert said == []


def test_our_own_files_are_read_again(out: Path, tmp_path: Path):
    for kind in ("csv", "jsonl", "parquet"):
        for name in (f"a.{kind}", f"a.{kind}.gz") if kind != "parquet" else (f"a.{kind}",):
            export(out, kind, tmp_path / name)
            batches = list(open_table(str(tmp_path / name)).batches())
            assert sum(map(len, batches)) == len(train(out))


def test_parts_become_one_file_in_their_order(tmp_path: Path):
    (tmp_path / "o" / "train").mkdir(parents=True)
    for number, values in enumerate(([1.0, float("nan")], [None], [float("-inf"), 5.0])):
        table = pa.table({"_id": list(map(str, values)), "x": pa.array(values, pa.float64())})
        pq.write_table(table, tmp_path / "o" / "train" / f"part-{number:05d}.parquet")
    for kind in ("csv", "jsonl", "parquet"):
        assert export(tmp_path / "o", kind, tmp_path / f"a.{kind}") == 5
    assert [row["x"] for row in lines(tmp_path / "a.jsonl")] == [1.0, None, None, None, 5.0]
    assert pq.read_table(tmp_path / "a.parquet").column("_id").to_pylist() == ["1.0", "nan", "None", "-inf", "5.0"]
    assert pq.ParquetFile(tmp_path / "a.parquet").schema_arrow.names == ["x", "_id"]


def test_gz_is_by_the_name_and_the_same_each_time(out: Path, tmp_path: Path):
    for kind in ("csv", "jsonl", "chat"):
        export(out, kind, tmp_path / f"{kind}.gz")
        export(out, kind, tmp_path / f"again-{kind}.gz")
        export(out, kind, tmp_path / kind)
        packed = (tmp_path / f"{kind}.gz").read_bytes()
        assert packed == (tmp_path / f"again-{kind}.gz").read_bytes()
        assert gzip.decompress(packed) == (tmp_path / kind).read_bytes()
    with pytest.raises(DataError, match="compressed inside"):
        export(out, "parquet", tmp_path / "a.parquet.gz")


def test_a_chat_asks_the_text_and_answers_the_label(out: Path, tmp_path: Path):
    rows = train(out)
    assert export(out, "chat", tmp_path / "a.jsonl") == len(rows)
    for row, said in zip(rows, lines(tmp_path / "a.jsonl"), strict=True):
        user, assistant = {"role": "user", "content": row["utterance"]}, {"role": "assistant", "content": row["intent"]}
        assert said == {"messages": [user, assistant]}


def test_messages_are_taken_where_there_are_some(tmp_path: Path):
    turns = [{"role": "user", "content": "hi"}, {"role": "assistant", "content": "hello", "name": "x"}]
    rows = [{"utterance": f"t{i}", "y": "ab"[i % 2], "messages": turns if i else None} for i in range(4)]
    (tmp_path / "a.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows), "utf-8")
    (lv.read(tmp_path / "a.jsonl", label="y") | lv.recipe("classic-text")).run(tmp_path / "o", progress=False)
    said: list[str] = []
    left_out = sum(row["messages"] is None for row in train(tmp_path / "o"))
    written = export(tmp_path / "o", "chat", tmp_path / "chat.jsonl", said.append)
    assert written == len(train(tmp_path / "o")) - left_out > 0
    assert lines(tmp_path / "chat.jsonl") == [{"messages": turns}] * written
    assert said == [f"{left_out} {'row has' if left_out == 1 else 'rows have'} no messages; left out"]


def test_what_a_chat_needs_and_lacks_is_said(tmp_path: Path):
    (tmp_path / "a.csv").write_text("text\none\ntwo\nthree\n")
    (lv.read(tmp_path / "a.csv", fields=["text"]) | lv.Unique()).run(tmp_path / "o", progress=False)
    with pytest.raises(DataError, match="has no label, its columns are text"):
        export(tmp_path / "o", "chat", tmp_path / "chat.jsonl")
    assert not (tmp_path / "chat.jsonl").exists()


def test_nothing_is_overwritten_and_nothing_is_left_half_done(out: Path, tmp_path: Path):
    there = tmp_path / "a.csv"
    there.write_text("mine")
    with pytest.raises(DataError, match="exists already"):
        export(out, "csv", there)
    assert there.read_text() == "mine"
    (tmp_path / "o" / "train").mkdir(parents=True)
    pq.write_table(pa.table({"image": [b"\x00"]}), tmp_path / "o" / "train" / "part-00000.parquet")
    for kind in ("csv", "jsonl"):
        with pytest.raises(DataError, match="`image` holds bytes"):
            export(tmp_path / "o", kind, tmp_path / f"b.{kind}")
    assert export(tmp_path / "o", "parquet", tmp_path / "b.parquet") == 1
    (tmp_path / "o" / "train" / "part-00001.parquet").write_bytes(b"PAR1 no")
    with pytest.raises(Exception):  # noqa: B017  whatever pyarrow says of a damaged file
        export(tmp_path / "o", "parquet", tmp_path / "c.parquet")
    assert sorted(path.name for path in tmp_path.iterdir()) == ["a.csv", "b.parquet", "o"]


def test_what_is_no_run_and_no_kind(out: Path, tmp_path: Path):
    with pytest.raises(DataError, match="holds no run"):
        export(tmp_path, "csv", tmp_path / "a.csv")
    with pytest.raises(DataError, match=f"give the folder of the run: {out}"):
        export(out / "train", "csv", tmp_path / "a.csv")
    with pytest.raises(DataError, match="--as jsonl"):
        export(out, "json", tmp_path / "a.json")
    with pytest.raises(DataError, match=r"--as csv \| jsonl \| parquet \| chat"):
        export(out, "xml", tmp_path / "a.xml")
    assert len(KINDS) == 10
