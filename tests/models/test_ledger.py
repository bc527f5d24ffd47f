"""The ledger: what is stored is found again, and whatever goes wrong, nobody waits for ever."""

from __future__ import annotations

import asyncio
import contextlib
import sqlite3
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from leaven.errors import DataError
from leaven.models.calls import Answer, Ask, CallFailed
from leaven.models.ledger import Ledger, Row

TEXTS = st.text(st.characters(codec=None), max_size=30)  # half characters too


def row(key: bytes = b"k", *, answer: Answer | None = None, failed: CallFailed | None = None, **more: Any) -> Row:
    ask = Ask("chat", {"messages": [{"role": "user", "content": "hello"}]})
    return Row(key, "step", 0, "record", 0, 0, ask, "m", answer, failed, **more)


def stored(ledger: Ledger, *rows: Row) -> None:
    async def work() -> None:
        await asyncio.wait_for(asyncio.gather(*map(ledger.store, rows)), 10)

    asyncio.run(work())


@given(TEXTS, st.sampled_from(["stop", "length"]), st.integers(0, 10**9), st.none() | st.floats(-50, 0),
       st.none() | st.dictionaries(TEXTS, st.floats(-50, 0), max_size=3))  # fmt: skip
def test_an_answer_is_found_as_it_was_used(
    text: str, finish: str, tokens: int, logprob: float | None, tops: dict[str, float] | None
):
    answer = Answer(text, finish, tokens, tokens, logprob, tops)
    answer.text.encode()
    with contextlib.closing(Ledger(None)) as ledger:
        stored(ledger, row(answer=answer, usd=0.25))
        found = ledger.find(b"k")
        assert found is not None
        assert found == (answer, None)
        assert found[0] is not None
        assert found[0].stored
        assert ledger.find(b"other") is None


@given(TEXTS, st.lists(TEXTS, max_size=3))
def test_a_failure_is_found_with_its_raw_answers(detail: str, answers: list[str]):
    failed = CallFailed("provider_refused", detail, answers)
    with contextlib.closing(Ledger(None)) as ledger:
        stored(ledger, row(failed=failed))
        found = ledger.find(b"k")
        assert found is not None
        assert found[0] is None
        again = found[1]
        assert isinstance(again, CallFailed)
        assert (again.reason, again.detail, again.answers) == (failed.reason, failed.detail, failed.answers)
        assert ledger.answered() == 0


def test_rows_that_cannot_be_stored_are_an_error_of_all_who_wait_and_the_next_are_stored():
    with contextlib.closing(Ledger(None)) as ledger:
        good, bad = row(b"good", answer=Answer("yes")), row(b"bad", answer=Answer("yes"))
        bad.tries = 10**30  # no column takes that

        async def work() -> list[Any]:
            both = asyncio.gather(ledger.store(good), ledger.store(bad), return_exceptions=True)
            return await asyncio.wait_for(both, 10)

        found = asyncio.run(work())
        assert [type(f) for f in found] == [DataError, DataError]
        assert "the same command goes on" in found[0].fix
        assert ledger.find(b"good") is None
        stored(ledger, good)
        assert ledger.find(b"good") is not None


def test_a_full_disk(tmp_path: Path):
    with contextlib.closing(Ledger(tmp_path / "ledger.sqlite")) as ledger:
        stored(ledger, row(b"first", answer=Answer("yes")))
        ledger._db.execute("PRAGMA max_page_count = 12")
        with pytest.raises(DataError, match="full"):
            stored(ledger, row(b"second", answer=Answer("yes" * 100_000)))
        assert ledger.find(b"first") is not None


@pytest.mark.parametrize(
    "content", [b"no database at all, but long enough to be looked at" * 20, b"SQLite format 3\0" + b"\1" * 4080]
)
def test_a_damaged_file_is_said_in_two_lines(content: bytes, tmp_path: Path):
    (tmp_path / "ledger.sqlite").write_bytes(content)
    with pytest.raises(DataError, match=r"ledger\.sqlite cannot be read"):
        Ledger(tmp_path / "ledger.sqlite")


def test_what_failed_in_a_run_that_ended_gets_a_new_attempt_once(tmp_path: Path):
    place, other = ("step", 0, "record"), ("step", 0, "other")
    file = tmp_path / "ledger.sqlite"
    with contextlib.closing(Ledger(file)) as ledger:
        assert ledger.attempt(place) == 0
        ledger.end([place])
        assert ledger.attempt(place) == 0
    for _ in range(2):  # the second time it was killed before its end
        with contextlib.closing(Ledger(file)) as ledger:
            ledger.begin()
            assert (ledger.attempt(place), ledger.attempt(other)) == (1, 0)
            assert ledger.attempts_print(["step"])
            assert not ledger.attempts_print(["another"])


def test_totals_count_tries_and_say_what_has_no_price():
    with contextlib.closing(Ledger(None)) as ledger:
        stored(
            ledger,
            row(b"a", answer=Answer("yes", tokens_in=7, tokens_out=2), usd=0.25, tries=3),
            row(b"b", answer=Answer("yes", tokens_in=5, tokens_out=1), usd=None),
            row(b"c", failed=CallFailed("timed_out", "5 tries"), usd=0.0, tries=5),
            row(b"d", answer=Answer("a vector of a batch"), usd=0.0, tries=0),
        )
        totals = ledger.totals()
        assert (totals["calls"], totals["answers"], totals["retries"]) == (9, 4, 6)
        assert (totals["tokens_in"], totals["tokens_out"]) == (12, 3)
        assert (totals["usd"], totals["unpriced"]) == (0.25, ["m"])


def test_another_program_may_look_on(tmp_path: Path):
    """A reader of the file stops nobody."""
    file = tmp_path / "ledger.sqlite"
    with contextlib.closing(Ledger(file)) as ledger, contextlib.closing(sqlite3.connect(file)) as reader:
        reader.execute("BEGIN")
        assert reader.execute("SELECT COUNT(*) FROM answers").fetchone() == (0,)
        stored(ledger, row(answer=Answer("yes")))
        assert ledger.answered() == 1
        reader.execute("COMMIT")
        assert reader.execute("SELECT COUNT(*) FROM answers").fetchone() == (1,)
