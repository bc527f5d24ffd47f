"""Rows of the user's files become sets with ids."""

from __future__ import annotations

import json
from collections import Counter
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import leaven as lv
from leaven.errors import DataError
from leaven.io.dataset import SET_BITS, SETS, Dataset, load, read
from leaven.io.sets import row_hashes
from leaven.records import content_hash, folded, source_id

PLAIN = {"text": "text", "label": "label"}
Rows = list[dict[str, Any]]
words = st.text(st.sampled_from("abc AÄß"), min_size=1, max_size=4).filter(str.strip)
pairs = st.lists(st.tuples(words, st.sampled_from("xyz")), min_size=4, max_size=25)


def write(path: Path, rows: Rows) -> str:
    names = list(dict.fromkeys(name for row in rows for name in row))
    path.write_text("".join(json.dumps({n: row.get(n) for n in names}) + "\n" for row in rows), "utf-8")
    return str(path)


def dataset(folder: Path, rows: Rows, **options: Any) -> Dataset:
    fields = options.pop("fields", PLAIN)
    return read(write(folder / "a.jsonl", rows), folder / "in", fields=fields, **options)


def rows_of(found: Dataset, name: str) -> Rows:
    return found.table(name).to_pylist() if found.counts.get(name) else []


def texts(found: Dataset, name: str) -> list[str]:
    return sorted(row["text"] for row in rows_of(found, name))


def some(n: int, labels: str = "ab", **more: Any) -> Rows:
    return [{"text": f"text {i}", "label": labels[i % len(labels)], **more} for i in range(n)]


# -- ids ----------------------------------------------------------------------------------------------------------


def test_an_id_is_of_the_mapped_fields_and_the_occurrence(tmp_path: Path):
    rows = [{"text": "Ä", "label": "x", "n": 1}, {"text": "A\u0308", "label": "x", "n": 2}, {"text": "b", "label": "y"}]
    found = rows_of(dataset(tmp_path, rows), "source")
    content = content_hash({"text": "Ä", "label": "x"})
    ids = {row["n"]: row["_id"] for row in found}
    assert (ids[1], ids[2]) == (source_id(content, 0), source_id(content, 1))


@given(pairs, st.randoms())
@settings(max_examples=30, deadline=None)
def test_order_decides_no_id(tmp_path_factory: pytest.TempPathFactory, some_pairs: list[tuple[str, str]], random: Any):
    rows = [{"text": text, "label": label} for text, label in [*some_pairs, ("one", "x"), ("two", "y")]]
    other = list(rows)
    random.shuffle(other)
    ids = []
    for content in (rows, other):
        found = rows_of(dataset(tmp_path_factory.mktemp("d"), content), "source")
        assert len({row["_id"] for row in found}) == len(rows)  # equal rows are records of their own
        ids.append(Counter((row["_id"], row["text"], row["label"]) for row in found))
    assert ids[0] == ids[1]


@given(st.lists(st.tuples(st.text(max_size=5), st.none() | st.text(max_size=5)), max_size=5))
def test_hashes_of_rows_are_those_of_their_fields(some_rows: list[tuple[str, str | None]]):
    columns = [[row[i] for row in some_rows] for i in range(2)]
    expected = [content_hash({"text": a, "label": b}) for a, b in some_rows]
    assert row_hashes(["text", "label"], columns, len(some_rows)) == expected


def test_own_ids_are_taken(tmp_path: Path):
    rows = [{**row, "_id": f"r{i}"} for i, row in enumerate(some(5))]
    pool = [{"_id": "p1", "text": "one"}, {"_id": "p2", "text": "two"}]
    found = dataset(tmp_path, rows, unlabelled=write(tmp_path / "pool.jsonl", pool))
    assert {row["_id"]: row["text"] for row in rows_of(found, "source")} == {r["_id"]: r["text"] for r in rows}
    assert {row["_id"] for row in rows_of(found, "pool")} == {"p1", "p2"}
    assert "_id" not in found.order


def test_own_ids_of_a_pool_may_not_be_those_of_the_source(tmp_path: Path):
    rows = [{**row, "_id": i} for i, row in enumerate(some(5))]
    with pytest.raises(
        DataError, match=r"a.jsonl: id `1` stands in row 2 and in pool.jsonl row 1 with different texts"
    ):
        dataset(tmp_path, rows, unlabelled=write(tmp_path / "pool.jsonl", [{"_id": 1, "text": "p"}]))
    test = write(tmp_path / "test.jsonl", [{"_id": 1, "text": "p", "label": "a"}])
    assert dataset(tmp_path, rows, test=test).counts["test"] == 1  # no step makes anything from these


def test_a_pool_without_ids_gets_some(tmp_path: Path):
    rows = [{**row, "_id": f"r{i}"} for i, row in enumerate(some(5))]
    found = dataset(tmp_path, rows, unlabelled=write(tmp_path / "pool.jsonl", [{"text": "p"}, {"text": "q"}]))
    assert all(len(row["_id"]) == 24 for row in rows_of(found, "pool"))


def test_given_rows_equal_to_source_rows_have_ids_of_their_own(tmp_path: Path):
    rows = [{**row, "_synthetic": made} for made in (False, True) for row in some(4)]
    found = dataset(tmp_path, rows)
    assert found.counts == {"source": 4, "given": 4}
    ids = [row["_id"] for name in ("source", "given") for row in rows_of(found, name)]
    assert len(set(ids)) == 8


# -- sets ---------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(("said", "into"), [
    ("train", "source"), ("Training", "source"), (None, "source"), ("test", "test"), ("TESTING ", "test"),
    ("dev", "dev"), ("validation", "dev"), ("valid", "dev"), ("val", "dev"), ("eval", "dev"),
])  # fmt: skip
@pytest.mark.parametrize("column", ["split", "Split"])
def test_spellings_of_split(tmp_path: Path, column: str, said: str | None, into: str):
    rows = [{**row, column: "train"} for row in some(4)] + [{"text": "this", "label": "a", column: said}]
    found = dataset(tmp_path, rows)
    assert "this" in texts(found, into)
    assert sum(found.counts.values()) == 5


def test_a_column_split_that_the_user_names_is_a_field(tmp_path: Path):
    rows = [{"text": f"t {i}", "split": "ab"[i % 2]} for i in range(6)]
    assert dataset(tmp_path, rows, named={"label": "split"}).labels == {"a": 3, "b": 3}


def test_rows_without_a_label_are_the_pool(tmp_path: Path):
    rows = [*some(4), {"text": "one", "label": None}, {"text": "two", "label": "  "}]
    found = dataset(tmp_path, rows, unlabelled=write(tmp_path / "p.jsonl", [{"text": "three", "label": "b"}]))
    assert texts(found, "pool") == ["one", "three", "two"]
    assert found.counts["source"] == 4


def test_a_row_knows_its_place_and_its_set(tmp_path: Path):
    found = dataset(tmp_path, some(5), test=write(tmp_path / "t.jsonl", [{"text": "x", "label": "a"}]))
    source = {row["text"]: row["_order"] for row in rows_of(found, "source")}
    assert source == {f"text {i}": i for i in range(5)}
    assert [row["_order"] >> SET_BITS for row in rows_of(found, "test")] == [SETS.index("test")]


@given(pairs, pairs)
@settings(max_examples=30, deadline=None)
def test_no_source_row_equals_a_test_row(
    tmp_path_factory: pytest.TempPathFactory, source: list[tuple[str, str]], test: list[tuple[str, str]]
):
    folder = tmp_path_factory.mktemp("d")
    rows = [{"text": t, "label": n} for t, n in [*source, ("only here", "x"), ("and this", "y")]]
    there = write(folder / "t.jsonl", [{"text": t.upper() + " ", "label": n} for t, n in test])
    found = dataset(folder, rows, test=there)
    held = {folded(t) for t in texts(found, "test")}
    assert held.isdisjoint(folded(t) for t in texts(found, "source"))
    gone = sum(folded(row["text"]) in held for row in rows)
    assert found.counts["source"] == len(rows) - gone
    assert any("test set too" in warning for warning in found.warnings) == bool(gone)


@given(pairs, st.floats(0.1, 0.6), st.integers(0, 5))
@settings(max_examples=30, deadline=None)
def test_a_share_set_aside(
    tmp_path_factory: pytest.TempPathFactory, some_pairs: list[tuple[str, str]], share: float, seed: int
):
    rows = [{"text": t, "label": n} for t, n in some_pairs] + some(8, "xy")
    found = dataset(tmp_path_factory.mktemp("d"), rows, test=str(share), seed=seed)
    test, source = rows_of(found, "test"), rows_of(found, "source")
    assert len(test) + len(source) == len(rows)
    assert {folded(r["text"]) for r in test}.isdisjoint(folded(r["text"]) for r in source)
    assert {r["label"] for r in rows} == {r["label"] for r in source}  # no label loses all its rows
    again = dataset(tmp_path_factory.mktemp("d"), rows[::-1], test=str(share), seed=seed)
    if len({r["text"] for r in rows}) == len(rows):
        assert texts(again, "test") == texts(found, "test")


def test_a_group_stays_on_one_side(tmp_path: Path):
    rows = [{**row, "who": f"g{i // 4}"} for i, row in enumerate(some(40))]
    found = dataset(tmp_path, rows, test="0.3", fields={**PLAIN, "group": "group"}, named={"group": "who"})
    sides = [{row["group"] for row in rows_of(found, name)} for name in ("source", "test")]
    assert sides[1]
    assert sides[0].isdisjoint(sides[1])


def test_a_second_test_set_is_refused(tmp_path: Path):
    rows = [*some(6), {"text": "x", "label": "a", "split": "test"}]
    for test in ("0.5", write(tmp_path / "t.jsonl", some(2))):
        with pytest.raises(DataError, match="has rows of the split `test` already"):
            dataset(tmp_path, rows, test=test)


def test_nothing_is_guessed_of_a_second_table(tmp_path: Path):
    rows = [{"utterance": row["text"], "intent": row["label"]} for row in some(6)]
    same = write(tmp_path / "t.jsonl", [{"intent": "a", "utterance": "x y"}])
    assert dataset(tmp_path, rows, test=same).counts["test"] == 1
    named = write(tmp_path / "t.jsonl", [{"label": "a", "text": "x y"}])
    assert dataset(tmp_path, rows, test=named).counts["test"] == 1
    other = write(tmp_path / "t.jsonl", [{"class": "a", "sentence": "x y"}])
    with pytest.raises(DataError, match=r"t.jsonl has no column `(utterance|intent)`"):
        dataset(tmp_path, rows, test=other)


def test_a_riding_column_of_another_type(tmp_path: Path):
    rows = some(4, rank=1)
    test = write(tmp_path / "t.jsonl", [{"text": "x", "label": "a", "rank": "7"}])
    assert rows_of(dataset(tmp_path, rows, test=test), "test")[0]["rank"] == 7
    test = write(tmp_path / "t.jsonl", [{"text": "x", "label": "a", "rank": "seven"}])
    with pytest.raises(DataError, match=r"t.jsonl: the column `rank` holds string, in a.jsonl int64"):
        dataset(tmp_path, rows, test=test)


def test_test_labels_that_the_source_lacks(tmp_path: Path):
    test = write(tmp_path / "t.jsonl", [{"text": "x", "label": "new"}, {"text": "y", "label": "a"}])
    assert dataset(tmp_path, some(4), test=test).warnings == [
        "1 of 2 test rows have no label of the source; not measured on"
    ]


def test_a_dataset_is_read_back(tmp_path: Path):
    found = dataset(tmp_path, some(4))
    assert load(found.folder) == found
    (found.folder / "dataset.json").write_text("{}")
    with pytest.raises(DataError, match="is damaged"):
        load(found.folder)


# -- what comes back in train/ --------------------------------------------------------------------------------------


def train(data: Path, out: Path, **named: str) -> pa.Table:
    return (lv.read(data, **named) | lv.recipe("classic-text")).run(out, progress=False).train.table


def test_columns_and_types_come_back(tmp_path: Path):
    n = 6
    columns = {
        "when": pa.array([0] * n, pa.timestamp("s")),
        "Sentence": pa.array([f"this is text number {i}" for i in range(n)], pa.large_string()),
        "stars": pa.array([1, 2] * 3, pa.int16()),
        "_order": pa.array(range(n), pa.int32()),
        "tags": pa.array([["a", "b"]] * n),
        "kind": pa.array(["k"] * n).dictionary_encode(),
        "score": pa.array([0.5] * n, pa.float32()),
        "nothing": pa.nulls(n),
        "text": pa.array([str(i) for i in range(n)]),
    }
    pq.write_table(pa.table(columns), tmp_path / "a.parquet")
    found = train(tmp_path / "a.parquet", tmp_path / "out", text="Sentence", label="stars")
    assert found.column_names[: len(columns)] == list(columns)
    kinds = {name: str(found.schema.field(name).type) for name in columns}
    assert kinds["stars"] == "int16"
    assert kinds["when"] == "timestamp[s]" or kinds["when"] == "timestamp[ms]"  # Parquet knows no seconds
    assert (kinds["_order"], kinds["score"], kinds["kind"]) == ("int32", "float", "string")
    assert kinds["tags"].startswith("list<")
    real = [row for row in found.to_pylist() if not row["_synthetic"]]
    assert sorted(row["_order"] for row in real) == list(range(n))
    assert {(row["text"], row["Sentence"][-1]) for row in real} == {(str(i), str(i)) for i in range(n)}
    assert len(found) > n


@pytest.mark.parametrize(
    ("array", "kind"),
    [
        (pa.array([0, 1] * 4, pa.int64()), "int64"),
        (pa.array([0, 1] * 4, pa.uint8()), "int16"),
        (pa.array([0.0, 1.0, None, float("nan")] + [1.0, 0.0] * 2), "int64"),
        (pa.array([True, False] * 4), "bool"),
        (pa.array([b"x", b"y"] * 4), "string"),
    ],
)
def test_labels_come_back_as_they_were(tmp_path: Path, array: pa.Array, kind: str):
    texts = [f"this is text number {i}" for i in range(8)]
    pq.write_table(pa.table({"text": texts, "label": array}), tmp_path / "a.parquet")
    found = train(tmp_path / "a.parquet", tmp_path / "out")
    assert str(found.schema.field("label").type) == kind
    expected = {v.decode() if isinstance(v, bytes) else v for v in array.to_pylist() if v is not None and v == v}
    assert set(found.column("label").to_pylist()) == expected


def test_our_own_output_is_read_back(tmp_path: Path):
    write(tmp_path / "a.jsonl", [{"text": f"this is text number {i}", "label": "ab"[i % 2]} for i in range(8)])
    first = train(tmp_path / "a.jsonl", tmp_path / "one")
    made = sum(first.column("_synthetic").to_pylist())
    assert made
    second = train(tmp_path / "one" / "train", tmp_path / "two")
    found = load(tmp_path / "two" / "input")
    assert found.counts == {"source": 8, "given": made}
    ids = {row["_id"] for row in first.to_pylist() if not row["_synthetic"]}
    assert {row["_id"] for row in rows_of(found, "source")} == ids
    assert {row["_id"] for row in second.to_pylist() if not row["_synthetic"]} == ids
    assert set(second.column_names) == set(first.column_names)


def test_synthetic_in_a_csv_is_a_text(tmp_path: Path):
    path = tmp_path / "a.csv"
    path.write_text("text,label,_synthetic\none,a,False\ntwo,b,false\nthree,a,True\nfour,b,1\n")
    assert read(str(path), tmp_path / "in", fields=PLAIN).counts == {"source": 2, "given": 2}


def test_labels_file(tmp_path: Path):
    path = tmp_path / "labels.csv"
    path.write_text("label,name,about\na,A,first\nb,B,\n")
    assert dataset(tmp_path, some(4), labels=str(path)).descriptions == {"a": "first", "b": "B"}
    (tmp_path / "labels.yaml").write_text("a: first\nb: second\n")
    assert dataset(tmp_path, some(4), labels=str(tmp_path / "labels.yaml")).descriptions["b"] == "second"
    with pytest.raises(DataError, match="there is no such file"):
        dataset(tmp_path, some(4), labels=str(tmp_path / "label.yaml"))


def test_memory_a_row(tmp_path: Path):
    """What a set holds of each row while it is read, own ids and groups included."""
    from leaven.io.reader import Reader
    from leaven.io.tables import open_table

    rows = [{**row, "_id": f"row-{i}", "group": "g"} for i, row in enumerate(some(10_000))]
    reader = Reader(tmp_path, {**PLAIN, "group": "group"}, {})
    reader.take(open_table(write(tmp_path / "a.jsonl", rows)), "")
    held = reader.sets["source"]
    held.close()
    size = sum(map(len, held.content)) + sum(a.nbytes for a in [*held.texts, *held.labels, *held.groups, *held.own])
    assert size / 10_000 <= 64
