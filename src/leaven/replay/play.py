"""``leaven replay``: train students on the recorded rows of a published comparison, with and without each keep."""

from __future__ import annotations

import tempfile
import time
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any, Protocol

import numpy as np
from numpy.typing import NDArray

from leaven.errors import DataError
from leaven.measure.pace import Pace
from leaven.records import folded
from leaven.replay.keeps import ALL, KeepSteps, is_linked, keeps, kept
from leaven.replay.rows import Folder, Row, distinct, drawn
from leaven.replay.students import Lesson, Replayed, students
from leaven.replay.table import DRAW, NONE, Table

Floats = NDArray[np.float64]


@dataclass(frozen=True)
class ReplayRequest:
    """What the user asked for."""

    table: Table
    data: str
    students: Sequence[str] = ()
    seeds: int | None = None
    """How many draws of the seeds; without it as many as were published."""
    sizes: Sequence[int] = ()
    keeps: Sequence[str] = ()


class Told(Protocol):
    def waiting(self, what: str) -> None: ...


@dataclass
class Kept:
    """What a keep does at one size: of each method the share of rows kept, and the scores (draws x test rows)."""

    shares: dict[str, list[float]] = field(default_factory=dict)
    scores: dict[str, list[Floats]] = field(default_factory=dict)
    """Every label weighs together what it did before the keep, so that the rows are compared and not their balance."""
    uneven: dict[str, list[Floats]] = field(default_factory=dict)
    """Each row weighs what the keep says, so that a keep that leaves few rows of a label makes it rare."""


@dataclass
class Replay:
    """What came of it.  Scores are draws x test rows, 1 where the student is right."""

    table: Table
    folder: str
    draws: int
    tested: int
    students: dict[str, Replayed]
    real: dict[int, int] = field(default_factory=dict)
    """Real rows at each size."""
    made: dict[tuple[int, str], int] = field(default_factory=dict)
    """Made rows that a method has at each size, in the first draw."""
    copies: dict[str, int] = field(default_factory=dict)
    """Of a method, made rows that say what a test row says, case and blanks folded."""
    scores: dict[tuple[str, int], dict[str, list[Floats]]] = field(default_factory=dict)
    keeps: dict[int, dict[str, Kept]] = field(default_factory=dict)
    judge: str = ""
    """The student that the keeps are tried with."""
    left_out: dict[str, str] = field(default_factory=dict)
    """Keeps that could not be tried, and why."""
    seconds: float = 0.0


@dataclass(frozen=True)
class _Unit:
    """Seeds that were drawn, and what each method made of them."""

    size: int
    seeds: list[Row]
    made: dict[str, list[Row]]


def play(request: ReplayRequest, told: Told) -> Replay:
    """Play a comparison.  Raises LeavenError for what the user must act on."""
    began = time.monotonic()
    table = request.table
    chosen = keeps(request.keeps)
    trained = students(request.students or table.students)
    for asked in request.sizes:
        if asked not in (table.sizes or table.keep_sizes):
            has = ", ".join(map(str, table.sizes or table.keep_sizes)) or "none"
            raise DataError(f"{table.name} has no size {asked}.", f"its sizes, in seeds a label: {has}")
    told.waiting("read")
    folder = Folder(table, request.data)
    test = folder.test()
    sizes = [size for size in table.sizes if not request.sizes or size in request.sizes]
    small = [size for size in table.keep_sizes if not request.sizes or size in request.sizes]
    draws = _draws(table, request.seeds)
    varied = bool(table.sizes) or DRAW in table.real.path
    said = Replay(table, str(folder.path), len(draws) if varied else 1, len(test), trained, judge=next(iter(trained)))
    player = _Player(folder, test, said, told)
    main = [(draw, size) for draw in (draws if varied else draws[:1]) for size in sizes or [0]]
    apart = [(draw, size) for draw in draws for size in small] if table.alone and chosen else []
    todo = len(main) * (1 + len(table.methods)) * len(trained)
    tried = apart if table.alone else main
    todo += len(tried) * len(table.methods) * len(chosen) + len(apart) * (1 + len(table.methods))
    player.begin(todo)
    with tempfile.TemporaryDirectory(prefix="leaven-") as scratch:
        for draw, size in main:
            unit = player.unit(draw, size)
            if not table.alone:  # first, since a wrong expression is found there
                player.keep(unit, chosen, Path(scratch))
            player.train(unit, table.alone)
        for draw, size in apart:
            unit = player.unit(draw, size)
            player.keep(unit, chosen, Path(scratch))
    said.seconds = time.monotonic() - began
    return said


def _draws(table: Table, wanted: int | None) -> list[Any]:
    """The authors' draws; where seeds are drawn, further ones on request."""
    found = list(table.draws)
    if wanted is None:
        return found
    if DRAW not in table.real.path:
        further = (number for number in range(1, 10_000) if number not in table.draws)
        while len(found) < wanted:
            found.append(next(further))
    return found[:wanted]


class _Player:
    """Fits students, and counts how far it is."""

    def __init__(self, folder: Folder, test: Sequence[Row], said: Replay, told: Told) -> None:
        self.folder, self.table, self.said, self.told = folder, folder.table, said, told
        self.pace = Pace()
        self.labels: dict[str, int] = {}
        self.test = [self.shaped(row) for row in test]
        self.tested = tuple(row.text for row in self.test)
        self.test_said = {folded(row.text) for row in test}
        self.truth = np.array([self.code(row.label) for row in self.test])

    def begin(self, todo: int) -> None:
        self.pace.begin([0] * todo)

    def ended(self, what: str) -> None:
        self.pace.ended(0)
        self.told.waiting(f"{what}; {self.pace.said()}")

    def shaped(self, row: Row) -> Row:
        return replace(row, text=row.text.lower()) if self.table.lower else row

    def code(self, label: str) -> int:
        return self.labels.setdefault(label, len(self.labels))

    def unit(self, draw: Any, size: int) -> _Unit:
        """The real rows of a draw and what was made of them."""
        real = self.folder.real(draw)
        seeds = drawn(real, size, draw) if size else real
        made = {}
        for method in self.table.methods:
            rows = self.folder.made(method, seeds, draw)
            if self.table.distinct:
                same = {(seed.text, seed.label) for seed in seeds}
                rows = [row for row in distinct(rows) if (row.text, row.label) not in same]
            if not rows:
                raise DataError(f"{method} has no row that is a child of the seeds.", "look at the column of parents.")
            self.said.made.setdefault((size, method), len(rows))
            self.said.copies[method] = max(
                self.said.copies.get(method, 0), sum(folded(row.text) in self.test_said for row in rows)
            )
            made[method] = [self.shaped(row) for row in rows]
        self.said.real.setdefault(size, len(seeds))
        return _Unit(size, [self.shaped(seed) for seed in seeds], made)

    def right(self, student: str, seeds: Sequence[Row], rows: Sequence[Row], weights: Sequence[float]) -> Floats:
        """Which test rows a student is right about that learned from these rows; ``seeds`` decide its C."""
        lesson = Lesson(
            tuple(row.text for row in seeds),
            tuple(self.code(row.label) for row in seeds),
            tuple(row.text for row in rows),
            tuple(self.code(row.label) for row in rows),
            tuple(weights),
            self.tested,
            len(self.labels),
        )
        found = self.said.students[student].predict(lesson)
        right: Floats = (found == self.truth).astype(np.float64)
        return right

    def arms(self, unit: _Unit, alone: bool) -> Iterator[tuple[str, list[Row]]]:
        yield NONE, unit.seeds
        for method, rows in unit.made.items():
            yield method, rows if alone else [*unit.seeds, *rows]

    def train(self, unit: _Unit, alone: bool) -> None:
        """Every student on every method."""
        for student in self.said.students:
            scores = self.said.scores.setdefault((student, unit.size), {})
            for method, rows in self.arms(unit, alone):
                scores.setdefault(method, []).append(self.right(student, unit.seeds, rows, [1.0] * len(rows)))
                self.ended(f"train {student}")

    def keep(self, unit: _Unit, chosen: Sequence[KeepSteps], scratch: Path) -> None:
        """One student on what each keep leaves of every method."""
        if not chosen:
            return
        here = self.said.keeps.setdefault(unit.size, {})
        if self.table.alone:  # no arm so far was trained on these seeds
            whole = here.setdefault(ALL, Kept())
            for method, rows in self.arms(unit, False):
                right = self.right(self.said.judge, unit.seeds, rows, [1.0] * len(rows))
                whole.scores.setdefault(method, []).append(right)
                whole.shares.setdefault(method, []).append(1.0)
                self.ended(f"train {self.said.judge}")
        for keep in chosen:
            if keep.by_parent and not all(is_linked(unit.seeds, rows) for rows in unit.made.values()):
                self.said.left_out[keep.name] = "the files name no parents"
                for _ in unit.made:
                    self.pace.ended(0)
                continue
            found = here.setdefault(keep.name, Kept())
            for some in kept(keep, unit.seeds, unit.made, scratch / "run"):
                for method, weights in some.items():
                    self._learn(found, unit, method, weights)
                    self.ended(f"keep {keep.name}")

    def _learn(self, found: Kept, unit: _Unit, method: str, weights: Mapping[int, float]) -> None:
        """One student on the rows that were kept of a method, with the labels in balance and as they are."""
        rows = unit.made[method]
        taught = [*unit.seeds, *(rows[at] for at in sorted(weights))]
        each = [1.0] * len(unit.seeds) + [weights[at] for at in sorted(weights)]
        even = balanced(taught, each, [*unit.seeds, *rows])
        for scores, weighed in ((found.scores, even), (found.uneven, each)):
            scores.setdefault(method, []).append(self.right(self.said.judge, unit.seeds, taught, weighed))
        found.shares.setdefault(method, []).append(len(weights) / len(rows))


def balanced(rows: Sequence[Row], weights: Sequence[float], before: Sequence[Row]) -> list[float]:
    """The weights scaled so that every label has the share of their sum that it has of the rows ``before``."""
    had = Counter(row.label for row in before)
    has = dict.fromkeys((row.label for row in rows), 0.0)
    for row, weight in zip(rows, weights, strict=True):
        has[row.label] += weight
    whole = sum(had[label] for label in has)
    total = sum(weights)
    return [
        weight * (had[row.label] / whole) / (has[row.label] / total) for row, weight in zip(rows, weights, strict=True)
    ]
