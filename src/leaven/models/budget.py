"""The budget of a folder: what was spent, and what calls on the wire may still cost."""

from __future__ import annotations

import asyncio

from leaven.errors import BudgetReached


class Budget:
    """USD that all commands in a folder may spend together; without a limit everything is only counted.

    A call reserves the most that it can cost before it goes out, so that the limit is never passed.
    """

    def __init__(self, limit: float | None, spent: float) -> None:
        self.limit = limit
        self.spent = spent
        self.before = spent
        self.reserved = 0.0
        self.lacked = 0.0
        """The most that the call could have cost for which there was no room."""
        self._waiting: list[asyncio.Future[None]] = []

    async def reserve(self, most: float) -> None:
        """Wait until this much is free.  Raises BudgetReached where no call on the wire can give any back."""
        if self.limit is None:
            return
        while self.spent + self.reserved + most > self.limit + 1e-12:
            if self.reserved <= 1e-12:
                self.lacked = most
                raise self._reached(most)
            future: asyncio.Future[None] = asyncio.get_running_loop().create_future()
            self._waiting.append(future)
            await future
        self.reserved += most

    def settle(self, most: float, usd: float) -> None:
        """A call came back: it cost this much of what it had reserved."""
        self.spent += usd
        if self.limit is None:
            return
        self.reserved = max(0.0, self.reserved - most)
        waiting, self._waiting = self._waiting, []
        for future in waiting:
            if not future.done():
                future.set_result(None)

    def _reached(self, most: float) -> BudgetReached:
        assert self.limit is not None
        if self.spent == 0:
            return BudgetReached(
                f"the first call alone (about {dollars(most)} USD at most) would pass --budget {self.limit:g}.",
                "leaven plan shows what all records cost; nothing was spent.",
                next_step=True,
            )
        return BudgetReached(
            f"{dollars(self.spent)} of {dollars(self.limit)} USD spent, the next call could have passed it.",
            "the same command with a higher --budget goes on here.",
            next_step=True,
        )


def dollars(usd: float) -> str:
    """An amount with as many digits as it takes: 12.30, 0.0142, 0."""
    if usd == 0:
        return "0"
    return f"{usd:.2f}" if usd >= 1 else f"{usd:.3f}" if usd >= 0.1 else f"{usd:.4f}" if usd >= 0.001 else f"{usd:.2g}"
