"""Calls that need a shared model in the same state run beside each other; others wait for their turn."""

from __future__ import annotations

import threading
from collections.abc import Callable, Hashable, Iterator
from contextlib import contextmanager


class InTurn:
    """Lets threads use what can be in one state at a time.

    >>> turn, states = InTurn(), []
    >>> for state in ("plain", "plain", "adapted"):
    ...     with turn(state, lambda: states.append(state)):
    ...         pass
    >>> states
    ['plain', 'adapted']
    """

    def __init__(self) -> None:
        self._changed = threading.Condition()
        self._state: Hashable = None
        self._at_work = 0

    @contextmanager
    def __call__(self, state: Hashable, change: Callable[[], None]) -> Iterator[None]:
        """Run while the state is this one; ``change`` brings it about, when nobody is at work."""
        with self._changed:
            while self._at_work and self._state != state:
                self._changed.wait()
            if self._state != state:
                self._state = None  # unknown, should the change fail half way
                change()
                self._state = state
            self._at_work += 1
        try:
            yield
        finally:
            with self._changed:
                self._at_work -= 1
                self._changed.notify_all()

    def forget(self) -> None:
        """The state is unknown again: what it was the state of is gone."""
        with self._changed:
            self._state = None
