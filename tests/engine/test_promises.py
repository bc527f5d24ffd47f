"""The same bytes with any number of workers and after being killed; draws that depend on the record alone."""

from __future__ import annotations

import json
import os
import random
import signal
import subprocess
import time
from pathlib import Path

import pytest
from running import command, leaven, made, output, rows, table, write_csv

from leaven import cli

HERE = Path(__file__).parent
ROWS = 2100  # four parts
FEW, FEW_PER_PART = 525, 250  # four parts too
KILLS = int(os.environ.get("LEAVEN_KILLS", "3"))


@pytest.mark.parametrize("recipe", ["classic-text", "recombine", "self-train", str(HERE / "rounds.yaml")])
@pytest.mark.usefixtures("no_report")
def test_one_worker_and_two_write_the_same_bytes(
    recipe: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
):
    monkeypatch.setattr("leaven.io.sets.ROWS_PER_PART", FEW_PER_PART)
    data = write_csv(tmp_path / "data.csv", rows(60 if recipe == "self-train" else FEW))
    more: list[object] = []
    if recipe == "self-train":
        more = ["--unlabelled", write_csv(tmp_path / "pool.csv", rows(FEW, seed=1))]
    elif recipe == "recombine":
        more = ["--set", "fill.n=1"]
    said, outputs = [], []
    for workers in (1, 2):
        out = tmp_path / f"out{workers}"
        command = ["augment", data, "-o", out, "-r", recipe, "--workers", workers, *more, "--json", "-q"]
        assert cli.run([str(part) for part in command]) == 0
        said.append(json.loads(capsys.readouterr().out))
        outputs.append(output(out))
        assert len(list((out / "parts").glob("*.arrow"))) >= 4
    assert list(outputs[0]) == list(outputs[1])
    assert outputs[0] == outputs[1]
    assert {k: v for k, v in said[0].items() if k not in ("run", "seconds")} == {
        k: v for k, v in said[1].items() if k not in ("run", "seconds")
    }
    assert said[0]["kept"] > 100
    assert said[0]["kept"] + said[0]["refused"] == said[0]["made"]


def finished(out: Path) -> dict[str, int]:
    """When each finished part and state was written."""
    return {str(f): f.stat().st_mtime_ns for name in ("parts", "states") for f in (out / name).glob("[!.]*")}


def test_killed_at_any_moment_it_goes_on_to_the_same_bytes(tmp_path: Path):
    data = write_csv(tmp_path / "data.csv", rows(ROWS))
    arguments = [data, "-r", HERE / "waits.yaml", "--workers", 2]
    began = time.monotonic()
    leaven(*arguments, "-o", tmp_path / "unbroken")
    takes = time.monotonic() - began
    draw = random.Random(KILLS)
    out, number, kills, reused = tmp_path / "killed0", 0, 0, 0
    while kills < KILLS:
        before = finished(out)
        process = subprocess.Popen(
            command(*arguments, "-o", out), stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL, start_new_session=True
        )
        try:
            process.wait(draw.uniform(0.2, takes))
        except subprocess.TimeoutExpired:
            os.killpg(process.pid, signal.SIGKILL)
            process.wait()
            kills += 1
        else:
            assert process.returncode == 0
            assert output(out) == output(tmp_path / "unbroken")
            number += 1
            out = tmp_path / f"killed{number}"
            continue
        after = finished(out)
        reused += len(before)
        again = {name: after[name] for name in before if name in after}
        assert again == {name: before[name] for name in again}  # nothing that was finished was done again
        if not (out / "train").exists():  # else it was tidying up
            assert again == before
    before = finished(out)
    leaven(*arguments, "-o", out)
    after = finished(out)
    assert output(out) == output(tmp_path / "unbroken")
    assert all(after[name] == when for name, when in before.items() if name in after)
    assert reused + len(before) > 0
    assert not [f for f in out.rglob("*") if f.name.startswith(".") or f.name == "new"]


def test_workers_end_with_their_parent(tmp_path: Path):
    """Killing the command alone leaves no process behind that works on."""
    data = write_csv(tmp_path / "data.csv", rows(ROWS))
    process = subprocess.Popen(
        command(data, "-o", tmp_path / "out", "-r", HERE / "waits.yaml", "--workers", 2),
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
        start_new_session=True,
    )
    for _ in range(1000):
        time.sleep(0.02)
        if list((tmp_path / "out" / "parts").glob("*.arrow")) or process.poll() is not None:
            break
    process.kill()
    process.wait()
    for _ in range(100):
        time.sleep(0.1)
        try:
            os.killpg(process.pid, 0)
        except ProcessLookupError:
            return
    pytest.fail("a worker outlived its parent")


# -- what a draw depends on -----------------------------------------------------------------------------------------

CLASSIC = "steps:\n  - any:\n      - [{edit_words: {n: 4}}]\n      - [{edit_chars: {n: 1}}]\n"


def run(folder: Path, name: str, data: list[tuple[str, str]], recipe: str, **params: object) -> Path:
    """A run in this process, of a recipe given as text."""
    from leaven.engine.augment import Request, augment
    from leaven.terminal import Progress

    file = folder / f"{name}.yaml"
    file.write_text("fields: [text, label]\n" + recipe)
    out = folder / name
    augment(
        Request(str(write_csv(folder / f"{name}.csv", data)), out, recipe=str(file), **params),  # type: ignore[arg-type]
        Progress(quiet=True),
    )
    return out


def test_the_order_of_rows_changes_no_id_and_no_child(tmp_path: Path):
    data = list(dict.fromkeys(rows(200)))
    there = table(run(tmp_path, "there", data, CLASSIC))
    back = table(run(tmp_path, "back", data[::-1], CLASSIC))
    assert sorted(there, key=str) == sorted(back, key=str)


def test_another_row_changes_no_child_of_the_others(tmp_path: Path):
    data = list(dict.fromkeys(rows(1001)))[:1000]  # one more and the source falls into two parts
    few = table(run(tmp_path, "few", data, CLASSIC))
    many = made(
        table(run(tmp_path, "many", [*data[:500], ("another row, of another kind", "refund"), *data[500:]], CLASSIC))
    )
    ids = {row["_id"] for row in few if not row["_parents"]}
    assert made(few) == {i: row for i, row in many.items() if set(row["_parents"]) <= ids}
    assert len(many) == len(made(few)) + 5


def test_one_more_child_leaves_the_first_four(tmp_path: Path):
    for op in ("edit_words", "edit_chars"):
        four = made(table(run(tmp_path, f"{op}4", rows(50), f"steps:\n  - {op}: {{n: 4}}\n")))
        five = made(table(run(tmp_path, f"{op}5", rows(50), f"steps:\n  - {op}: {{n: 5}}\n")))
        assert {i: five[i] for i in four} == four
        assert len(five) > len(four)


def test_a_keep_put_in_before_leaves_the_draws_of_the_others(tmp_path: Path):
    steps = ["sample: {n: 60, per: label}", "edit_words: {n: 3}", "sample: {share: 0.5}"]
    keep = "keep: {that: text|length > 3, reason: too_short}"  # true of all
    plain = table(run(tmp_path, "plain", rows(300), "steps:\n" + "".join(f"  - {s}\n" for s in steps)))
    for place in range(4):
        with_keep = [*steps[:place], keep, *steps[place:]]
        recipe = "steps:\n" + "".join(f"  - {s}\n" for s in with_keep)
        assert table(run(tmp_path, f"keep{place}", rows(300), recipe)) == plain


def test_when_and_parameters_draw_apart_from_the_step(tmp_path: Path):
    """What decides whether a step runs tells nothing of what it draws then."""
    recipe = "steps:\n  - edit_words: {n: 1}\n    when: uniform(0, 1) < 0.34\n"
    ops = [row["_steps"][0]["drawn"] for row in made(table(run(tmp_path, "when", rows(300), recipe))).values()]
    assert {ops.count(f'{{"op": "{op}"}}') > 10 for op in ("swap", "delete", "punctuation")} == {True}
