"""Numbers of classes become the names that ``datasets`` notes for them."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from leaven.errors import DataError
from leaven.io.dataset import read
from leaven.io.tables import open_table

datasets = pytest.importorskip("datasets")
EXPECTED = [("no", "z", [0, 1]), ("yes", "x", []), (None, "y", [1]), (None, None, None)]


def made() -> Any:
    features = datasets.Features(
        text=datasets.Value("string"),
        label=datasets.ClassLabel(names=["no", "yes"]),
        coarse=datasets.ClassLabel(names=["x", "y", "z"]),
        many=datasets.List(datasets.ClassLabel(names=["p", "q"])),
    )
    columns = {
        "text": ["one", "two", "three", "four"],
        "label": [0, 1, -1, None],
        "coarse": [2, 0, 1, None],
        "many": [[0, 1], [], [1], None],
    }
    return datasets.Dataset.from_dict(columns, features=features)


def parquet(rows: Any, folder: Path) -> Path:
    rows.to_parquet(folder / "a.parquet")
    return folder / "a.parquet"


def saved(rows: Any, folder: Path) -> Path:
    rows.save_to_disk(folder / "a")
    return folder / "a"


FORMS: dict[str, Callable[[Any, Path], Any]] = {
    "dataset": lambda rows, folder: rows,
    "as numpy": lambda rows, folder: rows.with_format("numpy"),
    "rows of it": lambda rows, folder: rows.select([3, 2, 1, 0]).select([3, 2, 1, 0]),
    "splits": lambda rows, folder: datasets.DatasetDict(train=rows),
    "arrow": lambda rows, folder: rows.with_format("arrow")[:],
    "parquet": parquet,
    "parquet in memory": lambda rows, folder: pq.read_table(parquet(rows, folder)),
    "saved": saved,
}


@pytest.mark.parametrize("form", FORMS)
def test_numbers_become_names(tmp_path: Path, form: str):
    table = open_table(FORMS[form](made(), tmp_path))
    rows = [row for batch in table.batches() for row in batch.to_pylist()]
    assert [(row["label"], row["coarse"], row["many"]) for row in rows] == EXPECTED


def test_a_set_has_labels_by_name_and_none_where_none_is(tmp_path: Path):
    found = read(str(parquet(made(), tmp_path)), tmp_path / "in", fields={"text": "text", "label": "label"})
    assert (found.labels, found.counts) == ({"no": 1, "yes": 1}, {"source": 2, "pool": 2})
    assert found.stored["label"] == "string"


def noted(column: pa.Array, feature: Any) -> pa.Table:
    said = json.dumps({"info": {"features": {"label": feature}}})
    return pa.table({"label": column}).replace_schema_metadata({"huggingface": said})


def labels(path: Path) -> list[Any]:
    return [value for batch in open_table(path).batches() for value in batch.column("label").to_pylist()]


def test_files_of_one_folder_have_each_their_own_names(tmp_path: Path):
    pq.write_table(noted(pa.array([0, 1]), {"_type": "ClassLabel", "names": ["a", "b"]}), tmp_path / "1.parquet")
    pq.write_table(noted(pa.array([0, 1]), {"_type": "ClassLabel", "names": ["b", "a"]}), tmp_path / "2.parquet")
    pq.write_table(pa.table({"label": [1]}), tmp_path / "3.parquet")
    assert labels(tmp_path) == ["a", "b", "b", "a", "b"]


@pytest.mark.parametrize(
    "feature",
    [None, 3, [], {"_type": "ClassLabel"}, {"_type": "ClassLabel", "names": [1]}, {"_type": "Value", "names": ["a"]}],
)
def test_what_names_nothing_leaves_the_numbers(tmp_path: Path, feature: Any):
    pq.write_table(noted(pa.array([0, 0]), feature), tmp_path / "a.parquet")
    assert labels(tmp_path / "a.parquet") == [0, 0]


def test_texts_stay_texts_whatever_is_noted_of_them(tmp_path: Path):
    pq.write_table(noted(pa.array(["x"]), {"_type": "ClassLabel", "names": ["a"]}), tmp_path / "a.parquet")
    assert labels(tmp_path / "a.parquet") == ["x"]


def test_a_class_without_a_name_is_an_error(tmp_path: Path):
    pq.write_table(noted(pa.array([0, 7]), {"_type": "ClassLabel", "names": ["a", "b"]}), tmp_path / "a.parquet")
    with pytest.raises(DataError, match=r"a.parquet: the column `label` holds the class 7; 2 have names") as caught:
        labels(tmp_path / "a.parquet")
    assert "cast_column" in caught.value.fix
