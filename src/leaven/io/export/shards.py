"""Shards of webdataset: ``NAME-000000.tar``, in which the files of one stem are one record."""

from __future__ import annotations

import io
import json
import re
import tarfile
from collections.abc import Mapping
from contextlib import ExitStack
from pathlib import Path

from leaven.errors import DataError, listed
from leaven.io.export.files import Files, data_of, file_name
from leaven.io.export.lines import plain
from leaven.io.export.train import OWN, Row, Train, Warn
from leaven.storage import MEDIA

ROWS, BYTES = 10_000, 1 << 29
"""How many rows, and about how many bytes, a shard may have."""


def write_shards(table: Train, folder: Path, name: str, warn: Warn) -> int:
    """The image (or sound) as it is, ``cls`` the number of the label (its line in classes.txt, counted from 0, or the
    label itself where all are numbers), ``txt`` the caption where there is one, ``json`` every column that is no
    file."""
    media = [column for column in table.users if table.kinds.get(column) in MEDIA]
    main = table.column("image") or table.column("audio")
    if not main:
        what = f"webdataset is written from images or sounds; {table.folder} has {listed(table.users)}"
        raise DataError(f"{what}.", "--as jsonl")
    label, caption = table.column("label"), table.column("caption")
    numbers = _numbers(table, label) if label else {}
    if label and any(str(number) != text for text, number in numbers.items()):
        (folder / "classes.txt").write_text("".join(f"{text.splitlines()[0]}\n" for text in numbers), "utf-8")
    files = Files(table, main)
    written = shards = size = 0
    with ExitStack() as opened:
        for stem, row in files.rows():
            if written % ROWS == 0 or size > BYTES:
                opened.close()
                tar = opened.enter_context(tarfile.open(folder / f"{name}-{shards:06d}.tar", "w"))
                shards, size = shards + 1, 0
            parts = {file_name(_stem(stem, c, main), row[c]): data_of(row[c]) for c in media}
            if label and row[label] is not None:
                parts[f"{stem}.cls"] = str(numbers[str(row[label])]).encode()
            if caption and isinstance(row[caption], str):
                parts[f"{stem}.txt"] = row[caption].encode()
            parts[f"{stem}.json"] = _json(row, [c for c in table.users if c not in media], label)
            for file, data in parts.items():
                if data is not None:
                    _add(tar, file, data)
                    size += len(data)
            written += 1
    files.tell(warn)
    return written


def _numbers(table: Train, label: str) -> Mapping[str, int]:
    """The number of each label."""
    labels = sorted({str(value) for value in table.values(label) if value is not None})
    if all(text.isascii() and text.isdecimal() and str(int(text)) == text for text in labels):
        return {text: int(text) for text in labels}
    return {text: number for number, text in enumerate(labels)}


def _stem(stem: str, column: str, main: str) -> str:
    return stem if column == main else f"{stem}.{re.sub(r'[^a-z0-9_-]', '_', column.lower())}"


def _json(row: Row, columns: list[str], label: str) -> bytes:
    """The row's columns; the label under that name, so that its words come before the number in ``cls``."""
    said = {("label" if column == label else column): row[column] for column in columns}
    said |= {column: row[column] for column in OWN if column in row}
    return json.dumps(plain(said), ensure_ascii=False).encode()


def _add(tar: tarfile.TarFile, name: str, data: bytes) -> None:
    """A file with neither the hour nor the owner, so that equal rows give equal shards."""
    told = tarfile.TarInfo(name)
    told.size = len(data)
    tar.addfile(told, io.BytesIO(data))
