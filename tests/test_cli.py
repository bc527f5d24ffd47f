"""What people type and see: the answer on stdout, the rest on stderr, exit codes."""

from __future__ import annotations

import csv
import json
import re
import subprocess
import sys
from importlib import resources
from pathlib import Path

import pyarrow.parquet as pq
import pytest

from leaven import recipe
from leaven.cli import run
from leaven.plain_yaml import load
from small_media import picture

DEMO = Path(str(resources.files("leaven") / "demo"))
Captured = pytest.CaptureFixture[str]


@pytest.fixture
def desk(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A folder with a small dataset; commands run in it."""
    monkeypatch.chdir(tmp_path)
    lines = (DEMO / "desk.csv").read_text("utf-8").splitlines()
    (tmp_path / "desk.csv").write_text("\n".join(lines[:61]) + "\n", "utf-8")
    (tmp_path / "more.csv").write_text("question\n" + "\n".join(f"{x}?" for x in range(100, 160)) + "\n", "utf-8")
    (tmp_path / "given.csv").write_text("\n".join([lines[0], *lines[61:71]]) + "\n", "utf-8")
    (tmp_path / "desk_test.csv").write_text((DEMO / "desk_test.csv").read_text("utf-8"), "utf-8")
    return tmp_path


def fixed(text: str) -> str:
    """With the clock stopped."""
    return re.sub(r"\b\d+:\d\d\b", "0:00", text)


def test_augment_in_a_log(desk: Path, capsys: Captured):
    assert run(["augment", "desk.csv", "-o", "out", "--test", "desk_test.csv", "--workers", "2"]) == 0
    out, err = capsys.readouterr()
    assert fixed(err) == (
        "0:00 read desk.csv: 60 rows; text=question (guessed), label=topic (guessed)\n"
        "0:00 recipe classic-text (5 rows a label, no pool, no chat model); seed 0; 2 workers; out is new\n"
    )
    lines = fixed(out).splitlines()
    assert re.fullmatch(
        r"Done in 0:00\. out/train holds \d+ rows: 60 real, \d+ made \(\d\d %\)\. Spent 0 calls, 0 tokens, 0 USD\.",
        lines[0],
    )
    assert re.fullmatch(r"Made 300, kept \d+, refused \d+, failed 0\.", lines[1])
    assert lines[2].startswith("Refused   duplicate ")
    assert re.match(r"Balance   \d+ to \d+ rows for each of 12 labels", lines[3])
    assert lines[4] == 'Look:  out/report.html      Load: datasets.load_dataset("out/train")'
    assert lines[5].startswith("Next:  leaven measure out ")
    assert len(lines) == 6
    assert "\x1b" not in out + err
    assert max(map(len, (out + err).splitlines())) <= 100


def test_json_is_one_object_that_adds_up(desk: Path, capsys: Captured):
    assert run(["augment", "desk.csv", "-o", "out", "--json", "-q"]) == 0
    out, err = capsys.readouterr()
    found = json.loads(out)
    assert err == ""
    keys = "run read left made kept refused failed waiting written calls tokens_in tokens_out usd seconds"
    assert list(found) == keys.split()
    assert found["kept"] + found["refused"] == found["made"]
    assert found["read"] == 60
    assert found["written"] == pq.read_table("out/train").num_rows


def test_the_default_recipe_says_why(desk: Path, capsys: Captured):
    assert run(["augment", "desk.csv", "-o", "out", "--unlabelled", "more.csv", "--workers", "1"]) == 0
    assert "recipe self-train (5 rows a label, 60 rows without a label)" in capsys.readouterr().err


def test_going_on_says_so_and_changes_no_byte(desk: Path, capsys: Captured):
    command = ["augment", "desk.csv", "-o", "out", "-r", "recombine"]
    assert run(command) == 0
    first = (desk / "out/train/part-00000.parquet").read_bytes()
    assert run(command) == 0
    assert "out goes on" in capsys.readouterr().err
    assert (desk / "out/train/part-00000.parquet").read_bytes() == first


def test_another_blend_of_the_same_run(desk: Path, capsys: Captured):
    command = ["augment", "desk.csv", "-o", "out", "-q"]
    assert run(command) == 0
    assert run([*command, "--set", "blend.ratio=1"]) == 0
    out = capsys.readouterr().out
    assert "60 real, 60 made (50 %)" in out
    assert re.search(r"Blend     took 60 of the \d+ kept \(ratio 1\.0\)", out)


@pytest.mark.usefixtures("no_report")
def test_recipes_prints_files_that_run(desk: Path, capsys: Captured):
    ran = ["-r", "mine.yaml", "-q", "--workers", "1"]
    for name in recipe.names():
        assert run(["recipes", name]) == 0
        text = capsys.readouterr().out
        assert text == recipe.source(name)
        if set(recipe.read(name).fields) - {"text", "label"}:
            continue  # for images, sounds or pairs: tests/recipes runs those
        if set(load(text, name).get("given", ())) - {"text", "label"}:
            continue  # for candidates with scores of their own: those too
        (desk / "mine.yaml").write_text(text, "utf-8")
        more = ["--unlabelled", "more.csv"] if recipe.read(name).pool else []
        more += ["--given", "given.csv"] if any(chain.start == "given" for chain in recipe.read(name).chains) else []
        roles = ("chat", "complete", "classify", "translate", "speak", "transcribe")
        models = [f"--model={role}=fake:shape" for role in roles]
        assert run(["augment", "desk.csv", "-o", f"out-{name}", *ran, *models, *more]) == 0, name
        capsys.readouterr()
    assert run(["recipes"]) == 0
    listed = capsys.readouterr().out
    assert all(name in listed for name in recipe.names())
    assert max(map(len, listed.splitlines())) <= 100


def test_measure_shows_baselines_intervals_and_a_verdict(desk: Path, capsys: Captured):
    assert run(["augment", "desk.csv", "-o", "out", "--test", "desk_test.csv", "-q"]) == 0
    capsys.readouterr()
    assert run(["measure", "out", "--seeds", "2", "-q", "--workers", "1", "--ratios", "0,0.5,1"]) == 0
    out = capsys.readouterr().out
    for arm in ("real only", "real repeated", "classic-text", "made only", "real + made"):
        assert arm in out
    assert re.search(r"^Verdict  (USE|NO GAIN|HARMFUL|UNCLEAR)", out, re.M)
    assert re.search(r"\+\d\.\d  \[[+-]\d+\.\d, [+-]\d+\.\d\]", out)
    assert max(map(len, out.splitlines())) <= 100
    said = json.loads((desk / "out/measure.json").read_text("utf-8"))
    assert said["test"]["rows"] == 300


def test_demo_shows_the_chat_way_offline(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: Captured):
    """The way, not the sign: what the rows are worth is measured, not promised."""
    monkeypatch.chdir(tmp_path)
    assert run(["demo", "-q", "--workers", "1"]) == 0
    out = capsys.readouterr().out
    lines = out.splitlines()
    assert lines[0].endswith("Rows and stored answers were written for leaven.")
    assert re.fullmatch(r'  real      ".+" +label: \w+', lines[1])
    assert re.fullmatch(r'  kept      ".+" +label prob 0\.\d\d', lines[2])
    assert re.fullmatch(r'  refused   ".+" +\w+', lines[3])
    assert re.fullmatch(r'  refused   ".+" +label_changed: \w+', lines[4])
    made, kept, refused = map(int, re.findall(r"\d+", lines[5])[:3])
    assert lines[5] == f"Made 720, kept {kept}, refused {refused}, failed 0, cost 0 USD."
    assert made == kept + refused
    said = r"Measured on 300 rows never trained on, 5 seeds: real rows only [\d.]+ %, with \d+ made rows [\d.]+ %\."
    assert re.fullmatch(said, lines[6])
    assert re.match(r"Verdict  (USE|NO GAIN|HARMFUL|UNCLEAR), at ratio ", lines[7])
    assert lines[-2] == "Look:  demo/report.html       Next:  leaven augment YOUR.csv -o out --test 0.3"
    assert lines[-1].endswith("they show nothing about other data.")
    assert max(map(len, lines)) <= 100
    assert (tmp_path / "demo/report.html").stat().st_size > 0
    assert (tmp_path / "demo/README.md").stat().st_size > 0
    [asked] = json.loads((tmp_path / "demo/run.json").read_text("utf-8"))["asked"].values()
    assert asked["uri"].startswith("recorded:")


def test_the_stored_answers_of_the_demo_answer_each_question_and_copy_no_test_row():
    def folded(name: str, column: str) -> list[str]:
        with (DEMO / name).open(encoding="utf-8", newline="") as lines:
            return [" ".join(row[column].casefold().split()) for row in csv.DictReader(lines)]

    parents, texts = folded("desk_answers.csv", "parent"), folded("desk_answers.csv", "text")
    assert parents == [question for question in folded("desk.csv", "question") for _ in range(6)]
    assert all(texts)
    assert not set(texts) & set(folded("desk_test.csv", "question"))


def test_version_and_exit_codes(capsys: Captured):
    assert run(["--version"]) == 0
    assert capsys.readouterr().out.startswith("leaven 0.")
    assert run(["augment", "x.csv", "--tset", "1", "-o", "out"]) == 1
    error = capsys.readouterr().err
    assert error.splitlines()[1] == "  Fix: the nearest is --set."


def test_a_bug_keeps_its_traceback_and_exits_70(capsys: Captured, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr("leaven.recipe.names", lambda: 1 / 0)
    assert run(["recipes"]) == 70
    error = capsys.readouterr().err
    assert "ZeroDivisionError" in error
    assert error.splitlines()[-1].startswith("This is a bug in leaven")


@pytest.mark.usefixtures("no_report")
def test_ctrl_c_exits_130_and_the_same_command_goes_on(desk: Path, capsys: Captured):
    import signal
    import time

    source = "text,label\n" + "\n".join(f"word{i} goes here number {i % 97},l{i % 7}" for i in range(3_000)) + "\n"
    (desk / "big.csv").write_text(source, "utf-8")
    command = [sys.executable, "-m", "leaven.cli", "augment", "big.csv", "-o", "out", "--workers", "1"]
    process = subprocess.Popen(
        command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, start_new_session=True
    )
    deadline = time.monotonic() + 60
    while not list((desk / "out/parts").glob("*.arrow")) and time.monotonic() < deadline:
        time.sleep(0.05)
    process.send_signal(signal.SIGINT)
    _, error = process.communicate(timeout=60)
    assert process.returncode == 130
    assert error.splitlines()[-1] == "Stopped by you. What is done is stored; the same command goes on."
    assert "Traceback" not in error
    assert run(command[3:]) == 0
    assert "out goes on" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("column", "following"),
    [
        ("shelf", "Next:  leaven export out --as imagefolder"),
        ("caption", "Next:  leaven measure out                    (what is marked on made rows, beside real ones)"),
    ],
)
def test_what_comes_next_without_a_label(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: Captured, column: str, following: str
):
    monkeypatch.chdir(tmp_path)
    for i in range(4):
        picture(tmp_path / f"{i}.png", colour=50 * i)
    (tmp_path / "rows.csv").write_text(f"file,{column}\n" + "".join(f"{i}.png,picture {i}\n" for i in range(4)))
    assert run(["augment", "rows.csv", "-o", "out", "-r", "trivial-augment", "-q"]) == 0
    assert capsys.readouterr().out.splitlines()[-1] == following
    [command] = re.findall("leaven (.*?)(?:  |$)", following)
    assert run(command.split()) == 0
