"""The number of the epoch, as the workers of a loader see it change."""

from __future__ import annotations

from ctypes import c_longlong
from multiprocessing.context import get_spawning_popen
from multiprocessing.sharedctypes import RawValue
from typing import Any


class Epoch:
    """A whole number in memory that worker processes share, forked or spawned.

    A loader with ``persistent_workers=True`` hands its dataset over once: a plain attribute that is set later never
    reaches the workers, and every epoch would be the first.  Pickled for anything but a new process it is a copy.
    """

    def __init__(self, now: int = 0) -> None:
        self._cell = RawValue(c_longlong, now)

    @property
    def now(self) -> int:
        return int(self._cell.value)

    @now.setter
    def now(self, epoch: int) -> None:
        self._cell.value = epoch

    def __reduce__(self) -> tuple[Any, ...]:
        return (Epoch, (self.now,)) if get_spawning_popen() is None else (_sharing, (self._cell,))


def _sharing(cell: Any) -> Epoch:
    epoch = Epoch.__new__(Epoch)
    epoch._cell = cell
    return epoch
