"""What was read about a folder's images or sounds, as a table: one row a file, sorted by path."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any

from leaven.io.made import ID, MADE
from leaven.io.table import BATCH, SPLIT, Table
from leaven.storage import MEDIA, arrow_of

FILE_NAME = "file_name"
Row = dict[str, Any]


def media_table(
    name: str, base: Path, rows: Iterable[Row], kinds: Mapping[str, str], also: Sequence[str] = (FILE_NAME, SPLIT)
) -> Table:
    """A table of rows whose media are paths under ``base``; a column that is empty in all rows is left out.

    ``kinds`` are its columns with their types, in order; those in ``also`` are texts that ride along.  Ids are taken
    where every row has one.
    """
    import pyarrow as pa

    main = next(iter(kinds))
    ordered = sorted(rows, key=lambda row: str(row[main]))
    arrays, columns = [], []
    for column in (*kinds, *also, ID, MADE):
        values = [row.get(column) for row in ordered]
        if all(value is None for value in values) or (column == ID and None in values):
            continue
        kind = kinds.get(column, "")
        if kind in MEDIA:
            values = [value and {"bytes": None, "path": value} for value in values]
        first = next(value for value in values if value is not None)
        plain = {list: pa.list_(pa.string()), bool: pa.bool_()}.get(type(first), pa.string())
        arrays.append(pa.array(values, arrow_of(kind) or plain))
        columns.append(column)
    table = pa.table(arrays, names=columns)
    known = {column: kind for column, kind in kinds.items() if column in columns}
    return Table(name, columns, lambda: iter(table.to_batches(max_chunksize=BATCH)), known, base)


def captioned(rows: Sequence[Row]) -> None:
    """One text a row, ``caption``, where no row has several ``captions``."""
    if all(len(row.get("captions") or "?") == 1 for row in rows) and any(row.get("captions") for row in rows):
        for row in rows:
            row["caption"] = next(iter(row.pop("captions", None) or [None]))
