"""A provider's batch API: all calls of a step in one file, answered within a day at half the price.

The calls that wait are handed in together once no new one has come for a moment.  Which call is in which file stands
in the ledger before a batch is begun with it, so that the same command, after an interruption, waits for that batch.
"""

from __future__ import annotations

import asyncio
import json
import time
from collections.abc import Awaitable, Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from typing import TYPE_CHECKING, Any, TypeVar

from leaven.errors import ModelError
from leaven.models.asker import Stopped
from leaven.models.backends.openai_media import form
from leaven.models.calls import Broken, Busy, CallFailed, Unreachable, encode

if TYPE_CHECKING:
    from leaven.models.asker import Asker
    from leaven.models.backends.openai import OpenAI
    from leaven.models.calls import About, Answer, Ask
    from leaven.models.limiter import Limiter
    from leaven.models.prices import Price

SHARE = 0.5
"""What providers take for a call in a batch, of its list price."""
CHAT = "/chat/completions"
ENDPOINT = "/v1/chat/completions"
WINDOW = "24h"
MOST_LINES = 50_000
MOST_BYTES = 190_000_000
"""OpenAI takes 200 MB."""
MOST_BACK = 2**30
"""Bytes of the answers to a batch."""
SLOW = 10.0
"""A file takes so many times as long as an answer may."""
MOMENT, QUIET = 0.1, 4
"""A batch is handed in when nothing was added in so many moments, of so many seconds."""
SOONEST, LATEST = 0.5, 60.0
"""Seconds between two looks at a batch: half as many again each time."""
ENDED = ("completed", "expired", "cancelled", "failed")
TRIES = 5
"""How many batches a call may be in."""
PAGES = 20
"""Pages of 100 batches in which one is looked for."""
PATIENCE = 3600.0
"""Seconds without news of a batch, from a server that breaks or is not there, after which the command ends."""

T = TypeVar("T")


@dataclass(slots=True, eq=False)
class Line:
    """One call that waits, the file that it is in, and how many it was in."""

    key: bytes
    ask: Ask
    answer: asyncio.Future[Answer]
    file: str = ""
    tries: int = 0


class OpenAIBatch:
    """One model on one server, asked through its batch API: ``in_batch`` waits with all other calls.

    A repair turn goes into the next batch, with those of the others.
    """

    free = False

    def __init__(self, server: OpenAI) -> None:
        self.server = server
        self.model, self.uri = server.model, server.uri
        self.limiter: Limiter | None = server.limiter
        self.price: Price | None = server.price
        self._lines: dict[bytes, Line] = {}
        self._new: list[Line] = []
        self._came = 0
        self._gathering: asyncio.Task[None] | None = None
        self._followed: dict[str, asyncio.Task[None]] = {}
        self._states: dict[str, str] = {}

    @property
    def left_out(self) -> list[str]:
        """The parameters that the server refuses."""
        return self.server.left_out

    async def close(self) -> None:
        for task in (*self._followed.values(), *([self._gathering] if self._gathering else [])):
            task.cancel()
        await self.server.close()

    async def play(self, ask: Ask, about: About) -> Answer:
        """The answer at once, and at full price: for a look whether the model is there."""
        return await self.server.play(ask, about)

    async def in_batch(self, ask: Ask, key: bytes, asker: Asker) -> Answer:
        """The answer of a batch, of an earlier command's where the call was in one.

        ``key`` is the call's name in the ledger.  Raises CallFailed, Stopped, or ModelError where the batch came to
        nothing.
        """
        line = self._lines.get(key)
        if line is None:
            line = self._lines[key] = Line(key, ask, asyncio.get_running_loop().create_future())
            self._came += 1
            known = asker.ledger.handed_in(key, self.server.url)
            if known:
                line.file, batch = known
                if batch:
                    asker.once(f"batch {batch} is waited for, which an earlier command handed in.", warning=False)
                self._follow(line.file, batch, asker)
            else:
                self._hand_in_soon([line], asker)
        try:
            return await line.answer
        finally:
            self._lines.pop(key, None)

    # -- handing in ---------------------------------------------------------------------------------------------------

    def _hand_in_soon(self, lines: Iterable[Line], asker: Asker) -> None:
        self._new += lines
        if self._gathering is None:
            self._gathering = asyncio.create_task(self._gather(asker))

    async def _gather(self, asker: Asker) -> None:
        await self._quiet(asker)
        lines, self._new, self._gathering = self._new, [], None
        try:
            for some, data in self._files(lines):
                _go_on(asker)
                file = await self._upload(data)
                asker.ledger.hand_in(file, self.server.url, [line.key for line in some])
                for line in some:
                    line.file = file
                batch = await self._begin(file, sure=True)
                asker.ledger.begun(file, batch)
                asker.once(
                    f"{len(some):,} calls wait in batch {batch}; the same command goes on waiting for it.",
                    warning=False,
                )
                self._follow(file, batch, asker)
        except BaseException as error:
            _fail(lines, error)

    async def _quiet(self, asker: Asker) -> None:
        """Return when no call has come for a moment.  Turns of the loop are counted, not seconds: while records are
        made ready no call can come."""
        quiet = 0
        while quiet < QUIET and not asker.stopping:
            came = self._came
            await asyncio.sleep(MOMENT)
            quiet = quiet + 1 if came == self._came else 0

    def _files(self, lines: Sequence[Line]) -> Iterator[tuple[list[Line], bytes]]:
        """The calls as files that the server takes, made when they are wanted."""
        some: list[Line] = []
        parts: list[bytes] = []
        size = 0
        for line in lines:
            body, _ = self.server.body(CHAT, line.ask)
            head = f'{{"custom_id":"{line.key.hex()}","method":"POST","url":"{ENDPOINT}","body":'
            part = head.encode() + body + b"}\n"
            if some and (len(some) >= MOST_LINES or size + len(part) > MOST_BYTES):
                yield some, b"".join(parts)
                some, parts, size = [], [], 0
            some.append(line)
            parts.append(part)
            size += len(part)
        if some:
            yield some, b"".join(parts)

    async def _upload(self, data: bytes) -> str:
        body, kind = form({"purpose": "batch"}, [("file", "batch.jsonl", "application/jsonl", data)])
        said = await self._said("POST", "/files", body, kind, slow=SLOW)
        return _named(said)

    async def _begin(self, file: str, *, sure: bool) -> str:
        """The batch of a file.  Where it is not ``sure`` that none was begun (its answer was lost, or this process
        ended before it came), the server's own are looked through: no file is worked through twice."""

        async def begin() -> str:
            nonlocal sure
            batch = "" if sure else await self._find(file)
            sure = False
            if batch:
                return batch
            wish = {"input_file_id": file, "endpoint": ENDPOINT, "completion_window": WINDOW}
            raw = await self._raw("POST", "/batches", encode(wish).encode())
            return _named(self.server.parsed(raw))

        return await self._tried(begin)

    async def _find(self, file: str) -> str:
        after = ""
        for _ in range(PAGES):
            try:
                raw = await self._raw("GET", f"/batches?limit=100{f'&after={after}' if after else ''}")
            except _NotThere:  # a server that lists none
                return ""
            said = self.server.parsed(raw)
            rows = [row for row in said.get("data") or [] if isinstance(row, dict)]
            for row in rows:
                if row.get("input_file_id") == file:
                    return _named(row)
            if not rows or not said.get("has_more"):
                break
            after = _named(rows[-1])
        return ""

    # -- waiting ------------------------------------------------------------------------------------------------------

    def _follow(self, file: str, batch: str, asker: Asker) -> None:
        if file not in self._followed:
            self._followed[file] = asyncio.create_task(self._wait(file, batch, asker))

    async def _wait(self, file: str, batch: str, asker: Asker) -> None:
        try:
            if not batch:
                batch = await self._begin(file, sure=False)
                asker.ledger.begun(file, batch)
            said = await self._ended(file, batch, asker)
            await self._quiet(asker)  # a command that goes on reads the answers once, for all of its calls
            rows = await self._rows(said)
        except BaseException as error:
            _fail([line for line in self._lines.values() if line.file == file], error)
            if isinstance(error, asyncio.CancelledError):
                raise
        else:
            self._give([line for line in self._lines.values() if line.file == file], batch, said, rows, asker)
        finally:
            self._followed.pop(file, None)
            self._tell(file, "", asker)

    async def _ended(self, file: str, batch: str, asker: Asker) -> Mapping[str, Any]:
        """The batch as the server tells it, when it has ended."""
        wait, heard = SOONEST, time.monotonic()
        while True:
            _go_on(asker)
            said: Mapping[str, Any] = {}
            try:
                said = self.server.parsed(await self._raw("GET", f"/batches/{batch}"))
                heard = time.monotonic()
            except _NotThere:
                raise ModelError(
                    f"{self.server.url} knows no batch {batch}, in which calls of this folder wait.",
                    f"ask with the key that handed it in, or give it up: chat=openai:{self.uri.partition(':')[2]}",
                ) from None
            except (Broken, Busy, Unreachable) as error:  # a batch takes hours, in which a network may be gone
                if time.monotonic() - heard > PATIENCE:
                    raise ModelError(
                        f"no news of batch {batch} for {PATIENCE / 60:.0f} minutes: {error}.", GOES_ON, next_step=True
                    ) from None
            except CallFailed as failed:
                raise self._failing(failed) from None
            status = said.get("status")
            counts = said.get("request_counts")
            if isinstance(counts, dict):
                done = sum(n for name in ("completed", "failed") if isinstance(n := counts.get(name), int))
                self._tell(file, f"batch {batch}: {done:,} of {counts.get('total', 0):,} done", asker)
            if status in ENDED:
                return said
            for _ in range(round(wait / MOMENT)):
                await asyncio.sleep(MOMENT)
                _go_on(asker)
            wait = min(LATEST, 1.5 * wait)

    def _tell(self, file: str, state: str, asker: Asker) -> None:
        self._states.pop(file, None)
        if state:
            self._states[file] = state
        asker.spend.waits = "; ".join(self._states.values())

    async def _rows(self, said: Mapping[str, Any]) -> dict[str, Mapping[str, Any]]:
        """What came of each line, by its name; an answer counts before an error."""
        rows: dict[str, Mapping[str, Any]] = {}
        for name in ("error_file_id", "output_file_id"):
            if said.get(name):
                rows.update(await self._tried(partial(self._lines_of, said[name])))
        return rows

    async def _lines_of(self, file: str) -> dict[str, Mapping[str, Any]]:
        raw = await self._raw("GET", f"/files/{file}/content", most=MOST_BACK, slow=SLOW)
        return await asyncio.to_thread(_read, self.server.hidden(raw))

    # -- what came ----------------------------------------------------------------------------------------------------

    def _give(
        self,
        lines: Sequence[Line],
        batch: str,
        said: Mapping[str, Any],
        rows: Mapping[str, Mapping[str, Any]],
        asker: Asker,
    ) -> None:
        """Each call its answer or its error; what has none is asked again, unless the batch was cancelled or failed."""
        left = [line for line in lines if not self._given(line, rows.get(line.key.hex()))]
        if not left:
            return
        asker.ledger.take_back([line.key for line in left])
        status = said.get("status")
        if status in ("cancelled", "failed"):
            why = f"{status}{_why_failed(said)}, {len(lines) - len(left):,} of its {len(lines):,} calls were answered"
            _fail(left, ModelError(f"batch {batch} {why}.", "the same command asks the others.", next_step=True))
            return
        again = []
        for line in left:
            line.tries += 1
            line.file = ""
            if line.tries < TRIES:
                again.append(line)
            else:
                why = "expired" if status == "expired" else "ended without an answer to it"
                _fail([line], CallFailed("timed_out" if status == "expired" else "server_error", f"its batch {why}"))
        if again:
            self._hand_in_soon(again, asker)

    def _given(self, line: Line, row: Mapping[str, Any] | None) -> bool:
        """False for a call that is to be asked again."""
        response = row.get("response") if row else None
        if not isinstance(response, dict):
            return line.answer.done()
        status, body = response.get("status_code"), response.get("body")
        body = body if isinstance(body, dict) else {}
        raw = encode(body).encode("utf-8", "replace")
        try:
            if status == 200:
                answer = self.server.chatted(body, line.ask)
                if not line.answer.done():
                    line.answer.set_result(answer)
                return True
        except Broken:
            return False
        except CallFailed as failed:
            _fail([line], failed)
            return True
        if not isinstance(status, int) or status >= 500 or status in (408, 409, 425, 429):
            return False
        could = {*line.ask.sampling, *self.server.beside(CHAT, line.ask)}
        if line.ask.shape is not None:
            could.add("response_format")
        if status in (400, 422) and self.server.leaves_out(raw, dict.fromkeys(could)):
            return False
        text = raw[:2000].decode("utf-8", "replace")
        _fail([line], CallFailed("provider_refused", f"{status} {self.server.message(raw)}".strip(), [text]))
        return True

    # -- one request --------------------------------------------------------------------------------------------------

    async def _said(self, *request: Any, **how: Any) -> dict[str, Any]:
        async def ask() -> dict[str, Any]:
            return self.server.parsed(await self._raw(*request, **how))

        return await self._tried(ask)

    async def _tried(self, request: Callable[[], Awaitable[T]]) -> T:
        """What came of a request, tried as calls are; one that fails for good ends the run, which may go on later."""
        assert self.limiter is not None, "a server has a limiter"
        try:
            found, _ = await self.limiter.run(request, first=True)
        except CallFailed as failed:
            raise self._failing(failed) from None
        return found

    def _failing(self, failed: CallFailed) -> ModelError:
        return ModelError(
            f"the batch API of {self.server.url} fails: {failed.detail.rstrip('.')}.", GOES_ON, next_step=True
        )

    async def _raw(self, method: str, path: str, *data: Any, **how: Any) -> bytes:
        """The body of an answer.  Raises as a call does, and _NotThere for a 404."""
        status, headers, raw = await self.server.send(method, path, *data, **how)
        if status in (200, 201):
            return raw
        if status in (404, 405):
            if method == "POST":
                raise ModelError(
                    f"{self.server.url} has no batch API ({status} at {path}).",
                    f"ask it directly: openai:{self.uri.partition(':')[2]}",
                )
            raise _NotThere
        await self.server.refused(status, headers, raw, {})
        raise AssertionError("an answer other than 200 raises")


GOES_ON = "the same command goes on when it answers; nothing is paid twice."


class _NotThere(Exception):
    """404."""


def _go_on(asker: Asker) -> None:
    if asker.stopping:
        raise Stopped("the run stops.", "the same command goes on waiting for its batches.", next_step=True)


def _fail(lines: Iterable[Line], error: BaseException) -> None:
    for line in lines:
        if not line.answer.done():
            if isinstance(error, asyncio.CancelledError):
                line.answer.cancel()
            else:
                line.answer.set_exception(error)


def _named(said: Mapping[str, Any]) -> str:
    """The id of a file or a batch.  Raises Broken."""
    name = said.get("id")
    if not isinstance(name, str) or not name or not name.replace("-", "").replace("_", "").replace(".", "").isalnum():
        raise Broken("server_error", f"no id: {str(name)[:80]!r}")
    return name


def _read(raw: bytes) -> dict[str, Mapping[str, Any]]:
    """The lines of a file of answers by the names of their calls.  Raises Broken where one is damaged: to take its call
    for one without an answer would be to pay for it twice."""
    rows: dict[str, Mapping[str, Any]] = {}
    for line in filter(None, raw.splitlines()):
        try:
            row = json.loads(line)
        except (ValueError, RecursionError):
            raise Broken("server_error", f"a line of the answers is no JSON: {line[:80]!r}") from None
        if isinstance(row, dict) and isinstance(row.get("custom_id"), str):
            rows[row["custom_id"]] = row
    return rows


def _why_failed(said: Mapping[str, Any]) -> str:
    """What a server says of a batch that failed."""
    errors = said.get("errors")
    data = errors.get("data") if isinstance(errors, dict) else None
    first = data[0] if isinstance(data, list) and data and isinstance(data[0], dict) else {}
    said_of_line = f" (line {first['line']})" if first.get("line") else ""
    return (
        f": {' '.join(str(first['message']).split())[:300].rstrip('.')}{said_of_line}" if first.get("message") else ""
    )
