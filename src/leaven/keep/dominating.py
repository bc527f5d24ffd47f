"""Rows that all others share an item with, in twice the memory that their items take as a text column.

The holders of all items lie in one list, behind each other, and an item is the place where its own begin.  All is
filled block by block, in the narrowest numbers, so that no step holds much more than that list and the items by row.
"""

from __future__ import annotations

import heapq
from array import array
from bisect import bisect_left
from collections.abc import Callable, Iterator
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import numpy as np

Blocks = Callable[[], Iterator["np.ndarray"]]
"""The keys of some rows at a time, filled up with zeros; all rows again at each call."""

BLOCK = 1 << 12  # rows at a time
FEW = 64  # rows that are sooner gathered one by one
OFTEN = 256  # holders of an item that are gone through once for each row taken, not once for each row looked at
LEAST = 1024  # rows in the queue at a time, or a part of all
PART = 128


def dominating(blocks: Blocks, n: int, *, keep_alone: bool = False) -> tuple[np.ndarray, np.ndarray]:
    """At most n rows that all others share a key with, in the order in which they are taken, and which rows share none.

    What a row would cover only shrinks as others are taken: a row is counted anew when it comes to the top, no sooner.
    """
    import numpy as np

    shared = _Shared(blocks)
    alone = np.flatnonzero(~shared.items.any(axis=1)) if not keep_alone else np.zeros(0, np.int64)
    shared.most[alone] = 0
    queue = _Queue(shared.most)
    chosen = array(shared.items.dtype.char)
    while len(chosen) < n and (row := queue.pop()) is not None:
        spans = shared.spans(row)
        covers = shared.at_most(row, spans)
        if queue.is_first(row, covers):
            covers, near = shared.covered_by(row, spans)
            if queue.is_first(row, covers):
                chosen.append(row)
                shared.take(spans, near)
                continue
        queue.put(row, covers)
    return np.array(chosen), alone


class _Shared:
    """The items that at least two rows hold, and who holds them.

    ``holders[item]`` is how many hold it, and they follow; those that are covered go when they are met.  ``items`` has
    those of each row (rows x width), zeros after the last.  ``most`` is what each row would cover at first, or more.
    """

    def __init__(self, blocks: Blocks) -> None:
        import numpy as np

        self.items, self.most, size = _items(blocks, *_held_twice(blocks))
        self.holders = _holders(self.items, size)
        self.left = np.ones(len(self.most), bool)
        self._marks = np.zeros(len(self.most), bool)
        self._fresh: dict[int, int] = {}
        self._taken = 0
        self._few = FEW + len(self.most) // 1024  # marks are counted over all rows
        self._width = self.items.shape[1]
        # a view gives a plain number far sooner than an array does
        self._items, self._holders, self._left = self.items.reshape(-1).data, self.holders.data, self.left.data

    def spans(self, row: int) -> list[tuple[int, int]]:
        """Those of the row's items that a row that is left may hold, and how many hold each."""
        holders, found = self._holders, []
        for item in self._items[row * self._width : (row + 1) * self._width].tolist():
            if not item:
                break
            if held := holders[item]:
                found.append((item, held))
        return found

    def at_most(self, row: int, spans: list[tuple[int, int]]) -> int:
        """What the row would cover if no two of its items had the same holders."""
        held = sum([held for _, held in spans])
        return held - len(spans) + 1 if self._left[row] else held  # it holds each of its items itself

    def covered_by(self, row: int, spans: list[tuple[int, int]]) -> tuple[int, np.ndarray | list[int]]:
        """How many of those that are left the row would cover, and which: their numbers, or a mark for each row."""
        import numpy as np

        left = self._left
        if not spans:  # a row is its own neighbour
            return int(left[row]), [row]
        if sum([held for _, held in spans]) <= self._few:
            near: set[int] = set()
            for item, held in spans:
                mine = [at for at in self._holders[item + 1 : item + 1 + held].tolist() if left[at]]
                if len(mine) < held:
                    self._shrink(item, mine)
                near.update(mine)
            return len(near), list(near)
        self._marks.fill(False)
        for item, held in spans:
            rows = self.holders[item + 1 : item + 1 + held]
            if self._fresh.get(item) != self._taken:
                rows = rows[self.left[rows]]
                if len(rows) < held:
                    self._shrink(item, rows)
                if len(rows) > OFTEN:
                    self._fresh[item] = self._taken
            self._marks[rows] = True
        return int(np.count_nonzero(self._marks)), self._marks

    def _shrink(self, item: int, rows: np.ndarray | list[int]) -> None:
        self._holders[item] = len(rows)
        self.holders[item + 1 : item + 1 + len(rows)] = rows

    def take(self, spans: list[tuple[int, int]], near: np.ndarray | list[int]) -> None:
        """Cover these, all holders of these items."""
        self.left[near] = False
        self._taken += 1
        for item, _ in spans:
            self._holders[item] = 0


class _Queue:
    """Rows by what they would cover, the most first, and the first of those that cover as many.

    A Python number takes the memory of ten in ``most``: only the best are in the heap, all before a limit, and ``most``
    has the others.
    """

    def __init__(self, most: np.ndarray) -> None:
        self.most, self.count = most, len(most)
        self.heap: list[int] = []
        self.limit = -1
        self.size = max(LEAST, len(most) // PART)

    def _key(self, row: int, covers: int) -> int:
        return (self.count - covers) * self.count + row

    def pop(self) -> int | None:
        if not self.heap:
            self._fill()
        return heapq.heappop(self.heap) % self.count if self.heap else None

    def is_first(self, row: int, covers: int) -> bool:
        """Whether no other comes before a row that is out of the queue."""
        return self._key(row, covers) <= (self.heap[0] if self.heap else self.limit)

    def put(self, row: int, covers: int) -> None:
        """A row that covers none does not come back."""
        key = self._key(row, covers)
        if key > self.limit:
            self.most[row] = covers
        else:
            heapq.heappush(self.heap, key)

    def _fill(self) -> None:
        """Move the best to the heap: all over a level, or where too many are at the highest, the first of them."""
        import numpy as np

        top = int(self.most.max(initial=0))
        level = bisect_left(range(top), -self.size, key=lambda at: -int(np.count_nonzero(self.most > at)))
        rows = np.flatnonzero(self.most > level)
        until = self.count
        if level == top > 0:
            level, until = top - 1, 0
            while len(rows) < self.size and until < self.count:
                begin, until = until, min(until + self.size, self.count)
                rows = np.append(rows, begin + np.flatnonzero(self.most[begin:until] == top))
        covers = self.most[rows].astype(np.int64)
        self.heap = np.sort((self.count - covers) * self.count + rows).tolist()
        self.limit = self._key(until - 1, level + 1)
        self.most[rows] = 0


def _held_twice(blocks: Blocks) -> tuple[np.ndarray, np.ndarray]:
    """The keys that more than one row holds, in order, and the place of each, with room for its holders; last, where
    the next would be."""
    import numpy as np

    keys, filled, rows = np.empty(sum(np.count_nonzero(block) for block in blocks()), np.uint64), 0, 0
    for block in blocks():
        mine = block[block > 0]
        keys[filled : filled + len(mine)] = mine
        filled, rows = filled + len(mine), rows + len(block)
    keys.sort()
    again = keys[1:] == keys[:-1]
    edges = again.copy()
    np.greater(again[1:], again[:-1], out=edges[1:])
    found = keys[:-1][edges]
    del keys
    first = np.flatnonzero(edges)
    edges[-1:] = again[-1:]
    np.greater(again[:-1], again[1:], out=edges[:-1])
    sizes = np.flatnonzero(edges)
    sizes -= first
    del again, edges, first
    sizes += 3  # as many as there are from the first to the last, and their number before them
    places: np.ndarray = np.ones(len(found) + 1, np.int32 if max(2 * filled, rows) < 2**31 - 1 else np.int64)
    places[1:] += np.cumsum(sizes, out=sizes)  # from 1: no item is 0
    return found, places


def _items(blocks: Blocks, keys: np.ndarray, places: np.ndarray) -> tuple[np.ndarray, np.ndarray, int]:
    """The items of each row, how many others hold them, with itself, and the room that all holders take."""
    import numpy as np

    shapes = [block.shape for block in blocks()]
    rows = sum(count for count, _ in shapes)
    items = np.empty((rows, max((width for _, width in shapes), default=0)), places.dtype)
    most, row = np.empty(rows, places.dtype), 0
    for block in blocks():
        at = np.searchsorted(keys, block)
        shared = at < len(keys)
        shared[shared] = keys[at[shared]] == block[shared]
        at = at[shared]
        found = np.zeros(block.shape, np.int64)
        found[shared] = places[at + 1] - places[at] - 2
        until = row + len(block)
        most[row:until] = np.minimum(1 + found.sum(axis=1), rows)
        found[shared] = places[at]
        items[row:until] = np.sort(found, axis=1)[:, ::-1]
        row = until
    return items, most, int(places[-1])


def _holders(items: np.ndarray, size: int) -> np.ndarray:
    """At the place of each item how many rows hold it, then these in order: each block goes behind the one before."""
    import numpy as np

    holders = np.zeros(size, items.dtype)
    for begin in range(0, len(items), BLOCK):
        rows, where = np.nonzero(items[begin : begin + BLOCK])
        mine = items[begin + rows, where]
        order = np.argsort(mine, kind="stable")
        mine = mine[order]
        first = np.flatnonzero(np.diff(mine, prepend=0))
        counts = np.diff(first, append=len(mine))
        behind = np.arange(1, 1 + len(mine)) - np.repeat(first, counts)
        holders[mine + holders[mine] + behind] = begin + rows[order]
        holders[mine[first]] += counts
    return holders
