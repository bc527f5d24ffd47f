"""How many calls may be on the wire to one server: found out by asking, without needing its headers.

The limit starts small and grows with every answer until the server pushes back (429), or until more calls at once
bring no more answers a second.  Then it goes down to what was being served, and from there up again slowly.  Halving at
every 429 instead would cost a third of the speed of a server that takes 64 at a time.
"""

from __future__ import annotations

import asyncio
import time
from collections import deque
from collections.abc import Awaitable, Callable
from typing import TypeVar

from leaven.errors import ModelError
from leaven.models.calls import Broken, Busy, CallFailed, Unreachable

START = 32
MOST = 512
TRIES = 5
"""How often a call is tried that breaks (5xx, a cut connection, a time-out)."""
SHORTEST = 0.25
"""Seconds before a call goes again to a server that takes none: twice as many each time, whatever it says."""
PATIENCE = 600.0
"""Seconds without any answer after which a server that says 429 is given up."""
UNREACHED = 3
"""How often an address may be tried where nothing has answered yet."""
FEWEST = 4
"""Answers by which a rate is judged."""
MOMENT = 0.5
"""Seconds of an answer that comes in a moment."""
FLAT = 1.15
"""Growth of the limit has to raise the rate of answers by so much, or it has found the server's speed."""

SOONEST, SELDOM = 1 / 16, 256.0
"""Rounds of answers between two tries of one call more, where they go well and where the server pushes back."""

T = TypeVar("T")


class Limiter:
    """Shares one server among all calls to it, and tries again what may succeed."""

    def __init__(self, name: str, *, most: int | None = None, fixed: bool = False) -> None:
        self.name = name
        self.most = most or MOST
        self.limit = float(self.most if fixed else min(START, self.most))
        self.flying = 0
        self.retries = 0
        self.served = 0
        self._waiting: deque[asyncio.Future[None]] = deque()
        self._growing = not fixed
        self._fixed = fixed
        self._ceiling = float("inf")
        self._probe_after = 4.0
        self._acks = 0.0
        self._probed = False
        self._round = (time.monotonic(), 0)
        self._rate = 0.0
        self._grew = self._last = 1.0
        self._base = self.limit
        self._lowered = -1e9
        self._paused_until = 0.0
        self._pause = SHORTEST
        self._shrunk_at = -1e9
        self._answers: deque[float] = deque(maxlen=MOST)
        self._long = float("inf")
        """Seconds that turned out to be too many for an answer."""
        self.last_answer = time.monotonic()

    async def run(self, call: Callable[[], Awaitable[T]], *, first: bool = False) -> tuple[T, int]:
        """Make the call when there is room, as often as it takes: the result, and how many tries that were.

        ``first``: before the calls that wait already; for what belongs to one that was answered.
        Raises CallFailed where it breaks each time, ModelError where the server is not there or stays busy.
        """
        tries = pushed = 0
        began = time.monotonic()
        while True:
            await self._enter(first)
            tries += 1
            sent = time.monotonic()
            try:
                found = await call()
            except Busy as busy:
                pushed += 1
                wait = self._push_back(busy, pushed, sent)
                first = True
                silent = time.monotonic() - max(self.last_answer, began)
                if silent > PATIENCE:
                    raise self._given_up(busy, silent) from None
                tries -= 1  # it was not looked at
                self.retries += 1
                if wait:
                    await asyncio.sleep(wait)
            except Broken as broken:
                self._leave()
                if broken.slow:
                    self._shrink(sent if broken.reason == "timed_out" else None)
                if tries >= TRIES:
                    raise CallFailed(broken.reason, f"{tries} tries; the last: {broken}", tries=tries) from None
                self.retries += 1
                await asyncio.sleep(max(broken.after or 0.0, SHORTEST * 2 ** (tries - 1)))
            except Unreachable as gone:
                self._leave()
                if tries >= (TRIES if self.served else UNREACHED):
                    raise ModelError(f"no server answers at {self.name} ({gone}).", UNREACHABLE_FIX) from None
                self.retries += 1
                await asyncio.sleep(SHORTEST * 2 ** (tries - 1))
            except BaseException:
                self._leave()
                raise
            else:
                self._served(sent)
                return found, tries

    # -- room -----------------------------------------------------------------------------------------------------

    async def _enter(self, first: bool) -> None:
        if self.flying < self.limit and not self._waiting and not self._paused_until:
            self.flying += 1
            return
        future: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        if first:  # it waited already
            self._waiting.appendleft(future)
        else:
            self._waiting.append(future)
        self._admit()
        try:
            await future
        except asyncio.CancelledError:
            if future.done() and not future.cancelled():
                self._leave()
            raise

    def _leave(self) -> None:
        self.flying -= 1
        self._admit()

    def _admit(self) -> None:
        if self._paused_until:
            left = self._paused_until - time.monotonic()
            if left > 0:
                asyncio.get_running_loop().call_later(left + 0.001, self._admit)
                return
            self._paused_until = 0.0
        while self._waiting and self.flying < self.limit:
            future = self._waiting.popleft()
            if not future.done():
                self.flying += 1
                future.set_result(None)

    # -- what the server says -------------------------------------------------------------------------------------

    def _served(self, sent: float) -> None:
        self.served += 1
        self.last_answer = now = time.monotonic()
        self._answers.append(now)
        self._pause = SHORTEST
        if not self._fixed and self._waiting and now - sent < self._long / 2:
            self._grow(now, sent)
        self._leave()

    def _grow(self, now: float, sent: float) -> None:
        if self._growing:
            self._faster(now, now - sent)
        elif self.limit < 0.9 * self._ceiling:
            self.limit += 1.0
        else:  # near where it pushed back: try one more, the sooner the more of them went well
            self._acks += 1
            if self._acks >= self._probe_after * self.limit:
                self._acks = 0.0
                self._probe_after = max(SOONEST, self._probe_after / 2)
                self._probed = True
                self.limit += 1.0
        self.limit = min(self.limit, float(self.most))

    def _faster(self, now: float, took: float) -> None:
        """Twice as many in the next round (the first time four times, where answers come in a moment), as long as that
        brings more of them a second; else as before: a slow server that queues what it cannot do yet would let them
        time out, and every call too many costs a try."""
        began, count = self._round
        if count == 0:
            self._base = max(self.limit, FEWEST)
            self._grew = 4.0 if took < MOMENT and self._grew == 1.0 else 2.0
        if took < MOMENT:  # where answers come in a moment it need not wait for the last of a round
            self.limit = min(self.limit + self._grew - 1.0, self._grew * self._base)
        if count + 1 < self._base:
            self._round = (began, count + 1)
            return
        rate = (count + 1) / max(1e-6, now - began)
        if rate < FLAT * self._rate:
            self._growing = False
            self.limit = self._ceiling = max(1.0, self._base / self._last)
        else:
            self.limit, self._last = self._grew * self._base, self._grew
            self._growing = self.limit < self.most
        self._rate = rate
        self._round = (now, 0)

    def _push_back(self, busy: Busy, pushed: int, sent: float) -> float:
        """The server took no more: the limit is what it serves.  How long the call has to wait before it goes again.

        Where it was one more than the server ever took, or was sent before that was known, it goes as soon as another
        one is answered, and so it does the first time; else when the server said.
        """
        beyond = self.flying > self._ceiling or self._ceiling == float("inf") or sent < self._lowered
        overshot = not self._fixed and beyond
        self.flying -= 1
        if not self._fixed and self.flying:
            self._growing = False
            self.limit = self._ceiling = min(self.limit, float(self.flying))
            self._lowered = time.monotonic()
            if self._probed:
                self._probe_after = min(SELDOM, 4 * self._probe_after)
            self._acks, self._probed = 0.0, False
        elif not self._fixed:  # it takes not even one: that says nothing of how many it takes another time
            self.limit, self._ceiling, self._growing = 1.0, float("inf"), True
            self._round, self._rate = (time.monotonic(), 0), 0.0
        wait = 0.0
        if self.flying == 0:
            after = busy.after if busy.after and busy.after >= SHORTEST else self._pause
            self._pause = min(60.0, 2 * self._pause)
            self._paused_until = max(self._paused_until, time.monotonic() + after)
        elif not overshot and pushed > 1:
            wait = max(busy.after or 0.0, min(8.0, 0.05 * 2 ** min(pushed, 10)))
        self._admit()
        return wait

    def _shrink(self, sent: float | None) -> None:
        """Overload.  Where a call that was ``sent`` timed out, half of what was answered meanwhile: a local server
        often queues what it cannot do yet.  Else half as many, once for all that were on the wire together."""
        now = time.monotonic()
        if self._fixed:
            return
        if sent is not None:
            self._long = min(self._long, now - sent)
            served = sum(answered >= sent for answered in self._answers)
            if served < self.limit:
                self._growing = False
                self.limit = self._ceiling = max(1.0, served / 2)
        elif now - self._shrunk_at > 1.0:
            self._shrunk_at = now
            self._growing = False
            self._ceiling = self.limit
            self.limit = max(1.0, self.limit / 2)

    def _given_up(self, busy: Busy, silent: float) -> ModelError:
        waiting = len(self._waiting) + self.flying + 1
        error = ModelError(
            f"{waiting} {'call has' if waiting == 1 else 'calls have'} waited {silent:.0f} s for {self.name},"
            f" which answers 429 ({busy}).",
            "raise the quota, then run the same command; what was answered is stored.",
            next_step=True,
        )
        error.retryable = True
        return error


UNREACHABLE_FIX = "start it (for Ollama: ollama serve), or correct the URL after the @."
