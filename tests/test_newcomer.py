"""An operator of one's own: one file outside the package, and nothing else is touched."""

from __future__ import annotations

import json
import os
from pathlib import Path

import pyarrow.parquet as pq
import pytest

from leaven import cli

SHOUT = '''"""Upper case."""

from leaven.operators import Make


class Shout(Make):
    """Say it louder; the label stays."""

    marks: int = 1

    def make(self, record, ctx):
        yield record.child(text=record["text"].upper() + "!" * self.marks)
'''
RECIPE = """
fields: [text, label]
steps:
  - shout: {marks: 2}
  - unique
"""


@pytest.fixture(autouse=True)
def no_page(monkeypatch: pytest.MonkeyPatch) -> None:
    """Of the report other tests tell."""
    monkeypatch.setattr(cli, "write_report", lambda *_: None)


@pytest.fixture
def place(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "my").mkdir()
    (tmp_path / "my" / "shout.py").write_text(SHOUT)
    (tmp_path / "my" / "test_shout.py").write_text("raise SystemExit('a test is no operator')\n")
    (tmp_path / "my" / "words.py").write_text("LOUD = {'a helper': 'is none either'}\n")
    (tmp_path / "shout.yaml").write_text(RECIPE)
    rows = [{"text": f"message number {i}", "label": "ab"[i % 2]} for i in range(2500)]
    (tmp_path / "rows.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows))
    return tmp_path


def leaven(*arguments: str) -> int:
    return cli.run(["augment", "rows.jsonl", "-o", "out", "-r", "shout.yaml", "-q", *arguments])


@pytest.mark.parametrize("workers", ["1", "2"])
def test_a_run_with_it(place: Path, workers: str):
    assert leaven("--operators", "my", "--workers", workers) == 0
    rows = pq.read_table(place / "out" / "train").to_pylist()
    real = {row["_id"]: row for row in rows if not row["_synthetic"]}
    made = [row for row in rows if row["_synthetic"]]
    assert len(real) == len(made) == 2500
    for row in made:
        [parent] = row["_parents"]
        assert row["text"] == real[parent]["text"].upper() + "!!"
        assert row["label"] == real[parent]["label"]
        assert [step["step"] for step in row["_steps"]] == ["shout"]


def test_an_edited_one_is_run_anew(place: Path):
    assert leaven("--operators", "my", "--workers", "1") == 0
    file = place / "my" / "shout.py"
    then = file.stat().st_mtime_ns
    file.write_text(SHOUT.replace('"!"', '"?"'))
    os.utime(file, ns=(then, then))  # of the same second and size: what Python keeps compiled would do
    assert leaven("--operators", "my", "--workers", "1") == 0
    texts = pq.read_table(place / "out" / "train").column("text").to_pylist()
    assert sum(text.endswith("??") for text in texts) == 2500
    assert not any(text.endswith("!!") for text in texts)


def test_what_goes_wrong_is_said(place: Path, capsys: pytest.CaptureFixture[str]):
    assert leaven() == 1
    assert "shout.yaml line 4: there is no operator `shout`" in capsys.readouterr().err
    (place / "shout.yaml").write_text(RECIPE.replace("marks", "mark"))
    assert leaven("--operators", "my") == 1
    said = capsys.readouterr().err
    assert "shout has no parameter `mark`" in said
    assert "the nearest is `marks`" in said
    assert not (place / "out").exists()


def test_one_that_breaks_at_a_record(place: Path):
    (place / "my" / "shout.py").write_text(SHOUT.replace('"!" * self.marks', '"!" * (3 // (len(record["text"]) - 16))'))
    assert leaven("--operators", "my", "--workers", "1") == 3
    failed = [json.loads(line) for line in (place / "out" / "failed" / "records.jsonl").read_text().splitlines()]
    assert sorted(row["text"] for row in failed) == [f"message number {i}" for i in range(10)]
    assert all("ZeroDivisionError" in row["_error"] for row in failed)
