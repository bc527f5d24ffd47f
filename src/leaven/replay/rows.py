"""The recorded rows of a comparison, read from a user's folder, and which seeds are drawn."""

from __future__ import annotations

import csv
import sys
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from leaven.errors import DataError, listed, nearest
from leaven.records import folded
from leaven.replay.table import DRAW, File, Table

NO_PARENT = -1


@dataclass(frozen=True)
class Row:
    """A text with its label.  ``parent`` is the place of its seed among the seeds of the draw."""

    text: str
    label: str
    parent: int = NO_PARENT
    link: str = ""
    """What the file says of the parent."""


class Folder:
    """Where the recorded files of a comparison lie: in the folder itself, or in one in it that has their name."""

    def __init__(self, table: Table, data: str) -> None:
        self.table = table
        inner = Path(data) / table.folder if table.folder else Path(data)
        first = _filled(table.real.path, table.draws[0])
        self.path = inner if (inner / first).is_file() else Path(data)
        self.known: dict[tuple[File, Any], list[Row]] = {}
        if not Path(data).is_dir():
            raise DataError("there is no such folder.", "--data FOLDER, where the recorded files lie", where=data)
        if not (self.path / first).is_file():
            raise DataError(
                f"{first} is not there, nor in a folder {table.folder or table.name} in it.",
                f"put the files of {table.paper} there; docs/replay.md tells their names and columns.",
                where=data,
            )

    def real(self, draw: Any) -> list[Row]:
        """The real rows that seeds are drawn from, or that a draw of the authors holds."""
        return self.rows(self.table.real, draw)

    def test(self) -> list[Row]:
        """The rows to measure on."""
        return self.rows(self.table.test, self.table.draws[0])

    def made(self, method: str, seeds: Sequence[Row], draw: Any) -> list[Row]:
        """What a method made of the seeds, each row with the place of its seed where the file tells it."""
        file = self.table.methods[method]
        rows = self.rows(file, draw)
        if self.table.parents:
            return self._in_order(rows, seeds, _filled(file.path, draw))
        place = {folded(seed.text): at for at, seed in enumerate(seeds)}
        found = [replace(row, parent=place.get(folded(row.link), NO_PARENT)) for row in rows]
        return [row for row in found if row.parent >= 0] if self.table.parent else found

    def _in_order(self, rows: Sequence[Row], seeds: Sequence[Row], where: str) -> list[Row]:
        """The rows after the seeds, as many of each."""
        n = len(seeds)
        if [row.text for row in rows[:n]] != [seed.text for seed in seeds] or len(rows) % n:
            what = f"it does not begin with the {n} real rows, or does not hold as many children of each after them."
            raise DataError(what, "leave out `parents: in order`, or name the column of parents.", where=where)
        each = max(1, len(rows) // n - 1)
        return [replace(row, parent=at // each) for at, row in enumerate(rows[n:])]

    def rows(self, file: File, draw: Any) -> list[Row]:
        """The rows of a file that have a text and one of the labels."""
        if (file, draw) not in self.known:
            self.known[file, draw] = self._read(file, _filled(file.path, draw))
        return self.known[file, draw]

    def _read(self, file: File, name: str) -> list[Row]:
        table, path = self.table, self.path / name
        csv.field_size_limit(min(sys.maxsize, 2**31 - 1))
        try:
            with path.open(newline="", encoding="utf-8-sig") as opened:
                quoting: Any = csv.QUOTE_MINIMAL if file.quoted else csv.QUOTE_NONE
                reader = csv.DictReader(opened, delimiter=file.delimiter, quoting=quoting)
                columns = list(reader.fieldnames or ())
                self._has(columns, file, name)
                found = [self._row(line) for line in reader]
        except OSError as error:
            raise DataError(
                f"it cannot be read ({error.strerror}).", "put the recorded file there.", where=str(path)
            ) from None
        except (UnicodeDecodeError, csv.Error) as error:
            raise DataError(f"it is no table of UTF-8 text ({error}).", "save it anew.", where=str(path)) from None
        rows = [row for row in found if row.text.strip() and (not table.only or row.label in table.only)]
        if not rows:
            raise DataError("no row has a text and a known label.", "look at `columns` and `only`.", where=str(path))
        return rows

    def _has(self, columns: Sequence[str], file: File, name: str) -> None:
        wanted = [self.table.text, self.table.label]
        if self.table.parent and file in self.table.methods.values():
            wanted.append(self.table.parent)
        for column in wanted:
            if column not in columns:
                close = nearest(column, columns)
                way = f"the nearest is `{close}`." if close else f"it has {listed(columns)}."
                raise DataError(f"it has no column `{column}`.", way, where=str(self.path / name))

    def _row(self, line: dict[str, str]) -> Row:
        text = line[self.table.text] or ""
        link = (line.get(self.table.parent) or "") if self.table.parent else ""
        return Row(text, line[self.table.label] or "", NO_PARENT, link)


def _filled(path: str, draw: Any) -> str:
    return path.replace(DRAW, str(draw))


def drawn(rows: Sequence[Row], per_label: int, draw: int) -> list[Row]:
    """So many rows of each label: what pandas gives for ``rows.sample(frac=1, random_state=draw)`` and then, of each
    label, ``sample(per_label, random_state=draw)``, as many studies draw their seeds; all where a label has fewer."""
    import numpy as np

    order = np.random.RandomState(draw).choice(len(rows), len(rows), replace=False)
    found = []
    for label in sorted({row.label for row in rows}, key=_as_number):
        of = [int(at) for at in order if rows[at].label == label]
        picked = np.random.RandomState(draw).choice(len(of), min(per_label, len(of)), replace=False)
        found += [rows[of[int(at)]] for at in picked]
    return found


def _as_number(label: str) -> tuple[int, int, str]:
    return (0, int(label), "") if label.isdecimal() else (1, 0, label)


def distinct(rows: Sequence[Row]) -> list[Row]:
    """The first of rows with one text and label."""
    first: dict[tuple[str, str], Row] = {}
    for row in rows:
        first.setdefault((row.text, row.label), row)
    return list(first.values())
