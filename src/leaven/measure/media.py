"""Rows that are images or sounds, as a measurement sees them: a few kilobytes of each, under a key.

Each is decoded once, and what students and the search for leaks need is kept of it: its frozen features, a small
picture (of a sound: of its log-mel), and the key, a hash of the pixels or samples.  So a copy that was only written
anew, as a PNG or a wav, has the key of the original.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING, Any, Protocol

import numpy as np
from numpy.typing import NDArray

from leaven.measure.students import AnyStudent, Embed, Embedded, held, of_table
from leaven.media.broken import Broken
from leaven.models.embedders import LocalModels
from leaven.records import digest
from leaven.storage import to_values

if TYPE_CHECKING:
    import pyarrow as pa

AT_A_TIME = 64
VectorsOf = Callable[[Sequence[Any]], NDArray[np.float32]]


@dataclass(frozen=True)
class View:
    """What is kept of an image or a sound.

    ``picture`` (height x width x channels, uint8) is what a convolutional student sees, ``plain`` the numbers of the
    weaker linear student, ``prints`` what tells near copies; ``size`` is width and height in pixels, or seconds.
    """

    key: str
    size: tuple[float, ...]
    picture: NDArray[np.uint8]
    plain: NDArray[np.float32]
    prints: Any


class Sight(Protocol):
    """How one kind of media is looked at."""

    kind: str
    student: str
    plain: str
    baseline: str

    def view(self, value: Any) -> View:
        """Raises Broken."""
        ...

    def near(self, mine: Sequence[View], test: Sequence[View]) -> NDArray[np.bool_]:
        """Which of mine nearly equal one of the test's."""
        ...


class Media:
    """The main image or sound of the data; ``cnn`` adds the student that is trained in steps.

    ``vectors_of`` gives the frozen features; without one there are none, where nothing is learned from them.
    """

    def __init__(self, field: str, sight: Sight, cnn: bool, vectors_of: VectorsOf | None) -> None:
        self.fields = [field]
        self.sight, self.cnn, self.vectors_of = sight, cnn, vectors_of
        self.student, self.baseline = sight.student, sight.baseline
        self.views: dict[str, View] = {}
        self.vectors: dict[str, NDArray[np.float32]] = {}
        self.broken = 0

    @cached_property
    def _pool(self) -> ThreadPoolExecutor:
        """Decoders let go of the interpreter's lock."""
        return ThreadPoolExecutor(os.cpu_count() or 1, thread_name_prefix="leaven looks")

    def items(self, columns: Sequence[pa.ChunkedArray]) -> list[str | None]:
        """The key of each row's image or sound; None where it cannot be read."""
        [column] = columns
        found: list[str | None] = []
        for begin in range(0, len(column), AT_A_TIME):
            values = to_values(self.sight.kind, column.slice(begin, AT_A_TIME).to_pylist())
            views = list(self._pool.map(self._view, values))
            new = {v.key: value for v, value in zip(views, values, strict=True) if v and v.key not in self.views}
            if new and self.vectors_of:
                self.vectors.update(zip(new, self.vectors_of(list(new.values())), strict=True))
            self.views.update((v.key, v) for v in views if v)
            found += [v.key if v else None for v in views]
        self.broken += sum(key is None for key in found)
        return found

    def _view(self, value: Any) -> View | None:
        if value is None:
            return None
        try:
            return self.sight.view(value)
        except Broken:
            return None

    def embed(self, items: Sequence[str]) -> NDArray[Any]:
        """The frozen features of items."""
        return of_table(self.vectors, items)

    def same(self, item: str) -> str:
        """What two rows share that are the same: every pixel, or every sample."""
        return item

    def near(self, items: Sequence[str], test: Sequence[str]) -> list[bool]:
        """Which nearly equal one of the test rows."""
        known = [self.views[item] for item in items], [self.views[item] for item in dict.fromkeys(test)]
        found: list[bool] = self.sight.near(*known).tolist() if items and test else [False] * len(items)
        return found

    def others(self, items: Sequence[str]) -> list[AnyStudent] | None:
        """The students beside the one over frozen features."""
        plain: Embed = held({item: self.views[item].plain for item in items})
        found: list[AnyStudent] = [Embedded(plain, self.sight.plain)]
        if self.cnn:
            from leaven.measure.cnn import Cnn

            found.append(Cnn(self.pictures(items)))
        return found

    def pictures(self, items: Sequence[str]) -> Mapping[str, NDArray[np.uint8]]:
        return {item: self.views[item].picture for item in items}


def features(values: Sequence[Any]) -> NDArray[np.float32]:
    """The frozen features that need no weights."""
    return LocalModels({"name": np.array("wordllama")}).embed(values)


def key_of(array: NDArray[Any], *more: object) -> str:
    """A hash of the content of an array."""
    return digest(array.tobytes(), repr((array.shape, *more))).hex()


def unit(row: NDArray[Any]) -> NDArray[np.float32]:
    """Scaled to length 1."""
    length = float(np.linalg.norm(row))
    found: NDArray[np.float32] = (row / length if length > 0 else row).astype(np.float32)
    return found
