"""The bench on which arms are fitted: real, made and test rows, two students, and as many processes as cores.

An arm is a list of rows with how often each stands there; every arm's weights sum to the number of real rows, and C
is chosen once, on the real rows, so that no arm gains by mere repetition.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ProcessPoolExecutor
from dataclasses import dataclass, field
from multiprocessing import get_context
from typing import Any

import numpy as np
from numpy.typing import NDArray

from leaven.measure.students import Embedded, Student, Tfidf, choose_student_C, fit_predict
from leaven.models.backends.linear import stratified_folds

Ints = NDArray[np.int64]


NO_ROOT, POOL = -1, -2


@dataclass(frozen=True)
class Rows:
    """Texts and label numbers; ``roots`` says which real row each came from, NO_ROOT for none, POOL for a real text
    that was given its label by a model which all real rows taught."""

    texts: list[str]
    labels: Ints
    roots: Ints = field(default_factory=lambda: np.zeros(0, np.int64))
    ids: list[str] = field(default_factory=list)

    def __len__(self) -> int:
        return len(self.texts)


@dataclass(frozen=True)
class Arm:
    """What one model trains on: counts over the real rows and over the rows of a made set."""

    student: int
    real: Ints
    made: Ints
    made_set: str = "made"
    fold: int = -1
    """Out of fold: this fold's real rows are predicted instead of the test set, and what came from them is left out."""


@dataclass(frozen=True)
class Bench:
    """All that a fit needs; sent to each process once."""

    real: Rows
    made: dict[str, Rows]
    test: Rows
    n_labels: int
    vectors: dict[str, NDArray[np.float32]]
    fold: Ints
    C: tuple[float, ...] = ()

    def embed(self, texts: Sequence[str]) -> NDArray[Any]:
        return np.stack([self.vectors[text] for text in texts]) if texts else np.zeros((0, 1), np.float32)

    def students(self) -> list[Student]:
        every = [*self.real.texts, *self.test.texts, *(t for rows in self.made.values() for t in rows.texts)]
        return [Embedded(self.embed), Tfidf(every)]

    def predict(self, students: Sequence[Student], arm: Arm) -> Ints:
        """The labels that a model trained on an arm gives the test rows (or the fold's real rows)."""
        real, made = arm.real, arm.made
        rows = self.made[arm.made_set]
        labels = rows.labels
        tested = self.test.texts
        total = float(len(self.real))
        if arm.fold >= 0:
            held = self.fold == arm.fold
            real = np.where(held, 0, real)
            if made.any():
                made = np.where((rows.roots >= 0) & held[np.maximum(rows.roots, 0)], 0, made)
                labels = self.relabelled(students, arm, rows)
            tested = [text for text, out in zip(self.real.texts, held, strict=True) if out]
            total = float((~held).sum())
        counts = np.concatenate([real, made])
        if not counts.any():
            return np.full(len(tested), -1)
        return fit_predict(
            students[arm.student],
            [*self.real.texts, *(rows.texts if len(made) else [])],
            np.concatenate([self.real.labels, labels if len(made) else np.zeros(0, np.int64)]),
            counts,
            tested,
            self.C[arm.student],
            self.n_labels,
            total=total,
        )

    def relabelled(self, students: Sequence[Student], arm: Arm, rows: Rows) -> Ints:
        """Labels of made rows as a student would give them that never saw the held-out fold: a pool row carries what
        all real rows taught, and would tell the held-out ones their own labels."""
        pool = np.flatnonzero(rows.roots == POOL)
        if not len(pool):
            return rows.labels
        rest = np.where(self.fold == arm.fold, 0, arm.real)
        found = rows.labels.copy()
        found[pool] = fit_predict(
            students[arm.student],
            self.real.texts,
            self.real.labels,
            rest,
            [rows.texts[i] for i in pool],
            self.C[arm.student],
            self.n_labels,
        )
        return found


def folds(labels: Ints, seed: int) -> Ints:
    return stratified_folds(labels, 5, seed)


def choose_C(bench: Bench, seed: int) -> tuple[float, ...]:
    """The C of each student, cross-validated on the real rows."""
    return tuple(choose_student_C(s, bench.real.texts, bench.real.labels, seed=seed) for s in bench.students())


class Fitter:
    """Fits arms, equal ones once, in parallel where there are enough."""

    def __init__(self, bench: Bench, workers: int, progress: Callable[[int, int], None]) -> None:
        self.bench, self.workers, self.progress = bench, workers, progress
        self.known: dict[bytes, Ints] = {}
        self.students: list[Student] | None = None
        self.pool: ProcessPoolExecutor | None = None

    def __enter__(self) -> Fitter:
        return self

    def __exit__(self, *_: object) -> None:
        if self.pool:
            self.pool.shutdown(cancel_futures=True)

    def fit(self, arms: Sequence[Arm]) -> list[Ints]:
        """The predictions of each arm."""
        keys = [_key(arm) for arm in arms]
        new = {key: arm for key, arm in zip(keys, arms, strict=True) if key not in self.known}
        for done, (key, found) in enumerate(zip(new, self._run(list(new.values())), strict=True), 1):
            self.known[key] = found
            self.progress(done, len(new))
        return [self.known[key] for key in keys]

    def _run(self, arms: list[Arm]) -> Iterator[Ints]:
        if self.workers == 1 or len(arms) < 4:
            self.students = self.students or self.bench.students()
            for arm in arms:
                yield self.bench.predict(self.students, arm)
            return
        if self.pool is None:
            self.pool = ProcessPoolExecutor(self.workers, get_context("spawn"), _start, (self.bench,))
        yield from self.pool.map(_predict, arms)


def _key(arm: Arm) -> bytes:
    made = arm.made.tobytes() + arm.made_set.encode() if arm.made.any() else b""
    return b"|".join((b"%d %d" % (arm.student, arm.fold), arm.real.tobytes(), made))


_bench: Bench | None = None
_students: list[Student] = []


def _start(bench: Bench) -> None:
    from threadpoolctl import threadpool_limits

    global _bench, _students
    threadpool_limits(1)
    _bench = bench
    _students = bench.students()


def _predict(arm: Arm) -> Ints:
    assert _bench is not None
    return _bench.predict(_students, arm)
