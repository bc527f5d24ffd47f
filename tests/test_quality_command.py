"""``leaven quality OUT``: what it prints, what it writes, and what it says of what cannot be measured."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from asked import cli, recipe, source, text
from asked import rows as questions
from leaven.measure.quality.rows import Following
from leaven.measure.quality.show import rates
from loopback.process import Server


@pytest.fixture(scope="module")
def out(tmp_path_factory: pytest.TempPathFactory, running: Server) -> Path:
    """A run with a model that answers well, late, too little, with what was not to be lost lost, or never."""
    here = tmp_path_factory.mktemp("quality")
    script = [{"match": '{"late": 1}', "answer": {"rewrites": ["a question put late", "one more question put late"]}}]
    for i in range(48):
        said: dict[str, Any] = {"rewrites": [f"{text(i)}, I ask", f"tell me, {text(i)}"]}
        if i == 0:
            said = {"never": 1}
        elif i in (1, 2):
            said = {"late": 1}
        elif i in (3, 4, 5):
            said["rewrites"].pop()
        elif i == 6:
            said["rewrites"][1] = "nothing is left of it"
        script.append({"match": text(i), "answer": said})
    running.set(script=script)
    steps = recipe(here, "{paraphrase: {n: 2, lock: \"['question']\"}}")
    test = [{**row, "text": f"{row['text']} {i}!"} for i, row in enumerate(questions(12))]
    sets = source(here, 48), "--test", source(here, test, "test.jsonl")
    ran = cli("augment", *sets, "-o", here / "out", "-r", steps, "--model", f"chat=openai:m@{running.url}", "-q")
    assert ran.code == 3, ran.err  # one record failed
    return here / "out"


def test_how_models_followed_is_counted_from_what_the_run_left(out: Path):
    said = cli("quality", out, "--json", "-q").said
    [found] = said["following"]
    assert found["step"] == "paraphrase"
    assert (found["answers"], found["repaired"], found["unparsed"]) == (48, 3, 1)
    assert (found["wanted"], found["lacking"], found["unusable"]) == (94, 3, {"lock_lost": 1})
    assert found["parsed"] == pytest.approx(47 / 48, abs=1e-6)
    assert found["first_turn"] == pytest.approx(45 / 48, abs=1e-6)
    assert found["n_given"] == pytest.approx(91 / 94, abs=1e-6)
    assert found["usable"] == pytest.approx(90 / 91, abs=1e-6)
    failed, lost = found["worst"]
    assert (failed["text"], failed["beside"]) == (text(0), '{"never": 1}')
    assert (lost["text"], lost["beside"]) == ("nothing is left of it", "lock_lost")


def test_the_table_fits_a_terminal_and_the_file_holds_the_rest(out: Path):
    ran = cli("quality", out, "-q")
    assert (ran.code, ran.err) == (0, "")
    shown = ran.out.splitlines()
    assert max(map(len, shown[:-2])) <= 80
    assert shown[0].startswith("Rows     48 real, ")
    assert "of each half a side, seed 0" in shown[1]
    assert any(line.startswith("  paraphrase, m") and "97.9 %" in line for line in shown)
    assert "         unusable: lock_lost 1" in shown
    assert shown[-1].startswith(f"Next:  leaven report {out}")
    held = json.loads((out / "quality.json").read_text("utf-8"))
    assert held == cli("quality", out, "--json", "-q").said
    assert held["null"]["splits"] == 40
    assert len(held["measures"]) == 22


def test_another_seed_deals_other_halves(out: Path):
    first, other = (cli("quality", out, "--json", "-q", *more).said for more in ((), ("--seed", 7)))
    assert (first["seed"], other["seed"]) == (0, 7)
    assert first["measures"] != other["measures"]


def test_a_folder_without_a_run_and_one_that_has_not_ended_are_errors(out: Path, tmp_path: Path):
    ran = cli("quality", tmp_path / "none")
    assert (ran.code, ran.out) == (1, "")
    assert "holds no run." in ran.error[0]
    half = tmp_path / "half"
    half.mkdir()
    said = json.loads((out / "run.json").read_text("utf-8"))
    (half / "run.json").write_text(json.dumps({**said, "finished": False}), "utf-8")
    (half / "input").symlink_to(out / "input")
    assert "has not ended." in cli("quality", half).error[0]
    assert not (half / "quality.json").exists()


def test_shares_of_nothing_are_not_known():
    assert set(rates(Following("judge", "m", 0, 0, 0, 0, 0, {})).values()) == {None}
