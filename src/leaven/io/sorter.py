"""Put any number of rows in the order of a 64-bit key with a bounded amount of memory, by way of files on disk."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from types import TracebackType
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import numpy as np
    import pyarrow as pa

ROWS_AT_ONCE = 65_536
BYTES_AT_ONCE = 1 << 28
MOST_BITS = 7
"""At most 128 files are open at a time; macOS allows 256 by default."""
KEY = "_key"


class Sorter:
    """Rows go in with ``add``, and come out of ``tables`` by ascending key, at most about ROWS_AT_ONCE, and
    BYTES_AT_ONCE, at a time; ``size`` are the bytes that will come in all, about, ``most`` the stretches wanted.

    Each row goes to one of 2**bits files by the top bits of its key; each file is then small enough to sort.
    """

    def __init__(self, folder: Path, schema: pa.Schema, rows: int, size: int, most: int = 1 << MOST_BITS) -> None:
        import pyarrow as pa

        self.folder = folder
        by_rows = (max(rows, 1) - 1).bit_length() - (ROWS_AT_ONCE - 1).bit_length()
        by_size = (max(size, 1) - 1).bit_length() - (BYTES_AT_ONCE - 1).bit_length()
        self.bits = min(max(0, by_rows, by_size), MOST_BITS, most.bit_length() - 1)
        self.schema = schema.append(pa.field(KEY, pa.uint64()))
        folder.mkdir(parents=True, exist_ok=True)
        self.paths = [folder / f"sort-{i:05d}" for i in range(2**self.bits)]
        self.sinks = [pa.OSFile(str(path), "wb") for path in self.paths]
        self.writers = [pa.ipc.new_stream(sink, self.schema) for sink in self.sinks]
        self.held: list[pa.Table] = []
        self.holding = 0

    def add(self, rows: pa.Table | pa.RecordBatch, keys: np.ndarray) -> None:
        import pyarrow as pa

        table = pa.Table.from_batches([rows]) if isinstance(rows, pa.RecordBatch) else rows
        self.held.append(table.append_column(KEY, pa.array(keys, pa.uint64())))
        self.holding += table.nbytes
        if sum(map(len, self.held)) >= ROWS_AT_ONCE or self.holding >= BYTES_AT_ONCE:
            self._deal()

    def _deal(self) -> None:
        """Write what is held to its files: much at once, for a small batch costs as much as a large one."""
        import numpy as np
        import pyarrow as pa

        if not self.held:
            return
        keyed, self.held, self.holding = pa.concat_tables(self.held).combine_chunks(), [], 0
        if not self.bits:
            self.writers[0].write_table(keyed)
            return
        keys = keyed.column(KEY).to_numpy()
        where = (keys >> np.uint64(64 - self.bits)).astype(np.int64)
        order = np.argsort(where, kind="stable")
        keyed = keyed.take(pa.array(order))
        edges = np.searchsorted(where[order], np.arange(2**self.bits + 1))
        for i in np.flatnonzero(np.diff(edges)):
            self.writers[i].write_table(keyed.slice(edges[i], edges[i + 1] - edges[i]))

    def tables(self) -> Iterator[tuple[pa.Table, np.ndarray]]:
        """Each stretch of rows and its keys, ascending; rows of equal key stay in the order they came."""
        import numpy as np
        import pyarrow as pa

        self._deal()
        self._close()
        for path in self.paths:
            with pa.OSFile(str(path), "rb") as source:
                table = pa.ipc.open_stream(source).read_all()
            path.unlink()
            keys = table.column(KEY).to_numpy()
            order = np.argsort(keys, kind="stable")
            yield table.drop_columns([KEY]).take(pa.array(order)).combine_chunks(), keys[order]

    def _close(self) -> None:
        for writer, sink in zip(self.writers, self.sinks, strict=True):
            writer.close()
            sink.close()
        self.writers, self.sinks = [], []

    def __enter__(self) -> Sorter:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, _: TracebackType | None) -> None:
        self._close()
        for path in self.paths:
            path.unlink(missing_ok=True)
