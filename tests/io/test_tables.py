"""Files of every format become the same table."""

from __future__ import annotations

import csv
import gzip
import io
import json
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from hypothesis import given
from hypothesis import strategies as st

from leaven.errors import DataError
from leaven.io import json_rows
from leaven.io.tables import open_table

SHARED = Path(__file__).parents[2] / ".." / "shared" / "data" / "text"
ROWS = [
    {"text": 'say "hi", he said', "label": "a"},
    {"text": "two\nlines", "label": "b"},
    {"text": "007", "label": "a"},
]
texts = st.text(st.characters(exclude_categories=["Cs"], exclude_characters="\0"), max_size=20)


def rows(path: Path) -> list[dict[str, Any]]:
    return [row for batch in open_table(str(path)).batches() for row in batch.to_pylist()]


def as_csv(content: list[dict[str, Any]], **options: Any) -> str:
    out = io.StringIO()
    writer = csv.DictWriter(out, list(content[0]), **options)
    writer.writeheader()
    writer.writerows(content)
    return out.getvalue()


@pytest.mark.parametrize("name", ["a.csv", "a.tsv", "a.txt", "a.csv.gz", "A.CSV", "a.json", "a.jsonl", "a.ndjson",
                                  "a.jsonl.gz", "a.parquet", "a.pq"])  # fmt: skip
def test_formats(tmp_path: Path, name: str):
    path = tmp_path / name
    kind = name.lower().removesuffix(".gz").rpartition(".")[2]
    if kind in ("parquet", "pq"):
        pq.write_table(pa.Table.from_pylist(ROWS), path)
    else:
        said = {
            "json": json.dumps(ROWS, indent=1),
            "tsv": as_csv(ROWS, delimiter="\t"),
        }.get(kind, "\n".join(map(json.dumps, ROWS)) if "json" in kind else as_csv(ROWS))
        path.write_bytes(gzip.compress(said.encode()) if name.endswith(".gz") else said.encode())
    assert rows(path) == ROWS
    assert open_table(str(path)).name == name


@pytest.mark.parametrize("delimiter", [",", ";", "\t"])
@pytest.mark.parametrize("ending", ["\n", "\r\n"])
def test_what_spreadsheets_save(tmp_path: Path, delimiter: str, ending: str):
    path = tmp_path / "a.csv"
    path.write_bytes(as_csv(ROWS, delimiter=delimiter, lineterminator=ending).encode("utf-8-sig"))
    assert rows(path) == ROWS


def test_tsv_with_bare_quotes(tmp_path: Path):
    path = tmp_path / "a.tsv"
    path.write_text('text\tlabel\n"Great" movie, the 5" disc\ta\nit\'s "ok\tb\n')
    assert [row["text"] for row in rows(path)] == ['"Great" movie, the 5" disc', "it's \"ok"]


@pytest.mark.skipif(not SHARED.is_dir(), reason="needs the shared data beside the repository")
def test_a_real_tsv_with_bare_quotes():
    path = SHARED / "amazon-auggpt" / "test.tsv"
    found = rows(path)
    assert len(found) == len(path.read_text("utf-8").splitlines()) - 1
    assert {row["labels"] for row in found} > {"0", "1"}


@given(st.lists(st.tuples(texts, texts), min_size=1, max_size=8), st.sampled_from([",", ";", "\t"]))
def test_csv_gives_back_any_text(tmp_path_factory: pytest.TempPathFactory, pairs: list[tuple[str, str]], sign: str):
    path = tmp_path_factory.mktemp("csv") / "a.csv"
    content = [{"one": a, "two": b} for a, b in pairs]
    path.write_bytes(as_csv(content, delimiter=sign, quoting=csv.QUOTE_ALL).encode())
    assert rows(path) == content


@given(st.lists(st.dictionaries(st.sampled_from("ab"), texts, min_size=1), min_size=1, max_size=8), st.integers(1, 40))
def test_an_array_is_read_by_stretches(
    tmp_path_factory: pytest.TempPathFactory, content: list[dict[str, str]], size: int
):
    path = tmp_path_factory.mktemp("json") / "a.json"
    path.write_text(json.dumps(content, indent=size % 3 or None), "utf-8")
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(json_rows, "CHARACTERS", size)
        names = {name for row in content for name in row}
        assert rows(path) == [{name: row.get(name) for name in names} for row in content]


def test_types_of_json(tmp_path: Path):
    path = tmp_path / "a.jsonl"
    path.write_text(
        '{"i": 1, "f": 1, "m": 1, "b": true, "n": {"x": [1]}, "big": 100000000000000000000}\n'
        '{"i": null, "f": 0.5, "m": "y", "b": false, "n": [2], "late": "z", "big": 7}\n'
    )
    table = open_table(str(path))
    [batch] = table.batches()
    kinds = [str(batch.schema.field(name).type) for name in ("i", "f", "m", "b", "n")]
    assert kinds == ["int64", "double", "string", "bool", "string"]
    assert batch.to_pylist() == [
        {"i": 1, "f": 1.0, "m": "1", "b": True, "n": '{"x": [1]}', "big": "100000000000000000000", "late": None},
        {"i": None, "f": 0.5, "m": "y", "b": False, "n": "[2]", "big": "7", "late": "z"},
    ]


def test_texts_however_parquet_stores_them(tmp_path: Path):
    kinds = [pa.string(), pa.large_string(), pa.string_view(), pa.dictionary(pa.int32(), pa.string()),
             pa.dictionary(pa.int8(), pa.large_string())]  # fmt: skip
    for number, kind in enumerate(kinds):
        column = pa.array(["a", None, "b"]).cast(pa.string())
        array = column.dictionary_encode().cast(kind) if pa.types.is_dictionary(kind) else column.cast(kind)
        pq.write_table(pa.table({"text": array}), tmp_path / f"{number}.parquet", store_schema=True)
    table = open_table(str(tmp_path))
    for batch in table.batches():
        assert batch.schema.field("text").type == pa.string()
        assert batch.column("text").to_pylist() == ["a", None, "b"]


def test_a_folder_of_splits_keeps_them_apart(tmp_path: Path):
    for name, text in {"train-00000-of-1": "x", "test-00000-of-1": "y", "validation-0": "z"}.items():
        pq.write_table(pa.table({"text": [text], "label": ["l"]}), tmp_path / f"{name}.parquet")
    assert {row["text"]: row["split"] for row in rows(tmp_path)} == {"x": "train", "y": "test", "z": "dev"}


def test_files_of_a_folder_that_differ(tmp_path: Path):
    pq.write_table(pa.table({"text": ["x"], "n": [1]}), tmp_path / "a.parquet")
    pq.write_table(pa.table({"n": [2], "text": ["y"], "more": ["m"]}), tmp_path / "b.parquet")
    assert [row["n"] for row in rows(tmp_path)] == [1, 2]
    pq.write_table(pa.table({"text": ["y"], "n": ["two"]}), tmp_path / "b.parquet")
    with pytest.raises(DataError, match=r"b.parquet: the column `n` holds string, in a.parquet int64"):
        rows(tmp_path)
    pq.write_table(pa.table({"text": ["y"]}), tmp_path / "b.parquet")
    with pytest.raises(DataError, match=r"b.parquet has no column `n`; a.parquet has it"):
        rows(tmp_path)


def test_a_parquet_that_breaks_in_the_middle(tmp_path: Path):
    path = tmp_path / "a.parquet"
    pq.write_table(pa.table({"text": [f"hello {i}" for i in range(3000)]}), path, compression="snappy")
    content = bytearray(path.read_bytes())
    content[50:900] = b"\xff" * 850
    path.write_bytes(content)
    with pytest.raises(DataError, match=r"a.parquet is no whole Parquet file"):
        rows(path)


def test_the_way_out_of_a_folder(tmp_path: Path):
    (tmp_path / "data").mkdir()
    (tmp_path / "data" / "some.jsonl.gz").touch()
    with pytest.raises(DataError, match=r"give the file: .*some.jsonl.gz"):
        open_table(str(tmp_path / "data"))
    (tmp_path / "out" / "train").mkdir(parents=True)
    (tmp_path / "out" / "run.json").touch()
    with pytest.raises(DataError, match=r"it is a run; its rows are in .*out/train"):
        open_table(str(tmp_path / "out"))


def test_what_is_no_file(tmp_path: Path):
    with pytest.raises(DataError, match="it is no regular file"):
        open_table("/dev/null")
    with pytest.raises(DataError, match="cannot be read"):
        open_table(str(tmp_path / ("x" * 300)))


def test_a_saved_dataset(tmp_path: Path):
    datasets = pytest.importorskip("datasets")
    features = datasets.Features(text=datasets.Value("large_string"), label=datasets.ClassLabel(names=["no", "yes"]))
    one = datasets.Dataset.from_dict({"text": ["x", "y"], "label": [0, 1]}, features=features)
    two = datasets.Dataset.from_dict({"text": ["z"], "label": [1]}, features=features)
    one.save_to_disk(tmp_path / "one")
    datasets.DatasetDict(train=one, validation=two).save_to_disk(tmp_path / "both")
    assert rows(tmp_path / "one") == [{"text": "x", "label": "no"}, {"text": "y", "label": "yes"}]
    assert [(row["text"], row["label"], row["split"]) for row in rows(tmp_path / "both")] == [
        ("x", "no", "train"), ("y", "yes", "train"), ("z", "yes", "validation"),
    ]  # fmt: skip
