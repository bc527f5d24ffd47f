"""What a stage is, and how its records stand in a table."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from leaven.fields import Column
from leaven.io.dataset import SET_BITS, SETS
from leaven.recipe import Step
from leaven.storage import MEDIA

GOES_ON, REFUSED, FAILED, LEFT = range(4)
DECIDED = "_k_"
BELOW = "\x1f"
"""Between the names of nested branches, where a path of them is stored."""
STEPS = pa.list_(pa.struct([("step", pa.string()), ("round", pa.int64()), ("drawn", pa.string())]))
HEAD = pa.schema(
    [
        pa.field("_id", pa.string()),
        pa.field("_order", pa.int64()),
        pa.field("_root", pa.string()),
        pa.field("_parents", pa.list_(pa.string())),
        pa.field("_steps", STEPS),
        pa.field("_made", pa.bool_()),
        pa.field("_branch", pa.string()),
        pa.field("_state", pa.int8()),
        pa.field("_step", pa.string()),
        pa.field("_reason", pa.string()),
        pa.field("_detail", pa.string()),
    ]
)


@dataclass(frozen=True)
class Run:
    """A step within a stage; ``state`` names its fitted state, ``columns`` what stands before it, ``drawn`` the rows
    that it draws from, and where they lie."""

    step: Step
    round: int
    columns: Mapping[str, Column]
    state: str = ""
    drawn: tuple[str, str] = ("", "")


@dataclass(frozen=True)
class Split:
    """Each record that stands in the branch ``at`` goes into every branch below it."""

    branches: tuple[str, ...]
    at: tuple[str, ...] = ()


@dataclass(frozen=True)
class Join:
    """The branches below ``at`` are one stream again."""

    at: tuple[str, ...] = ()


@dataclass(frozen=True)
class Stage:
    """What is done to each part between two waits.

    ``decided`` is the keep whose decision (an index into its reasons for each row) opens the stage, ``deciding`` the
    one whose columns close it.
    """

    work: tuple[Run | Split | Join, ...]
    columns: Mapping[str, Column]
    schema: pa.Schema
    seed: int
    constants: Mapping[str, Any]
    lineage: tuple[frozenset[str], frozenset[str]]
    decided: Run | None = None
    deciding: Run | None = None

    @property
    def media(self) -> bool:
        """Whether its records hold images or sounds."""
        return any(column.type in MEDIA for column in self.columns.values())

    def runs(self) -> list[Run]:
        """All its steps, the keeps at its two ends too."""
        return [w for w in (*self.work, self.decided, self.deciding) if isinstance(w, Run)]


def is_real(parents: Sequence[str], order: int) -> bool:
    """True for a row of the source or the pool itself; a candidate made elsewhere is none."""
    return not parents and order >> SET_BITS != SETS.index("given")


def real_rows(table: pa.Table) -> np.ndarray:
    """``is_real`` of each row."""
    parents = table.column("_parents")
    bare = pc.list_value_length(parents).fill_null(0).to_numpy() == 0
    found: np.ndarray = bare & (table.column("_order").to_numpy() >> SET_BITS != SETS.index("given"))
    return found
