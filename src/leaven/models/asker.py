"""The one way in which a model is asked: ledger, budget, limiter, store, in this order, whatever the role."""

from __future__ import annotations

import time
from collections import Counter
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Protocol

from leaven.errors import BudgetReached, DataError, LeavenError, ModelError
from leaven.models.calls import About, Answer, Ask, CallFailed, encode
from leaven.models.ledger import Ledger, Row
from leaven.models.prices import most_tokens, most_tokens_of
from leaven.records import canonical, digest

if TYPE_CHECKING:
    from leaven.models.budget import Budget
    from leaven.models.limiter import Limiter
    from leaven.models.prices import Price

HOPELESS = 20
"""After so many calls of which none came to anything, a run stops."""
MOST_OUT = 1024
"""Tokens that an answer may have where a step says nothing: sent with every call, since a budget needs an end."""
MOST_PAINTED = 20_000
"""Tokens of an image that comes back, where a server counts it in tokens: three times the dearest known."""


class Player(Protocol):
    """Who plays a role.  ``model`` is its name in the ledger, without the address."""

    uri: str
    model: str
    limiter: Limiter | None
    price: Price | None
    free: bool
    """True where it runs on this machine, in or beside this process."""

    @property
    def left_out(self) -> Sequence[str]:
        """The parameters that its server refuses."""

    async def play(self, ask: Ask, about: About) -> Answer: ...

    async def close(self) -> None: ...


class Say(Protocol):
    """Told something once: what a model does otherwise than asked, or where it runs."""

    def __call__(self, text: str, *, warning: bool = True) -> None: ...


@dataclass
class Spend:
    """What this command took so far."""

    calls: int = 0
    stored: int = 0
    """Answers that the ledger had already."""
    repairs: int = 0
    tokens_in: int = 0
    tokens_out: int = 0
    usd: float = 0.0
    unpriced: set[str] = field(default_factory=set)
    waits: str = ""
    """What is waited for beside single answers, in words."""

    @property
    def tokens(self) -> int:
        return self.tokens_in + self.tokens_out


def not_stored(what: str) -> DataError:
    """The error of a replay that came to a call which the ledger does not hold."""
    fix = "the ledger is not this run's, or was changed; remove OUT/parts, and augment asks again what is missing."
    return DataError(what, fix)


class Stopped(LeavenError):
    """The run stops: nothing new is asked."""


class Asker:
    """Asks models about records, each thing once."""

    def __init__(self, ledger: Ledger, budget: Budget, *, replay: bool = False) -> None:
        self.ledger = ledger
        self.budget = budget
        self.replay = replay
        self.spend = Spend()
        self.stopping = False
        self.said: set[str] = set()
        self.say: Say = lambda text, *, warning=True: None
        """Told once of what a model did otherwise than asked."""
        self._settings: dict[tuple[str, str, str, int], tuple[bytes, Any]] = {}
        self._outcomes: dict[str, Counter[str]] = {}

    async def ask(self, player: Player, ask: Ask, about: About) -> Answer:
        """The answer, from the ledger or else from the model, stored before it is returned.

        Raises CallFailed for what is an error of this record, LeavenError for what is one of the run.
        """
        place = (about.step, about.round, about.record)
        attempt = self.ledger.attempt(place)
        key = self._key(player, ask, about, attempt)
        try:
            found = self.ledger.find(key)
        except DataError:  # its sound is gone
            if self.replay:
                raise
            found = None
        if found:
            stored, failed = found
            self.spend.stored += 1
            if failed:
                raise failed
            assert stored
            return stored
        if self.replay:
            raise not_stored(
                f"step {about.step} asks {player.model} about the record {about.record}, and no answer is stored."
            )
        self._go_on()
        most = self._most(player, ask)
        try:
            await self.budget.reserve(most)
        except BudgetReached:
            self.stop()
            raise
        usd = 0.0

        def play() -> Awaitable[Answer]:
            self._go_on()
            return player.play(ask, about)

        began = time.monotonic()
        row = Row(key, *place, attempt, about.number, ask, player.model, None, usd=0.0)
        try:
            answer, row.tries = await self._played(player, ask, key, play)
            if where := getattr(player, "where", ""):
                self.once(f"{player.uri} runs on the {where}.", warning=False)
            row.answer, row.usd = answer, self.cost(player, answer)
            usd = row.usd or 0.0
        except CallFailed as failed:
            row.failed, row.tries = failed, failed.tries
        except ModelError as error:
            self.stop()
            raise error.at(ask.role) from None
        finally:
            self.budget.settle(most, usd)
        row.seconds = time.monotonic() - began
        self.count(player, row)
        await self.ledger.store(row)
        if row.failed:
            self.outcome(player, ask.role, row.failed)
            raise row.failed
        assert row.answer
        return row.answer

    async def _played(
        self, player: Player, ask: Ask, key: bytes, play: Callable[[], Awaitable[Answer]]
    ) -> tuple[Answer, int]:
        """The answer, and how many tries it took.  A repair turn goes first: else all records are begun, at full cost,
        before it is known of one that its model is of no use."""
        if in_batch := getattr(player, "in_batch", None):
            return await in_batch(ask, key, self), 1
        if player.limiter is None:
            return await play(), 1
        return await player.limiter.run(play, first=ask.repair)

    def _key(self, player: Player, ask: Ask, about: About, attempt: int) -> bytes:
        """The name of a call in the ledger: where it is asked, and what of whom."""
        known = (player.model, ask.role, ask.settings, id(ask.shape))
        if known not in self._settings:
            said = digest(canonical([ask.role, player.model, ask.sampling, ask.shape]))
            self._settings[known] = said, ask.shape  # the shape is held, so that its id stays its own
        place = f"{about.step}\n{about.round} {attempt} {about.number}\n{about.record}"
        return digest(place, self._settings[known][0], ask.encoded)

    def _most(self, player: Player, ask: Ask) -> float:
        """The most that a call can cost, its repair turn with it."""
        if self.budget.limit is None or player.free or player.price is None:
            return 0.0
        tokens_in = most_tokens(ask.encoded) + (most_tokens(encode(ask.shape)) if ask.shape else 0)
        tokens_in += sum(map(most_tokens_of, ask.media.values()))
        tokens_out = int(ask.sampling.get("max_tokens", MOST_PAINTED if ask.role == "paint" else MOST_OUT))
        once = player.price.of(tokens_in, tokens_out)
        again = ask.shape is not None and not ask.repair
        return once + player.price.of(2 * tokens_in + tokens_out, tokens_out) if again else once

    def cost(self, player: Player, answer: Answer) -> float | None:
        """What an answer costs in USD; None where no price is known."""
        if player.free:
            return 0.0
        return player.price.of(answer.tokens_in, answer.tokens_out) if player.price else None

    def count(self, player: Player, row: Row) -> None:
        """Add what a call took to the spend of this command."""
        spend = self.spend
        spend.calls += row.tries
        spend.repairs += row.ask.repair
        if row.answer:
            spend.tokens_in += row.answer.tokens_in
            spend.tokens_out += row.answer.tokens_out
        if row.usd is None:
            spend.unpriced.add(player.model)
        spend.usd += row.usd or 0.0

    def outcome(self, player: Player, role: str, failed: CallFailed | None) -> None:
        """Count what came of a call; where nothing ever does, stop before more is spent."""
        counts = self._outcomes.setdefault(player.model, Counter())
        counts["good" if failed is None else "bad"] += 1
        if failed is None or counts["good"] or counts["bad"] != HOPELESS:
            return
        bad = counts["bad"]
        last = failed.answers[-1] if failed.answers else ""
        if failed.reason == "no_valid_json":
            begin = " ".join(last.split())[:40]
            raise ModelError(
                f'{bad} answers of {bad} were no valid object; the last began "{begin}".',
                "look at them with leaven try; a larger model, or a higher max_tokens of the step, often mends it.",
                where=role,
            )
        raise ModelError(
            f"{bad} calls of {bad} failed; the last: {failed.reason}, {failed.detail.rstrip('.')}.",
            "try one record: leaven try DATA -n 1, or name another model.",
            where=role,
        )

    def stop(self) -> None:
        """Ask nothing new; what is on the wire is still stored."""
        self.stopping = True

    def _go_on(self) -> None:
        if self.stopping:
            raise Stopped("the run stops.", "the same command goes on.", next_step=True)

    def once(self, text: str, *, warning: bool = True) -> None:
        """Say something aloud, the first time."""
        if text not in self.said:
            self.said.add(text)
            self.say(text, warning=warning)
