"""The rows whose quality is measured: real, made and test, with their vectors."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, field

import numpy as np


@dataclass(frozen=True)
class Some:
    """Rows of one set with their vectors (n x d, unit length); ``of`` is how many the set has."""

    ids: list[str]
    texts: list[str]
    labels: list[str | None]
    parents: list[str | None]
    vectors: np.ndarray
    of: int

    def __len__(self) -> int:
        return len(self.ids)

    @property
    def share(self) -> str:
        """How many rows were looked at, where that is not all."""
        return f"{len(self):,}" if len(self) == self.of else f"{len(self):,} of {self.of:,}"

    def take(self, rows: Sequence[int]) -> Some:
        """Some of them, in the order asked for."""
        own: tuple[list[str], ...] = tuple([x[i] for i in rows] for x in (self.ids, self.texts))
        labels, parents = [self.labels[i] for i in rows], [self.parents[i] for i in rows]
        return Some(own[0], own[1], labels, parents, self.vectors[list(rows)], self.of)

    def first(self, most: int) -> Some:
        return self.take(range(min(most, len(self))))

    def of_parents(self, known: Collection[str]) -> Some:
        """Those whose parent is among ``known``, and those that have none."""
        return self.take([i for i, parent in enumerate(self.parents) if parent is None or parent in known])


@dataclass(frozen=True)
class Fits:
    """The cosine of captions with their image or sound, of real rows and of made ones; ``model`` gave it."""

    model: str
    real: np.ndarray
    made: np.ndarray
    captions: list[str]
    ids: list[str]


@dataclass(frozen=True)
class Following:
    """How one model did what one step asked of it.

    ``answers`` it gave; ``repaired`` were of use only after a second turn, if at all; ``unparsed`` never (they failed).
    ``wanted`` texts were asked for, and ``lacking`` of them did not come; ``unusable`` counts by reason those that the
    step itself refused, such as one that lost what it had to keep.
    """

    step: str
    model: str
    answers: int
    repaired: int
    unparsed: int
    wanted: int
    lacking: int
    unusable: Mapping[str, int]
    worst: list[Worst] = field(default_factory=list)


@dataclass(frozen=True)
class Worst:
    """A row that is far out: its ``text`` stands ``beside`` another's, ``who`` says whose, and ``value`` how far."""

    text: str
    beside: str
    who: str
    value: float
    ids: tuple[str, ...] = ()


@dataclass(frozen=True)
class Sets:
    """Everything that is measured.  ``labels`` has of each label its real rows before, and those real and made after;
    it is empty where the data has no label.  ``missing`` says what could not be read, and why."""

    kind: str
    embedder: str
    real: Some
    made: Some
    test: Some
    seed: int = 0
    labels: Mapping[str, tuple[int, int, int]] = field(default_factory=dict)
    fits: Fits | None = None
    following: Sequence[Following] = ()
    missing: Mapping[str, str] = field(default_factory=dict)
