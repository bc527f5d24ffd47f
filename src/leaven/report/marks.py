"""How many boxes, points and segments of each label the rows of train/ have, and how large their boxes are."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass, field

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from leaven.report.content import MARKS, Content


@dataclass
class Marked:
    """What one column marks, in real rows and in made ones: (real, made)."""

    column: str
    kind: str
    labels: tuple[Counter[str], Counter[str]] = field(default_factory=lambda: (Counter(), Counter()))
    rows: tuple[int, int] = (0, 0)
    sides: tuple[list[np.ndarray], list[np.ndarray]] = field(default_factory=lambda: ([], []))
    """The square roots of the areas of boxes, in pixels."""

    @property
    def names(self) -> list[str]:
        """The labels, the most frequent first."""
        return [name for name, _ in (self.labels[0] + self.labels[1]).most_common()]


def marked(content: Content) -> list[Marked]:
    """Every column of marks of train/; nothing where there is none."""
    kinds = {name: kind for name, kind in content.kinds.items() if kind in MARKS and name in content.train.columns}
    return [_read(content, name, kind) for name, kind in kinds.items()]


def _read(content: Content, column: str, kind: str) -> Marked:
    found = Marked(column, kind)
    wanted = ["label", *(("w", "h") if kind == "boxes" else ())]
    begin = 0
    for file in content.train.files:
        table = file.read(columns=[f"{column}.list.element.{name}" for name in wanted])
        made = content.train.made[begin : begin + len(table)]
        begin += len(table)
        lists = table.column(column).combine_chunks()
        there = pc.is_valid(lists).to_numpy(zero_copy_only=False)
        found.rows = (found.rows[0] + int((there & ~made).sum()), found.rows[1] + int((there & made).sum()))
        of_made = made[pc.list_parent_indices(lists).to_numpy()]
        marks = pc.list_flatten(lists)
        labels = pc.fill_null(marks.field("label"), "no label")
        for side, mask in enumerate((~of_made, of_made)):
            for name, n in _counted(labels.filter(pa.array(mask))):
                found.labels[side][name] += n
        if kind == "boxes":
            w, h = (pc.fill_null(marks.field(name), 0.0).to_numpy(zero_copy_only=False) for name in "wh")
            side_of = np.sqrt(np.maximum(w * h, 0.0))
            found.sides[0].append(side_of[~of_made])
            found.sides[1].append(side_of[of_made])
    return found


def _counted(labels: pa.Array) -> list[tuple[str, int]]:
    return [(str(item["values"]), int(item["counts"])) for item in labels.value_counts().to_pylist()]
