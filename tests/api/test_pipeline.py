"""Steps joined by `|` are a recipe of the language, and run as one."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
from tests.api.conftest import rows

import leaven as lv
from leaven.cli import run as cli


def output(out: Path) -> dict[str, bytes]:
    """What a run leaves for people, byte by byte."""
    files = [f for name in ("train", "refused", "failed") for f in sorted((out / name).glob("*"))]
    assert files
    return {str(file.relative_to(out)): file.read_bytes() for file in files}


def steps(on: Any) -> lv.Pipeline:
    pipeline: lv.Pipeline = (
        on
        | lv.any(lv.EditWords(n=2), [lv.EditChars(p=0.2)])
        | lv.Prediction(folds=3)
        | lv.keep("label_prob > 0.2", reason="unsure")
        | lv.Top(n=2, per="root")
    )
    return pipeline


def test_how_a_recipe_shows_itself(bank: Path):
    data = lv.read("bank.csv")
    made = data | lv.EditWords(n=6) | lv.Prediction(folds=5) | lv.Top(by="label_prob", per="root", n=2)
    assert repr(made) == "Recipe on bank.csv: edit_words n=6 > prediction folds=5 > top n=2 per root"
    assert repr(lv.recipe()) == "Recipe: chosen by the data"
    assert repr(lv.recipe("recombine")).startswith("Recipe recombine: blanks ratio=0.5 > fill n=6 > prediction > keep ")
    long = repr(data | lv.recipe("recombine") | lv.EditWords(n=1))
    assert long.startswith("Recipe on bank.csv: blanks")
    assert len(long) == 100
    branches = lv.any(words=lv.EditWords(n=1), chars=[lv.EditChars(), "unique"])
    rounds = lv.repeat(times=2, steps=[lv.Prediction(), lv.note(label="prediction")])
    assert repr(data | branches | rounds) == (
        "Recipe on bank.csv: any(edit_words n=1 | edit_chars > unique) > repeat 2 times (prediction > note..."
    )


def test_the_text_is_a_recipe(bank: Path):
    made = steps(lv.read("bank.csv")).blend(ratio=1).then(lv.EditChars(), name="typos", when="label == 'card'")
    assert made.text == (
        "steps:\n"
        "  - any:\n"
        "      - - edit_words: {n: 2}\n"
        "      - - edit_chars: {p: 0.2}\n"
        "  - prediction: {folds: 3}\n"
        "  - keep: {that: label_prob > 0.2, reason: unsure}\n"
        "  - top: {n: 2, per: root}\n"
        "  - edit_chars as typos:\n"
        "    when: \"label == 'card'\"\n"
        "blend: {ratio: 1}\n"
    )


def test_python_and_the_command_line_make_the_same_bytes(bank: Path):
    run = steps(lv.read("bank.csv", test=0.3)).run("python")
    file = steps(lv.recipe()).save("mine.yaml")
    assert cli(["augment", "bank.csv", "-o", "cli", "-r", str(file), "--test", "0.3", "--workers", "2", "-q"]) == 0
    assert output(Path("python")) == output(Path("cli"))
    assert run.said["recipe_text"] == file.read_text("utf-8")
    assert run.said["fingerprint"] == lv.Run("cli").said["fingerprint"]
    assert run.counts["made"] == run.counts["kept"] + run.counts["refused"] > 0


def test_memory_and_a_file_make_the_same_rows(bank: Path):
    one = steps(lv.read("bank.csv")).run("one")
    two = steps(lv.read(rows())).run("two", workers=2)
    assert output(one.path) == output(two.path)


def test_a_built_in_recipe_stays_itself(bank: Path):
    run = (lv.read("bank.csv") | lv.recipe("recombine")).run("python")
    assert cli(["augment", "bank.csv", "-o", "cli", "-r", "recombine", "-q"]) == 0
    assert output(run.path) == output(Path("cli"))
    assert run.said["recipe"] == "recombine"
    changed = (lv.read("bank.csv") | lv.recipe("recombine").set(top={"n": 1}, blend={"ratio": 0.5})).run("python2")
    assert cli(["augment", "bank.csv", "-o", "cli2", "-r", "recombine", "--set", "top.n=1", "--set", "blend.ratio=0.5",
                "-q"]) == 0  # fmt: skip
    assert output(changed.path) == output(Path("cli2"))
    assert changed.said["set"] == ["top.n=1", "blend.ratio=0.5"]


def test_a_recipe_goes_on_behind_another(bank: Path):
    more = lv.read("bank.csv") | lv.recipe("classic-text") | lv.Sample(n=1, per="root")
    assert more.text.endswith("  - unique\n  - sample: {n: 1, per: root}\n")
    assert (lv.recipe() | lv.EditChars() | lv.recipe("classic-text")).text.startswith("about: ")


def test_without_a_recipe_leaven_chooses_one(bank: Path):
    run = lv.read("bank.csv").run("out")
    assert run.said["recipe"] == "classic-text"
    assert cli(["augment", "bank.csv", "-o", "cli", "-q"]) == 0
    assert output(run.path) == output(Path("cli"))


def test_plain_steps_say_what_python_cannot(bank: Path):
    made = lv.read("bank.csv", unlabelled=[{"utterance": row["utterance"]} for row in rows(20, 5)])
    made = made | {"from": "pool"} | "prediction" | lv.note(label="prediction")
    made = made | {"top": {"n": "median - 10", "by": "confidence", "per": "label"}}
    run = made.run("out")
    assert 0 < run.counts["kept"] < 20
    assert run.counts["left"] == 20 - run.counts["kept"]


def test_names_and_conditions(bank: Path):
    made = lv.read("bank.csv") | lv.EditWords(n=1)
    made = made.then(lv.Prediction(folds=3), name="sure").then(lv.keep("sure == label"), when="label != 'card'")
    run = made.run("out")
    assert {"sure_confidence", "sure_label_prob"} & set(run.kept[0]["_scores"]) or run.counts["refused"]
    with pytest.raises(lv.RecipeError, match="takes no name"):
        made.then(lv.any(lv.EditChars()), name="x")


@pytest.mark.parametrize(
    ("wrong", "said"),
    [
        (7, "a int is no step"),
        (lv.EditWords, "EditWords is a class, not a step"),
        (None, "a NoneType is no step"),
        ({}, "a dict is no step"),
    ],
)
def test_what_is_no_step(wrong: Any, said: str):
    with pytest.raises(lv.RecipeError, match=said):
        lv.recipe() | wrong


def test_errors_come_before_anything_runs(bank: Path):
    data = lv.read("bank.csv")
    with pytest.raises(lv.RecipeError, match="there is no operator `edit_wrds`") as caught:
        (data | {"edit_wrds": {}}).run("out")
    assert caught.value.where == "recipe.yaml line 2"
    assert "edit_words" in caught.value.fix
    with pytest.raises(lv.RecipeError, match="names no field"):
        (data | lv.keep("lable == 'card'")).run("out")
    with pytest.raises(lv.RecipeError, match="there is no recipe `recombin`"):
        lv.recipe("recombin")
    with pytest.raises(lv.DataError, match="stands on no data"):
        (lv.recipe() | lv.EditWords()).run("out")
    with pytest.raises(lv.RecipeError, match="data of its own"):
        data | (data | lv.EditWords())
    assert not Path("out").exists()


def test_a_seed_never_moves_test_rows_into_training(bank: Path):
    made = lv.read("bank.csv", test=0.3) | lv.EditWords(n=1)
    with pytest.raises(lv.DataError, match="seed 0 decided which rows are test rows"):
        made.run("out", seed=1)
    other = (lv.read("bank.csv", test=rows(9, 4)) | lv.EditWords(n=1)).run("out", seed=1)
    assert other.said["seed"] == 1
    share = (lv.read("bank.csv", test=0.3, seed=1) | lv.EditWords(n=1)).run("share")
    assert share.said["seed"] == 1


MODULE = '''
from leaven.operators import Make

SIGN = "!"


class Loud(Make):
    """Shout.

    Needs text.  Makes text.
    """

    def make(self, record, ctx):
        yield record.child(text=record["text"].upper() + SIGN)


class Louder(Loud):
    """Shout twice."""

    def make(self, record, ctx):
        for child in super().make(record, ctx):
            yield child
            yield record.child(text=child["text"] + SIGN)
'''


@pytest.mark.parametrize("file", ["loud", "several"])
def test_operators_of_a_module(bank: Path, monkeypatch: pytest.MonkeyPatch, file: str):
    """One that stands in the file of its name is taken where it is; another's module is imported."""
    (bank / f"{file}.py").write_text(MODULE)
    monkeypatch.syspath_prepend(str(bank))
    module = __import__(file)
    monkeypatch.delitem(sys.modules, file)
    monkeypatch.setitem(sys.modules, file, module)
    run = (lv.read("bank.csv") | module.Loud()).run("out", workers=2)
    assert run.kept[0]["utterance"].endswith("!")
    assert run.said["recipe_text"] == "steps:\n  - loud\n"
    assert (lv.read("bank.csv") | module.Louder()).run("twice").counts["made"] == 2 * run.counts["made"]


SCRIPT = '''
import re
from typing import Any

import leaven as lv
from leaven.operators import Make
from pydantic import Field

SMALL = {"the", "a"}
WORD = 3


def without(words: list[str], gone: Any) -> str:
    return " ".join(word for word in words if not small(word, gone))


def small(word, gone):
    return word in gone and len(word) <= WORD and bool(re.match("[a-z]+", word))


class Terse(Make):
    """Leave out small words.

    Needs text.  Makes text.
    """

    p: float = Field(0.5, gt=0, le=1)

    def make(self, record, ctx):
        yield record.child(text=without(record["text"].split(), SMALL) or "x")


if __name__ == "__main__":
    made = lv.read("bank.csv") | Terse(p=0.4)
    print(made)
    run = made.run("out", progress=False)
    print(run)
    print(made.save("saved/mine.yaml"))
'''


def test_operators_of_a_script(bank: Path):
    """It is written out with what it uses, and the files run by the command line alone."""
    (bank / "script.py").write_text(SCRIPT)
    (bank / "saved").mkdir()
    done = subprocess.run([sys.executable, "script.py"], capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    said = done.stdout.splitlines()
    assert said[0] == "Recipe on bank.csv: terse p=0.4"
    assert said[1].startswith("Run out: read 45, made 45, kept ")
    again = ["augment", "bank.csv", "-o", "cli", "-r", "saved/mine.yaml", "--operators", "saved/operators", "-q"]
    assert cli(again) == 0
    assert output(Path("out")) == output(Path("cli"))


def test_operators_without_a_source_are_an_error(bank: Path):
    names: dict[str, Any] = {"__name__": "nowhere"}
    exec(MODULE, names)  # noqa: S102  our own text
    with pytest.raises(lv.RecipeError, match="Loud uses `Loud`, whose source is not known here") as caught:
        (lv.read("bank.csv") | names["Loud"]()).run("out")
    assert "docs/write-your-own" in caught.value.fix
