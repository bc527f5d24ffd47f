"""Embeddings of the rows that the page compares: real, kept, refused and test rows, drawn by the hash of their ids."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from typing import Any

import numpy as np

from leaven.errors import MissingExtra
from leaven.models.backends.hashed import Hashed
from leaven.models.roles import Embed
from leaven.records import place
from leaven.report.content import Content
from leaven.report.rows import Rows
from leaven.report.rows import cut as cut_texts

ROWS = {"source": 5_000, "test": 2_000, "kept": 20_000, "refused": 20_000}
CHARACTERS = 3_000_000
"""Of one set; a text counts with its first 2,000."""
LONGEST = 2_000


@dataclass(frozen=True)
class Some:
    """Rows of one set with their vectors; ``of`` is how many the set has."""

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


class Vectors:
    """What is embedded, once; ``name`` is the embedder.  ``there`` is False where texts or the embedder are absent."""

    def __init__(self, content: Content) -> None:
        self.content = content
        self.column = list(content.texts.values())

    @cached_property
    def there(self) -> bool:
        try:
            return bool(self.content.texts) and self._embedder is not None
        except MissingExtra:
            return False

    @cached_property
    def name(self) -> str:
        return "hashed" if self.content.models.get("embed") == "hashed" else "wordllama"

    @cached_property
    def _embedder(self) -> Embed:
        if self.name == "hashed":
            table = self.content.dataset.table("source")
            joined = ["\n".join(str(v or "") for v in row.values())
                      for row in table.select(list(self.content.texts)).to_pylist()]  # fmt: skip
            return Hashed.fit(joined, int(self.content.said.get("seed", 0)))
        from leaven.models.backends.wordllama import WordLlama

        return WordLlama()

    @cached_property
    def real(self) -> Some:
        return self._read("source")

    @cached_property
    def test(self) -> Some:
        return self._read("test")

    @cached_property
    def kept(self) -> Some:
        rows = self.content.train
        return self._made(rows, "kept", np.flatnonzero(rows.made))

    @cached_property
    def refused(self) -> Some:
        rows = self.content.refused
        return self._made(rows, "refused", np.arange(len(rows)))

    def _read(self, name: str) -> Some:
        dataset = self.content.dataset
        if not dataset.counts.get(name) or not dataset.path(name).is_file():
            return self._some([], ROWS[name], 0)
        table = dataset.table(name)  # its rows stand in the order of ``place(id)``: the first are as good as drawn
        label = dataset.main("label")
        wanted = ["_id", *self.content.texts, *([label] if label else [])]
        rows = cut_texts(table.slice(0, ROWS[name]).select(wanted), LONGEST).to_pylist()
        found = [
            {**{c: r[f] for f, c in self.content.texts.items()}, "_id": r["_id"], "_label": r.get(label)} for r in rows
        ]
        return self._some(found, ROWS[name], len(table))

    def _made(self, rows: Rows, name: str, where: np.ndarray) -> Some:
        order = sorted(where.tolist(), key=lambda i: place(rows.ids[i]))[: ROWS[name]]
        taken = rows.take(order, self.column, LONGEST) if order and self.column else []
        found = [
            {**row, "_id": rows.ids[i], "_label": rows.labels[i], "_parents": rows.parents[i]}
            for i, row in zip(order, taken, strict=True)
        ]
        return self._some(found, ROWS[name], len(where))

    def _some(self, rows: list[dict[str, Any]], most: int, of: int) -> Some:
        texts = ["\n".join(str(row.get(c) or "") for c in self.column) for row in rows]
        enough = int(np.searchsorted(np.cumsum([len(t) for t in texts]), CHARACTERS)) + 1 if texts else 0
        rows, texts = rows[:enough], texts[:enough]
        return Some(
            [row["_id"] for row in rows],
            texts,
            [None if row["_label"] is None else str(row["_label"]) for row in rows],
            [row.get("_parents") for row in rows],
            self._embedder.embed(texts),
            of,
        )

    def parent_similarity(self, some: Some) -> np.ndarray:
        """The cosine of each row with its parent; NaN where that is no real row that was embedded."""
        place_of = {name: i for i, name in enumerate(self.real.ids)}
        at = np.array([place_of.get(p or "", -1) for p in some.parents], np.int64)
        out = np.full(len(some), np.nan)
        known = at >= 0
        if known.any():
            out[known] = np.einsum("ij,ij->i", some.vectors[known], self.real.vectors[at[known]])
        return out

    def nearest_real(self, some: Some) -> np.ndarray:
        """The highest cosine of each row with a real one."""
        out = np.full(len(some), np.nan)
        if len(self.real):
            for begin in range(0, len(some), 2048):
                block = some.vectors[begin : begin + 2048] @ self.real.vectors.T
                out[begin : begin + 2048] = block.max(axis=1)
        return out
