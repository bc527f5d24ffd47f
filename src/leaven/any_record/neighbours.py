"""How near a record is to others."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import TYPE_CHECKING, Any, ClassVar, Literal

from pydantic import Field, model_validator

from leaven.errors import RecipeError
from leaven.fields import SCORE, VALUE, Column
from leaven.operators import Note, State
from leaven.records import Record

if TYPE_CHECKING:
    import numpy as np

    from leaven.context import Context, Rows

BLOCK = 1024
AT_ONCE = 2**23
"""Cosines that are held together."""


class Neighbours(Note):
    """Note the nearest rows of a set, by the cosine of embeddings.

    A record is never its own neighbour, and neither is its root: what is asked is how near it comes to *others*.
    With ``of: labels`` the neighbours are labels, by the mean vector of their real rows.

    Needs a text.
    Writes `neighbours`, the ids (or labels) of the k nearest, and `nearness`, the highest cosine (None without any).

    >>> desk = [
    ...     {"text": "lost my card", "label": "card"},
    ...     {"text": "card stolen today", "label": "card"},
    ...     {"text": "open on sunday", "label": "hours"},
    ...     {"text": "opening time today", "label": "hours"},
    ... ]
    >>> Neighbours(2, of="labels")({"text": "is it open today"}, source=desk)[0]["neighbours"]
    ['hours', 'card']
    """

    roles: ClassVar[frozenset[str]] = frozenset({"embed"})
    takes: ClassVar[str] = "text or image or audio or vector"
    k: int = Field(1, ge=1, le=1000)
    """How many."""
    on: str | None = None
    """The field to compare; the main text."""
    of: Literal["source", "made", "labels"] = "source"
    """Where to look: the real rows, what was made in rounds that ended, or the labels."""
    same: str | None = None
    """Only among rows that agree in this field."""

    @model_validator(mode="after")
    def _of_rows(self) -> Neighbours:
        if self.same and self.of == "labels":
            raise ValueError(RecipeError("`same` looks among rows, not labels.", "leave out one of the two."))
        return self

    def reads(self) -> frozenset[str]:
        return frozenset(filter(None, (self.on, self.same)))

    def fits_on(self) -> tuple[str, ...]:
        return ("made",) if self.of == "made" else ("source",)

    def writes(self) -> dict[str, Column]:
        about = frozenset({self.on or ""})
        return {"neighbours": Column(VALUE, about, written=False), "nearness": Column(SCORE, about, written=False)}

    def fit(self, rows: Mapping[str, Rows], ctx: Context) -> State:
        import numpy as np

        if not rows:  # nothing was made yet
            return {"ids": np.array([], dtype=np.str_), "vectors": ctx.embed([]), "same": np.array([], dtype=np.str_)}
        [table] = rows.values()
        vectors = ctx.vectors(table, [self.on or ""])
        if self.of == "labels":
            given = np.array([str(v) for v in table.column(str(ctx.constants["label_field"]))])
            names = np.array(list(ctx.labels))
            means = np.stack([vectors[given == name].mean(axis=0) for name in names])
            return {"ids": names, "vectors": _unit(means), "same": np.array([""] * len(names))}
        same = [str(v) for v in table.column(self.same)] if self.same else [""] * len(table)
        return {"ids": np.array(table.ids), "vectors": vectors, "same": np.array(same, dtype=np.str_)}

    def notes(self, records: Sequence[Record], ctx: Context) -> Iterator[Mapping[str, Any]]:
        import numpy as np

        state = ctx.state
        where = {str(name): i for i, name in enumerate(state["ids"])}
        others = state["vectors"].T.astype(np.float64)  # in float32 the sixth digit would hang on the block
        step = max(1, min(BLOCK, AT_ONCE // max(1, len(where))))
        for begin in range(0, len(records), step):
            block = records[begin : begin + step]
            vectors = ctx.vectors(block, [self.on or ""])
            cosine = np.round(vectors.astype(np.float64) @ others, 6)
            for record, row in zip(block, cosine, strict=True):
                if self.of != "labels":
                    for own in (record.id, record.root):
                        if own in where:
                            row[where[own]] = -np.inf
                if self.same:
                    row[state["same"] != str(record.get(self.same))] = -np.inf
                nearest = np.argsort(-row, kind="stable")[: self.k]
                nearest = nearest[np.isfinite(row[nearest])]
                yield {
                    "neighbours": [str(state["ids"][i]) for i in nearest],
                    "nearness": float(row[nearest[0]]) if len(nearest) else None,
                }


def _unit(vectors: np.ndarray) -> np.ndarray:
    import numpy as np

    lengths = np.linalg.norm(vectors, axis=1, keepdims=True)
    unit: np.ndarray = vectors / np.where(lengths > 0, lengths, 1)
    return unit
