"""Models that are not there: a replay knows their names, and finds all that they said in the ledger."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

from leaven.models.calls import About, Answer, Ask

if TYPE_CHECKING:
    from leaven.models.limiter import Limiter
    from leaven.models.prices import Price


def asked_as(role: str, nick: str | None) -> str:
    """A role as ``run.json`` says who answered for it: its name, with the nick of a second model."""
    return f"{role}.{nick}" if nick else role


@dataclass
class Replayed:
    """Who answered then."""

    role: str
    uri: str
    model: str
    limiter: Limiter | None = None
    price: Price | None = None
    free: bool = True
    left_out: Sequence[str] = ()

    async def play(self, ask: Ask, about: About) -> Answer:
        raise AssertionError("a replay asks nobody")

    async def close(self) -> None: ...


class ReplayedPlayers:
    """Who played which role then; the same questions as to `Players`."""

    def __init__(self, players: Mapping[str, Replayed]) -> None:
        self._players = players
        self.named = {role: player.uri for role, player in players.items()}

    def who(self, role: str, nick: str | None = None) -> tuple[str, str]:
        over, player = self.player(role, nick)
        return over, player.uri

    def player(self, role: str, nick: str | None = None) -> tuple[str, Replayed]:
        player = self._players[asked_as(role, nick)]
        return player.role, player

    def opened(self) -> list[Replayed]:
        return list(self._players.values())

    async def close(self) -> None: ...
