"""Columns of vectors: guessed or named, in 32 bits, of one width; written back as lists."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from leaven.cli import run
from leaven.errors import DataError
from leaven.io import dataset

FIELDS = {"vector": "vector", "label": "label"}
ROWS = [{"embedding": [i / 4, -1.0, 2.0], "kind": "ab"[i % 2], "note": f"n{i}"} for i in range(8)]


def lines(path: Path, rows: list[dict[str, Any]]) -> str:
    path.write_text("".join(json.dumps(row) + "\n" for row in rows))
    return str(path)


def parquet(path: Path, kind: pa.DataType) -> str:
    columns: dict[str, Any] = {name: [row[name] for row in ROWS] for name in ROWS[0]}
    columns["embedding"] = pa.array(columns["embedding"], kind)
    pq.write_table(pa.table(columns), path)
    return str(path)


@pytest.mark.parametrize("kind", [pa.list_(pa.float64()), pa.list_(pa.float32(), 3), pa.large_list(pa.float16())])
def test_lists_of_numbers_are_a_vector(kind: pa.DataType, tmp_path: Path):
    read = dataset.read(parquet(tmp_path / "rows.parquet", kind), tmp_path / "in", fields=FIELDS)
    assert read.columns == {"vector": "embedding", "label": "kind", "note": "note"}
    assert read.guessed["vector"] == "guessed: lists of numbers"
    table = read.table("source")
    assert table.schema.field("vector").type == pa.list_(pa.float32())
    found = {row["note"]: row["vector"] for row in table.to_pylist()}
    assert found == {row["note"]: row["embedding"] for row in ROWS}


def test_a_file_of_lines_and_parquet_hold_the_same_rows(tmp_path: Path):
    one = dataset.read(lines(tmp_path / "rows.jsonl", ROWS), tmp_path / "a", fields=FIELDS)
    other = dataset.read(parquet(tmp_path / "rows.parquet", pa.list_(pa.float64())), tmp_path / "b", fields=FIELDS)
    assert one.table("source").column("_id").to_pylist() == other.table("source").column("_id").to_pylist()


def test_a_named_column_without_a_recipe(tmp_path: Path):
    read = dataset.read(
        lines(tmp_path / "rows.jsonl", ROWS), tmp_path / "in", fields={}, named={"vector": "embedding", "label": "kind"}
    )
    assert read.types == {"vector": "vector", "label": "label", "note": "value"}


@pytest.mark.parametrize(
    ("cell", "said"),
    [
        ([1.0, 2.0], "row 9: `embedding` has 2 numbers, and rows before it have 3"),
        ("words", "a vector is a list of numbers"),
        ([1.0, None, 2.0], "missing or not finite"),
        ([1.0, float("inf"), 2.0], "missing or not finite"),
        ({"a": 1}, "a vector is a list of numbers"),
    ],
)
def test_what_is_no_vector(cell: Any, said: str, tmp_path: Path):
    rows = [*ROWS, {"embedding": cell, "kind": "a", "note": "n"}]
    with pytest.raises(DataError, match=said):
        dataset.read(lines(tmp_path / "r.jsonl", rows), tmp_path / "in", fields=FIELDS, named={"vector": "embedding"})


def test_data_without_one(tmp_path: Path):
    rows = [{"text": f"some words {i}", "label": "ab"[i % 2]} for i in range(8)]
    with pytest.raises(DataError, match="no other column looks like a vector"):
        dataset.read(lines(tmp_path / "r.jsonl", rows), tmp_path / "in", fields=FIELDS)


def test_written_as_it_was_called(tmp_path: Path):
    out = tmp_path / "out"
    assert run(["augment", lines(tmp_path / "rows.jsonl", ROWS), "-r", "mix-vectors", "-o", str(out), "-q"]) == 0
    rows = [row for file in (out / "train").glob("*.parquet") for row in pq.read_table(file).to_pylist()]
    real = {row["note"]: row["embedding"] for row in rows if not row["_synthetic"]}
    assert real == {row["note"]: row["embedding"] for row in ROWS}
    soft = [row for row in rows if row["_synthetic"] and row["label_probs"]]
    assert len(soft) == 8
    assert all(len(row["embedding"]) == 3 and np.isfinite(row["embedding"]).all() for row in rows)
