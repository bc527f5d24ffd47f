"""Which real rows a made row came from: all of them, however many steps lie between.

A mixture has several parents, and a parent may itself be made: a step before, so that it stands in the parts of the
run or nowhere any more, and only the history of its child tells what went into it.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator, Mapping, Sequence
from functools import cached_property
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from leaven.draws import Draw
from leaven.engine.folder import Folder
from leaven.engine.pieces import Piece
from leaven.engine.recorded_recipe import recorded_recipe
from leaven.errors import LeavenError
from leaven.measure.bench import ANYWHERE, NO_ROOT, POOL
from leaven.operators import Make, Note

WITH = "with"
"""What the history of a child calls the other parents that a step drew."""


class Line(NamedTuple):
    """Where a record stands in the run."""

    root: str | None
    parents: Sequence[str]
    steps: Sequence[Mapping[str, Any]]


class Lines:
    """The records of a run by id.  ``real`` are the places of the real rows, NO_ROOT of those that are left out."""

    def __init__(self, folder: Folder, real: Mapping[str, int]) -> None:
        self.folder, self.real = folder, real

    def roots(self, ids: Sequence[str], lines: Sequence[Line]) -> NDArray[np.int64]:
        """The roots of made rows, rows x parents (see ``Rows``); ``lines`` is what train/ says of each."""
        found = [self._of(own, line) for own, line in zip(ids, lines, strict=True)]
        width = max((len(of) for of in found), default=1)
        return np.array([of + [NO_ROOT] * (width - len(of)) for of in found], np.int64).reshape(len(found), width)

    def _of(self, own: str, line: Line) -> list[int]:
        if not line.parents:
            return [POOL]
        if any(entry["step"] in self.fitted for entry in line.steps):
            return [ANYWHERE]
        found: set[int] = set()
        if all(parent in self.real for parent in line.parents):  # the common case: nothing has to be looked up
            found.update(self.real[parent] for parent in line.parents)
        else:
            found = self._above(own, self.known.get(own, line), set())
        return sorted(found - {NO_ROOT}) or [NO_ROOT]

    def _above(self, own: str, line: Line | None, seen: set[str]) -> set[int]:
        """The real rows above a record, itself one or not."""
        if own in self.real:
            return {self.real[own]}
        if line is None or own in seen:
            return set()
        seen.add(own)
        above = [line.root] if line.root else []
        gone = [parent for parent in line.parents if parent not in self.real and parent not in self.known]
        if gone:  # made and used up within one stage: the history knows what was drawn for it
            drawn = list(self._drawn(line.steps[:-1]))  # whom the last step drew are parents
            if None in drawn or (drawn and not line.root):
                return {ANYWHERE}
            above += [other for other in drawn if other]
        found: set[int] = set()
        for other in (*above, *line.parents):
            found |= self._above(other, self.known.get(other), seen)
        return found

    def _drawn(self, steps: Iterable[Mapping[str, Any]]) -> Iterator[str | None]:
        """The ids of what steps drew on the way; None where a step drew and does not say what."""
        for entry in steps:
            drawn = json.loads(entry["drawn"])
            if WITH in drawn:
                yield from drawn[WITH]
            elif entry["step"] in self.drawing:
                yield None

    @cached_property
    def known(self) -> dict[str, Line]:
        """Every record that stands in the parts of the run."""
        found: dict[str, Line] = {}
        for path in sorted(self.folder.parts.glob("*.arrow")):
            table = Piece(str(path), path.stem).read(["_id", "_root", "_parents", "_steps"])
            if not {"_id", "_root", "_parents", "_steps"} <= set(table.column_names):
                continue
            columns = [table.column(name).to_pylist() for name in ("_id", "_root", "_parents", "_steps")]
            for own, root, parents, steps in zip(*columns, strict=True):
                if parents:
                    found[own] = Line(root, parents, steps or [])
        return found

    @cached_property
    def fitted(self) -> frozenset[str]:
        """The steps that ask a model which an earlier step fitted: all real rows may have taught it."""
        said = self.folder.describe()
        try:
            recipe = recorded_recipe(self.folder, said.get("operators", ())) if said else None
        except LeavenError:
            recipe = None
        if recipe is None:
            return frozenset()
        steps = list(recipe.steps())
        asking = [step for step in steps if getattr(step.op, "adapter", None)]
        if any(isinstance(step.op, Note) for step in asking):  # what it noted stands in no history, who made it does
            asking += [step for step in steps if isinstance(step.op, Make)]
        return frozenset(step.name for step in asking)

    @cached_property
    def drawing(self) -> frozenset[str]:
        """The steps of the recipe that make something of a record and of others that they draw."""
        said = self.folder.describe()
        try:
            recipe = recorded_recipe(self.folder, said.get("operators", ()))
        except LeavenError:  # its operators are not here: any step may have drawn
            return frozenset(entry["step"] for line in self.known.values() for entry in line.steps)
        return frozenset(step.name for step in recipe.steps() if _draws_parents(step.op))


def _draws_parents(op: Any) -> bool:
    """Examples in a prompt are no parents."""
    return isinstance(op, Make) and not op.awaits() and isinstance(getattr(op, "draw", None), Draw)
