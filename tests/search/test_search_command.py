"""`leaven search` as it is typed: recipes are run, one is recommended or none, and the test set is read once."""

from __future__ import annotations

import csv
import json
from importlib import resources
from pathlib import Path

import pytest

from leaven.cli import run

pytest.importorskip("optuna")
DEMO = Path(str(resources.files("leaven") / "demo"))
FEW = ["--trials", "8", "--seeds", "2", "--workers", "1", "-q"]


def rows(name: str) -> list[tuple[str, str]]:
    with (DEMO / name).open(newline="", encoding="utf-8") as file:
        return [(row["question"], row["topic"]) for row in csv.DictReader(file)]


def write(path: Path, some: list[tuple[str, str]]) -> str:
    with path.open("w", newline="", encoding="utf-8") as file:
        csv.writer(file).writerows([("text", "label"), *some])
    return str(path)


TREES = (
    "ash birch cedar elm fir hazel larch maple oak pine willow yew aspen alder beech poplar rowan spruce teak walnut"
)
FISH = (
    "carp cod eel hake herring ling perch pike plaice salmon sole tench trout tuna turbot bream dace roach shad smelt"
)
GEMS = (
    "amber beryl coral garnet jade jasper jet lapis onyx opal pearl quartz ruby topaz agate zircon spinel peridot sard"
)
WORDS = [*TREES.split(), *FISH.split(), *GEMS.split(), "citrine"]
GUESS = f'''"""Says two other words of the label."""

from leaven.operators import Make

WORDS = {WORDS!r}


class Recall(Make):
    """Other words of the same label."""

    n: int = 8

    def make(self, record, ctx):
        own = WORDS[20 * "tfg".index(record["label"]):][:20]
        for _ in range(self.n):
            yield record.child(text=" and ".join(own[ctx.rng.integers(20)] for _ in range(2)))
'''


@pytest.fixture
def words(tmp_path: Path) -> list[str]:
    """Real rows that share hardly a word, an operator that knows the others, and a test set."""
    (tmp_path / "my").mkdir()
    (tmp_path / "my" / "recall.py").write_text(GUESS, "utf-8")
    recipe = "fields: [text, label]\nsteps:\n  - recall: {n: 8}\n  - unique\nblend: {ratio: 3, cap: 100}\n"
    (tmp_path / "recall.yaml").write_text(recipe, "utf-8")
    pairs = [(20 * k + i, 20 * k + j, label) for k, label in enumerate("tfg") for i in range(20) for j in range(i)]
    some = [(f"{WORDS[a]} and {WORDS[b]}", label) for a, b, label in pairs[::13]]
    real, test = some[::3], [row for i, row in enumerate(some) if i % 3]
    names = [write(tmp_path / name, rows) for name, rows in (("real.csv", real), ("test.csv", test))]
    return [*names, str(tmp_path / "recall.yaml"), str(tmp_path / "my")]


@pytest.fixture
def desk(tmp_path: Path) -> tuple[str, str]:
    """Two rows of each label, and a test set."""
    seen: dict[str, int] = {}
    real = [
        row
        for row in rows("desk.csv")
        if seen.setdefault(row[1], 0) < 2 and not seen.update({row[1]: seen[row[1]] + 1})
    ]
    return write(tmp_path / "real.csv", real), write(tmp_path / "test.csv", rows("desk_test.csv"))


def test_rows_that_help_end_in_a_recipe_that_runs(words: list[str], tmp_path: Path, capsys: pytest.CaptureFixture[str]):
    real, test, recipe, operators = words
    out = tmp_path / "found"
    command = ["search", real, "-o", str(out), "--test", test, "-r", recipe, "--operators", operators, *FEW]
    assert run([*command, "--json"]) == 0
    found = json.loads(capsys.readouterr().out)
    assert found["chosen"]["recipe"] == "recall"
    assert found["tries"][0]["kept"] > 100, "the cap and the ratio of its own blend are what a search chooses"
    assert found["settings"][0]["errors"] > found["needed"]
    assert found["measured"]["verdict"] == "use"
    again = tmp_path / "again"
    same = ["augment", real, "-o", str(again), "--test", test, "-r", found["recipe"], "--operators", operators, "-q"]
    assert run(same) == 0
    capsys.readouterr()
    files = [sorted((folder / "train").iterdir()) for folder in (again, out / "run")]
    assert [path.read_bytes() for path in files[0]] == [path.read_bytes() for path in files[1]]
    assert run(command) == 0
    said = capsys.readouterr().out
    assert "rows that the search never read" in said
    assert "Verdict  USE" in said
    assert all(len(line) <= 100 for line in said.splitlines() if "recipe.yaml" not in line and "Tried" not in line)


def test_rows_that_do_not_help_end_in_none(desk: tuple[str, str], tmp_path: Path, capsys: pytest.CaptureFixture[str]):
    real, test = desk
    out = tmp_path / "found"
    assert run(["search", real, "-o", str(out), "--test", test, "-r", "classic-text", *FEW]) == 0
    said = capsys.readouterr().out
    assert "NOTHING is better than your real rows alone by more than luck." in said
    assert not (out / "recommended").exists()
    assert not (out / "run").exists()


@pytest.mark.parametrize(
    ("options", "said"),
    [
        (["--metric", "f2"], "--metric f2 is not known"),
        (["-r", "clasic-text"], "the nearest is `classic-text`"),
    ],
)
def test_what_cannot_be_searched(
    desk: tuple[str, str], tmp_path: Path, capsys: pytest.CaptureFixture[str], options: list[str], said: str
):
    assert run(["search", desk[0], "-o", str(tmp_path / "o"), "--test", desk[1], *options, "-q"]) == 1
    assert said in capsys.readouterr().err


def test_without_test_rows_there_is_no_judge(desk: tuple[str, str], tmp_path: Path, capsys: pytest.CaptureFixture[str]):
    assert run(["search", desk[0], "-o", str(tmp_path / "o"), "-q"]) == 1
    assert "there are no test rows to judge the choice by" in capsys.readouterr().err
