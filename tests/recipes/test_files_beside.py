"""Files that a recipe names: beside it, kept in the run, and part of what the run is."""

from __future__ import annotations

import shutil
from pathlib import Path

import pyarrow.parquet as pq
import pytest

from leaven import cli

RECIPE = """
fields: [text, label]
steps:
  - lookup: {table: words/greetings.csv, where: row.word in text, into: {other: row.other}}
  - edit_chars: {n: 1}
"""


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "rows.csv").write_text(
        "text,label\nhello there friend,a\nhello again people,a\ngoodbye then friends,b\n"
    )
    (tmp_path / "mine" / "words").mkdir(parents=True)
    (tmp_path / "mine" / "words" / "greetings.csv").write_text("word,other\nhello,salut\ngoodbye,adieu\n")
    (tmp_path / "mine" / "recipe.yaml").write_text(RECIPE)
    return tmp_path


def augment(out: str = "out") -> int:
    return cli.run(["augment", "rows.csv", "-o", out, "-r", "mine/recipe.yaml", "-q", "--workers", "1"])


def others(folder: Path) -> list[str]:
    rows = [row for file in (folder / "out" / "train").glob("*.parquet") for row in pq.read_table(file).to_pylist()]
    return sorted({row["other"] for row in rows if row["_synthetic"]})


def test_it_lies_beside_the_recipe_and_in_the_run(folder: Path, capsys: pytest.CaptureFixture[str]):
    assert augment() == 0
    assert others(folder) == ["adieu", "salut"]
    assert (folder / "out" / "recipe" / "words" / "greetings.csv").read_text().endswith("goodbye,adieu\n")
    shutil.rmtree(folder / "mine")
    assert cli.run(["verify", "out", "-q"]) == 0
    assert "Same bytes" in capsys.readouterr().out


def test_another_table_is_another_run(folder: Path):
    assert augment() == 0
    (folder / "mine" / "words" / "greetings.csv").write_text("word,other\nhello,hallo\ngoodbye,tschau\n")
    assert augment() == 0
    assert others(folder) == ["hallo", "tschau"]


@pytest.mark.parametrize(
    ("name", "said"),
    [
        (
            "words/greeting.csv",
            "there is no file `words/greeting.csv` in mine.\n  Fix: the nearest is `greetings.csv`.",
        ),
        ("../rows.csv", "`../rows.csv` lies outside the recipe's folder.\n  Fix: put the file beside the recipe."),
        ("words/latin.csv", "words/latin.csv: it is not UTF-8.\n  Fix: save it as UTF-8."),
    ],
)
def test_a_file_that_cannot_be_used(folder: Path, name: str, said: str, capsys: pytest.CaptureFixture[str]):
    (folder / "mine" / "words" / "latin.csv").write_bytes("word,other\nhé,x\n".encode("latin-1"))
    (folder / "mine" / "recipe.yaml").write_text(RECIPE.replace("words/greetings.csv", name))
    assert augment() == 1
    assert said in capsys.readouterr().err
    assert not (folder / "out").exists()
