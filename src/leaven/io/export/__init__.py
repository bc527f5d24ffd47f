"""``train/`` as files of another kind: csv for a spreadsheet, jsonl, Parquet, chats to fine-tune a model on; or a
folder of images or sounds, as other tools lay them out.

Rows are streamed in the order of ``train/`` into a file or folder aside, which is renamed once it is whole.
"""

from __future__ import annotations

import os
import shutil
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

from leaven.errors import DataError, nearest
from leaven.io.export.chat import write_chat
from leaven.io.export.classes import write_audio, write_images
from leaven.io.export.coco import write_coco
from leaven.io.export.lines import write_jsonl
from leaven.io.export.parquet import write_parquet
from leaven.io.export.shards import write_shards
from leaven.io.export.sheet import NUMBER, RUN, write_csv
from leaven.io.export.train import OWN, Train, Warn
from leaven.io.export.voc import write_voc
from leaven.io.export.yolo import write_yolo

FILES: dict[str, Callable[[Train, Path, bool, Warn], int]] = {
    "csv": write_csv,
    "jsonl": write_jsonl,
    "parquet": write_parquet,
    "chat": write_chat,
}
FOLDERS: dict[str, Callable[[Train, Path, str, Warn], int]] = {
    "imagefolder": write_images,
    "audiofolder": write_audio,
    "coco": write_coco,
    "voc": write_voc,
    "yolo": write_yolo,
    "webdataset": write_shards,
}
KINDS = (*FILES, *FOLDERS)
FOR_PEOPLE = ("argilla", "labelstudio")
"""Folders for people to decide about what was made: written by ``leaven.review``, which knows the refused too."""


def export(folder: Path, kind: str, to: Path, warn: Warn = lambda text: None) -> int:
    """Write the rows of ``folder/train`` to ``to``, a file or (one of ``FOLDERS``) a folder; how many were written.

    ``kind`` is one of ``KINDS``; a file whose name ends in ``.gz`` is compressed.  ``warn`` is told what it holds
    otherwise than ``train/``.  Raises DataError where there is nothing to write, no way to write it, or ``to`` already.
    """
    if kind not in KINDS:
        every = (*KINDS, *FOR_PEOPLE)
        close = nearest(kind, every)
        raise DataError(f"--as {kind} is no kind of file.", f"--as {close}" if close else f"--as {' | '.join(every)}")
    if to.suffix == ".gz" and (kind == "parquet" or kind in FOLDERS):
        what = "a folder is written" if kind in FOLDERS else "Parquet is compressed inside"
        raise DataError(f"{to.name}: {what}.", f"-o {to.with_suffix('')}")
    table = Train(folder)
    with aside(to) as there:
        if kind in FOLDERS:
            there.mkdir()
            return FOLDERS[kind](table, there, to.name, warn)
        return FILES[kind](table, there, to.suffix == ".gz", warn)


@contextmanager
def aside(to: Path) -> Iterator[Path]:
    """A path to write a file or a folder to, which becomes ``to`` once it is whole.  Raises DataError where that is
    there."""
    if to.exists():
        raise DataError("it exists already.", "choose another name with -o, or remove it.", where=str(to))
    to.parent.mkdir(parents=True, exist_ok=True)
    there = to.with_name(f".{to.name}.{os.getpid()}")
    try:
        yield there
        there.replace(to)
    finally:
        shutil.rmtree(there, ignore_errors=True)
        there.unlink(missing_ok=True)


__all__ = ["FILES", "FOLDERS", "FOR_PEOPLE", "KINDS", "NUMBER", "OWN", "RUN", "aside", "export"]
