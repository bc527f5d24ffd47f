"""Shards of webdataset: ``NAME-000000.tar``, in which the files of one stem are one record."""

from __future__ import annotations

import io
import json
import re
import tarfile
from collections import Counter
from collections.abc import Iterator, Mapping
from contextlib import ExitStack
from itertools import islice
from pathlib import Path
from typing import Any

from leaven.errors import DataError, listed
from leaven.io.export.files import Files, data_of, file_name
from leaven.io.export.leading import filled, leading
from leaven.io.export.lines import plain
from leaven.io.export.train import OWN, Row, Train, Warn
from leaven.storage import MEDIA

ROWS, BYTES = 10_000, 1 << 29
"""How many rows, and about how many bytes, a shard may have."""
CLASSES = "classes.yaml"
"""``datasets`` would take a txt or json file beside the shards for the data."""


def write_shards(table: Train, folder: Path, name: str, warn: Warn) -> int:
    """The image (or sound) as it is, ``cls`` the number of the label (by classes.yaml, or the label itself where all
    are numbers), ``txt`` the caption where there is one, ``json`` every column that is no file.

    The rows are in the order of ``train/``, but for the few that tell ``datasets`` what the columns hold.
    """
    shards = _Shards(table)
    names = shards.numbers
    if any(str(number) != text for text, number in names.items()):
        lines = "".join(f"  {number}: {json.dumps(text, ensure_ascii=False)}\n" for text, number in names.items())
        (folder / CLASSES).write_text(f"names:\n{lines}", "utf-8")
    first = leading(shards.kinds())
    files = Files(table, shards.main)
    written = opened = size = 0
    with ExitStack() as stack:
        for stem, row in shards.ordered(files, first.numbers):
            full = written % ROWS == 0 or size > BYTES or (first.alone and written == len(first.numbers))
            if full:
                stack.close()
                tar = stack.enter_context(tarfile.open(folder / f"{name}-{opened:06d}.tar", "w"))
                opened, size = opened + 1, 0
            for end, data in shards.files_of(row).items():
                _add(tar, f"{stem}.{end}", data)
                size += len(data)
            written += 1
    files.tell(warn)
    shards.tell(warn, first.unseen)
    return written


class _Shards:
    def __init__(self, table: Train) -> None:
        self.table = table
        self.media = [column for column in table.users if table.kinds.get(column) in MEDIA]
        self.main = table.column("image") or table.column("audio")
        if not self.main:
            what = f"webdataset is written from images or sounds; {table.folder} has {listed(table.users)}"
            raise DataError(f"{what}.", "--as jsonl")
        self.label, self.caption = table.column("label"), table.column("caption")
        self.numbers = _numbers(table, self.label) if self.label else {}
        self.ends: dict[str, str] = {}
        self.renamed: Counter[str] = Counter()

    def kinds(self) -> Iterator[tuple[frozenset[str], frozenset[str]]]:
        """Of each row the ends of its files, and the keys of its json that hold something."""
        for _, row in Files(self.table, self.main).rows():
            ends = [self.end(column) for column in self.media if self.note(row, column)]
            yield frozenset([*ends, *self.texts(row)]), frozenset(filled(self.said(row)))

    def ordered(self, files: Files, first: list[int]) -> Iterator[tuple[str, Row]]:
        """The rows, those of these numbers before the others."""
        wanted = frozenset(first)
        begin = islice(Files(self.table, self.main).rows(), max(first, default=-1) + 1)
        yield from (row for number, row in enumerate(begin) if number in wanted)
        yield from (row for number, row in enumerate(files.rows()) if number not in wanted)

    def files_of(self, row: Row) -> dict[str, bytes]:
        """The files of a record, by their ends."""
        cells = {self.end(column): data_of(row[column]) for column in self.media if column in self.ends}
        found = {end: data for end, data in cells.items() if data is not None}
        said = json.dumps(self.said(row), ensure_ascii=False)
        return found | {end: text.encode() for end, text in self.texts(row).items()} | {"json": said.encode()}

    def note(self, row: Row, column: str) -> bool:
        """Whether the row has a file in this column; the first one's ending is that of all, since ``datasets`` takes
        two endings for two columns."""
        if data_of(row[column]) is None:
            return False
        ending = file_name("", row[column])
        self.renamed[column] += self.ends.setdefault(column, ending) != ending
        return True

    def end(self, column: str) -> str:
        prefix = "" if column == self.main else re.sub(r"[^a-z0-9_-]", "_", column.lower())
        return f"{prefix}{self.ends[column]}".removeprefix(".")

    def texts(self, row: Row) -> dict[str, str]:
        """What trainers look for in files of their own."""
        found: dict[str, str] = {}
        if self.label and row[self.label] is not None:
            found["cls"] = str(self.numbers[str(row[self.label])])
        if self.caption and isinstance(row[self.caption], str):
            found["txt"] = row[self.caption]
        return found

    def said(self, row: Row) -> dict[str, Any]:
        """The row's columns; the label under that name, so that its words come before the number in ``cls``."""
        found = {
            ("label" if column == self.label else column): row[column]
            for column in self.table.users
            if column not in self.media
        }
        found |= {column: row[column] for column in OWN if column in row}
        return {key: plain(value) for key, value in found.items()}

    def tell(self, warn: Warn, unseen: list[str]) -> None:
        for column, count in self.renamed.items():
            if count:
                files = "file" if count == 1 else "files"
                warn(
                    f"{count:,} {files} of {column} that are no {self.ends[column]} bear that ending too: one name in"
                    " all records, as datasets wants it; every decoder goes by the bytes"
                )
        if unseen:
            warn(
                f"no five records have every file and hold something in {listed(unseen)}: datasets cannot tell their"
                " types; give it features=, or read the shards with webdataset or leaven"
            )


def _numbers(table: Train, label: str) -> Mapping[str, int]:
    """The number of each label."""
    labels = sorted({str(value) for value in table.values(label) if value is not None})
    if all(text.isascii() and text.isdecimal() and str(int(text)) == text for text in labels):
        return {text: int(text) for text in labels}
    return {text: number for number, text in enumerate(labels)}


def _add(tar: tarfile.TarFile, name: str, data: bytes) -> None:
    """A file with neither the hour nor the owner, so that equal rows give equal shards."""
    told = tarfile.TarInfo(name)
    told.size = len(data)
    tar.addfile(told, io.BytesIO(data))
