"""Steps that ask models: all their parts at once, on one event loop in the process that owns the models."""

from __future__ import annotations

import asyncio
import gc
import math
import threading
from collections.abc import Awaitable, Callable, Coroutine, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar

from leaven.asks import Asks
from leaven.context import Asking
from leaven.draws import rows_here
from leaven.engine.part import ask_part
from leaven.engine.pieces import going, write_table
from leaven.errors import BudgetReached, More
from leaven.models.asked_embed import AskedEmbed, on_a_server
from leaven.models.asker import Asker, Stopped
from leaven.models.budget import Budget, dollars
from leaven.models.conversation import Conversation
from leaven.models.ledger import Ledger
from leaven.models.players import Players, batched
from leaven.models.replay import ReplayedPlayers

if TYPE_CHECKING:
    from leaven.context import Models, Rows
    from leaven.engine.reporter import Reporter
    from leaven.engine.stage import Stage
    from leaven.engine.workers import Job
    from leaven.expressions import Template
    from leaven.operators import Operator

AHEAD = 2048
"""Records that may wait for answers at a time: more than any server takes, few enough to hold."""
AHEAD_IN_BATCHES = 50_000
"""So many where they wait for a provider's batch: as many as it may have lines."""
PATIENCE = 10.0
"""Seconds that calls on the wire get when a run stops, so that their answers are stored."""

T = TypeVar("T")


class ModelDesk:
    """The models, the ledger and the budget of one run; a thread runs their event loop, also in a notebook."""

    def __init__(
        self, ledger: Ledger, budget: Budget, players: Players | ReplayedPlayers, *, replay: bool = False
    ) -> None:
        self.ledger = ledger
        self.asker = Asker(ledger, budget, replay=replay)
        self.players = players
        self.conversation = Conversation(self.asker, players)
        self.done = self.total = 0
        """The records of the step at work that are answered, and all of them."""
        self._loop = asyncio.new_event_loop()
        self._thread = threading.Thread(target=self._loop.run_forever, daemon=True, name="leaven models")
        self._thread.start()

    def close(self) -> None:
        """Close connections and the ledger."""
        asyncio.run_coroutine_threadsafe(self.players.close(), self._loop).result(timeout=30)
        self._loop.call_soon_threadsafe(self._loop.stop)
        self._thread.join(timeout=30)
        self._loop.close()
        self.ledger.close()

    def run(self, work: Coroutine[Any, Any, T], tick: Callable[[], None] = lambda: None) -> T:
        """Run a coroutine on the loop and wait for it; Ctrl-C stops it once the answers on the wire are stored."""
        future = asyncio.run_coroutine_threadsafe(work, self._loop)
        try:
            while True:
                with suppress(TimeoutError):
                    return future.result(timeout=0.2)
                if future.done():
                    return future.result()
                tick()
        except KeyboardInterrupt:
            self.asker.stop()
            with suppress(BaseException):
                future.result(timeout=PATIENCE)
            future.cancel()
            raise

    def embedder(self) -> AskedEmbed | None:
        """Who makes vectors, where the user named a server for it."""
        if not on_a_server(self.players.named):
            return None
        return AskedEmbed(self.asker, self.players.player("embed")[1], self.run)

    def how_much_more(self, reached: BudgetReached) -> BudgetReached:
        """The same error, with what the rest of the step will cost, as far as its answers tell."""
        spend, budget = self.asker.spend, self.asker.budget
        if not self.done or not budget.spent or budget.limit is None:
            return reached
        now, fresh = budget.spent - budget.before, self.done - spend.stored
        each = now / fresh if now and fresh > 0 else budget.spent / self.done
        rest = each * (self.total - self.done)
        low, high = 0.85 * rest, 1.25 * rest
        enough = round_up(budget.spent + high + budget.lacked)  # the last call, too, has to find room for its worst
        error = BudgetReached(
            f"{dollars(budget.spent)} of {dollars(budget.limit)} USD spent after {self.done:,} of {self.total:,}"
            f" records ({spend.calls:,} calls), the next call could have passed it.",
            f"the same command with --budget {enough:g} goes on here ({dollars(low)} to {dollars(high)} USD more).",
            next_step=True,
        )
        error.more = More(budget.spent, budget.limit, self.done, self.total, enough, low, high)
        return error

    def parts(
        self,
        stage: Stage,
        jobs: Sequence[Job],
        models: Models,
        asking: Callable[[Operator], Asking],
        reporter: Reporter,
    ) -> None:
        """Run a stage of one step that asks models over its parts, and put their files in place."""
        work = self._parts(jobs, lambda table, told: ask_part(stage, table, models, asking, told), reporter)
        with few_collections():
            self.run(work, lambda: self.tell(reporter))
        self.tell(reporter)

    def tell(self, reporter: Reporter) -> None:
        spend = self.asker.spend
        flying = sum(p.limiter.flying for p in self.players.opened() if p.limiter)
        reporter.spent(spend, flying)

    async def _parts(
        self,
        jobs: Sequence[Job],
        ask: Callable[[Any, Callable[[str], None]], Awaitable[Callable[[], Any]]],
        reporter: Reporter,
    ) -> None:
        waiting = 0
        running: set[asyncio.Task[None]] = set()

        def told(what: str) -> None:
            nonlocal waiting
            waiting -= 1
            if what == "stopped":
                self.asker.stop()
                return
            self.done += 1
            reporter.part(1, {"records": 1, what: 1})

        async def one(job: Job, table: Any) -> None:
            finish = await ask(table, told)
            await asyncio.to_thread(lambda: write_table(Path(job.out), finish()))

        try:
            most = AHEAD_IN_BATCHES if batched(self.players.named) else AHEAD
            for job in jobs:
                while waiting >= most and running:
                    done, running = await asyncio.wait(running, return_when=asyncio.FIRST_COMPLETED)
                    _raise_first(done)
                table = going(job.piece.read())
                waiting += len(table)
                running.add(asyncio.create_task(one(job, table)))
            while running:
                done, running = await asyncio.wait(running, return_when=asyncio.FIRST_COMPLETED)
                _raise_first(done)
        except BaseException:
            self.asker.stop()
            if running:
                _, late = await asyncio.wait(running, timeout=PATIENCE)
                for task in late:
                    task.cancel()
            raise


@contextmanager
def few_collections() -> Iterator[None]:
    """Keep the garbage collector from looking through everything that was imported, again and again: thousands of
    records that wait make it run often, and that costs more than all else that a call costs."""
    before = gc.get_threshold()
    gc.freeze()
    gc.set_threshold(50_000, *before[1:])
    try:
        yield
    finally:
        gc.set_threshold(*before)
        gc.unfreeze()


def round_up(usd: float) -> float:
    """The next amount that a person would name: 0.3, 2.5, 40."""
    unit = 10.0 ** math.floor(math.log10(usd)) if usd > 0 else 1.0
    return round(math.ceil(usd / unit * 2) * unit / 2, 10)


def asking_of(
    op: Operator, conversation: Conversation, texts: Mapping[str, Template], main: str, rows: Callable[[str], Rows]
) -> Asking:
    """What a step brings to its models."""
    how = getattr(op, "draw", None)
    parameters = {name: value for name in type(op).model_fields if _plain(value := getattr(op, name))}
    return Asking(
        conversation,
        draws=(rows_here(how.of) if isinstance(how.of, list) else rows(how.of)).draws(how) if how else None,
        turns=op.turns if isinstance(op, Asks) else None,
        texts=texts,
        main=main,
        parameters=parameters,
        sampling=op.sampling() if isinstance(op, Asks) else {},
        nick=getattr(op, "model", None),
        shown=op.fields_shown() if isinstance(op, Asks) else (),
        source=lambda: rows("source"),
    )


def _plain(value: Any) -> bool:
    """True for a parameter that a prompt may show: a number, a text, a list."""
    return isinstance(value, int | float | str | list | tuple | dict) or value is None


def _raise_first(done: Iterable[asyncio.Task[None]]) -> None:
    """The error that stopped a run, before those that only say that it stops."""
    errors = [error for task in done if (error := task.exception())]
    for error in sorted(errors, key=lambda error: isinstance(error, Stopped)):
        raise error


def records_of(jobs: Sequence[Job]) -> int:
    """How many records the parts hold."""
    return sum(len(going(job.piece.read(["_state", "_id"]))) for job in jobs)
