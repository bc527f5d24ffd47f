"""The ledger: every answer of a model, stored before it is used, so that none is ever paid for twice.

One SQLite file a run folder, with one writer.  An answer is found again by where it was asked (step, round, record,
attempt, call number) and what was asked of which model: changing one row, prompt or filter asks for that alone.
"""

from __future__ import annotations

import asyncio
import json
import sqlite3
import time
from collections.abc import Iterable, Sequence
from contextlib import closing, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from leaven.errors import DataError
from leaven.models.answer_files import AnswerFiles
from leaven.models.calls import Answer, Ask, CallFailed, encode
from leaven.records import digest

SCHEMA = """
CREATE TABLE IF NOT EXISTS answers (
  key BLOB PRIMARY KEY, step TEXT, round INTEGER, record TEXT, attempt INTEGER, call INTEGER, role TEXT, model TEXT,
  asked TEXT, answer TEXT, error TEXT, detail TEXT, useless TEXT, tokens_in INTEGER, tokens_out INTEGER, usd REAL,
  seconds REAL, tries INTEGER, repair INTEGER, at REAL
);
CREATE TABLE IF NOT EXISTS attempts (
  step TEXT, round INTEGER, record TEXT, attempt INTEGER, PRIMARY KEY (step, round, record)
) WITHOUT ROWID;
CREATE TABLE IF NOT EXISTS batches (file TEXT PRIMARY KEY, batch TEXT, server TEXT) WITHOUT ROWID;
CREATE TABLE IF NOT EXISTS batched (key BLOB PRIMARY KEY, file TEXT) WITHOUT ROWID;
CREATE TABLE IF NOT EXISTS facts (name TEXT PRIMARY KEY, value TEXT) WITHOUT ROWID;
"""
INSERT = f"INSERT OR REPLACE INTO answers VALUES ({', '.join('?' * 20)})"
ANSWERED = "SELECT COUNT(*) FROM answers WHERE answer IS NOT NULL"
FILES = "answers"
"""The folder beside it of answers that are no texts."""
Place = tuple[str, int, str]
"""The step, the round and the record that a call is about."""


@dataclass(slots=True)
class Row:
    """One stored call: the answer, or the reason for which there is none."""

    key: bytes
    step: str
    round: int
    record: str
    attempt: int
    call: int
    ask: Ask
    model: str
    answer: Answer | None
    failed: CallFailed | None = None
    usd: float | None = None
    seconds: float = 0.0
    tries: int = 1

    def values(self, files: AnswerFiles) -> tuple[Any, ...]:
        """The columns of its row; a sound or an image that was answered is in a file before."""
        answer, failed = self.answer, self.failed
        said = answer.as_json() if answer else None
        if said and answer and answer.media is not None:
            said["media"] = files.put(answer.media)
        return (
            self.key, self.step, self.round, self.record, self.attempt, self.call, self.ask.role, self.model,
            f"{self.ask.encoded[:-1]},{self.ask.settings[1:]}" if self.ask.sampling else self.ask.encoded,
            encode(said) if said else None,
            failed.reason if failed else None,
            failed.detail if failed else None,
            encode(failed.answers) if failed else None,
            answer.tokens_in if answer else 0,
            answer.tokens_out if answer else 0,
            self.usd, round(self.seconds, 4), self.tries, int(self.ask.repair), round(time.time(), 3),
        )  # fmt: skip


def _unwritable(error: Exception) -> DataError:
    return DataError(
        f"the ledger cannot be written ({error}), so nothing more is asked.",
        "make room on the disk, or end what else holds the file; the same command goes on.",
        next_step=True,
    )


def answers_in(file: Path) -> int:
    """How many answers a ledger holds, and calls that were handed in; it is read as it lies, and 0 where it is none."""
    if not file.is_file():
        return 0
    count = 0
    with closing(sqlite3.connect(file)) as found, suppress(sqlite3.Error):
        count += int(found.execute(ANSWERED).fetchone()[0])
        count += int(found.execute("SELECT COUNT(*) FROM batched").fetchone()[0])
    return count


class Ledger:
    """The answers of one run folder; without a path they are kept in memory."""

    def __init__(self, path: Path | None) -> None:
        if path:
            path.parent.mkdir(parents=True, exist_ok=True)
        self._files = AnswerFiles(path.parent / FILES if path else None)
        # One thread at a time uses it: the command's own between steps, the loop's while models are asked.
        self._db = sqlite3.connect(path or ":memory:", isolation_level=None, check_same_thread=False)
        try:
            self._attempts = self._opened()
        except sqlite3.DatabaseError as error:
            self._db.close()
            raise DataError(
                f"{path} cannot be read ({error}).",
                "end what else has it open; if it is damaged, choose another folder with -o.",
            ) from None
        self._waiting: list[tuple[tuple[Any, ...], asyncio.Future[None]]] = []

    def _opened(self) -> dict[Place, int]:
        self._db.executescript("PRAGMA journal_mode=WAL; PRAGMA synchronous=NORMAL; PRAGMA busy_timeout=30000;")
        self._db.execute("PRAGMA wal_autocheckpoint=16000")  # 64 MB: what is committed is safe in the log already
        self._db.executescript(SCHEMA)
        return {
            (step, number, record): attempt
            for step, number, record, attempt in self._db.execute("SELECT step, round, record, attempt FROM attempts")
        }

    def close(self) -> None:
        """One plain file is left, which a reader opens without writing beside it."""
        with suppress(sqlite3.Error):
            self._db.execute("PRAGMA journal_mode=DELETE")
        self._db.close()

    # -- answers ------------------------------------------------------------------------------------------------------

    def find(self, key: bytes) -> tuple[Answer | None, CallFailed | None] | None:
        """The stored answer or failure of a call; None where it was never answered.  Raises DataError for one whose
        file is not there."""
        row = self._db.execute(
            "SELECT answer, error, detail, useless, tokens_in, tokens_out FROM answers WHERE key = ?", (key,)
        ).fetchone()
        if row is None:
            return None
        answer, error, detail, useless, tokens_in, tokens_out = row
        if error:
            return None, CallFailed(error, detail or "", json.loads(useless or "[]"))
        said = json.loads(answer)
        media = self._files.get(said["media"]) if "media" in said else None
        found = Answer(
            said["text"], said["finish"], tokens_in, tokens_out, said.get("logprob"), said.get("tops"), media
        )
        found.scored, found.stored = said.get("scored"), True
        return found, None

    async def store(self, row: Row) -> None:
        """Return once the row is on its way to the disk: what came in one turn of the loop is one transaction."""
        loop = asyncio.get_running_loop()
        future: asyncio.Future[None] = loop.create_future()
        if not self._waiting:
            loop.call_soon(self._commit)
        self._waiting.append((row.values(self._files), future))
        await future

    def _commit(self) -> None:
        waiting, self._waiting = self._waiting, []
        try:
            with self._db:  # rolled back where it breaks
                self._db.execute("BEGIN IMMEDIATE")
                self._db.executemany(INSERT, [values for values, _ in waiting])
        except Exception as error:  # whatever it is, nobody may wait for ever
            for _, future in waiting:
                if not future.done():
                    future.set_exception(_unwritable(error))
            return
        for _, future in waiting:
            if not future.done():
                future.set_result(None)

    # -- attempts -----------------------------------------------------------------------------------------------------

    def attempt(self, place: Place) -> int:
        """How often the record was asked about anew, after runs that ended."""
        return self._attempts.get(place, 0)

    def attempts_print(self, steps: Iterable[str]) -> str:
        """The attempts of some steps as a hash; an empty text where none was made."""
        wanted = set(steps)
        made = sorted((place, n) for place, n in self._attempts.items() if place[0].partition(".")[0] in wanted)
        return digest(json.dumps(made)).hex() if made else ""

    def begin(self) -> int:
        """Take up the work: what failed in a run that ended gets a new attempt.  How many records that are."""
        failed = json.loads(self._fact("failed") or "[]")
        with closing(self._db.cursor()) as cursor:
            cursor.execute("BEGIN IMMEDIATE")
            for step, number, record in failed:
                attempt = self._attempts[step, number, record] = self.attempt((step, number, record)) + 1
                cursor.execute("INSERT OR REPLACE INTO attempts VALUES (?, ?, ?, ?)", (step, number, record, attempt))
            cursor.execute("DELETE FROM facts WHERE name = 'failed'")
            cursor.execute("COMMIT")
        return len(failed)

    def end(self, failed: Sequence[Place]) -> None:
        """The run ended, and these records failed: the next command asks about them anew."""
        self._db.execute("INSERT OR REPLACE INTO facts VALUES ('failed', ?)", (json.dumps(sorted(failed)),))

    def _fact(self, name: str) -> str | None:
        row = self._db.execute("SELECT value FROM facts WHERE name = ?", (name,)).fetchone()
        return str(row[0]) if row else None

    # -- batches ------------------------------------------------------------------------------------------------------

    def hand_in(self, file: str, server: str, keys: Iterable[bytes]) -> None:
        """Note which calls are in a file that a server is about to be given to work through."""
        with self._db:
            self._db.execute("BEGIN IMMEDIATE")
            self._db.execute("INSERT OR REPLACE INTO batches VALUES (?, '', ?)", (file, server))
            self._db.executemany("INSERT OR REPLACE INTO batched VALUES (?, ?)", [(key, file) for key in keys])

    def begun(self, file: str, batch: str) -> None:
        """Note under what name the server works through a file."""
        self._db.execute("UPDATE batches SET batch = ? WHERE file = ?", (batch, file))

    def handed_in(self, key: bytes, server: str) -> tuple[str, str] | None:
        """The file in which a call was given to a server, and its batch (empty where that was not noted any more)."""
        found = self._db.execute(
            "SELECT b.file, b.batch FROM batched k JOIN batches b ON b.file = k.file WHERE k.key = ? AND b.server = ?",
            (key, server),
        ).fetchone()
        return (str(found[0]), str(found[1])) if found else None

    def take_back(self, keys: Iterable[bytes]) -> None:
        """Note that these calls will get no answer from the file in which they are."""
        with self._db:
            self._db.execute("BEGIN IMMEDIATE")
            self._db.executemany("DELETE FROM batched WHERE key = ?", [(key,) for key in keys])

    # -- totals -------------------------------------------------------------------------------------------------------

    def totals(self) -> dict[str, Any]:
        """What all commands in this folder took: calls, tries beyond the first, repair turns, tokens, USD (None where
        a price is unknown), and the models without a price."""
        answers, tries, repeated, repairs, tokens_in, tokens_out, usd = self._db.execute(
            "SELECT COUNT(*), TOTAL(tries), TOTAL(MAX(0, tries - 1)), TOTAL(repair), TOTAL(tokens_in),"
            " TOTAL(tokens_out), TOTAL(usd) FROM answers"  # one row of a batch of vectors has its tries, the others 0
        ).fetchone()
        unpriced = [
            row[0]
            for row in self._db.execute(
                "SELECT DISTINCT model FROM answers WHERE usd IS NULL AND answer IS NOT NULL ORDER BY model"
            )
        ]
        return {
            "calls": int(tries),
            "answers": answers,
            "retries": int(repeated),
            "repairs": int(repairs),
            "tokens_in": int(tokens_in),
            "tokens_out": int(tokens_out),
            "usd": float(usd),
            "unpriced": unpriced,
        }

    def repairs(self) -> dict[str, int]:
        """How many repair turns each record took."""
        return dict(self._db.execute("SELECT record, COUNT(*) FROM answers WHERE repair = 1 GROUP BY record"))

    def seen(self, step: str) -> tuple[int, float, float, float]:
        """Answers to a step: how many, and the mean of tokens in, of tokens out, and of seconds."""
        n, tokens_in, tokens_out, seconds = self._db.execute(
            "SELECT COUNT(*), AVG(tokens_in), AVG(tokens_out), AVG(seconds) FROM answers"
            " WHERE step = ? AND answer IS NOT NULL AND repair = 0",
            (step,),
        ).fetchone()
        return int(n), float(tokens_in or 0), float(tokens_out or 0), float(seconds or 0)

    def asked(self, steps: Sequence[str], rounds: Sequence[int]) -> int:
        """How many calls these steps made in these rounds; one that was made again for a record that failed is one."""
        marks = [", ".join("?" * len(some)) for some in (steps, rounds)]
        found = self._db.execute(
            "SELECT COUNT(*) FROM (SELECT DISTINCT step, round, record, call FROM answers"
            f" WHERE step IN ({marks[0]}) AND round IN ({marks[1]}))",
            (*steps, *rounds),
        ).fetchone()
        return int(found[0])

    def answered(self) -> int:
        """How many answers are stored."""
        return int(self._db.execute(ANSWERED).fetchone()[0])
