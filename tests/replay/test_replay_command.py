"""``leaven replay`` on comparisons whose outcome is known beforehand."""

from __future__ import annotations

import csv
import json
from dataclasses import replace
from pathlib import Path

import pytest

from leaven.cli import run
from leaven.replay.play import ReplayRequest, play
from leaven.replay.table import read

Captured = pytest.CaptureFixture[str]
SHARED = Path(__file__).parents[2] / ".." / "shared" / "data" / "text"
TABLE = """\
about: A method that teaches the words of the test rows, one that turns labels round, one that copies.
paper: nobody
student: a coin
source: made up
columns: {text: text, label: label, parent: seed}
real: seeds.csv
test: test.csv
draws: [0, 1]
sizes: [3]
students: [tfidf-lr]
methods: {good: good.csv, wrong: wrong.csv, same: same.csv}
published:
  none: {3: 50}
  good: {3: 60}
  wrong: {3: 40}
"""
WORDS = {
    "card": (["card", "stolen", "lost", "pin", "wallet", "chip"], ["swallowed", "blocked", "magnet"]),
    "hours": (["open", "close", "monday", "hour", "late", "early"], ["midnight", "weekend", "lunch"]),
}


def table(path: Path, rows: list[dict[str, str]]) -> None:
    with path.open("w", newline="", encoding="utf-8") as file:
        writer = csv.DictWriter(file, list(rows[0]))
        writer.writeheader()
        writer.writerows(rows)


@pytest.fixture
def comparison(tmp_path: Path) -> Path:
    """Six seeds, of which a test row shares no word."""
    seeds, test, made = [], [], {"good": [], "wrong": [], "same": []}
    for label, (known, new) in WORDS.items():
        other = next(one for one in WORDS if one != label)
        for i in range(3):
            text = f"{known[2 * i]} {known[2 * i + 1]}"
            seeds.append({"text": text, "label": label})
            made["good"].append({"text": f"{text} {' '.join(new)}", "label": label, "seed": text})
            far = WORDS[other]
            made["wrong"].append({"text": f"{far[0][2 * i]} {' '.join(far[1])}", "label": label, "seed": text})
            made["same"].append({"text": text, "label": label, "seed": text})
        test += [{"text": " ".join(pair), "label": label} for pair in zip(new, new[1:] + new[:1])]
    table(tmp_path / "seeds.csv", seeds)
    table(tmp_path / "test.csv", test)
    for name, rows in made.items():
        table(tmp_path / f"{name}.csv", rows)
    (tmp_path / "mine.yaml").write_text(TABLE, "utf-8")
    return tmp_path


def said(capsys: Captured, *arguments: str) -> dict:
    capsys.readouterr()
    assert run(["replay", *arguments, "--json", "-q"]) == 0
    return json.loads(capsys.readouterr().out)


def test_numbers_stand_beside_the_published_ones(comparison: Path, capsys: Captured):
    asked = (str(comparison / "mine.yaml"), "--data", str(comparison), "--seeds", "1", "--keep", "agree")
    found = said(capsys, *asked)
    rows = {row["method"]: row for row in found["rows"]}
    assert rows["good"]["accuracy"] == 1.0
    assert rows["wrong"]["accuracy"] == 0.0
    assert rows["same"]["gain"]["mean"] == pytest.approx(0.0)
    assert (rows["good"]["published"], rows["same"]["published"]) == (0.6, None)
    assert rows["good"]["published_gain"]["mean"] == pytest.approx(0.1)
    assert rows["none"]["rows"] == 6
    agreed = found["agreement"]["tfidf-lr"]
    assert (agreed["tau"], agreed["same_sign"], agreed["of"], agreed["pairs"]) == (1.0, 2, 2, 3)
    keeps = {(line["keep"], line["method"]): line for line in found["keeps"]}
    assert keeps["agree", "wrong"]["kept"] == 0.0
    assert keeps["agree", "wrong"]["gain"]["mean"] == pytest.approx(0.0)
    assert keeps["agree", "wrong"]["adds"]["mean"] == pytest.approx(rows["none"]["accuracy"])
    assert keeps["agree", "good"]["kept"] == 1.0
    again = said(capsys, *asked)
    assert {**again, "seconds": 0} == {**found, "seconds": 0}


def test_what_people_read(comparison: Path, capsys: Captured):
    asked = ["replay", str(comparison / "mine.yaml"), "--data", str(comparison), "--seeds", "1", "-q"]
    assert run([*asked, "--keep", "label_prob >= 0.5", "--student", "tfidf-lr"]) == 0
    out = capsys.readouterr().out
    assert max(map(len, out.splitlines())) <= 100
    assert "another student than theirs: compare gains and the order" in " ".join(out.split())
    assert "3 seeds a label, 6 rows; real rows and the made ones" in out
    assert "label_prob >= 0.5" in out
    assert "Kendall's tau +1.00" in out


def test_without_a_name_all_are_listed(capsys: Captured):
    assert run(["replay"]) == 0
    out = capsys.readouterr().out
    assert "atis-llm" in out
    assert "arXiv:2408.16502" in out


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["--student", "tfid"], "--student tfid is not known.\n  Fix: the nearest is tfidf."),
        (["--keep", "agre"], "--keep agre is not known.\n  Fix: the nearest is agree."),
        (["--keep", "label_prob >"], "RecipeError"),
        (["--sizes", "7"], "mine has no size 7.\n  Fix: its sizes, in seeds a label: 3"),
    ],
)
def test_wrong_options(comparison: Path, capsys: Captured, arguments: list[str], message: str):
    assert run(["replay", str(comparison / "mine.yaml"), "--data", str(comparison), "-q", *arguments]) == 1
    assert message in capsys.readouterr().err


def test_it_needs_the_files(capsys: Captured):
    assert run(["replay", "atis-llm"]) == 1
    assert "replay atis-llm needs the recorded files.\n  Fix: leaven replay atis-llm --data FOLDER" in (
        capsys.readouterr().err
    )


def test_rows_may_train_alone_and_without_parents(comparison: Path, capsys: Captured):
    text = TABLE.replace(", parent: seed", "").replace("sizes: [3]", "alone: true\nkeep_sizes: [2]")
    text = text.replace("{3: 50}", "50").replace("{3: 60}", "60").replace("{3: 40}", "40")
    (comparison / "alone.yaml").write_text(text, "utf-8")
    found = said(capsys, str(comparison / "alone.yaml"), "--data", str(comparison), "--keep", "agree", "--keep", "top2")
    rows = {row["method"]: row for row in found["rows"]}
    assert (rows["good"]["accuracy"], rows["wrong"]["accuracy"]) == (1.0, 0.0)
    assert found["left_out"] == {"top2": "the files name no parents"}
    assert {line["size"] for line in found["keeps"]} == {2}
    assert {line["keep"] for line in found["keeps"]} == {"agree"}


@pytest.mark.skipif(not (SHARED / "amazon-auggpt").is_dir(), reason="no amazon-auggpt beside the checkout")
def test_the_reference_numbers_come_out_again():
    """Three decimals of an accuracy, of the same student on the same rows."""
    whole = read("amazon-auggpt")
    some = {"AugGPT3": whole.methods["AugGPT3"]}
    published = {name: whole.published[name] for name in ("none", *some)}
    request = ReplayRequest(
        replace(whole, methods=some, published=published), str(SHARED), ["tfidf-lr"], keeps=["none"]
    )

    class Silent:
        def waiting(self, what: str) -> None: ...

    found = play(request, Silent())
    for name, (theirs,) in ((name, numbers[0]) for name, numbers in published.items()):
        ours = sum(float(draw.mean()) for draw in found.scores["tfidf-lr", 0][name]) / 3
        assert ours == pytest.approx(theirs, abs=6e-4), name
