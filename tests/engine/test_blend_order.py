"""In which order rows stand in train/, and what they weigh."""

from __future__ import annotations

import csv
from pathlib import Path

import pyarrow.parquet as pq
import pytest

from leaven.cli import run

pytestmark = pytest.mark.usefixtures("no_report")

RECIPE = """
fields: [text, label]
steps:
  - edit_words: {n: 2, p: 0.3}
  - note: {easy: text|length}
blend: BLEND
"""


def train(folder: Path, blend: str, name: str = "out", *more: str) -> list[dict]:
    with (folder / "rows.csv").open("w", newline="", encoding="utf-8") as file:
        rows = [(f"{'word ' * (i % 7 + 2)}number {i}", "ab"[i % 2]) for i in range(60)]
        csv.writer(file).writerows([("text", "label"), *rows])
    (folder / "recipe.yaml").write_text(RECIPE.replace("BLEND", blend), "utf-8")
    out = folder / name
    command = ["augment", str(folder / "rows.csv"), "-o", str(out), "-r", str(folder / "recipe.yaml"), "-q"]
    assert run([*command, "--workers", "1", *more]) == 0
    return pq.read_table(out / "train").to_pylist()


def test_mixed_by_default(tmp_path: Path):
    made = [row["_synthetic"] for row in train(tmp_path, "{real: all}")]
    half = sum(made[: len(made) // 2])
    assert 0.35 < half / sum(made) < 0.65
    assert {row["_weight"] for row in train(tmp_path, "{real: all}")} == {1.0}


@pytest.mark.parametrize(("order", "first"), [("real_first", False), ("made_first", True)])
def test_one_kind_before_the_other(tmp_path: Path, order: str, first: bool):
    rows = train(tmp_path, f"{{order: {order}, weight: 0.2, ratio: 1}}")
    made = [row["_synthetic"] for row in rows]
    assert made == sorted(made, reverse=first)
    assert sum(made) == 60
    assert len({row["text"] for row in rows[:5]} & {f"{'word ' * (i % 7 + 2)}number {i}" for i in range(5)}) < 5
    assert {(row["_synthetic"], row["_weight"]) for row in rows} == {(True, 0.2), (False, 1.0)}


def test_a_curriculum_goes_from_the_highest_value_to_the_lowest(tmp_path: Path, capsys: pytest.CaptureFixture[str]):
    rows = train(tmp_path, "{order: curriculum, by: easy, ratio: 1.5}")
    made = [row["_synthetic"] for row in rows]
    assert made == sorted(made)
    lengths = [len(row["text"]) for row in rows if row["_synthetic"]]
    assert lengths == sorted(lengths, reverse=True)
    assert len(lengths) == 90
    again = train(tmp_path, "{order: curriculum, by: easy, ratio: 1.5}", "two", "--workers", "2")
    assert [row["_id"] for row in again] == [row["_id"] for row in rows]
    assert run(["verify", str(tmp_path / "out"), "-q"]) == 0
    with pytest.raises(AssertionError):
        train(tmp_path, "{order: curriculum}", "three")
    assert "blend.by is `label_prob`, which names no column" in capsys.readouterr().err
