"""Rows that are texts, as a measurement sees them: the text itself stands for the row."""

from __future__ import annotations

from collections.abc import Sequence
from functools import cached_property
from typing import TYPE_CHECKING, Any

from leaven.keep.near import TextIndex
from leaven.measure.students import AnyStudent, Embed, Embedded, Tfidf, remembered
from leaven.models.backends.wordllama import WordLlama
from leaven.records import folded

if TYPE_CHECKING:
    import pyarrow as pa

NEAR = 0.8
"""The overlap of 5-character pieces (Jaccard) from which a made row counts as near to a test row."""


class Texts:
    """The text fields of the data, joined; ``tuned`` is the folder of a transformer to fine-tune on them."""

    student = Embedded.name
    baseline = "classic-text"

    def __init__(self, fields: Sequence[str], tuned: str | None = None) -> None:
        self.fields, self.tuned = list(fields), tuned
        self._index: TextIndex | None = None

    @cached_property
    def embed(self) -> Embed:
        """Texts to vectors, each text once."""
        return remembered(WordLlama().embed)

    def items(self, columns: Sequence[pa.ChunkedArray]) -> list[str | None]:
        """The text of each row."""
        values: list[list[Any]] = [column.to_pylist() for column in columns]
        return ["\n".join(str(v or "") for v in row) for row in zip(*values, strict=True)]

    def same(self, item: str) -> str:
        """What two rows share that are the same: the text, case and blanks folded."""
        return folded(item)

    def near(self, items: Sequence[str], test: Sequence[str]) -> list[bool]:
        """Which texts nearly equal one of the test rows."""
        if self._index is None:
            self._index = TextIndex(NEAR)
            for text in test:
                self._index.add(text)
        return [bool(self._index.near(text)) for text in items]

    def others(self, items: Sequence[str]) -> list[AnyStudent] | None:
        """The students beside the one over vectors: TF-IDF, and the transformer where one is named."""
        if self.tuned is None:
            return None
        from leaven.measure.fine_tuned import FineTuned

        return [Tfidf(items), FineTuned(self.tuned)]
