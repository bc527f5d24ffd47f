"""A field of a made row as a column of its root's row."""

from __future__ import annotations

import csv
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from leaven.cli import run

pytestmark = pytest.mark.usefixtures("no_report")

RECIPE = """
fields: [text, label]
steps:
  - keep: "'number 3' not in text"
  - edit_words: {n: 3, p: 0.4, ops: [swap]}
  - keep: {that: text != root.text, reason: unchanged}
  - note: {size: text|length}
  - overlap: {with: root.text}
blend: BLEND
"""


def ran(folder: Path, blend: str, name: str = "out", *more: str, code: int = 0) -> Path:
    with (folder / "rows.csv").open("w", newline="", encoding="utf-8") as file:
        rows = [(f"one {'word ' * (i % 3)}of number {i}", "ab"[i % 2]) for i in range(40)]
        csv.writer(file).writerows([("text", "label"), *rows, ("one", "a")])
    (folder / "recipe.yaml").write_text(RECIPE.replace("BLEND", blend), "utf-8")
    command = ["augment", str(folder / "rows.csv"), "-o", str(folder / name), "-r", str(folder / "recipe.yaml"), "-q"]
    assert run([*command, *more]) == code
    return folder / name


def train(out: Path) -> list[dict[str, Any]]:
    return pq.read_table(out / "train").to_pylist()


def test_each_root_has_one_of_its_children(tmp_path: Path):
    plain = train(ran(tmp_path, "{real: all}", "plain"))
    children: dict[str, list[tuple[Any, ...]]] = {}
    for row in plain:
        if row["_synthetic"]:
            told = (row["text"], row["size"], row["_scores"]["overlap"])
            children.setdefault(row["_parents"][0], []).append(told)
    assert max(map(len, children.values())) == 3
    out = ran(tmp_path, "{real: all, attach: {text: negative, size: negative_size, overlap: alike}}")
    rows = train(out)
    assert len(rows) == 41
    assert not any(row["_synthetic"] for row in rows)
    for row in rows:
        told = (row["negative"], row["negative_size"], row["alike"])
        assert told in children.get(row["_id"], [(None, None, None)])
    assert {row["_id"] for row in rows if row["negative"]} == children.keys()
    types = pq.read_schema(next((out / "train").iterdir()))
    assert (types.field("negative").type, types.field("alike").type) == (pa.string(), pa.float64())
    refused = pq.read_table(out / "refused").schema.names
    assert "negative" not in refused


def test_only_those_that_have_one(tmp_path: Path):
    with_one = {r["_id"]: r["negative"] for r in train(ran(tmp_path, "{real: all, attach: {text: negative}}", "all"))}
    rows = train(ran(tmp_path, "{real: kept, attach: {text: negative}}"))
    assert {r["_id"]: r["negative"] for r in rows} == {i: text for i, text in with_one.items() if text}
    assert not {r["text"] for r in rows} & {"one", "one of number 3"}


def test_the_same_with_two_workers_and_replayed(tmp_path: Path):
    outs = [ran(tmp_path, "{real: kept, attach: {text: negative}}", f"w{n}", "--workers", f"{n}") for n in (1, 2)]
    one, two = ([path.read_bytes() for path in sorted((out / "train").iterdir())] for out in outs)
    assert one == two
    assert run(["verify", str(outs[0])]) == 0


def test_the_summary_says_how_many(tmp_path: Path, capsys: pytest.CaptureFixture[str]):
    ran(tmp_path, "{real: kept, attach: {text: negative}}")
    rows = train(tmp_path / "out")
    assert f"put fields of {len(rows)} of the " in capsys.readouterr().out


@pytest.mark.parametrize(
    ("blend", "says"),
    [
        ("{attach: {txt: negative}}", "blend.attach takes `txt`, which names no column"),
        ("{attach: {text: label}}", "blend.attach writes `label`, which is a column already"),
        ("{attach: {text: size}}", "blend.attach writes `size`, which is a column already"),
        ("{attach: {text: _id}}", "blend.attach writes `_id`"),
        ("{attach: {text: a, size: a}}", "blend.attach writes `a` twice"),
        ("{real: none, attach: {text: negative}}", "blend: {real: kept, attach"),
    ],
)
def test_what_cannot_be_attached(tmp_path: Path, capsys: pytest.CaptureFixture[str], blend: str, says: str):
    ran(tmp_path, blend, code=1)
    assert says in capsys.readouterr().err
