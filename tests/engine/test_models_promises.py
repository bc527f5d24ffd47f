"""What a run with models promises: nothing is paid for twice, nothing vanishes, and equal answers make equal bytes."""

from __future__ import annotations

import contextlib
import os
import random
import shutil
import signal
import socket
import subprocess
import sys
import time
from pathlib import Path

import pytest
from forked import Commands

from asked import cli, described, failed, ledger, output, process, recipe, rows, source, table
from loopback.process import Server
from recordings import recording
from saying import Heard, Said, Saying, error, rewrites

KILLS = int(os.environ.get("LEAVEN_KILLS", "3"))


def chat(server: Server | Saying, model: str = "m") -> str:
    return f"--model=chat=openai:{model}@{server.url}"


def answered(server: Server) -> int:
    """How many answers the server gave since it was last asked this."""
    n = sum(server.counts()["answered"].values())
    server.reset()
    return n


def prompts(server: Server) -> list[str]:
    """What it was asked, refused or not."""
    return [str(body["messages"][0]["content"]) for body in server.bodies()]


# -- killed -----------------------------------------------------------------------------------------------------------


def test_killed_at_any_moment_it_goes_on_and_pays_for_nothing_twice(tmp_path: Path, server: Server):
    capacity = 8
    server.set(latency=0.03, capacity=capacity)
    data = source(tmp_path, 150)
    arguments = [data, "-r", "auggpt", chat(server), "--workers", 1, "-q"]
    assert process("augment", *arguments, "-o", tmp_path / "unbroken").code == 0
    out, kills, ends = tmp_path / "killed", 0, 0
    draw = random.Random(KILLS)
    with contextlib.closing(Commands()) as commands:
        began = time.monotonic()
        commands.start("augment", *arguments, "-o", tmp_path / "warm")
        assert commands.ended() == 0
        takes = time.monotonic() - began
        server.reset()
        while kills < KILLS:
            commands.start("augment", *arguments, "-o", out)
            if ends or draw.random() < 0.2:
                time.sleep(draw.uniform(0, takes))
            else:  # while it asks
                before, late = sum(server.counts()["requests"].values()), time.monotonic() + takes
                # Where all answers are stored by now it asks nothing, and ends.
                while sum(server.counts()["requests"].values()) == before and time.monotonic() < late:
                    time.sleep(0.002)
                time.sleep(draw.uniform(0, 0.06))
            commands.kill()
            ends += commands.ended() == 0
            kills += 1
    assert process("augment", *arguments, "-o", out).code == 0
    assert output(out) == output(tmp_path / "unbroken")
    counts = server.counts()
    assert len(counts["answered"]) == 150
    twice = {body: n - 1 for body, n in counts["answered"].items() if n > 1}
    assert all(n <= kills for n in twice.values())
    assert sum(twice.values()) <= kills * capacity
    assert len(ledger(out)) == 150
    server.reset()
    assert process("augment", *arguments, "-o", out).code == 0
    assert server.counts()["requests"] == {}

    elsewhere = tmp_path / "elsewhere" / "moved"
    shutil.copytree(out, elsewhere)
    shutil.rmtree(out)
    data.unlink()
    with contextlib.closing(socket.create_server(("127.0.0.1", 0))) as listener:
        listener.setblocking(False)
        proxy = f"http://127.0.0.1:{listener.getsockname()[1]}"
        there = process(
            "verify", elsewhere, env={**os.environ, "http_proxy": proxy, "OPENAI_BASE_URL": f"{proxy}/v1"}, cwd=tmp_path
        )
        assert there.code == 0, there.out + there.err
        assert "Replayed 150 answers" in there.out
        assert "Same bytes." in there.out
        with pytest.raises(BlockingIOError):
            listener.accept()
    assert server.counts()["requests"] == {}


def test_a_replay_connects_to_nothing(tmp_path: Path, server: Server, monkeypatch: pytest.MonkeyPatch):
    out = tmp_path / "out"
    assert cli("augment", source(tmp_path), "-o", out, "-r", "reword", chat(server), "--workers", 1).code == 0

    def refuse(*args: object, **more: object) -> None:
        raise AssertionError(f"a connection: {args}")

    for name in ("connect", "connect_ex", "sendto"):
        monkeypatch.setattr(socket.socket, name, refuse)
    monkeypatch.setattr(socket, "getaddrinfo", refuse)
    found = cli("verify", out, "--workers", 1)
    assert found.code == 0, found.out + found.err


def test_ctrl_c_stores_what_is_on_the_wire(tmp_path: Path, server: Server):
    server.set(latency=0.5, capacity=64)
    data, out = source(tmp_path, 200), tmp_path / "out"
    command = [sys.executable, "-m", "leaven.cli", "augment", str(data), "-o", str(out), "-r", "auggpt", chat(server)]
    running = subprocess.Popen([*command, "--workers", "1"], stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
    late = time.monotonic() + 60
    while not server.counts()["in_flight"] and time.monotonic() < late:
        time.sleep(0.01)
    running.send_signal(signal.SIGINT)
    said, wrong = running.communicate(timeout=30)
    assert running.returncode == 130
    assert said == ""
    assert wrong.rstrip().splitlines()[-1].startswith("Stopped by you.")
    assert "Traceback" not in wrong
    assert "Task was destroyed" not in wrong
    asked = answered(server)
    assert 0 < asked < 200
    assert len(ledger(out)) == asked
    assert cli(*command[3:], "--workers", 1).code == 0
    assert answered(server) == 200 - asked


# -- hostile servers --------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("share", [0.2, 0.75])
def test_a_hostile_server_costs_records_and_never_the_run(share: float, tmp_path: Path, server: Server):
    """Every record is accounted for; the next command asks about those that failed, and about no other."""
    server.set(hostile=share, capacity=16, latency=0.01, hostile_seed=3)
    data, out = source(tmp_path, 40), tmp_path / "out"
    command = ["augment", data, "-o", out, "-r", recipe(tmp_path, "paraphrase: {n: 3, temperature: 0.7}"), chat(server),
               "--timeout", 0.5, "--workers", 1]  # fmt: skip
    first = cli(*command, "--json")
    assert first.code in (0, 3), first.err
    assert share < 0.5 or first.code == 3
    assert "Traceback" not in first.err
    said = first.said
    assert said["kept"] + said["refused"] == said["made"]
    broken = failed(out)
    assert len(broken) == said["failed"] == described(out)["counts"]["failed"]
    ids = {row["_id"] for row in table(out) if not row["_parents"]} | {row["_id"] for row in broken}
    children = [row["_parents"][0] for name in ("train", "refused") for row in table(out, name) if row["_parents"]]
    assert len(ids) == 40
    assert len(set(children)) + len(broken) == 40
    assert not set(children) & {row["_id"] for row in broken}
    assert len(children) == 3 * len(set(children)) == said["made"]
    for row in broken:
        assert row["_reason"] in ("no_valid_json", "server_error", "timed_out", "provider_refused")
        assert row["_error"]
        assert row["_answers"] or row["_reason"] in ("server_error", "timed_out")
        assert row["text"]
    assert len({(r["step"], r["record"], r["attempt"], r["call"], r["repair"]) for r in ledger(out)}) == len(
        ledger(out)
    )
    verified = cli("verify", out, "--workers", 1)
    assert verified.code == 0, verified.out

    server.set(hostile=0.0)
    server.reset()
    second = cli(*command, "--json")
    assert second.code == 0, second.err
    assert failed(out) == []
    asked = prompts(server)
    assert {text for p in asked for text in [p.partition("Text: ")[2].splitlines()[0]]} == {r["text"] for r in broken}
    assert len(table(out)) + len(table(out, "refused")) == 40 + 3 * 40
    server.reset()
    assert cli(*command).code == 0
    assert server.counts()["requests"] == {}
    assert cli("verify", out, "--workers", 1).code == 0


def test_a_refusal_of_the_provider_is_repeated_word_by_word(tmp_path: Path):
    """The raw answer of a failed record is stored too: a killed run, or verify, writes the same failed/."""

    def reply(heard: Heard) -> Said:
        return error(400, "flagged", code="policy") if text in heard.prompt else rewrites("one", "two")

    data, out = rows(8), tmp_path / "out"
    text = data[3]["text"]
    with Saying(reply) as server:
        made = recipe(tmp_path, "paraphrase: {n: 2}")
        done = cli("augment", source(tmp_path, data), "-o", out, "-r", made, chat(server), "--workers", 1)
    assert done.code == 3
    [row] = failed(out)
    assert (row["_reason"], row["text"]) == ("provider_refused", text)
    assert "flagged" in row["_answers"][0]
    assert "1 provider_refused" in done.out
    verified = cli("verify", out, "--workers", 1)
    assert (verified.code, "failed 1 records same" in verified.out) == (0, True)


def test_a_record_that_failed_many_times_is_asked_anew_each_time(tmp_path: Path, server: Server):
    server.set(hostile=1.0, hostile_kinds=("invalid",), script=[])
    made = recipe(tmp_path, "paraphrase: {n: 2}")
    command = ["augment", source(tmp_path, 4), "-o", tmp_path / "out", "-r", made, chat(server), "--workers", 1]
    for _ in range(3):
        server.reset()
        assert cli(*command).code == 3
        assert len(prompts(server)) == 2 * 4  # each with its repair turn
    server.set(hostile=0.0)
    assert cli(*command).code == 0
    assert cli("verify", tmp_path / "out", "--workers", 1).code == 0


# -- only what changed is asked again ---------------------------------------------------------------------------------


def test_only_what_changed_is_asked_again(tmp_path: Path, server: Server):
    data = rows(12)
    plain = recipe(tmp_path, "paraphrase: {n: 2}")
    kept = recipe(tmp_path, "paraphrase: {n: 2}", "keep: {that: text|length > 3, reason: short}", name="kept.yaml")
    longer = recipe(
        tmp_path, "keep: {that: text|length > 3, reason: short}", "paraphrase: {n: 2}", "unique", name="l.yaml"
    )
    out = tmp_path / "out"

    def run(
        *more: object, r: Path = plain, rows: list[dict[str, str]] = data, into: Path = out, model: str = "m"
    ) -> int:
        done = cli("augment", source(tmp_path, rows), "-o", into, "-r", r, "--workers", 1, chat(server, model), *more)
        assert done.code == 0, done.err
        assert cli("verify", into, "--workers", 1).code == 0
        return answered(server)

    assert run() == 12
    assert run() == 0
    changed = [*data[:5], {**data[5], "text": "something else entirely"}, *data[6:]]
    assert run(rows=changed) == 1
    assert run(rows=data) == 0  # and back
    assert run(rows=data[::-1]) == 0
    assert run(rows=[*data, {"text": "one row more", "label": "card"}]) == 1
    assert run(rows=data[:-2]) == 0
    relabelled = [{**data[0], "label": "rate"}, *data[1:]]
    assert run(rows=relabelled) == 1
    assert run(r=kept) == 0
    assert run(r=longer) == 0
    assert run("--set", "paraphrase.n=3") == 12
    assert run("--set", "paraphrase.prompt=Say in {{ n }} other ways: {{ text }}") == 12
    assert run("--set", "paraphrase.temperature=0.3") == 12
    assert run("--seed", 7) == 0  # a server draws by no seed of ours
    assert run(model="other") == 12
    assert run(model="m") == 0
    moved = out.rename(tmp_path / "elsewhere")
    assert run(into=moved) == 0
    with Server() as another:
        done = cli("augment", source(tmp_path, data), "-o", moved, "-r", plain, "--workers", 1, chat(another))
        assert (done.code, another.counts()["requests"]) == (0, {})


def test_a_step_before_that_draws_otherwise_asks_again_about_what_it_makes(tmp_path: Path, server: Server):
    made = recipe(tmp_path, "edit_words: {n: 1}", "paraphrase: {n: 2}")
    command = ["augment", source(tmp_path, 6), "-o", tmp_path / "out", "-r", made, chat(server), "--workers", 1]
    assert cli(*command).code == 0
    first = answered(server)
    assert 0 < first <= 6
    assert cli(*command, "--seed", 5).code == 0
    assert 0 < answered(server) <= 6
    assert cli(*command, "--seed", 0).code == 0
    assert answered(server) == 0


def test_a_trial_is_free_in_the_full_run_and_a_plan_asks_nothing(tmp_path: Path, server: Server):
    said = [source(tmp_path, 30), "-o", tmp_path / "out", "-r", "auggpt", chat(server)]
    planned = cli("plan", *said)
    assert planned.code == 0, planned.err
    assert not (tmp_path / "out").exists()
    assert cli("try", *said, "-n", 5).code == 0
    assert sum(server.counts()["answered"].values()) == 5
    assert not (tmp_path / "out" / "train").exists()
    planned = cli("plan", *said)
    assert "25 to 30" in planned.out
    assert cli("try", *said, "-n", 5).code == 0
    assert sum(server.counts()["answered"].values()) == 5
    assert cli("augment", *said, "--workers", 1).code == 0
    counts = server.counts()["answered"]
    assert len(counts) == sum(counts.values()) == 30
    planned = cli("plan", *said)
    assert "Asks     nothing: every answer is stored." in planned.out
    assert sum(server.counts()["requests"].values()) == 30


def test_a_limit_asks_about_some_and_the_rest_later(tmp_path: Path, server: Server):
    said = [source(tmp_path, 30), "-o", tmp_path / "out", "-r", "auggpt", chat(server), "--workers", 1]
    assert cli("augment", *said, "--limit", 4).code == 0
    assert answered(server) == 4
    assert cli("verify", tmp_path / "out", "--workers", 1).code == 0
    assert cli("augment", *said, "--limit", 9).code == 0
    assert answered(server) == 5
    assert cli("augment", *said).code == 0
    assert answered(server) == 21


# -- equal answers, equal bytes ---------------------------------------------------------------------------------------

NESTED = [
    "any:\n"
    "      - - paraphrase: {n: 2}\n"
    "        - keep: {that: text|length > 3, reason: short}\n"
    "      - - paraphrase as sometimes: {n: 1}\n"
    "          when: uniform(0, 1) < 0.5\n"
    "        - edit_words: {n: 1}\n"
    "      - - repeat:\n"
    "            times: 2\n"
    "            until: {per: root, kept: 1}\n"
    "            steps:\n"
    "              - paraphrase as again: {n: 1, temperature: 0.5}\n"
    "              - keep: {that: 'text|length % 2 == 0', reason: odd}",
    "note: {k: 'choice([1, 2])'}",
    "write: {n: 2, draw: {k: 2, same: label}, prompt: 'Write {{ n }} like {% for e in examples %}{{ e.text }}; "
    "{% endfor %} of {{ label }} {{ k }}'}\n    when: k == 1",
    "unique",
]


@pytest.mark.parametrize("model", ["fake:shape", "server"])
@pytest.mark.parametrize("recipe_of", ["nested", "promptmix"])
def test_one_worker_and_two_write_the_same_bytes(model: str, recipe_of: str, tmp_path: Path, server: Server):
    server.set(latency=0.002)
    named = chat(server) if model == "server" else f"--model=chat={model}"
    made: object = recipe(tmp_path, *NESTED) if recipe_of == "nested" else "promptmix"
    data = source(tmp_path, 60 if recipe_of == "nested" else 24)
    more = ["--limit", 6] if recipe_of == "promptmix" else []
    for workers in (1, 2):
        done = cli("augment", data, "-o", tmp_path / f"{workers}", "-r", made, named, "--workers", workers, *more)
        assert done.code in (0, 3), done.err
        verified = cli("verify", tmp_path / f"{workers}", "--workers", 3 - workers)
        assert verified.code == 0, verified.out + verified.err
    one = output(tmp_path / "1")
    assert one == output(tmp_path / "2")
    assert [r for r in table(tmp_path / "1") if r["_synthetic"]]


def test_many_parts_with_two_workers(tmp_path: Path):
    """More than a part, and steps of other processes before and after those that ask."""
    made = recipe(tmp_path, "edit_words: {n: 1}", "paraphrase: {n: 1}", "edit_chars: {n: 1}", "unique")
    data = source(tmp_path, [{"text": f"{r['text']} {i}", "label": r["label"]} for i, r in enumerate(rows(2100))])
    for workers in (1, 2):
        done = cli("augment", data, "-o", tmp_path / f"{workers}", "-r", made, "--model", "chat=fake:shape",
                   "--workers", workers)  # fmt: skip
        assert done.code == 0, done.err
    assert output(tmp_path / "1") == output(tmp_path / "2")


def test_the_same_step_in_two_branches_asks_for_each_what_it_asks(tmp_path: Path, server: Server):
    made = recipe(
        tmp_path,
        "any:\n"
        "      - - paraphrase: {n: 2, style: short}\n"
        "      - - paraphrase as longer: {n: 2, style: long}",
    )  # fmt: skip
    out = tmp_path / "out"
    said = ["augment", source(tmp_path, 6), "-o", out, "-r", made, chat(server), "--workers", 1]
    done = cli(*said)
    assert done.code == 0, done.err
    styles = [p.count("each of them short") - p.count("each of them long") for p in prompts(server)]
    assert (styles.count(1), styles.count(-1)) == (6, 6)
    ids = [row["_id"] for row in table(out) if row["_synthetic"]]
    assert len(ids) == len(set(ids)) == 4 * 6
    assert answered(server) == 12
    assert cli(*said).code == 0
    assert answered(server) == 0
    assert cli("verify", out, "--workers", 1).code == 0


# -- examples and starts ----------------------------------------------------------------------------------------------


def test_examples_are_the_same_always_and_never_the_record_itself(tmp_path: Path, server: Server):
    prompt = "Like {% for e in examples %}<{{ e.text }}>{% endfor %} but not [{{ text }}]"
    made = recipe(tmp_path, f"write: {{n: 1, draw: {{k: 3, same: label}}, prompt: '{prompt}'}}")
    data = rows(24)
    shown = []
    for name, given, more in (
        ("a", data, []),
        ("b", data[::-1], []),
        ("c", data, ["--limit", 5]),
        ("d", data[:16], []),
    ):
        file = source(tmp_path, given, name=f"{name}.jsonl")
        assert cli("augment", file, "-o", tmp_path / name, "-r", made, chat(server), "--workers", 2, *more).code == 0
        asked = {}
        for prompt in prompts(server):
            prompt = prompt.partition("]")[0]
            own = prompt.partition("[")[2]
            asked[own] = [e.partition(">")[0] for e in prompt.split("<")[1:]]
        shown.append(asked)
        server.reset()
    label = {row["text"]: row["label"] for row in data}
    a, b, c, d = shown
    assert a == b
    assert len(c) == 5
    assert all(a[own] == examples for own, examples in c.items())  # from the whole source, however few are asked about
    assert set(d) == {row["text"] for row in data[:16]}
    assert d != {own: a[own] for own in d}  # another source, other examples
    for own, examples in a.items():
        assert len(set(examples)) == 3
        assert own not in examples
        assert {label[e] for e in examples} == {label[own]}
    assert len({tuple(e) for e in a.values()}) > 12


def test_start_makes_until_each_label_has_as_many(tmp_path: Path):
    """`sahu` on uneven labels, with a model that often says nothing: as many of each as the median has."""
    data = [row for row in rows(40) if not (row["label"] == "card" and int(row["text"].split()[2]) > 8)]
    asked: list[str] = []

    def reply(heard: Heard) -> Said:
        asked.append(heard.body["prompt"])
        text = "" if len(asked) % 3 == 0 else f" a new text about number {len(asked)}\n and more"
        return Said({"choices": [{"text": text, "finish_reason": "stop"}]})

    out = tmp_path / "out"
    with Saying(reply) as server:
        done = cli("augment", source(tmp_path, data), "-o", out, "-r", "sahu", "--workers", 1,
                   f"--model=complete=openai:m@{server.url}", "--concurrency", 1)  # fmt: skip
        assert done.code in (0, 3), done.err
        requests = len(asked)
        again = cli("augment", source(tmp_path, data), "-o", out, "-r", "sahu", "--workers", 1,
                    f"--model=complete=openai:m@{server.url}", "--concurrency", 1)  # fmt: skip
        assert again.code == 0, again.err
        assert len(asked) == requests
    made = [row for row in table(out) if row["_synthetic"]]
    goal = 10
    assert requests >= 4 * goal
    assert len(made) + len(table(out, "refused")) >= 4 * goal
    assert len([row for row in made if row["text"]]) == 4 * goal
    assert all("\n" not in row["text"] for row in made)
    assert cli("verify", out, "--workers", 1).code == 0


def test_a_recording_with_gaps_fails_there_and_is_taken_up_when_it_is_complete(tmp_path: Path):
    data = rows(6)
    pairs = [(row["text"], f"{row['text']} {word}") for row in data for word in ("again", "anew")]
    made = recipe(tmp_path, "paraphrase: {n: 2}")
    command = ["augment", source(tmp_path, data), "-o", tmp_path / "out", "-r", made, "--workers", 1]
    done = cli(*command, "--model", f"chat={recording(tmp_path, pairs[:-3])}")
    assert done.code == 3
    broken = {row["text"]: row for row in failed(tmp_path / "out")}
    assert set(broken) == {data[5]["text"]}
    assert broken[data[5]["text"]]["_reason"] == "no_recording"
    assert [row["_detail"] for row in table(tmp_path / "out", "refused")] == ["1 of 2"]
    assert cli("verify", tmp_path / "out", "--workers", 1).code == 0
    done = cli(*command, "--model", f"chat={recording(tmp_path, pairs)}")
    assert done.code == 0, done.err
    assert sorted(row["text"] for row in table(tmp_path / "out") if row["_synthetic"]) == sorted(t for _, t in pairs)
    assert cli("verify", tmp_path / "out", "--workers", 1).code == 0


def test_verify_needs_no_model_to_stop_where_many_failed_before_one_was_right(tmp_path: Path):
    """Answers come back in another order than they came: what is stored is never a reason to stop."""

    def reply(heard: Heard) -> Said:
        number = int(heard.body["messages"][0]["content"].partition("question number ")[2].split()[0])
        if number % 3:
            time.sleep(0.1)
            return Said({"choices": [{"message": {"content": "I am sorry."}, "finish_reason": "stop"}]})
        return rewrites("one", "two")

    made, out = recipe(tmp_path, "paraphrase: {n: 2}"), tmp_path / "out"
    with Saying(reply) as server:
        done = cli("augment", source(tmp_path, 90), "-o", out, "-r", made, chat(server), "--workers", 1)
        assert done.code == 3, done.err
        assert len(failed(out)) == 60
    found = cli("verify", out, "--workers", 1)
    assert found.code == 0, found.out + found.err


def test_nothing_of_a_run_hangs_on_the_order_of_answers(tmp_path: Path):
    draw = random.Random(0)

    def reply(heard: Heard) -> Said:
        time.sleep(draw.uniform(0, 0.03))
        return rewrites(*(f"{heard.prompt[-40:]} {i}" for i in range(3)))

    made, data = recipe(tmp_path, "paraphrase: {n: 3}", "unique"), source(tmp_path, 40)
    with Saying(reply) as server:
        for name in ("a", "b"):
            assert cli("augment", data, "-o", tmp_path / name, "-r", made, chat(server), "--workers", 1).code == 0
    assert output(tmp_path / "a") == output(tmp_path / "b")
