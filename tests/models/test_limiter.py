"""How many calls go out at a time: against servers of many kinds, on a clock that costs no time."""

from __future__ import annotations

import asyncio
import random
from collections.abc import Awaitable, Callable, Coroutine
from itertools import pairwise
from types import SimpleNamespace
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from leaven.errors import ModelError
from leaven.models import limiter
from leaven.models.calls import Broken, Busy, CallFailed, Unreachable
from leaven.models.limiter import Limiter


class Clock(asyncio.SelectorEventLoop):
    """A loop that does not wait: where nothing is ready, it is later at once."""

    def __init__(self) -> None:
        super().__init__()
        self.at = 0.0
        really = self._selector.select  # type: ignore[attr-defined]

        def select(timeout: float | None) -> Any:
            assert timeout is not None, "all wait for ever"
            self.at += max(0.0, timeout)
            return really(0)

        self._selector.select = select  # type: ignore[attr-defined]

    def time(self) -> float:
        return self.at


def simulated(work: Callable[[Clock], Coroutine[Any, Any, Any]]) -> Any:
    """What comes of a coroutine whose seconds pass at once."""
    loop = Clock()
    before = limiter.time
    limiter.time = SimpleNamespace(monotonic=loop.time)  # type: ignore[assignment]
    try:
        return loop.run_until_complete(asyncio.wait_for(work(loop), 1e6))
    finally:
        limiter.time = before
        loop.close()


class Server:
    """Takes ``capacity`` calls at a time and ``rpm`` a minute, the first ``burst`` at once; answers after about
    ``latency`` seconds.  ``after`` is what it says of waiting, ``down`` when it refuses all."""

    def __init__(
        self,
        clock: Clock,
        *,
        latency: float = 0.5,
        capacity: float = float("inf"),
        rpm: float = float("inf"),
        burst: float = float("inf"),
        after: float | None = None,
        down: tuple[float, float] = (0.0, 0.0),
        seed: int = 0,
    ) -> None:
        self.clock, self.draw = clock, random.Random(seed)
        self.latency, self.capacity, self.after, self.down = latency, capacity, after, down
        self.rpm, self.burst, self.left, self.filled = rpm, burst, burst, 0.0
        self.flying = self.most = self.refused = self.served = 0

    def fill(self) -> None:
        now = self.clock.time()
        self.left = min(self.burst, self.left + (now - self.filled) * self.rpm / 60) if self.rpm < 1e9 else 1e9
        self.filled = now

    async def __call__(self) -> int:
        self.fill()
        if self.down[0] <= self.clock.time() < self.down[1] or self.flying >= self.capacity or self.left < 1:
            self.refused += 1
            raise Busy("429", self.after)
        self.left -= 1
        self.flying += 1
        self.most = max(self.most, self.flying)
        try:
            await asyncio.sleep(self.latency * self.draw.uniform(0.5, 1.5))
        finally:
            self.flying -= 1
        self.served += 1
        return self.served


def seconds(calls: int, **server: Any) -> tuple[float, Server]:
    """How long a server of this kind takes for so many calls."""

    async def work(clock: Clock) -> tuple[float, Server]:
        there, limit = Server(clock, **server), Limiter("there")
        await asyncio.gather(*(limit.run(there) for _ in range(calls)))
        assert there.served == calls
        assert limit.flying == 0
        return clock.time(), there

    found: tuple[float, Server] = simulated(work)
    return found


@pytest.mark.parametrize(
    ("kind", "calls", "ideal", "within"),
    [
        ({"capacity": 64}, 3000, 3000 / 64 * 0.5, 1.1),
        ({"capacity": 8, "latency": 0.03}, 1000, 1000 / 8 * 0.03, 1.1),
        ({"capacity": 1, "latency": 0.2}, 100, 20, 1.1),
        ({"capacity": 300}, 6000, 6000 / 300 * 0.5, 1.4),
        ({}, 5000, 5000 / limiter.MOST * 0.5, 1.6),
        ({"rpm": 1200, "burst": 1200, "latency": 1.0}, 3000, 90, 1.1),
        ({"rpm": 1200, "burst": 20, "latency": 1.0}, 1000, 50, 1.2),
        ({"rpm": 600, "burst": 10, "latency": 5.0}, 2400, 240, 1.4),
        ({"rpm": 3000, "burst": 3000, "latency": 2.0, "after": 1.0}, 6000, 60, 1.2),
        ({"capacity": 64, "down": (0, 5)}, 3000, 5 + 3000 / 64 * 0.5, 1.4),
        ({"capacity": 64, "down": (5, 10)}, 3000, 5 + 3000 / 64 * 0.5, 1.4),
        ({"capacity": 64, "down": (5, 40), "latency": 5.0, "after": 1.0}, 3000, 35 + 3000 / 64 * 5, 1.3),
    ],
    ids=str,
)
def test_it_finds_out_what_a_server_takes(kind: dict[str, Any], calls: int, ideal: float, within: float):
    took, server = seconds(calls, **kind)
    assert took < within * ideal, f"{took:.1f} s, ideal {ideal:.1f} s"
    assert server.refused < 0.4 * calls  # a refusal costs a request, if no answer


@given(
    capacity=st.integers(1, 200), latency=st.floats(0.01, 20), calls=st.integers(1, 300), seed=st.integers(0, 99),
    after=st.none() | st.floats(0, 3), down=st.tuples(st.floats(0, 20), st.floats(0, 60)),
)  # fmt: skip
def test_every_call_is_answered_once_and_none_starves(
    capacity: int, latency: float, calls: int, seed: int, after: float | None, down: tuple[float, float]
):
    took, server = seconds(calls, capacity=capacity, latency=latency, after=after, down=down, seed=seed)
    assert server.most <= capacity
    rounds = max(1, calls / min(capacity, limiter.MOST))
    assert took < 3 * (1.5 * latency * (rounds + 20) + max(0.0, down[1] - down[0])) + 20


class Slots:
    """A server on one's own machine: it takes everything, and does ``slots`` at a time, in order."""

    def __init__(self, slots: int, latency: float, timeout: float) -> None:
        self.room, self.latency, self.timeout = asyncio.Semaphore(slots), latency, timeout
        self.late = 0

    async def work(self) -> None:
        async with self.room:
            await asyncio.sleep(self.latency)

    async def __call__(self) -> None:
        try:
            async with asyncio.timeout(self.timeout):
                await self.work()
        except TimeoutError:
            self.late += 1
            raise Broken("timed_out", "no answer", slow=True) from None


@pytest.mark.parametrize(("slots", "latency"), [(1, 1.0), (1, 5.0), (1, 20.0), (4, 10.0), (16, 0.5)])
def test_a_server_that_queues_what_it_cannot_do_yet_is_not_flooded(slots: int, latency: float):
    """Ollama and llama.cpp do: a call that waits there for its turn times out, though nothing is broken."""

    async def work(clock: Clock) -> tuple[float, int]:
        there, limit = Slots(slots, latency, 60.0), Limiter("there")
        await asyncio.gather(*(limit.run(there) for _ in range(300)))  # none of them fails
        return clock.time(), there.late

    took, late = simulated(work)
    assert took < 1.25 * 300 / slots * latency + 60
    assert late <= 100


@pytest.mark.parametrize("after", [None, 0.0, 7.0])
def test_a_server_that_says_429_for_ever_is_given_up(after: float | None, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(limiter, "PATIENCE", 30.0)

    async def work(clock: Clock) -> tuple[list[Any], float, int]:
        there, limit = Server(clock, down=(0, 1e9), after=after), Limiter("https://there/v1")
        found = await asyncio.gather(*(limit.run(there) for _ in range(64)), return_exceptions=True)
        return found, clock.time(), there.refused

    found, took, refused = simulated(work)
    assert all(isinstance(f, ModelError) and f.retryable and f.next_step for f in found)
    assert " waited " in found[0].what
    assert "https://there/v1, which answers 429" in found[0].what
    assert 30 < took < 6 * 60 * 64
    assert refused < 400


def test_it_waits_as_long_as_the_server_says():
    async def work(clock: Clock) -> list[float]:
        asked: list[float] = []

        async def call() -> None:
            asked.append(clock.time())
            if len(asked) < 3:
                raise Busy("429", 9.0)

        await Limiter("there").run(call)
        return asked

    assert simulated(work) == pytest.approx([0.0, 9.0, 18.0], abs=0.1)


def test_a_refusal_is_no_try():
    async def work(clock: Clock) -> int:
        told = iter([Busy("429")] * 8)

        async def call() -> None:
            for busy in told:
                raise busy

        return (await Limiter("there").run(call))[1]

    assert simulated(work) == 1


def raising(*errors: Exception) -> tuple[Callable[[], Awaitable[str]], list[float]]:
    """A call that breaks so often, and when it was made."""
    told, made = iter(errors), []

    async def call() -> str:
        made.append(limiter.time.monotonic())
        for error in told:
            raise error
        return "yes"

    return call, made


def test_what_breaks_is_tried_five_times_with_growing_pauses():
    call, made = raising(*[Broken("server_error", "500 oh")] * 4)
    assert simulated(lambda clock: Limiter("there").run(call)) == ("yes", 5)
    pauses = [b - a for a, b in pairwise(made)]
    assert pauses == sorted(pauses)
    assert pauses[0] > 0.1
    call, made = raising(*[Broken("server_error", "500 oh")] * 9)
    with pytest.raises(CallFailed, match="5 tries; the last: 500 oh") as failed:
        simulated(lambda clock: Limiter("there").run(call))
    assert (failed.value.reason, failed.value.tries, len(made)) == ("server_error", 5, 5)


def test_a_server_that_never_answered_is_given_up_sooner_than_one_that_restarts():
    call, made = raising(*[Unreachable("connection refused")] * 9)
    with pytest.raises(ModelError, match="no server answers at there"):
        simulated(lambda clock: Limiter("there").run(call))
    assert len(made) == 3

    async def work(clock: Clock) -> tuple[str, int]:
        limit = Limiter("there")
        await limit.run(raising()[0])
        return await limit.run(raising(*[Unreachable("connection refused")] * 4)[0])

    assert simulated(work) == ("yes", 5)


def test_overload_said_at_once_halves_what_goes_out():
    async def work(clock: Clock) -> tuple[float, float]:
        limit = Limiter("there")
        before = limit.limit
        with pytest.raises(CallFailed):
            await limit.run(raising(*[Broken("server_error", "503", slow=True, after=0.0)] * 5)[0])
        return before, limit.limit

    before, after = simulated(work)
    assert 1 <= after <= before / 2


@pytest.mark.parametrize("most", [1, 3, 40])
def test_concurrency_that_is_named_is_kept_to(most: int):
    async def work(clock: Clock) -> tuple[int, float]:
        there, limit = Server(clock, down=(3, 4)), Limiter("there", most=most, fixed=True)
        await asyncio.gather(*(limit.run(there) for _ in range(200)))
        return there.most, clock.time()

    reached, took = simulated(work)
    assert reached == most
    assert took < 1.3 * (200 / most * 0.5) + 4


def test_whoever_came_first_goes_first():
    async def work(clock: Clock) -> list[int]:
        order: list[int] = []
        limit = Limiter("there", most=2, fixed=True)

        async def call(i: int) -> None:
            await asyncio.sleep(1)
            order.append(i)

        await asyncio.gather(*(limit.run(lambda i=i: call(i)) for i in range(50)))
        return order

    assert simulated(work) == list(range(50))


@given(st.lists(st.tuples(st.integers(0, 19), st.floats(0, 5)), max_size=20), st.integers(0, 9))
def test_a_caller_that_goes_away_frees_its_place(gone: list[tuple[int, float]], seed: int):
    """Whether it waits for room, for an answer or for the next try."""

    async def work(clock: Clock) -> tuple[int, int]:
        there = Server(clock, capacity=4, down=(1, 2), seed=seed)
        limit = Limiter("there", most=5, fixed=True)
        tasks = [asyncio.ensure_future(limit.run(there)) for _ in range(20)]
        for which, after in gone:
            clock.call_later(after, tasks[which].cancel)
        await asyncio.gather(*tasks, return_exceptions=True)
        assert limit.flying == 0
        tasks = [asyncio.ensure_future(limit.run(there)) for _ in range(20)]
        await asyncio.wait_for(asyncio.gather(*tasks), 60)
        return limit.flying, there.most

    flying, most = simulated(work)
    assert flying == 0
    assert most <= 4
