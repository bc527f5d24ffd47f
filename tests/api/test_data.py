"""Rows from memory are read as a file with the same content is."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pyarrow as pa
import pytest
from hypothesis import given
from hypothesis import strategies as st
from tests.api.conftest import rows, write_csv

import leaven as lv
from leaven.io.memory import open_memory
from leaven.io.tables import open_table
from small_media import picture


def ids(data: lv.Data) -> list[str]:
    return [row["_id"] for row in data]


def as_frame(content: list[dict[str, str]]) -> Any:
    return pd.DataFrame(content, index=[f"i{i}" for i in range(len(content))])


def as_dataset(content: list[dict[str, str]]) -> Any:
    datasets = pytest.importorskip("datasets")
    return datasets.Dataset.from_list(content)


WAYS = {
    "DataFrame": as_frame,
    "DataFrame of objects": lambda content: pd.DataFrame(content, dtype=object),
    "DataFrame of categories": lambda content: pd.DataFrame(content, dtype="category"),
    "list": list,
    "tuple": tuple,
    "generator": lambda content: (row for row in content),
    "Table": pa.Table.from_pylist,
    "RecordBatch": pa.RecordBatch.from_pylist,
    "large texts": lambda content: pa.Table.from_pylist(content).cast(
        pa.schema([("utterance", pa.large_string()), ("intent", pa.large_string())])
    ),
    "Dataset": as_dataset,
}


@pytest.mark.parametrize("way", list(WAYS))
def test_the_same_ids_from_memory(bank: Path, way: str):
    content = rows()
    from_file = lv.read("bank.csv", test=0.3)
    data = lv.read(WAYS[way](content), test=0.3)
    assert ids(data) == ids(from_file)
    assert [row["_id"] for row in data.test] == [row["_id"] for row in from_file.test]
    assert list(data[0]) == ["_id", "utterance", "intent"]  # an index is no column


def test_a_path(bank: Path):
    assert ids(lv.read(bank / "bank.csv")) == ids(lv.read("bank.csv"))


def test_splits_of_a_dataset_dict_and_names_of_rows():
    datasets = pytest.importorskip("datasets")
    splits = {name: as_dataset(rows(n, seed)) for name, n, seed in (("train", 30, 1), ("test", 9, 2))}
    data = lv.read(datasets.DatasetDict(splits))
    assert repr(data) == (
        "Dataset DatasetDict: 30 rows + 9 test; text=utterance, label=intent (3 labels, 10 rows each)"
    )
    assert data.test[0]["utterance"] == rows(9, 2)[0]["utterance"]


def test_other_sets_from_memory(bank: Path):
    data = lv.read(
        "bank.csv", test=as_frame(rows(9, 2)), dev=rows(6, 3), unlabelled=[{"utterance": "where is my card"}]
    )
    assert re.match(r"Dataset bank.csv: 45 rows \+ 9 test \+ 6 dev \+ 1 pool; ", repr(data))
    assert data.dataset.test_from == "DataFrame, 9 rows"
    assert data.pool[0]["utterance"] == "where is my card"


def test_rows_of_a_run_are_data_again(bank: Path):
    data = lv.read("bank.csv", test=0.3)
    again = lv.read(data.source)
    assert {row["utterance"] for row in again} == {row["utterance"] for row in data}


@pytest.mark.parametrize(
    ("wrong", "said"),
    [
        ([], "list, 0 rows holds no rows"),
        ([{"text": "a", "label": "b"}, "c"], "list, 2 rows: entry 2 is a str, not a dict"),
        ({"text": ["a"], "label": ["b"]}, "a dict is no table of rows"),
        (7, "a int is no table of rows"),
        (b"text", "a bytes is no table of rows"),
        (pd.DataFrame({"text": ["a", None, "b", " "], "label": [*"xyxy"]}),
         r"DataFrame, 4 rows row 2: the text is empty; 2 of 4 rows are \(2, 4\)"),
        (pd.DataFrame([["a", "b"]] * 3, columns=["text", "text"]), "has two columns called `text`"),
        (pd.DataFrame({"text": ["a", "b"], "label": ["x", "x"]}), "the label `label` has one value only"),
        ([{"text": "a", "label": ["x"]}, {"text": "b", "label": ["y", "z"]}], "`label` holds lists, not texts"),
        ([{"text": {"a": 1}, "label": "x"}, {"text": [2], "label": "y"}], "`text` holds lists and objects, not texts"),
        ([{"text": "a\ud800", "label": "x"}, {"text": "b", "label": "y"}], "row 1: `text` holds half a character"),
        (pd.DataFrame({"text": ["a", "b"], "label": [0.5, 1.5]}), "the column `label` holds numbers"),
    ],
)  # fmt: skip
def test_the_checks_of_files(wrong: Any, said: str):
    with pytest.raises(lv.DataError, match=said):
        lv.read(wrong, text="text", label="label") if isinstance(wrong, pd.DataFrame) else lv.read(wrong)


def test_labels_are_texts_whatever_held_them(tmp_path: Path):
    path = tmp_path / "a.csv"
    path.write_text("text,label\na b,1\nc d,0\ne f,1\ng h,0\n")
    content = ["a b", "c d", "e f", "g h"]
    wanted = ids(lv.read(path))
    for labels in ([1, 0, 1, 0], [1.0, 0.0, 1.0, 0.0], np.array([1, 0, 1, 0], np.int8), ["1", 0, 1, "0"]):
        assert ids(lv.read(pd.DataFrame({"text": content, "label": labels}))) == wanted
        assert ids(lv.read([{"text": t, "label": v} for t, v in zip(content, labels, strict=True)])) == wanted


def test_a_missing_label_is_a_pool_row():
    found = pd.DataFrame({"text": ["a b", "c d", "e f"], "label": ["x", np.nan, "y"]})
    for data in (found, found.to_dict("records"), pa.Table.from_pandas(found)):
        read = lv.read(data)
        assert (len(read), read.pool[0]["text"]) == (2, "c d")


values = st.none() | st.text(st.characters(exclude_categories=["Cs"]), max_size=9) | st.integers() | st.booleans()
nested = (
    values | st.floats() | st.lists(values, max_size=2) | st.dictionaries(st.text("ab", max_size=2), values, max_size=2)
)


@given(st.lists(st.dictionaries(st.sampled_from("abc"), nested, min_size=1), min_size=1, max_size=6))
def test_any_values_make_a_table_of_one_schema(content: list[dict[str, Any]]):
    found = list(open_memory(content).batches())
    assert sum(map(len, found)) == len(content)
    table = pa.Table.from_batches(found)
    assert set(table.column_names) == {key for row in content for key in row}
    for name in table.column_names:
        if pa.types.is_string(table.schema.field(name).type):
            for row, value in zip(content, table.column(name).to_pylist(), strict=True):
                assert isinstance(row.get(name), str) <= (value is not None)


def test_a_table_from_memory_is_read_anew_at_each_call():
    table = open_table(iter(rows(5)))
    assert [sum(map(len, table.batches())) for _ in range(2)] == [5, 5]
    assert table.name == "list_iterator, 5 rows"


def test_nothing_is_imported_for_a_list(tmp_path: Path):
    import subprocess
    import sys

    code = (
        "import sys, leaven as lv; lv.read([{'text': 'a', 'label': 'x'}, {'text': 'b', 'label': 'y'}]);"
        "print([m for m in ('datasets', 'torch', 'IPython') if m in sys.modules])"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"


def test_how_data_shows_itself(bank: Path):
    data = lv.read("bank.csv", text="utterance", label="intent", test=0.3)
    assert repr(data) == "Dataset bank.csv: 33 rows + 12 test; text=utterance, label=intent (3 labels, 11 rows each)"
    uneven = lv.read([*rows(30), *({"utterance": f"card number {i}", "intent": "card"} for i in range(4))])
    assert repr(uneven) == "Dataset list: 34 rows; text=utterance, label=intent (3 labels, 10 to 14 rows)"
    assert len(repr(lv.read(write_csv(bank / f"{'long' * 40}.csv", rows())))) == 100
    shown = repr(data.test).splitlines()
    assert shown[0] == "Test: 12 rows"
    assert len(shown) == 6
    assert max(map(len, shown)) <= 100


def test_other_fields_are_named_too(bank: Path):
    pairs = [
        {"one": f"the sky is {w}", "two": "the sky has a colour", "gold": str(i % 2)} for i, w in enumerate("abcd")
    ]
    fields = {"premise": "text", "hypothesis": "text", "label": "label"}
    data = lv.read(pairs, fields=fields, premise="one", hypothesis="two", label="gold")
    assert "premise=one, hypothesis=two, label=gold" in repr(data)
    assert (data | lv.EditWords(on="premise")).text.startswith(
        "fields: {premise: text, hypothesis: text, label: label}"
    )
    with pytest.raises(lv.DataError, match="names no type of field"):
        lv.read(pairs, fields={"premise": "txt"})


def test_a_folder_of_images_needs_no_fields(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.chdir(tmp_path)
    for i, label in enumerate(("cat", "dog", "cat", "dog")):
        picture(Path("photos", label, f"{i}.png"), colour=50 * i)
    data = lv.read("photos")
    assert repr(data) == "Dataset photos: 4 rows; image=image, label=label (2 labels, 2 rows each)"
    run = (data | lv.Shade(n=2)).run("out", progress=False)
    assert (run.counts["made"], run.counts["kept"]) == (8, 8)


def test_paths_in_memory_are_no_texts():
    with pytest.raises(
        lv.DataError, match=r"names images, such as a\.png in row 1; rows in memory name files of no folder"
    ):
        lv.read([{"image": name, "label": label} for name, label in (("a.png", "x"), ("b.png", "y"))])
