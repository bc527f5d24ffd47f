"""Images and sounds as files of their own: named by the id of the row, with the ending that their bytes say."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from leaven.errors import DataError
from leaven.io.export.train import Row, Train, Warn
from leaven.io.media_files import AUDIO_ENDS, IMAGE_ENDS, ending
from leaven.io.media_type import end_of
from leaven.media.broken import Broken
from leaven.media.image import Image
from leaven.records import digest

OURS = re.compile(r"[0-9a-f]{8,64}")


class Files:
    """Goes through the rows that have a file in a column of media, and gives each a name of its own."""

    def __init__(self, table: Train, column: str) -> None:
        self.table, self.column = table, column
        self.seen: dict[str, int] = {}
        self.without = 0
        self.number = 0

    def rows(self) -> Iterator[tuple[str, Row]]:
        """A name without an ending, and the row.

        An id of leaven's is the name; one of the user's is hashed: it may hold anything, also ``../``, or ``test``,
        which ``datasets`` takes for a split.
        """
        for row in self.table.rows():
            self.number += 1
            if data_of(row[self.column]) is None:
                self.without += 1
                continue
            own = str(row.get("_id") or self.number)
            name = own if OURS.fullmatch(own) else digest(own).hex()
            times = self.seen[name] = self.seen.get(name, 0) + 1
            yield (name if times == 1 else f"{name}-{times}"), row

    def tell(self, warn: Warn) -> None:
        if self.without:
            rows = "row has" if self.without == 1 else "rows have"
            warn(f"{self.without:,} {rows} no {self.column}: left out")
        if self.number == self.without:
            raise DataError(f"no row of {self.table.folder} has a file in `{self.column}`.", "--as jsonl")


def data_of(cell: Any) -> bytes | None:
    """The bytes of a cell of media, where it has some."""
    data = cell.get("bytes") if isinstance(cell, Mapping) else cell
    return data if isinstance(data, bytes) and data else None


def file_name(name: str, cell: Any) -> str:
    """The name with the ending that belongs to the bytes, else the one that the path had."""
    end = end_of(data_of(cell) or b"")
    had = ending(str((cell.get("path") or "") if isinstance(cell, Mapping) else ""))
    return f"{name}.{end or (had if had in IMAGE_ENDS | AUDIO_ENDS else 'bin')}"


def put(folder: Path, name: str, cell: Any) -> str:
    """Write the file into a folder; its name."""
    folder.mkdir(parents=True, exist_ok=True)
    file = file_name(name, cell)
    (folder / file).write_bytes(data_of(cell) or b"")
    return file


def size_of(row: Row, column: str) -> tuple[int, int]:
    """Width and height of the row's image, as shown."""
    try:
        return Image(data_of(row[column]), str(row.get("_id", ""))).size
    except Broken as broken:
        raise DataError(f"an image cannot be read: {broken.detail}.", "--as webdataset writes it as it is.") from None
