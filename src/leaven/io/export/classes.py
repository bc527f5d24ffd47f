"""Class folders of images or sounds, as torchvision and ``datasets`` read them: ``cat/7f00.jpg``, and
``metadata.jsonl`` beside them with the label and what else a row says, such as whether it was made.

Where there is such a file ``datasets`` takes no label from a folder, whatever it is told (``drop_labels``), so the
label stands in the file too, as a text.
"""

from __future__ import annotations

import json
import re
from pathlib import Path
from typing import IO, Any

from leaven.errors import DataError
from leaven.io.export.files import Files, data_of, put
from leaven.io.export.lines import plain
from leaven.io.export.train import OWN, Row, Train, Warn
from leaven.io.media_table import FILE_NAME
from leaven.records import digest
from leaven.storage import MEDIA

SPLITS = re.compile(
    r"(?<![^-._ 0-9])(train|training|validation|valid|dev|val|test|testing|eval|evaluation)(?![^-._ 0-9])",
    re.IGNORECASE,
)
"""Words that ``datasets`` takes for splits, also in the name of a folder."""
LONGEST = 150


def write_images(table: Train, folder: Path, name: str, warn: Warn) -> int:
    """``datasets.load_dataset("imagefolder", data_dir=FOLDER)`` opens it."""
    return _Classes(table, "image", folder).write(warn)


def write_audio(table: Train, folder: Path, name: str, warn: Warn) -> int:
    """``datasets.load_dataset("audiofolder", data_dir=FOLDER)`` opens it."""
    return _Classes(table, "audio", folder).write(warn)


class _Classes:
    def __init__(self, table: Train, kind: str, folder: Path) -> None:
        other = {"image": "audio", "audio": "image"}[kind]
        instead = f"--as {other}folder" if table.column(other) else "--as jsonl"
        self.table, self.folder = table, folder
        self.main = table.need(kind, f"{kind}folder", instead)
        self.label, self.probs = table.column("label"), table.column("label_probs")
        self.media = [c for c in table.users if table.kinds.get(c) in MEDIA and c != self.main]
        self.folders: dict[str, str] = {}

    def write(self, warn: Warn) -> int:
        files = Files(self.table, self.main)
        written = unlabelled = 0
        with (self.folder / "metadata.jsonl").open("w", encoding="utf-8") as lines:
            for name, row in files.rows():
                label = self.label_of(row)
                if self.label and label is None:
                    unlabelled += 1
                    continue
                self.line(lines, name, row, label)
                written += 1
        files.tell(warn)
        if unlabelled:
            warn(f"{unlabelled:,} {'row has' if unlabelled == 1 else 'rows have'} no label; left out")
        if not written:
            raise DataError(f"no row of {self.table.folder} has a label.", "--as webdataset")
        return written

    def label_of(self, row: Row) -> str | None:
        """The row's label, or the likeliest where it has shares of several."""
        if self.label and row[self.label] is not None:
            return str(row[self.label])
        shares = row[self.probs] if self.probs else None
        return max(shares, key=lambda share: share["prob"])["label"] if shares else None

    def line(self, lines: IO[str], name: str, row: Row, label: str | None) -> None:
        """Write the row's files, and what it says as a line."""
        inside = self.called(label) if label is not None else ""
        said: dict[str, Any] = {FILE_NAME: _joined(inside, put(self.folder / inside, name, row[self.main]))}
        for column in [*self.table.users, *(c for c in OWN if c in row)]:
            if column == self.main or column == FILE_NAME:
                continue
            if column not in self.media:
                key = f"{column.removesuffix('_' + FILE_NAME)}_file" if column.endswith("_" + FILE_NAME) else column
                said[key] = plain(row[column])
            elif data_of(row[column]) is not None:
                path = _safe(column)
                said[f"{column}_{FILE_NAME}"] = _joined(path, put(self.folder / path, name, row[column]))
            else:
                said[f"{column}_{FILE_NAME}"] = None
        lines.write(json.dumps(said, ensure_ascii=False) + "\n")

    def called(self, label: str) -> str:
        """The folder of a label: its own name, but for signs that no folder may have, names of splits, and names that
        differ in their case alone; the label then stands in metadata.jsonl."""
        if label not in self.folders:
            taken = {_safe(column).lower() for column in self.media} | {f.lower() for f in self.folders.values()}
            name = _safe(label)
            while name.lower() in taken:
                name += "~"
            self.folders[label] = name
        return self.folders[label]


def _joined(folder: str, file: str) -> str:
    return f"{folder}/{file}" if folder else file


def _safe(name: str) -> str:
    """A name that a folder may have everywhere: other signs as %, as in addresses."""
    if len(name.encode("utf-8", "replace")) > LONGEST:
        return digest(name).hex()
    found = re.sub(r'[\x00-\x1f\x7f%/\\:*?"<>|~]|^[. ]|[. ]$|^$', lambda m: f"%{ord(m[0] or '_'):02X}", name)
    return SPLITS.sub(lambda m: f"%{ord(m[0][0]):02X}{m[0][1:]}", found)
