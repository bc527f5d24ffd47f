"""Embeddings of the rows that the page compares: real, kept, refused and test rows, drawn by the hash of their ids."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from functools import cached_property
from itertools import islice
from typing import Any

import numpy as np

from leaven.errors import MissingExtra
from leaven.io.columns import OURS
from leaven.measure.case import LINKS
from leaven.measure.quality.rows import Some as Some
from leaven.media.broken import Broken
from leaven.media.image import Image
from leaven.models.backends.hashed import Hashed
from leaven.models.embedders import LocalModels
from leaven.models.roles import Embed
from leaven.records import folded, place
from leaven.report.content import MEDIA, Content
from leaven.report.rows import Rows
from leaven.report.rows import cut as cut_texts
from leaven.report.thumbnail import pixels_of
from leaven.storage import to_values

ROWS = {"source": 5_000, "test": 2_000, "kept": 20_000, "refused": 20_000}
CHARACTERS = 3_000_000
"""Of one set; a text counts with its first 2,000."""
LONGEST = 2_000
SEEN = {"source": 800, "test": 300, "kept": 1_000, "refused": 400}
"""Images or sounds of each set: each takes milliseconds."""
BYTES = 50_000_000
"""Of one set, encoded; but ``ENOUGH`` rows at least."""
ENOUGH = 64
LARGE = 256
"""Pixels a side from which a large photograph is looked at."""
BATCH = 16


class Vectors:
    """What is embedded, once; ``name`` is the embedder.  ``there`` is False where texts or the embedder are absent."""

    def __init__(self, content: Content) -> None:
        self.content = content
        self.kind = _kind(content)
        self.column = list(content.texts.values()) if self.kind == "text" else content.media[:1]
        self._wide = 1
        self.broken = 0
        """Images or sounds that could not be decoded."""

    @cached_property
    def there(self) -> bool:
        try:
            if self.kind != "text":
                return len(self.real) > 0
            return bool(self.content.texts) and self._embedder is not None
        except MissingExtra:
            return False

    @cached_property
    def name(self) -> str:
        if self.kind != "text":
            return f"{self.kind}-features"
        return "hashed" if self.content.models.get("embed") == "hashed" else "wordllama"

    @cached_property
    def _embedder(self) -> Embed:
        if self.name == "hashed":
            table = self.content.dataset.table("source")
            joined = ["\n".join(map(_text, row.values()))
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
        if self.kind != "text":
            return self._seen_of(name)
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
        order = sorted(where.tolist(), key=lambda i: place(rows.ids[i]))[
            : (ROWS if self.kind == "text" else SEEN)[name]
        ]
        if self.kind != "text":
            texts = [column for column in self.content.said_of if column in rows.columns]
            few = rows.few_at_a_time(order, [*self.column, *texts])
            own = ({**row, "_id": rows.ids[i], "_label": rows.labels[i], "_parents": rows.parents[i]} for i, row in few)
            return self._seen(own, len(where))
        link = next((c for c in LINKS if c in rows.columns and c not in OURS), None)  # of rows made elsewhere
        wanted = [*self.column, *([link] if link else [])]
        taken = rows.take(order, wanted, LONGEST) if order and self.column else []
        found = [
            {
                **row,
                "_id": rows.ids[i],
                "_label": rows.labels[i],
                "_parents": rows.parents[i] or (self._named(row.get(link)) if link else None),
            }
            for i, row in zip(order, taken, strict=True)
        ]
        return self._some(found, ROWS[name], len(where))

    def _named(self, link: Any) -> str | None:
        """The real row that a link names, by its id or by its text."""
        if not isinstance(link, str):
            return None
        return self._by_name.get(link) or self._by_name.get(folded(link))

    @cached_property
    def _by_name(self) -> dict[str, str]:
        texts = {folded(text): own for own, text in zip(self.real.ids, self.real.texts, strict=True)}
        return {**texts, **{own: own for own in self.real.ids}}

    def _some(self, rows: list[dict[str, Any]], most: int, of: int) -> Some:
        texts = ["\n".join(_text(row.get(c)) for c in self.column) for row in rows]
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

    def _seen_of(self, name: str) -> Some:
        """Rows of a set that was read; none where it is not there."""
        first = [own for own, (set_name, i) in self.content.places.items() if set_name == name and i < SEEN[name]]
        return self._seen(self.content.as_read(first), self.content.dataset.counts.get(name, 0))

    def _seen(self, rows: Iterator[dict[str, Any]], of: int) -> Some:
        """Rows of images or sounds, a few in memory at a time, in the order of ``place(id)``."""
        label, column = self.content.label, self.column[0]
        found: list[tuple[str, str, str | None, str | None]] = []
        vectors: list[np.ndarray] = []
        left = BYTES
        there = (row for row in rows if row.get(column))
        while (left > 0 or len(found) < ENOUGH) and (some := list(islice(there, BATCH))):
            left -= sum(len(row[column]["bytes"] or b"") for row in some)
            items = to_values(self.kind, [row[column] for row in some])
            for row, vector in zip(some, self._vectors(items), strict=True):
                if vector is None:
                    self.broken += 1
                    continue
                own = row["_label"] if "_label" in row else row.get(label)
                parent = row.get("_parents")
                found.append((row["_id"], _said(self.content, row), None if own is None else str(own),
                              parent if isinstance(parent, str) else None))  # fmt: skip
                vectors.append(vector)
        order = sorted(range(len(found)), key=lambda i: place(found[i][0]))
        ids, texts, labels, parents = ([found[i][k] for i in order] for k in range(4))
        if order:
            self._wide = len(vectors[0])
        stacked = np.stack([vectors[i] for i in order]) if order else np.zeros((0, self._wide), np.float32)
        return Some([str(i) for i in ids], [str(t) for t in texts], labels, parents, stacked, of)

    def _vectors(self, items: list[Any]) -> list[np.ndarray | None]:
        try:
            return list(self._models.embed([_smaller(item) for item in items]))
        except Broken:
            if len(items) == 1:
                return [None]
            return [vector for item in items for vector in self._vectors([item])]

    @cached_property
    def _models(self) -> LocalModels:
        return LocalModels({"name": np.array("wordllama")})

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


def _smaller(item: Any) -> Any:
    """A large photograph with fewer pixels: the embedder brings it to 64 x 64 anyway."""
    large = isinstance(item, Image) and max(item.size) >= 4 * LARGE
    return Image.of(pixels_of(item, LARGE)) if large else item


def _kind(content: Content) -> str:
    """What the page embeds, texts or the main image or sound: what the run embedded, else what its steps change."""
    real = content.media and content.media[0] in content.dataset.columns.values()
    media = content.kinds[content.media[0]] if real else "text"  # what a step made of texts has no real ones
    if media == "text" or content.models.get("embed") in ("wordllama", "hashed"):
        return "text"
    steps = list(content.recipe.steps()) if content.recipe else []
    if content.texts and "embed" not in content.models and steps and all(s.op.takes not in MEDIA for s in steps):
        return "text"
    return media


def _text(value: Any) -> str:
    return "\n".join(map(str, value)) if isinstance(value, list) else str(value or "")


def _said(content: Content, row: Mapping[str, Any]) -> str:
    """What is written of an image or a sound: its first caption, or nothing."""
    for column in content.said_of:
        value = row.get(column)
        first = next(iter(value), "") if isinstance(value, list) else value
        if first:
            return str(first)
    return ""
