"""The bench on which arms are fitted: real, made and test rows, their students, and as many processes as cores.

An arm is a list of rows with how often each stands there; every arm's weights sum to the number of real rows, and C
is chosen once, on the real rows, so that no arm gains by mere repetition.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Any, Generic, Protocol, TypeVar

import numpy as np
from numpy.typing import NDArray

from leaven.engine.workers import Pool, alone
from leaven.measure.pace import Pace
from leaven.measure.students import AnyStudent, Embedded, Tfidf, choose_student_C, fit_predict, of_table, taught
from leaven.models.backends.linear import stratified_folds

if TYPE_CHECKING:
    from leaven.measure.notes import Noted

Ints = NDArray[np.int64]
Floats = NDArray[np.float64]

NO_ROOT, POOL, ANYWHERE = -1, -2, -3
"""What stands in place of a real row's number: none, a model that all real rows taught, any of them."""


@dataclass(frozen=True)
class Rows:
    """What stands in each row, and its label's number.

    ``items`` are the texts themselves; of images and sounds a key each.  ``roots`` (rows x parents; a single line of
    them is one each) says which real rows each came from: NO_ROOT where there is none, POOL for a real row that was
    given its label by a model which all real rows taught, ANYWHERE where it may be any of them.  ``probs`` (rows x
    labels) are soft labels, ``weights`` what each weighs beside a real row (1 without any), ``families`` what made
    each, ``notes`` what rows without a label say of their image or sound.
    """

    items: list[str]
    labels: Ints
    roots: Ints = field(default_factory=lambda: np.zeros((0, 1), np.int64))
    ids: list[str] = field(default_factory=list)
    probs: Floats | None = None
    notes: Sequence[Noted] = ()
    weights: Floats | None = None
    families: Sequence[str] = ()

    def __post_init__(self) -> None:
        if self.roots.ndim == 1:
            object.__setattr__(self, "roots", self.roots[:, None])

    def __len__(self) -> int:
        return len(self.items)

    def take(self, rows: Sequence[int] | Ints) -> Rows:
        """Some of the rows."""
        at = np.asarray(rows, np.int64)
        return Rows(
            [self.items[i] for i in at],
            self.labels[at],
            self.roots[at] if len(self.roots) else self.roots,
            [self.ids[i] for i in at] if self.ids else [],
            None if self.probs is None else self.probs[at],
            [self.notes[i] for i in at] if self.notes else (),
            None if self.weights is None else self.weights[at],
            [self.families[i] for i in at] if self.families else (),
        )


def held_back(roots: Ints, held: NDArray[np.bool_]) -> NDArray[np.bool_]:
    """Which made rows (``roots``: rows x parents) must not be learned from while real rows are ``held`` out: those with
    one of them among their parents, and those that may have."""
    among = (roots >= 0) & held[np.maximum(roots, 0)]
    found: NDArray[np.bool_] = (among | (roots == ANYWHERE)).any(axis=1)
    return found


def targets(parts: Sequence[Rows], n_labels: int) -> NDArray[Any]:
    """What a student learns from rows laid one after the other: label numbers, or where some are soft, a share for
    each label."""
    if all(rows.probs is None for rows in parts):
        return np.concatenate([rows.labels for rows in parts])
    sure = np.eye(n_labels)
    return np.concatenate([sure[rows.labels] if rows.probs is None else rows.probs for rows in parts])


@dataclass(frozen=True)
class Arm:
    """What one model trains on: counts over the real rows and over the rows of a made set."""

    student: int
    real: Ints
    made: Ints
    made_set: str = "made"
    fold: int = -1
    """Out of fold: this fold's real rows are predicted instead of the test set, and what came from them is left out."""
    luck: int = 0
    """The seed of a student that begins with random numbers."""
    weight: float = 1.0
    """What a made row weighs beside a real one, times the row's own weight."""
    share: float = 1.0
    """The share of the real rows that ``real`` counts: the weights sum to that share of their number."""

    def counts(self, made: Rows) -> Floats:
        """What each row of the arm weighs, real ones first."""
        own = 1.0 if made.weights is None or not len(self.made) else made.weights
        return np.concatenate([self.real.astype(np.float64), self.made * (self.weight * own)])


@dataclass(frozen=True)
class Bench:
    """All that a fit needs; sent to each process once."""

    real: Rows
    made: dict[str, Rows]
    test: Rows
    n_labels: int
    vectors: Mapping[str, NDArray[np.float32]]
    fold: Ints
    C: tuple[float, ...] = ()
    others: tuple[AnyStudent, ...] | None = None
    """The students beside the one over ``vectors``; without any, TF-IDF of the texts."""
    named: str = Embedded.name

    def embed(self, items: Sequence[str]) -> NDArray[Any]:
        return of_table(self.vectors, items)

    def students(self) -> list[AnyStudent]:
        first = Embedded(self.embed, self.named)
        if self.others is not None:
            return [first, *self.others]
        every = [*self.real.items, *self.test.items, *(t for rows in self.made.values() for t in rows.items)]
        return [first, Tfidf(every)]

    def made_of(self, arm: Arm) -> Rows:
        """The made rows that an arm counts; none, where it has real rows alone."""
        return self.made[arm.made_set] if len(arm.made) else Rows([], np.zeros(0, np.int64))

    def predict(self, students: Sequence[AnyStudent], arm: Arm) -> Ints:
        """The labels that a model trained on an arm gives the test rows (or the fold's real rows)."""
        rows = self.made_of(arm)
        counts = arm.counts(rows)
        tested = self.test.items
        total = arm.share * len(self.real)
        if arm.fold >= 0:
            held = self.fold == arm.fold
            counts[: len(held)][held] = 0.0
            if arm.made.any():
                counts[len(held) :][held_back(rows.roots, held)] = 0.0
                rows = self.relabelled(students, arm, rows)
            tested = [item for item, out in zip(self.real.items, held, strict=True) if out]
            total = float((~held).sum())
        if not counts.any():
            return np.full(len(tested), -1)
        parts = [self.real, rows] if len(arm.made) else [self.real]
        return fit_predict(
            students[arm.student],
            [item for part in parts for item in part.items],
            targets(parts, self.n_labels),
            counts,
            tested,
            self.C[arm.student],
            self.n_labels,
            total=total,
            luck=arm.luck,
        )

    def same(self, one: Arm, other: Arm) -> bool:
        """True where two arms on the test set are one model: they teach the same items the same labels, as often."""
        if (one.luck, one.share) != (other.luck, other.share):
            return False
        (items, shares), (others, theirs) = self._taught(one), self._taught(other)
        return items == others and bool(np.allclose(shares, theirs, rtol=1e-9, atol=0.0))

    def _taught(self, arm: Arm) -> tuple[list[str], NDArray[np.float64]]:
        parts = [self.real, self.made[arm.made_set]] if len(arm.made) else [self.real]
        return taught([item for part in parts for item in part.items], targets(parts, self.n_labels),
                      arm.counts(self.made_of(arm)), self.n_labels)  # fmt: skip

    def relabelled(self, students: Sequence[AnyStudent], arm: Arm, rows: Rows) -> Rows:
        """Made rows with the labels that a student would give them that never saw the held-out fold: a pool row carries
        what all real rows taught, and would tell the held-out ones their own labels."""
        pool = np.flatnonzero((rows.roots == POOL).any(axis=1))
        if not len(pool):
            return rows
        rest = np.where(self.fold == arm.fold, 0, arm.real)
        labels = rows.labels.copy()
        labels[pool] = fit_predict(
            students[arm.student],
            self.real.items,
            targets([self.real], self.n_labels),
            rest,
            [rows.items[i] for i in pool],
            self.C[arm.student],
            self.n_labels,
            luck=arm.luck,
        )
        probs = rows.probs
        if probs is not None:
            probs = probs.copy()
            probs[pool] = np.eye(self.n_labels)[labels[pool]]
        return replace(rows, labels=labels, probs=probs)


def folds(labels: Ints, seed: int) -> Ints:
    return stratified_folds(labels, 5, seed)


def choose_C(bench: Bench, students: Sequence[AnyStudent], seed: int) -> tuple[float, ...]:
    """The C of each student, cross-validated on the real rows."""
    return tuple(choose_student_C(s, bench.real.items, bench.real.labels, seed=seed) for s in students)


S = TypeVar("S")
T = TypeVar("T")
Said = TypeVar("Said", covariant=True)


class Predicts(Protocol[Said, S]):
    """Real, made and test rows with the students that learn from them."""

    def students(self) -> list[S]: ...

    def predict(self, students: Sequence[S], arm: Arm) -> Said: ...


class Fitter(Generic[T, S]):
    """Fits arms, equal ones once, in parallel where there are enough."""

    def __init__(
        self, bench: Predicts[T, S], students: Sequence[S], workers: int, progress: Callable[[str], None]
    ) -> None:
        self.bench, self.students, self.workers, self.progress = bench, students, workers, progress
        self.known: dict[bytes, T] = {}
        self.pool: Pool | None = None
        self.pace = Pace()

    def __enter__(self) -> Fitter[T, S]:
        return self

    def __exit__(self, error: type[BaseException] | None, *_: object) -> None:
        if self.pool:
            self.pool.end(error)

    def fit(self, arms: Sequence[Arm]) -> list[T]:
        """The predictions of each arm."""
        keys = [_key(arm) for arm in arms]
        new = {key: arm for key, arm in zip(keys, arms, strict=True) if key not in self.known}
        self.pace.begin([arm.student for arm in new.values()])
        for (key, arm), found in zip(new.items(), self._run(list(new.values())), strict=True):
            self.known[key] = found
            self.pace.ended(arm.student)
            self.progress(self.pace.said())
        return [self.known[key] for key in keys]

    def _run(self, arms: list[Arm]) -> Iterator[T]:
        if self.workers == 1 or len(arms) < 4:
            for arm in arms:
                yield self.bench.predict(self.students, arm)
            return
        if self.pool is None:
            self.pool = Pool(self.workers, _start, (self.bench,))
        yield from self.pool.map(_predict, arms)


def _key(arm: Arm) -> bytes:
    made = b"%r %s " % (arm.weight, arm.made_set.encode()) + arm.made.tobytes() if arm.made.any() else b""
    return b"|".join((b"%d %d %d %r" % (arm.student, arm.fold, arm.luck, arm.share), arm.real.tobytes(), made))


_bench: Any = None
_students: list[Any] = []


def _start(bench: Any) -> None:
    global _bench, _students
    alone()
    _bench = bench
    _students = bench.students()


def _predict(arm: Arm) -> Any:
    return _bench.predict(_students, arm)
