"""A provider's batch API: whole steps in a file, waited for across commands, paid at half the price, and once."""

from __future__ import annotations

import asyncio
import contextlib
import os
import signal
import sqlite3
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from asked import Ran, cli, failed, ledger, output, recipe, source, table
from leaven.engine.asking import ModelDesk
from leaven.models.backends import openai_batch
from leaven.models.calls import Broken
from loopback.process import Server

STEP = "paraphrase: {n: 2}"
ROWS = 12


@pytest.fixture(autouse=True)
def soon(monkeypatch: pytest.MonkeyPatch) -> None:
    """Looked at often; no variable of this machine is read."""
    monkeypatch.setattr(openai_batch, "MOMENT", 0.02)
    monkeypatch.setattr(openai_batch, "SOONEST", 0.02)
    sleep = asyncio.sleep
    monkeypatch.setattr("leaven.models.limiter.asyncio.sleep", lambda s: sleep(min(s, 0.05)))
    for name in ("OPENAI_API_KEY", "OPENAI_BASE_URL", "http_proxy", "HTTP_PROXY", "all_proxy", "ALL_PROXY"):
        monkeypatch.delenv(name, raising=False)


@pytest.fixture
def arguments(server: Server, tmp_path: Path) -> list[object]:
    """A command without its folder."""
    mine = recipe(tmp_path, STEP)
    model = f"--model=chat=openai-batch:m@{server.url}"
    return ["augment", source(tmp_path, ROWS), "-r", mine, model, "--workers", 1]


def batches(out: Path) -> list[tuple[str, str]]:
    """The files and batches that a folder's ledger names."""
    with contextlib.closing(sqlite3.connect(out / "ledger.sqlite")) as db:
        return [tuple(row) for row in db.execute("SELECT file, batch FROM batches ORDER BY file")]


def paid(server: Server) -> dict[str, int]:
    found: dict[str, int] = server.counts()["lines"]
    return found


def test_a_step_is_one_batch_and_its_answers_are_those_of_single_calls(
    server: Server, arguments: list[Any], tmp_path: Path
):
    server.set(batch_seconds=0.2)
    ran = cli(*arguments, "-o", tmp_path / "batch")
    assert ran.code == 0, ran.err
    counts = server.counts()
    assert counts["batches"] == 1
    assert len(counts["lines"]) == ROWS
    assert set(counts["lines"].values()) == {1}
    assert "/v1/chat/completions" not in counts["requests"]
    assert f"{ROWS} calls wait in batch batch_1; the same command goes on waiting for it." in ran.err
    arguments[4] = arguments[4].replace("openai-batch", "openai")
    assert cli(*arguments, "-o", tmp_path / "single").code == 0
    assert output(tmp_path / "batch") == output(tmp_path / "single")
    keys = [{row["key"].hex() for row in ledger(tmp_path / name)} for name in ("batch", "single")]
    assert keys[0] == keys[1] == set(counts["lines"])


def test_an_answer_in_a_batch_costs_half(
    server: Server, arguments: list[Any], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "leaven.toml").write_text("[prices]\nm = [10.0, 20.0]\n")
    assert cli(*arguments, "-o", "o", "--budget", 5).code == 0
    for row in ledger(tmp_path / "o"):
        assert row["usd"] == pytest.approx((10 * row["tokens_in"] + 20 * row["tokens_out"]) / 2e6)
    plans = []
    for scheme in ("openai", "openai-batch"):
        arguments[4] = f"--model=chat={scheme}:m@{server.url}"
        said = cli("plan", *arguments[1:5], "-o", tmp_path / f"p-{scheme}", "--json").said
        plans.append(said["usd"])
    assert plans[1] == pytest.approx([usd / 2 for usd in plans[0]])


def test_the_budget_holds_back_what_a_batch_may_cost(
    server: Server, arguments: list[Any], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    """What does not fit beside the first batch waits for what it leaves."""
    monkeypatch.chdir(tmp_path)
    (tmp_path / "leaven.toml").write_text("[prices]\nm = [1.0, 1.0]\n")
    ran = cli(*arguments, "-o", "o", "--budget", 0.01)
    assert ran.code == 0, ran.err
    assert server.counts()["batches"] > 1
    assert sum(row["usd"] for row in ledger(tmp_path / "o")) < 0.01
    assert set(paid(server).values()) == {1}
    assert len(paid(server)) == ROWS


def test_a_run_is_verified_as_any_other(server: Server, arguments: list[Any], tmp_path: Path):
    assert cli(*arguments, "-o", tmp_path / "o").code == 0
    server.reset()
    assert cli("verify", tmp_path / "o").code == 0
    assert server.counts()["requests"] == {}


# -- interrupted -------------------------------------------------------------------------------------------------------


def started(*arguments: object) -> subprocess.Popen[str]:
    return subprocess.Popen(
        [sys.executable, "-m", "leaven.cli", *map(str, arguments)], stderr=subprocess.PIPE, text=True
    )


def wait_for_a_batch(server: Server, out: Path) -> None:
    """Return when a batch waits, and the ledger names it."""
    for _ in range(1500):
        if server.counts()["batches"]:
            with contextlib.suppress(sqlite3.Error):
                if any(batch for _, batch in batches(out)):
                    return
        time.sleep(0.02)
    raise AssertionError("no batch was begun")


@contextlib.contextmanager
def meddling(what: Callable[[], object]) -> Iterator[None]:
    """Something done from outside while a command runs."""
    meddler = threading.Thread(target=what)
    meddler.start()
    try:
        yield
    finally:
        meddler.join()


@pytest.fixture
def left(server: Server, arguments: list[Any], tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The folder of a command that gave up waiting, since the network was gone; its batch still waits."""
    out = tmp_path / "o"
    server.set(batch_seconds=1000)
    with monkeypatch.context() as during:
        during.setattr(openai_batch, "PATIENCE", 0.1)
        with meddling(lambda: (wait_for_a_batch(server, out), server.set(drop=True))):
            ran = cli(*arguments, "-o", out)
    server.set(drop=False)
    assert ran.code == 1
    assert "no news of batch batch_1 for 0 minutes: the connection broke" in ran.error[0]
    assert ran.error[1] == "Next: the same command goes on when it answers; nothing is paid twice."
    return out


@pytest.mark.parametrize("how", [signal.SIGKILL, signal.SIGINT])
def test_ended_while_it_waits_it_goes_on_with_the_same_batch(
    server: Server, arguments: list[Any], tmp_path: Path, how: signal.Signals
):
    server.set(batch_seconds=1000)
    out = tmp_path / "o"
    command = started(*arguments, "-o", out)
    wait_for_a_batch(server, out)
    os.kill(command.pid, how)
    _, said = command.communicate(timeout=30)
    assert command.returncode == (-9 if how == signal.SIGKILL else 130), said
    assert ledger(out) == []
    server.set(batch_seconds=0)
    assert cli(*arguments, "-o", out).code == 0
    counts = server.counts()
    assert counts["batches"] == 1
    assert len(counts["lines"]) == ROWS
    assert set(counts["lines"].values()) == {1}
    assert len(ledger(out)) == ROWS
    server.reset()
    assert cli(*arguments, "-o", out).code == 0
    assert server.counts()["requests"] == {}


def test_a_batch_that_was_begun_unheard_is_found_and_not_begun_again(
    server: Server, arguments: list[Any], tmp_path: Path
):
    server.set(lose=1)
    assert cli(*arguments, "-o", tmp_path / "o").code == 0
    assert server.counts()["batches"] == 1
    assert server.counts()["requests"]["/v1/batches"] == 1  # begun once, and then looked for


def test_a_batch_whose_name_was_not_noted_is_found(server: Server, arguments: list[Any], left: Path):
    """As it is where a command was killed between the two."""
    with contextlib.closing(sqlite3.connect(left / "ledger.sqlite")) as db:
        db.execute("UPDATE batches SET batch = ''")
        db.commit()
    server.set(batch_seconds=0)
    assert cli(*arguments, "-o", left).code == 0
    assert server.counts()["batches"] == 1
    assert set(paid(server).values()) == {1}


def test_a_row_more_is_a_batch_of_one(server: Server, arguments: list[Any], tmp_path: Path):
    out = tmp_path / "o"
    assert cli(*arguments, "-o", out).code == 0
    source(tmp_path, ROWS + 1)
    assert cli(*arguments, "-o", out).code == 0
    counts = server.counts()
    assert counts["batches"] == 2
    assert len(counts["lines"]) == ROWS + 1
    assert set(counts["lines"].values()) == {1}


# -- what may come of a batch ------------------------------------------------------------------------------------------


def test_a_line_that_is_refused_is_its_records_error(server: Server, arguments: list[Any], tmp_path: Path):
    server.set(fail="question number 3 ")
    out = tmp_path / "o"
    assert cli(*arguments, "-o", out).code == 3
    [row] = failed(out)
    assert row["_reason"] == "provider_refused"
    assert row["_error"] == "400 This prompt is not taken."
    assert len(ledger(out)) == ROWS
    server.set(fail="")
    assert cli(*arguments, "-o", out).code == 0  # the same command asks about that record again
    assert sorted(paid(server).values()) == [1] * ROWS
    assert failed(out) == []


def test_of_an_expired_batch_the_rest_is_asked_again(server: Server, arguments: list[Any], tmp_path: Path):
    server.set(fate="expired", batch_share=0.5)
    out = tmp_path / "o"
    assert cli(*arguments, "-o", out).code == 0
    counts = server.counts()
    assert counts["batches"] > 1
    assert len(counts["lines"]) == ROWS
    assert set(counts["lines"].values()) == {1}


def test_what_expires_again_and_again_fails(server: Server, arguments: list[Any], tmp_path: Path):
    server.set(fate="expired", batch_share=0.0)
    ran = cli(*arguments, "-o", tmp_path / "o")
    assert ran.code == 3
    assert {row["_reason"] for row in failed(tmp_path / "o")} == {"timed_out"}
    assert server.counts()["batches"] == openai_batch.TRIES


@pytest.mark.parametrize(
    ("fate", "share", "says"),
    [
        ("cancelled", 0.5, "batch batch_1 cancelled, 6 of its 12 calls were answered."),
        ("failed", 0.0, "batch batch_1 failed: This line is not parseable as valid JSON (line 1), 0 of its 12 calls"),
    ],
)
def test_a_batch_that_ends_early_ends_the_run_and_the_same_command_asks_the_rest(
    server: Server, arguments: list[Any], tmp_path: Path, fate: str, share: float, says: str
):
    server.set(fate=fate, batch_share=share)
    out = tmp_path / "o"
    ran = cli(*arguments, "-o", out)
    assert ran.code == 1
    assert says in ran.error[0]
    assert ran.error[1] == "Next: the same command asks the others."
    assert (len(ledger(out)) if out.exists() else 0) == ROWS * share  # a folder in which nothing was done goes again
    server.set(fate="completed", batch_share=1.0)
    assert cli(*arguments, "-o", out).code == 0
    counts = server.counts()
    assert counts["batches"] == 2
    assert len(counts["lines"]) == ROWS
    assert set(counts["lines"].values()) == {1}


def test_a_parameter_that_is_refused_costs_a_batch_and_no_answer(server: Server, arguments: list[Any], tmp_path: Path):
    server.set(refuse=["max_tokens"])
    out = tmp_path / "o"
    ran = cli(*arguments, "-o", out)
    assert ran.code == 0, ran.err
    assert "m refuses `max_tokens`: it is asked without it." in ran.err
    assert server.counts()["batches"] == 2
    assert set(paid(server).values()) == {1}


def test_repair_turns_go_together_in_the_next_batch(server: Server, arguments: list[Any], tmp_path: Path):
    server.set(script=[{"match": "question number", "answer": "no object at all"}])
    ran = cli(*arguments, "-o", tmp_path / "o")
    assert ran.code == 3
    assert {row["_reason"] for row in failed(tmp_path / "o")} == {"no_valid_json"}
    assert server.counts()["batches"] == 2
    assert len(paid(server)) == 2 * ROWS
    assert [row["repair"] for row in ledger(tmp_path / "o")] == [0] * ROWS + [1] * ROWS


def test_many_calls_are_several_batches(
    server: Server, arguments: list[Any], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    monkeypatch.setattr(openai_batch, "MOST_LINES", 5)
    assert cli(*arguments, "-o", tmp_path / "o").code == 0
    assert server.counts()["batches"] == 3
    monkeypatch.setattr(openai_batch, "MOST_LINES", 50_000)
    monkeypatch.setattr(openai_batch, "MOST_BYTES", 1000)  # fewer than two lines have
    server.reset()
    assert cli(*arguments, "-o", tmp_path / "o2").code == 0
    assert server.counts()["batches"] == ROWS


def test_all_of_a_step_may_wait_at_a_time(server: Server, tmp_path: Path):
    """More records than are asked at a time elsewhere, in one batch."""
    mine = recipe(tmp_path, "ask: {prompt: 'Say it: {{ text }}', into: said}", fields=["text"])
    data = source(tmp_path, [{"text": f"row {i}"} for i in range(2500)])
    model = f"--model=chat=openai-batch:m@{server.url}"
    ran = cli("augment", data, "-r", mine, model, "--workers", 1, "-o", tmp_path / "o")
    assert ran.code == 0, failed(tmp_path / "o")[:2]
    assert (server.counts()["batches"], len(paid(server))) == (1, 2500)
    assert len(table(tmp_path / "o")) == 2500


# -- a server that does not do as it should ----------------------------------------------------------------------------


def stops(server: Server, arguments: list[Any], out: Path) -> Ran:
    ran = cli(*arguments, "-o", out)
    assert ran.code == 1
    return ran


def test_a_server_without_a_batch_api(server: Server, arguments: list[Any], tmp_path: Path):
    server.set(no_batches=True)
    ran = stops(server, arguments, tmp_path / "o")
    assert ran.error == (
        f"ModelError: chat: {server.url} has no batch API (404 at /files).",
        f"Fix: ask it directly: openai:m@{server.url}",
    )


def test_a_batch_that_the_server_forgot(server: Server, arguments: list[Any], left: Path):
    server.reset()
    ran = stops(server, arguments, left)
    assert "knows no batch batch_1, in which calls of this folder wait" in ran.error[0]
    assert server.counts()["batches"] == 0  # nothing is paid for again unasked


def test_no_network_for_a_while_is_waited_out(server: Server, arguments: list[Any], tmp_path: Path):
    """A batch takes hours; a server that drops every connection meanwhile ends nothing."""
    server.set(batch_seconds=1000)

    def meddle() -> None:
        wait_for_a_batch(server, tmp_path / "o")
        server.set(drop=True)
        time.sleep(0.3)
        server.set(drop=False, batch_seconds=0)

    with meddling(meddle):
        ran = cli(*arguments, "-o", tmp_path / "o")
    assert ran.code == 0, ran.err
    assert server.counts()["batches"] == 1


def test_no_network_for_long_ends_the_command_and_loses_no_batch(server: Server, arguments: list[Any], left: Path):
    server.set(batch_seconds=0)
    ran = cli(*arguments, "-o", left)
    assert ran.code == 0, ran.err
    assert "batch batch_1 is waited for, which an earlier command handed in." in ran.err
    assert server.counts()["batches"] == 1


@pytest.mark.parametrize("seed", range(4))
def test_a_server_that_breaks_now_and_then(server: Server, arguments: list[Any], tmp_path: Path, seed: int):
    kinds = ["429", "500", "503", "garbage"]
    server.set(hostile=0.4, hostile_seed=seed, hostile_kinds=kinds, batch_seconds=0.1)
    for _ in range(10):
        ran = cli(*arguments, "-o", tmp_path / "o")
        if ran.code == 0:
            break
        assert ran.error[1] == "Next: the same command goes on when it answers; nothing is paid twice."
    assert ran.code == 0, ran.err
    assert server.counts()["batches"] == 1
    assert sum(server.counts()["hostile"].values()) > 0
    assert set(paid(server).values()) == {1}


@pytest.mark.parametrize(
    "raw",
    [b"<html>busy</html>", b'{"custom_id": "a", "response": {"status_code": 200, "bo', b"\xff\n", b"[" * 100_000],
)
def test_damaged_answers_are_not_taken_for_none(raw: bytes):
    with pytest.raises(Broken, match="no JSON"):
        openai_batch._read(b'{"custom_id": "b"}\n\n' + raw)


def test_a_wrong_key_ends_the_run(
    server: Server, arguments: list[Any], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("MINE", "sk-wrong")
    (tmp_path / "leaven.toml").write_text('[keys]\n"127.0.0.1" = "MINE"\n')
    server.set(key="sk-right")
    assert "refused the key in MINE (401)" in stops(server, arguments, tmp_path / "o").error[0]
    monkeypatch.setenv("MINE", "sk-right")
    assert cli(*arguments, "-o", tmp_path / "o").code == 0


@pytest.mark.parametrize("role", ["complete", "embed", "paint", "translate"])
def test_only_chat_is_asked_in_batches(server: Server, tmp_path: Path, role: str):
    ran = cli("models", "--model", f"{role}=openai-batch:m@{server.url}")
    assert ran.error[0] == f"ModelError: {role}: openai-batch does not play {role}, but chat."


def test_what_waits_is_said(server: Server, arguments: list[Any], tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    said: set[str] = set()
    tell = ModelDesk.tell

    def listening(desk: ModelDesk, reporter: Any) -> None:
        said.add(desk.asker.spend.waits)
        tell(desk, reporter)

    monkeypatch.setattr(ModelDesk, "tell", listening)
    server.set(batch_seconds=1.0)
    assert cli(*arguments, "-o", tmp_path / "o").code == 0
    assert said & {f"batch batch_1: {n} of 12 done" for n in range(1, 12)}
