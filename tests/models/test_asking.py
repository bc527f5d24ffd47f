"""The way of a call: a repair turn, a run that stops where nothing comes of it, and a budget that is never passed."""

from __future__ import annotations

import asyncio
import contextlib
import json
import random
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from asked import cli, described, failed, ledger, output, recipe, rows, source, table
from leaven.errors import BudgetReached
from leaven.models.budget import Budget
from loopback.process import Server
from saying import Heard, Said, Saying, chat, rewrites


@pytest.fixture
def here(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The folder that one is in, where leaven.toml lies."""
    monkeypatch.chdir(tmp_path)
    return tmp_path


def named(server: Server | Saying) -> str:
    return f"--model=chat=openai:m@{server.url}"


# -- the repair turn ---------------------------------------------------------------------------------------------------


def test_a_repair_turn_shows_what_was_wrong_and_is_stored_beside_the_first_answer(tmp_path: Path):
    def reply(heard: Heard) -> Said:
        return chat("I would rather not say.") if len(heard.body["messages"]) == 1 else rewrites("one", "two")

    out, made = tmp_path / "out", recipe(tmp_path, "paraphrase: {n: 2, temperature: 0.5}")
    with Saying(reply) as server:
        done = cli("augment", source(tmp_path, 5), "-o", out, "-r", made, named(server), "--workers", 1)
        asked = [heard.body for heard in server.heard]
    assert done.code == 0, done.err
    assert sorted(row["text"] for row in table(out) if row["_synthetic"]) == ["one"] * 5 + ["two"] * 5
    again = [body for body in asked if len(body["messages"]) == 3]
    assert len(again) == 5
    assert len(asked) == 10
    for body in again:
        assert body["messages"][1] == {"role": "assistant", "content": "I would rather not say."}
        assert body["temperature"] == 0.5
        assert body["response_format"]
    stored = ledger(out)
    assert sorted(row["repair"] for row in stored) == [0] * 5 + [1] * 5
    assert len({row["record"] for row in stored}) == 5
    assert described(out)["spent"]["repairs"] == 5
    assert described(out)["spent"]["calls"] == 10
    assert cli("verify", out, "--workers", 1).code == 0


def test_a_record_that_the_repair_does_not_mend_fails_with_both_answers(tmp_path: Path):
    def reply(heard: Heard) -> Said:
        if "number 2 " not in heard.body["messages"][0]["content"]:
            return rewrites("one", "two")
        return chat(f"no {len(heard.body['messages'])}")

    out, made = tmp_path / "out", recipe(tmp_path, "paraphrase: {n: 2}")
    with Saying(reply) as server:
        done = cli("augment", source(tmp_path, 5), "-o", out, "-r", made, named(server), "--workers", 1)
    assert done.code == 3
    [row] = failed(out)
    assert (row["_reason"], row["_answers"]) == ("no_valid_json", ["no 1", "no 3"])
    assert cli("verify", out, "--workers", 1).code == 0


def test_an_answer_that_was_cut_off_gives_what_is_whole(tmp_path: Path):
    cut = '{"rewrites": ["the first of them", "the second of them", "the thi'
    out, made = tmp_path / "out", recipe(tmp_path, "paraphrase: {n: 3}")
    with Saying(lambda heard: chat(cut, finish="length")) as server:
        done = cli("augment", source(tmp_path, 4), "-o", out, "-r", made, named(server), "--workers", 1)
    assert done.code == 0, done.err
    assert {row["text"] for row in table(out) if row["_synthetic"]} == {"the first of them", "the second of them"}
    assert {(row["_reason"], row["_detail"]) for row in table(out, "refused")} == {("too_few", "2 of 3")}


# -- where nothing ever comes of it ------------------------------------------------------------------------------------


def test_twenty_useless_answers_of_twenty_stop_the_run(tmp_path: Path):
    said = ["Sure! Here are 6 of them, as asked for."]
    out, made = tmp_path / "out", recipe(tmp_path, "paraphrase: {n: 2}")
    with Saying(lambda heard: chat(said[0]) if said else rewrites("one", "two")) as server:
        command = ["augment", source(tmp_path, 300), "-o", out, "-r", made, named(server), "--workers", 1]
        done = cli(*command, "--concurrency", 4)
        assert done.code == 1
        first, fix = done.error
        wanted = 'ModelError: chat: 20 answers of 20 were no valid object; the last began "Sure! Here are 6'
        assert first.startswith(wanted)
        assert "a larger model" in fix
        assert len(server.heard) < 2 * 20 + 2 * 8
        assert not (out / "train").exists()
        stopped = len(server.heard)

        cli(*command, "--concurrency", 4)  # 20 new ones, then it stops again
        assert stopped < len(server.heard) < 2 * stopped + 16

        said.clear()  # and where the server has come to its senses, the same command goes on to the end
        asked = len(server.heard)
        lost = {row["record"] for row in ledger(out) if row["repair"]}
        done = cli(*command)
        assert done.code == 3, done.err
        assert {row["_id"] for row in failed(out)} == lost
        assert len(server.heard) - asked == 300 - len(lost)
        assert cli(*command).code == 0
        assert failed(out) == []


def test_twenty_failures_of_twenty_stop_the_run(tmp_path: Path):
    out, made = tmp_path / "out", recipe(tmp_path, "paraphrase: {n: 2}")
    flagged = Said({"error": {"message": "This organisation may not use the model.", "code": "nope"}}, 400)
    with Saying(lambda heard: flagged) as server:
        done = cli("augment", source(tmp_path, 200), "-o", out, "-r", made, named(server), "--concurrency", 3)
        assert len(server.heard) < 30
    assert done.code == 1
    first, fix = done.error
    assert "20 calls of 20 failed; the last: provider_refused, 400 This organisation may not use the model." in first
    assert "leaven try" in fix
    assert not out.exists()


# -- the budget --------------------------------------------------------------------------------------------------------


@given(st.data())
def test_whatever_calls_cost_up_to_what_they_reserve_the_budget_is_not_passed(data: st.DataObject):
    limit = data.draw(st.floats(0.01, 5))
    costs = data.draw(st.lists(st.tuples(st.floats(0, 1), st.floats(0, 1)), min_size=1, max_size=40))
    draw = random.Random(data.draw(st.integers(0, 99)))

    async def work() -> tuple[Budget, int]:
        budget = Budget(limit, 0.0)

        async def call(most: float, share: float) -> None:
            await budget.reserve(most)
            for _ in range(draw.randrange(4)):
                await asyncio.sleep(0)
            assert budget.spent + budget.reserved <= limit + 1e-9
            budget.settle(most, most * share)

        found = await asyncio.wait_for(asyncio.gather(*(call(*c) for c in costs), return_exceptions=True), 10)
        assert all(f is None or isinstance(f, BudgetReached) for f in found)
        return budget, found.count(None)

    budget, done = asyncio.run(work())
    assert budget.spent <= limit + 1e-9
    assert budget.reserved < 1e-9
    if sum(most for most, _ in costs) <= limit:
        assert done == len(costs)


def test_a_budget_stops_the_run_and_a_higher_one_goes_on(here: Path, server: Server):
    (here / "leaven.toml").write_text('[prices]\n"m" = [50, 100]\n')
    server.set(latency=0.01)
    command = ["augment", source(here, 60), "-o", "out", "-r", "auggpt", named(server), "--workers", 1,
               "--set", "paraphrase.max_tokens=100"]  # fmt: skip
    done = cli(*command)
    full = sum(row["usd"] for row in ledger(here / "out"))
    assert done.code == 0
    assert full > 0.1
    server.reset()
    command[3] = "again"
    spent, stops = 0.0, 0
    for share in (0.5, 0.5, 0.8, 2.0):
        budget = share * full
        done = cli(*command, "--budget", budget)
        assert "Traceback" not in done.err
        before, spent = spent, sum(row["usd"] for row in ledger(here / "again"))
        assert before <= spent <= budget
        if done.code == 0:
            break
        stops += 1
        assert done.code == 4
        first, second, following = done.out.splitlines()
        assert first.startswith("Stopped at the budget: ")
        assert first.endswith(" USD spent, the next call could have passed it. Exit 4.")
        assert second.endswith(" out/train is not written yet.".replace("out", "again"))
        assert following.startswith("Next:  the same command with --budget ")
        assert not (here / "again" / "train").exists()
        assert described(here / "again")["stopped"]["why"] == "budget"
    assert stops >= 2
    assert done.code == 0
    assert spent == pytest.approx(full)
    assert output(here / "again") == output(here / "out")
    counts = server.counts()["answered"]
    assert len(counts) == sum(counts.values()) == 60
    assert described(here / "again")["spent"]["usd"] == pytest.approx(full)


def test_the_amount_that_it_says_is_enough_is_enough(here: Path, server: Server):
    (here / "leaven.toml").write_text('[prices]\n"m" = [50, 100]\n')
    command = ["augment", source(here, 60), "-o", "out", "-r", "auggpt", named(server), "--workers", 1]
    assert cli(*command, "--budget", 0.5).code == 4
    done = cli(*command, "--budget", 0.52)  # some of the records were answered by another command
    assert done.code == 4, done.out
    following = done.out.splitlines()[-1]
    enough = following.partition("--budget ")[2].split()[0]
    assert cli(*command, "--budget", enough).code == 0


def test_repair_turns_and_retries_count_too(here: Path, server: Server):
    (here / "leaven.toml").write_text('[prices]\n"m" = [50, 100]\n')
    server.set(hostile=0.5, hostile_kinds=("invalid", "500"), capacity=4)
    command = ["augment", source(here, 40), "-o", "out", "-r", "auggpt", named(server), "--workers", 1]
    for budget in (0.2, 0.5, 100):
        done = cli(*command, "--budget", budget)
        assert done.code in (3, 4, 0)
        assert sum(row["usd"] for row in ledger(here / "out")) <= budget
    assert done.code != 4


def test_the_first_call_alone_too_dear(here: Path, server: Server):
    (here / "leaven.toml").write_text('[prices]\n"m" = [1000, 1000]\n')
    done = cli("augment", source(here), "-o", "out", "-r", "auggpt", named(server), "--budget", 0.02)
    assert done.code == 4
    first, following = done.error
    assert first.startswith("BudgetReached: the first call alone (about ")
    assert first.endswith(" would pass --budget 0.02.")
    assert "leaven plan" in following
    assert server.counts()["requests"] == {}


def test_a_budget_needs_a_price_and_without_one_the_cost_is_called_unknown(here: Path, server: Server):
    command = ["augment", source(here), "-o", "out", "-r", "auggpt", named(server), "--workers", 1]
    done = cli(*command, "--budget", 2)
    assert done.code == 1
    first, fix = done.error
    assert first == f"ModelError: chat: no price is known for m at {server.url}; --budget 2 needs one."
    assert fix.startswith('Fix: give it in leaven.toml, [prices] "m" = [IN, OUT]')
    assert server.counts()["requests"] == {}
    assert not (here / "out").exists()
    done = cli(*command)
    assert done.code == 0
    assert "USD unknown" in done.out
    assert cli(*command, "--json").said["usd"] is None


def test_a_budget_of_nothing_is_enough_for_what_is_stored(here: Path, server: Server):
    command = ["augment", source(here), "-o", "out", "-r", "auggpt", named(server), "--workers", 1]
    assert cli(*command).code == 0
    (here / "leaven.toml").write_text('[prices]\n"m" = [50, 100]\n')
    server.reset()
    assert cli(*command, "--budget", 0).code == 0
    assert server.counts()["requests"] == {}


def test_free_models_need_no_price(here: Path):
    done = cli("augment", source(here), "-o", "out", "-r", "auggpt", "--model", "chat=fake:shape", "--budget", 0)
    assert done.code == 0, done.err


def test_a_disk_that_is_full_stops_the_run_and_loses_nothing(
    here: Path, server: Server, monkeypatch: pytest.MonkeyPatch
):
    """An answer that cannot be stored is an error of the run: otherwise all others would be paid for and lost too."""
    from leaven.models.ledger import Ledger

    really = Ledger.__init__

    def small(self: Ledger, path: Path | None) -> None:
        really(self, path)
        self._db.execute("PRAGMA max_page_count = 16")

    server.set(latency=0.02, capacity=4)
    command = ["augment", source(here, 150), "-o", "out", "-r", "auggpt", named(server), "--workers", 1]
    with monkeypatch.context() as patched:
        patched.setattr(Ledger, "__init__", small)
        done = cli(*command)
    first, following = done.error
    assert "full" in first
    assert "the same command goes on" in following
    assert sum(server.counts()["answered"].values()) < 100
    assert not (here / "out" / "train").exists()
    done = cli(*command)
    assert done.code == 0, done.err
    assert len(table(here / "out")) > 150


def test_two_commands_in_one_folder(here: Path, server: Server):
    server.set(latency=0.05)
    command = ["augment", source(here, 10), "-o", "out", "-r", "auggpt", named(server), "--workers", 1]
    from leaven.engine.folder import Folder

    with contextlib.ExitStack() as stack:
        stack.enter_context(Folder(here / "out").locked())
        done = cli(*command)
        assert done.code == 1
        assert "another command is at work" in done.error[0]
        assert cli("try", *command[1:-2]).code == 1
    assert server.counts()["requests"] == {}


def test_answers_hold_whatever_a_model_says(tmp_path: Path):
    """Half characters, nulls, direction marks and a line of a million letters: a row or a failure, never a bug."""
    texts = ["half \ud83d", "nul \x00", "\x1b[31m red", "\u202e right to left", "\u2028 line", "x" * 1_000_000, "", " "]
    data = rows(len(texts))

    def reply(heard: Heard) -> Said:
        i = int(heard.body["messages"][0]["content"].partition("question number ")[2].split()[0])
        return Said(json.dumps({"choices": [{"message": {"content": json.dumps({"rewrites": [texts[i]]})}}]}).encode())

    out, made = tmp_path / "out", recipe(tmp_path, "paraphrase: {n: 1}", "unique")
    with Saying(reply) as server:
        done = cli("augment", source(tmp_path, data), "-o", out, "-r", made, named(server), "--workers", 1)
    assert done.code in (0, 3), done.err
    assert cli("verify", out, "--workers", 1).code == 0
    found = {row["_parents"][0] for name in ("train", "refused") for row in table(out, name) if row["_parents"]}
    assert len(found) + len(failed(out)) == len(texts)
