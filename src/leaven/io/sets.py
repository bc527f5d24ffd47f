"""The sets that rows are read into (source, dev, test, pool, given), and how one is written to its file.

While a set is read its rows stand in a file, and a few numbers a row in memory: no more than 64 bytes, ids included.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from hashlib import blake2b
from itertools import pairwise
from pathlib import Path
from typing import TYPE_CHECKING, Any

from leaven.errors import DataError, brief
from leaven.io.sorter import Sorter
from leaven.records import PERSON, canonical, digest, place, source_id

if TYPE_CHECKING:
    import numpy as np
    import pyarrow as pa

SETS = ("source", "dev", "test", "pool", "given")
SPLIT_NAMES = {
    "train": "train", "training": "train",
    "test": "test", "testing": "test",
    "dev": "dev", "validation": "dev", "valid": "dev", "val": "dev", "eval": "dev",
}  # fmt: skip
"""What files, folders and columns call a set of the user's own."""
ROWS_PER_PART = 1000
MEDIA_PER_PART = 64
"""Rows of a part where they hold images or sounds: each is a thousand times the work, and the size, of a text."""
ID, ORDER = "_id", "_order"
OWN, ROW = "_own", "_row"
"""Of rows that come with ids: the id, and the row of the file, until the set is written."""
SET_BITS = 40
"""A row's order is its place in its set; the bits above say which set."""


@dataclass
class RowSet:
    """One set while it is read."""

    name: str
    path: Path
    schema: pa.Schema | None = None
    writer: Any = None
    content: list[bytes] = field(default_factory=list)
    texts: list[np.ndarray] = field(default_factory=list)
    labels: list[np.ndarray] = field(default_factory=list)
    groups: list[np.ndarray] = field(default_factory=list)
    own: list[np.ndarray] = field(default_factory=list)
    files: list[tuple[int, str]] = field(default_factory=list)
    """From which row on the set's rows come from which file."""
    rows: int = 0

    def append(self, columns: Mapping[str, pa.Array], file: str) -> None:
        """Write rows to the set's file; raises DataError where a second file's columns are of other types."""
        import numpy as np
        import pyarrow as pa

        n = len(next(iter(columns.values())))
        orders = pa.array(np.arange(self.rows, self.rows + n) + (SETS.index(self.name) << SET_BITS), pa.int64())
        batch = pa.RecordBatch.from_arrays([*columns.values(), orders], names=[*columns, ORDER])
        if self.writer is None:
            self.schema = batch.schema
            self.writer = pa.ipc.new_stream(str(self.path), self.schema)
        elif batch.schema != self.schema:
            batch = _conform(batch, self.schema)
        self.writer.write_batch(batch)
        if not self.files or self.files[-1][1] != file:
            self.files.append((self.rows, file))
        self.rows += n

    def close(self) -> None:
        if self.writer is not None:
            self.writer.close()
            self.writer = None

    def batches(self) -> Iterator[pa.RecordBatch]:
        import pyarrow as pa

        with pa.OSFile(str(self.path), "rb") as raw:
            yield from pa.ipc.open_stream(raw)

    def id_at(self, row: int) -> tuple[str, int, str]:
        """The own id of the row, its number in the file, and the file."""
        done = 0
        for batch in self.batches():
            if row < done + len(batch):
                file = [name for first, name in self.files if first <= row][-1]
                return batch.column(OWN)[row - done].as_py(), batch.column(ROW)[row - done].as_py(), file
            done += len(batch)
        raise IndexError(row)


def parts_of(rows: int, media: bool = False) -> int:
    """The number of parts of so many rows: a power of two above rows/1,000."""
    return 1 << max(0, (rows - 1) // (MEDIA_PER_PART if media else ROWS_PER_PART)).bit_length()


def row_hashes(names: Sequence[str], columns: Sequence[Sequence[Any]], n: int) -> list[bytes]:
    """``content_hash`` of each of n rows, whose fields ``names`` stand in ``columns``."""
    order = sorted(range(len(names)), key=lambda i: names[i])
    encoded = [names[i].encode() for i in order]
    heads = [b"%d:%b" % (len(name), name) for name in encoded]
    found = []
    for row in zip(*(columns[i] for i in order), strict=True) if order else [()] * n:
        said = b""
        for head, value in zip(heads, row, strict=True):
            data = canonical(value)
            said += b"%b%d:%b" % (head, len(data), data)
        found.append(blake2b(said, digest_size=16, person=PERSON).digest())
    return found


def refuse_equal_ids(sets: Sequence[RowSet]) -> None:
    """Own ids name one row each; told from 8 bytes a row, the ids themselves read again where two are equal."""
    import numpy as np

    if not any(s.own for s in sets):
        return
    keys = np.concatenate([key for s in sets for key in s.own])
    order = np.argsort(keys, kind="stable")
    again = np.flatnonzero(keys[order[1:]] == keys[order[:-1]])
    starts = np.cumsum([0, *(s.rows for s in sets)])

    def at(position: int) -> tuple[str, int, str, bytes]:
        which = int(np.searchsorted(starts, position, side="right")) - 1
        row = position - int(starts[which])
        content = b"".join(sets[which].content)[16 * row : 16 * row + 16]
        return (*sets[which].id_at(row), content)

    for i in sorted(again.tolist(), key=lambda i: int(order[i + 1]))[:5]:
        (own, row, file, content), (same, other, second, other_content) = at(int(order[i])), at(int(order[i + 1]))
        if own == same:
            rows = f"rows {row} and {other}" if file == second else f"row {row} and in {second} row {other}"
            differ = " with different texts" if content != other_content else ""
            raise DataError(
                f"{file}: id `{brief(own)}` stands in {rows}{differ}.",
                "make ids unique, or drop the column `_id`; equal rows without an id are fine.",
            )


def occurrences(sets: Sequence[RowSet]) -> dict[str, np.ndarray]:
    """For each row of each set, how many equal rows stand before it, in all sets together.

    After this a set's ``content`` is one stretch of bytes.
    """
    import numpy as np

    for into in sets:
        into.content = [b"".join(into.content)]
    parts = [np.frombuffer(into.content[0], np.uint64).reshape(-1, 2) for into in sets]
    halves = parts[0] if len(parts) == 1 else np.concatenate(parts)
    order = np.lexsort((halves[:, 1], halves[:, 0]))
    same = np.zeros(len(halves), bool)
    same[1:] = (halves[order[1:], 0] == halves[order[:-1], 0]) & (halves[order[1:], 1] == halves[order[:-1], 1])
    found = np.zeros(len(halves), np.int64)
    if same.any():
        index = np.arange(len(halves))
        found[order] = index - np.maximum.accumulate(np.where(same, 0, index))
    edges = np.cumsum([0, *(len(part) for part in parts)])
    return {into.name: found[a:b] for into, (a, b) in zip(sets, pairwise(edges), strict=True)}


def write_set(
    folder: Path,
    name: str,
    piece: RowSet,
    keep: np.ndarray | None,
    occurrence: np.ndarray,
    rows: int,
    columns: Mapping[str, pa.DataType],
    media: bool,
) -> bytes:
    """Write the rows that ``keep`` picks in the order of their places, a record batch a part; their fingerprint.
    Of ``columns`` those that the set lacks are empty in it; ``media`` says whether any set holds images or sounds."""
    import numpy as np
    import pyarrow as pa

    assert piece.schema is not None
    held = [f for f in piece.schema if f.name not in (OWN, ROW)]
    lacks = [pa.field(column, kind) for column, kind in columns.items() if column not in piece.schema.names]
    schema = pa.schema([pa.field(ID, pa.string()), *held, *lacks])
    [content] = piece.content
    parts = parts_of(rows, media)
    with Sorter(folder / "sorting", schema, rows, piece.path.stat().st_size, parts) as sorter:
        done = 0
        for batch in piece.batches():
            n = len(batch)
            times = occurrence[done : done + n].tolist()
            ids = [source_id(content[16 * i : 16 * i + 16], t) for i, t in enumerate(times, done)]
            if OWN in batch.schema.names:
                ids = [own or other for own, other in zip(batch.column(OWN).to_pylist(), ids, strict=True)]
            keys = np.array([place(i) for i in ids], np.uint64)
            arrays = [pa.array(ids, pa.string()), *(batch.column(f.name) for f in held)]
            arrays += [pa.nulls(n, f.type) for f in lacks]
            table = pa.RecordBatch.from_arrays(arrays, schema=schema)
            if keep is not None:
                mask = keep[done : done + n]
                if not mask.all():
                    table, keys = table.filter(pa.array(mask)), keys[mask]
            if len(table):
                sorter.add(table, keys)
            done += n
        hasher = [name.encode()]
        path = folder / f"{name}.arrow"
        with pa.OSFile(str(path), "wb") as sink, pa.ipc.new_file(sink, schema) as writer:
            files = 2**sorter.bits
            for number, (table, keys) in enumerate(sorter.tables()):
                each = max(1, parts // files)
                bits = np.uint64(64 - (parts.bit_length() - 1)) if parts > 1 else None
                where = (keys >> bits).astype(np.int64) if bits is not None else np.zeros(len(keys), np.int64)
                edges = np.searchsorted(where, np.arange(number * each, (number + 1) * each + 1))
                for low, high in pairwise(edges):
                    writer.write_batch(_one_batch(table.slice(low, high - low), schema))
                hasher.append(digest(*(v for v in table.column(ID).to_pylist())))
                hasher.append(table_print(table))
    (folder / "sorting").rmdir()
    return digest(*hasher)


def table_print(table: pa.Table | pa.RecordBatch) -> bytes:
    """A hash of the content of a table, whatever its layout in memory."""
    import pyarrow as pa

    sink = pa.BufferOutputStream()
    flat = table.combine_chunks() if isinstance(table, pa.Table) else pa.Table.from_batches([table]).combine_chunks()
    trimmed = flat.take(pa.array(range(len(flat)))) if len(flat) else flat
    with pa.ipc.new_stream(sink, trimmed.schema) as writer:
        writer.write_table(trimmed)
    return digest(sink.getvalue().to_pybytes())


def _conform(batch: pa.RecordBatch, schema: pa.Schema | None) -> pa.RecordBatch:
    import pyarrow as pa

    assert schema is not None
    arrays = [
        batch.column(f.name).cast(f.type) if f.name in batch.schema.names else pa.nulls(len(batch), f.type)
        for f in schema
    ]
    return pa.RecordBatch.from_arrays(arrays, schema=schema)


def _one_batch(table: pa.Table, schema: pa.Schema) -> pa.RecordBatch:
    import pyarrow as pa

    found = table.combine_chunks().to_batches()
    return found[0] if found else pa.RecordBatch.from_pylist([], schema=schema)
