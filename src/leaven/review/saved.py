"""The file of decisions, as the page's server keeps it: lines are added, and are on the disk before it says so."""

from __future__ import annotations

import fcntl
import os
from collections.abc import Sequence
from pathlib import Path

from leaven.engine.decisions import Decision, parse, path_of, read


class Saved:
    """``review/decisions.jsonl`` of a run, open to be added to.  Raises DataError where a line of it is damaged."""

    def __init__(self, folder: Path) -> None:
        self.path = path_of(folder)
        self.path.parent.mkdir(exist_ok=True)
        known = read(folder)
        self._file = self.path.open("a+b")
        with self._locked():
            size = self._file.seek(0, os.SEEK_END)
            if size > known.bytes:  # half of a line, of which nobody was told that it is saved
                self._file.truncate(known.bytes)
            elif size and not self._tail().endswith(b"\n"):
                self._file.write(b"\n")
                self._file.flush()
        self._lines = {line.line() for line in known.lines}

    def add(self, decisions: Sequence[Decision]) -> None:
        """Add lines, and return when they are on the disk.  One that is there already is not added again: a page sends
        it once more where it did not hear that it was saved."""
        new = [line for decision in decisions if (line := decision.line()) not in self._lines]
        if not new:
            return
        with self._locked():
            self._file.write(b"".join(new))
            self._file.flush()
            os.fsync(self._file.fileno())
        self._lines.update(new)

    def since(self, begin: int) -> tuple[list[Decision], int]:
        """The decisions from a byte on, another program's too, and the byte after the last of them."""
        with self.path.open("rb") as file:
            file.seek(begin)
            data = file.read()
        whole, newline, _ = data.rpartition(b"\n")
        found = [decision for line in whole.split(b"\n") if (decision := parse(line))]
        self._lines.update(decision.line() for decision in found)
        return found, begin + len(whole) + len(newline)

    def size(self) -> int:
        return self.path.stat().st_size

    def close(self) -> None:
        self._file.close()

    def _tail(self) -> bytes:
        self._file.seek(-1, os.SEEK_END)
        return self._file.read(1)

    def _locked(self) -> _Lock:
        return _Lock(self._file.fileno())


class _Lock:
    """Two servers of one folder write their lines one after the other."""

    def __init__(self, number: int) -> None:
        self._number = number

    def __enter__(self) -> None:
        fcntl.flock(self._number, fcntl.LOCK_EX)

    def __exit__(self, *_: object) -> None:
        fcntl.flock(self._number, fcntl.LOCK_UN)
