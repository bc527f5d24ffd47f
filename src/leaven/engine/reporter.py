"""Who is told how a run goes on."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Protocol

if TYPE_CHECKING:
    from leaven.models.asker import Spend


class Reporter(Protocol):
    """Who is told how the work goes on."""

    def stage(self, number: int, steps: int, title: str, records: int) -> None: ...

    def part(self, records: int, counts: Mapping[str, int]) -> None: ...

    def waiting(self, what: str) -> None: ...

    def spent(self, spend: Spend, flying: int) -> None: ...

    def say(self, text: str, *, warning: bool = True) -> None: ...


class Silent:
    """Nobody is told."""

    def stage(self, number: int, steps: int, title: str, records: int) -> None: ...

    def part(self, records: int, counts: Mapping[str, int]) -> None: ...

    def waiting(self, what: str) -> None: ...

    def spent(self, spend: Spend, flying: int) -> None: ...

    def say(self, text: str, *, warning: bool = True) -> None: ...
