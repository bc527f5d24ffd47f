"""``train/`` as one file of another kind: csv for a spreadsheet, jsonl, Parquet, or chats to fine-tune a model on.

Rows are streamed in the order of ``train/`` into a file aside, which is renamed once it is whole.
"""

from __future__ import annotations

import csv
import gzip
import io
import json
import math
import os
import re
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any, TextIO

from leaven.errors import DataError, listed, nearest
from leaven.io.columns import OURS
from leaven.io.dataset import load

if TYPE_CHECKING:
    import pyarrow as pa

KINDS = ("csv", "jsonl", "parquet", "chat")
OWN = ("_id", "_parents", "_steps", "_scores", "_synthetic", "_weight")
"""The columns that leaven adds, in the order in which they are written, after the user's."""
BATCH = 8192
ROW_GROUP = 8192
RUN = ("=", "+", "-", "@", "\t", "\r")
"""What a cell begins with that a spreadsheet takes for a formula."""
NUMBER = re.compile(r"[+-]?([0-9]+([.,][0-9]+)*|[.,][0-9]+)([eE][+-]?[0-9]+)? ?%?")
Row = dict[str, Any]
Warn = Callable[[str], None]


def export(folder: Path, kind: str, to: Path, warn: Warn = lambda text: None) -> int:
    """Write the rows of ``folder/train`` to the file ``to``; how many were written.

    ``kind`` is one of ``KINDS``; a name that ends in ``.gz`` is compressed.  ``warn`` is told what the file holds
    otherwise than ``train/``.  Raises DataError where there is nothing to write, no way to write it, or a file already.
    """
    if kind not in KINDS:
        close = nearest(kind, KINDS)
        raise DataError(f"--as {kind} is no kind of file.", f"--as {close}" if close else f"--as {' | '.join(KINDS)}")
    if kind == "parquet" and to.suffix == ".gz":
        raise DataError(f"{to.name}: Parquet is compressed inside.", f"-o {to.with_suffix('')}")
    if to.exists():
        raise DataError("it exists already.", "choose another name with -o, or remove it.", where=str(to))
    table = _Train(folder)
    to.parent.mkdir(parents=True, exist_ok=True)
    aside = to.with_name(f".{to.name}.{os.getpid()}")
    try:
        write = {"csv": _csv, "jsonl": _jsonl, "parquet": _parquet, "chat": _chat}[kind]
        written = write(table, aside, to.suffix == ".gz", warn)
        aside.replace(to)
    finally:
        aside.unlink(missing_ok=True)
    return written


class _Train:
    """The rows of a run's ``train/``: the user's columns first, then ours."""

    def __init__(self, folder: Path) -> None:
        import pyarrow.parquet as pq

        self.folder = folder
        self.files = sorted((folder / "train").glob("*.parquet"))
        if not self.files:
            if (folder / "run.json").is_file():
                what, fix = "its run has not ended", "run the same augment command again; it goes on."
            elif next(folder.glob("part-*.parquet"), None):
                what, fix = "it is no run", f"give the folder of the run: {folder.parent}"
            else:
                what, fix = "it holds no run", "leaven augment DATA -o OUT, then leaven export OUT"
            raise DataError(f"{what}.", fix, where=str(folder))
        stored: pa.Schema = pq.read_schema(self.files[0])
        names = [name for name in stored.names if name not in OURS] + [name for name in OWN if name in stored.names]
        self.schema = stored.empty_table().select(names).schema

    def batches(self) -> Iterator[pa.RecordBatch]:
        import pyarrow.parquet as pq

        for path in self.files:
            with pq.ParquetFile(path) as file:
                for batch in file.iter_batches(BATCH):
                    yield batch.select(self.schema.names)

    def rows(self) -> Iterator[Row]:
        for batch in self.batches():
            yield from batch.to_pylist()

    def refuse_bytes(self, kind: str) -> None:
        """Texts hold no images and no audio."""
        found = [field.name for field in self.schema if "binary" in str(field.type)]
        if found:
            raise DataError(f"the column `{found[0]}` holds bytes, which {kind} cannot.", "--as parquet")


# -- csv ----------------------------------------------------------------------------------------------------------


def _csv(table: _Train, path: Path, zipped: bool, warn: Warn) -> int:
    """A header and a line a row; what is no text or number is JSON, what a spreadsheet would run gets an apostrophe."""
    table.refuse_bytes("csv")
    names = table.schema.names
    guarded = 0

    def cell(value: Any) -> str | int | float | None:
        nonlocal guarded
        if value is None or (isinstance(value, int | float) and not isinstance(value, bool)):
            return value
        text = value if isinstance(value, str) else _said(value)
        if text.startswith(RUN) and not NUMBER.fullmatch(text):
            guarded += 1
            return "'" + text
        return text

    written = 0
    with _text(path, zipped) as file:
        writer = csv.writer(file)  # it ends lines with both characters, so that it quotes a text that holds either
        writer.writerow([cell(name) for name in names])
        for row in table.rows():
            writer.writerow([cell(row[name]) for name in names])
            written += 1
    if guarded:
        cells = "cell begins" if guarded == 1 else "cells begin"
        warn(
            f"{guarded:,} {cells} with =, +, -, @, a tab or a carriage return, which a spreadsheet would run:"
            " an apostrophe stands before each; --as jsonl writes them as they are"
        )
    return written


def _said(value: Any) -> str:
    """A value of a cell as one text: a date as ISO, a list or an object as JSON."""
    plain = _plain(value)
    return plain if isinstance(plain, str) else json.dumps(plain, ensure_ascii=False)


# -- jsonl, Parquet and chats ---------------------------------------------------------------------------------------


def _jsonl(table: _Train, path: Path, zipped: bool, warn: Warn) -> int:
    table.refuse_bytes("jsonl")
    return _write_lines(path, zipped, (_plain(row) for row in table.rows()))


def _parquet(table: _Train, path: Path, zipped: bool, warn: Warn) -> int:
    """All parts as one file."""
    import pyarrow.parquet as pq

    written = 0
    with pq.ParquetWriter(path, table.schema, compression="zstd") as writer:
        for batch in table.batches():
            writer.write_batch(batch, row_group_size=ROW_GROUP)
            written += len(batch)
    return written


def _chat(table: _Train, path: Path, zipped: bool, warn: Warn) -> int:
    """``{"messages": [...]}`` a line: the row's own messages, or its text asked and its label answered."""
    dataset = load(table.folder / "input")

    def column(kind: str) -> str:
        """The user's column of the first field of a type; a column of that name where the recipe has no such field."""
        found = dataset.columns.get(dataset.main(kind), kind)
        return found if found in table.schema.names else ""

    turns, asked, answered = column("messages"), column("text"), column("label")
    if not turns and not (asked and answered):
        missing = " and no ".join(kind for kind, name in (("text", asked), ("label", answered)) if not name)
        have = listed(name for name in table.schema.names if name not in OURS)
        raise DataError(
            f"a chat needs a text and a label, or messages; {table.folder} has no {missing}, its columns are {have}.",
            "--as jsonl writes all columns as they are.",
        )
    left_out = 0

    def chats() -> Iterator[Row]:
        nonlocal left_out
        for row in table.rows():
            messages = _messages(row[turns]) if turns else _asked(row[asked], row[answered])
            if messages:
                yield {"messages": messages}
            else:
                left_out += 1

    written = _write_lines(path, zipped, chats())
    if left_out:
        what = f"no {turns}" if turns else "no label"
        warn(f"{left_out:,} {'row has' if left_out == 1 else 'rows have'} {what}; left out")
    return written


def _asked(text: Any, label: Any) -> list[Row]:
    if text is None or label is None:
        return []
    return [{"role": "user", "content": str(text)}, {"role": "assistant", "content": _said(label)}]


def _messages(value: Any) -> list[Row]:
    """Messages as a list of objects, whichever way the column holds them."""
    if isinstance(value, str):
        try:
            value = json.loads(value)
        except ValueError:
            raise DataError("a row's messages are no JSON.", "--as jsonl writes all columns as they are.") from None
    plain = _plain(value) or []
    if not isinstance(plain, list) or not all(isinstance(turn, dict) for turn in plain):
        raise DataError("a row's messages are no list of objects.", "--as jsonl writes all columns as they are.")
    return [{key: said for key, said in turn.items() if said is not None} for turn in plain]


def _write_lines(path: Path, zipped: bool, rows: Iterable[Any]) -> int:
    written = 0
    with _text(path, zipped) as file:
        for row in rows:
            file.write(json.dumps(row, ensure_ascii=False) + "\n")
            written += 1
    return written


def _plain(value: Any) -> Any:
    """What JSON can hold: a number that is none is null, a date is ISO."""
    if isinstance(value, dict):
        return {key: _plain(inner) for key, inner in value.items()}
    if isinstance(value, Sequence) and not isinstance(value, str):
        return [_plain(inner) for inner in value]
    if isinstance(value, float) and not math.isfinite(value):
        return None
    if value is None or isinstance(value, str | int | float):
        return value
    return value.isoformat() if hasattr(value, "isoformat") else str(value)


@contextmanager
def _text(path: Path, zipped: bool) -> Iterator[TextIO]:
    """The file as UTF-8; compressed bytes hold neither the name nor the hour, so that equal rows give equal files."""
    with path.open("wb") as raw:
        if not zipped:
            with io.TextIOWrapper(raw, encoding="utf-8", newline="") as file:
                yield file
            return
        with (
            gzip.GzipFile(filename="", mode="wb", fileobj=raw, mtime=0) as packed,
            io.TextIOWrapper(packed, encoding="utf-8", newline="") as file,
        ):
            yield file
