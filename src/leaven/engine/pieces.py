"""Parts of a stream, as files: read, written, and laid side by side."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import pyarrow as pa
import pyarrow.compute as pc

from leaven.engine.folder import whole
from leaven.engine.stage import GOES_ON
from leaven.records import digest


@dataclass(frozen=True)
class Piece:
    """A part of a stream: a record batch of an input set (``batch`` >= 0), a file that a stage wrote, or what several
    rounds made of one part (``of``)."""

    path: str
    name: str
    batch: int = -1
    of: tuple[Piece, ...] = ()

    def size(self) -> int:
        """The bytes of its file; 0 for a stretch of an input set."""
        if self.of:
            return sum(piece.size() for piece in self.of)
        return Path(self.path).stat().st_size if self.batch < 0 else 0

    def read(self, columns: Sequence[str] | None = None) -> pa.Table:
        if self.of:
            return pa.concat_tables([piece.read(columns) for piece in self.of], promote_options="default")
        if self.batch >= 0:
            with pa.OSFile(self.path, "rb") as source:
                return pa.Table.from_batches([pa.ipc.open_file(source).get_batch(self.batch)])
        options = pa.ipc.IpcReadOptions()
        with pa.OSFile(self.path, "rb") as source:
            reader = pa.ipc.open_file(source, options=options)
            if columns is not None:
                included = [i for i, name in enumerate(reader.schema.names) if name in columns]
                options = pa.ipc.IpcReadOptions(included_fields=included)
                source.seek(0)
                reader = pa.ipc.open_file(source, options=options)
            return reader.read_all()


def write_table(path: Path, table: pa.Table, compression: str | None = "lz4") -> None:
    """A table as a file, whole or not at all; without compression it can be mapped into memory."""
    options = pa.ipc.IpcWriteOptions(compression=compression)
    with (
        whole(path) as aside,
        pa.OSFile(str(aside), "wb") as sink,
        pa.ipc.new_file(sink, table.schema, options=options) as writer,
    ):
        writer.write_table(table.combine_chunks())


def going(table: pa.Table) -> pa.Table:
    """The rows that go on; an input set has no others."""
    return table.filter(pc.equal(table.column("_state"), GOES_ON)) if "_state" in table.column_names else table


def side_by_side(layers: list[list[Piece]]) -> list[Piece]:
    """Piece by piece what several rounds made of it, so that all records of a root stay in one part."""
    if len(layers) < 2:
        return layers[0] if layers else []
    return [Piece("", digest("rounds", *(p.name for p in of)).hex(), of=of) for of in zip(*layers, strict=True)]
