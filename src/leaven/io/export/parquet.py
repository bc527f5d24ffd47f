"""One Parquet file."""

from __future__ import annotations

from pathlib import Path

from leaven.io.export.train import Train, Warn
from leaven.io.media_columns import FEW, is_media

ROW_GROUP = 8192
"""Rows of a group, which a reader holds whole; FEW where they hold images or sounds."""


def write_parquet(table: Train, path: Path, zipped: bool, warn: Warn) -> int:
    """All parts as one file."""
    import pyarrow.parquet as pq

    written = 0
    size = FEW if is_media(table.kinds) else ROW_GROUP
    with pq.ParquetWriter(path, table.schema, compression="zstd") as writer:
        for batch in table.batches():
            writer.write_batch(batch, row_group_size=size)
            written += len(batch)
    return written
