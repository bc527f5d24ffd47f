"""One tree of errors, by who must act.

    LeavenError
      RecipeError      the author of the recipe
      DataError        the owner of the data
      ModelError       whoever runs the model (``retryable`` says whether asking again may help)
      BudgetReached    nobody: raise the budget, and the same command goes on
      MissingExtra     whoever installs: a package or a program is not there

Each says what is wrong and where, and the way out.  The command line prints them as two lines without a traceback.
"""

from __future__ import annotations

import difflib
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Any

LISTED = 12
FINDINGS = 5


class LeavenError(Exception):
    """An expected error: what is wrong, where, and the way out (``fix``; ``next`` where nothing is wrong).

    ``others`` are what the same check found besides.
    """

    def __init__(
        self, what: str, fix: str, *, where: str = "", next_step: bool = False, others: Sequence[LeavenError] = ()
    ) -> None:
        self.what = what
        self.where = where
        self.fix = fix
        self.next_step = next_step
        self.others = tuple(others)
        super().__init__(str(self))

    def __str__(self) -> str:
        place = f"{self.where}: " if self.where else ""
        lines = [_one_line(place + self.what), f"  {'Next' if self.next_step else 'Fix'}: {_one_line(self.fix)}"]
        lines += [f"{type(other).__name__}: {other}" for other in self.others[: FINDINGS - 1]]
        if len(self.others) >= FINDINGS:
            lines.append(f"and {len(self.others) - FINDINGS + 1} more")
        return "\n".join(lines)

    def _render_traceback_(self) -> list[str]:
        """What a notebook shows: the two lines, no traceback."""
        return [f"{type(self).__name__}: {self}"]

    def __reduce__(self) -> tuple[object, ...]:  # keyword arguments would be lost between processes
        return (_rebuild, (type(self), self.what, self.fix, self.where, self.next_step, self.others))


class RecipeError(LeavenError):
    """A recipe cannot run as it is written."""


class DataError(LeavenError):
    """A file or its rows cannot be used as they are."""


class ModelError(LeavenError):
    """A model did not answer, or not usably."""

    retryable = False

    def at(self, role: str) -> ModelError:
        """The same error, which names the role that it stopped."""
        error = ModelError(self.what, self.fix, where=self.where or role, next_step=self.next_step)
        error.retryable = self.retryable
        return error


@dataclass(frozen=True)
class More:
    """Where a budget stopped a run: USD spent and allowed, the records of the step that are answered, and what the rest
    will cost, as far as its answers tell."""

    spent: float
    limit: float
    done: int
    total: int
    enough: float
    low: float
    high: float


class BudgetReached(LeavenError):
    """The next call could have passed the budget."""

    more: More | None = None
    run: Any = None
    """In Python, the run that goes on with a higher budget."""


class MissingExtra(LeavenError):
    """A package or program that this recipe needs is not installed."""


def nearest(word: str, known: Iterable[str]) -> str | None:
    """The known word nearest to a mistyped one, or None where none is near."""
    close = difflib.get_close_matches(word, list(known), n=1, cutoff=0.6)
    return close[0] if close else None


def suggest(word: str, known: Iterable[str]) -> str:
    """A sentence that states the nearest known word, and all of them where that helps."""
    known = list(known)
    close = nearest(word, known)
    return f"the nearest is `{close}`" if close else f"it has {listed(known)}"


def listed(names: Iterable[str]) -> str:
    """Names in one line: the first twelve, and how many more there are."""
    names = list(names)
    shown = [brief(name) for name in names[:LISTED]]
    if len(names) > LISTED:
        return f"{', '.join(shown)} and {len(names) - LISTED:,} more"
    return ", ".join(shown) if shown else "none"


def brief(text: str) -> str:
    """What a user's file holds, short enough to stand in a sentence."""
    return text if len(text) <= 60 else text[:57] + "..."


def _one_line(text: str) -> str:
    """A message is two lines, whatever the column names and labels in it hold."""
    return text.replace("\n", "\\n").replace("\r", "\\r")


def _rebuild(
    kind: type[LeavenError], what: str, fix: str, where: str, next_step: bool, others: Sequence[LeavenError]
) -> LeavenError:
    return kind(what, fix, where=where, next_step=next_step, others=others)
