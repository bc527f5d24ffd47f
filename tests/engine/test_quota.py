"""So many good rows of each label, for so many calls at most."""

from __future__ import annotations

import csv
import json
import sqlite3
from collections import Counter
from pathlib import Path

import pytest

from leaven.cli import run
from leaven.engine.local import _cut

ROWS = [(f"{word} number {i}", label) for label, word in (("a", "apple"), ("b", "bread"), ("c", "cheese")) for i in
        range(4)]  # fmt: skip
QUOTA = """
fields: [text, label]
steps:
  - repeat:
      times: 20
      until: {per: label, kept: 10}
      calls: CALLS
      steps:
        - paraphrase: {n: 2}
        - keep: {that: "label != 'c' or text|length % 2 == 0", reason: odd}
"""


def made(folder: Path, calls: int, capsys: pytest.CaptureFixture[str], *more: str) -> tuple[dict, Counter[str], int]:
    source, recipe = folder / "rows.csv", folder / f"quota{calls}.yaml"
    with source.open("w", newline="", encoding="utf-8") as file:
        csv.writer(file).writerows([("text", "label"), *ROWS])
    recipe.write_text(QUOTA.replace("CALLS", str(calls)), "utf-8")
    out = folder / f"out{calls}"
    command = [
        "augment",
        str(source),
        "-o",
        str(out),
        "-r",
        str(recipe),
        "--model",
        "chat=fake:shape",
        "--workers",
        "1",
    ]
    assert run([*command, *more, "-q", "--json"]) == 0
    said = json.loads(capsys.readouterr().out)
    import pyarrow.parquet as pq

    table = pq.read_table(out / "train").to_pylist()
    with sqlite3.connect(out / "ledger.sqlite") as ledger:
        [asked] = ledger.execute("SELECT COUNT(*) FROM answers").fetchone()
    return said, Counter(row["label"] for row in table if row["_synthetic"]), asked


def test_rounds_go_on_until_each_label_has_its_rows(tmp_path: Path, capsys: pytest.CaptureFixture[str]):
    _, have, asked = made(tmp_path, 1000, capsys)
    assert min(have.values()) >= 10
    assert asked < 100
    assert set(have) == {"a", "b", "c"}


def test_no_more_calls_than_allowed_and_what_was_made_is_there(tmp_path: Path, capsys: pytest.CaptureFixture[str]):
    said, have, asked = made(tmp_path, 17, capsys)
    assert asked == 17  # a round of 12 records, and 5 of the next
    assert said["calls"] == 17
    assert said["made"] == 34
    assert said["kept"] == sum(have.values()) > 0
    again, same, still = made(tmp_path, 17, capsys)
    assert (again["made"], same, still) == (said["made"], have, 17)
    assert run(["verify", str(tmp_path / "out17"), "-q"]) == 0


def test_what_groups_lack_is_cut_to_the_room_there_is():
    lacks = {"a": 10, "b": 0, "c": 5}
    assert _cut(lacks, None) == _cut(lacks, 15) == lacks
    assert _cut(lacks, 6) == {"a": 4, "b": 0, "c": 2}
    assert _cut(lacks, 1) == {"a": 1, "b": 0, "c": 0}
    assert sum(_cut({str(i): 7 for i in range(9)}, 20).values()) == 20
    assert _cut(lacks, -3) == {"a": 0, "b": 0, "c": 0}


def test_calls_are_a_number(tmp_path: Path, capsys: pytest.CaptureFixture[str]):
    (tmp_path / "rows.csv").write_text("text,label\nx,a\ny,b\n", "utf-8")
    recipe = tmp_path / "bad.yaml"
    recipe.write_text(QUOTA.replace("CALLS", "none"), "utf-8")
    assert run(["augment", str(tmp_path / "rows.csv"), "-o", str(tmp_path / "o"), "-r", str(recipe), "-q"]) == 1
    assert "calls is none; repeat takes a whole number from 1." in capsys.readouterr().err
