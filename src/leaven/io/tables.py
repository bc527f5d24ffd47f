"""Open what a user named as a table: csv, tsv, json, jsonl, Parquet, a folder saved by ``datasets``, one of images or
sounds, shards of webdataset, a hub id, or rows that are in memory.

A table is column names and a function that gives Arrow batches, so that a million rows never stand in memory at once.
"""

from __future__ import annotations

import json
import os
import re
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any

from leaven.errors import DataError, MissingExtra, nearest
from leaven.io.class_names import class_names, with_names
from leaven.io.delimited import open_csv
from leaven.io.json_rows import open_json
from leaven.io.media_columns import FEW, kinds_of, with_media
from leaven.io.media_files import Warn
from leaven.io.media_folder import open_media
from leaven.io.memory import of_datasets, open_memory
from leaven.io.sets import SPLIT_NAMES
from leaven.io.table import (
    BATCH,
    LONGEST_CELL,
    SPLIT,
    Held,
    Table,
    check_encoding,
    check_names,
    plain_type,
    too_long,
    unreadable,
    with_split,
)
from leaven.io.webdataset import open_tars

if TYPE_CHECKING:
    import pyarrow as pa

KINDS = ("csv", "tsv", "txt", "jsonl", "ndjson", "json", "parquet", "pq", "tar")
GIVE = "give .csv, .tsv, .jsonl, .json, .parquet, .tar or a folder."


def open_table(where: Any, warn: Warn = lambda said: None) -> Table:
    """Open a file or folder by its name, or rows in memory.  Raises DataError with the file, the row and the way out.

    ``warn`` is told what is left out of a folder of images or sounds.
    """
    if isinstance(where, Held):
        return where.table
    if not isinstance(where, str | os.PathLike):
        return open_memory(where)
    where = os.fspath(where)
    if where.startswith("hf://"):
        return _hub(where.removeprefix("hf://"))
    path = Path(where)
    try:
        size = path.stat().st_size
    except (FileNotFoundError, NotADirectoryError):
        raise _missing(path, where) from None
    except OSError as error:
        raise unreadable(path, error) from None
    if path.is_dir():
        return _folder(path, warn)
    if not path.is_file():
        raise DataError("it is no regular file, and data is read twice.", "save it to a file first.", where=where)
    kind = path.name.lower().removesuffix(".gz").rpartition(".")[2]
    zipped = path.name.lower().endswith(".gz") and kind in ("parquet", "pq", "tar")
    if kind not in KINDS or "." not in path.name or zipped:
        spreadsheet = kind in ("xlsx", "xls", "ods", "numbers")
        raise DataError(
            f"{path.name}: files of this kind are not read.", "save the sheet as .csv (UTF-8)." if spreadsheet else GIVE
        )
    if size == 0:
        raise DataError(f"{path.name} is empty (0 bytes).", "give a file with a header line and at least 2 rows.")
    if kind in ("parquet", "pq"):
        return _parquet([path], path.name)
    if kind == "tar":
        return open_tars([path], path.name, warn)
    check_encoding(path)
    table = open_csv(path, tabs=kind == "tsv") if kind in ("csv", "tsv", "txt") else open_json(path)
    return with_media(table, path.parent)


def _missing(path: Path, where: str) -> DataError:
    try:
        here = [p.name for p in path.parent.iterdir()]
    except OSError:
        return DataError(
            "there is no such file.", f"there is no folder {path.parent} either; check the path.", where=where
        )
    close = nearest(path.name, here)
    fix = f"{close} is in the same folder." if close else "check the path; it is read from the current folder."
    return DataError("there is no such file.", fix, where=where)


# -- Arrow and Parquet -------------------------------------------------------------------------------------------


def _parquet(paths: list[Path], name: str, splits: list[str] | None = None) -> Table:
    """Parquet files as one table; ``splits`` names the split of each."""
    import pyarrow.parquet as pq

    def stream(path: Path) -> Iterator[pa.RecordBatch]:
        with pq.ParquetFile(path) as file:
            inside = any("binary" in str(field.type) for field in file.schema_arrow)
            yield from file.iter_batches(FEW if inside else BATCH)

    return _arrow(list(zip(splits or [""] * len(paths), paths, strict=True)), name, pq.read_schema, stream)


def _saved(files: list[tuple[str, Path]], name: str) -> Table:
    """A folder saved by ``datasets``: Arrow stream files; the split becomes a column."""
    import pyarrow as pa

    def schema(path: Path) -> pa.Schema:
        with pa.memory_map(str(path)) as source:
            return pa.ipc.open_stream(source).schema

    def stream(path: Path) -> Iterator[pa.RecordBatch]:
        with pa.memory_map(str(path)) as source:
            yield from pa.ipc.open_stream(source)

    return _arrow(files, name, schema, stream)


def _arrow(
    files: list[tuple[str, Path]],
    name: str,
    schema_of: Callable[[Path], pa.Schema],
    stream: Callable[[Path], Iterator[pa.RecordBatch]],
) -> Table:
    """Files of one schema: the first one's columns, with its types."""
    import pyarrow as pa

    def damaged(path: Path, error: Exception) -> DataError:
        why = re.split(r"\. |\n", str(error).strip())[0].rstrip(".")[:120]
        kind = "Parquet" if path.suffix.lower() in (".parquet", ".pq") else "Arrow"
        return DataError(f"{path.name} is no whole {kind} file ({why}).", "write or download it again.")

    first = files[0][1]
    try:
        schema = schema_of(first)
    except PermissionError as error:
        raise unreadable(first, error) from None
    except (pa.ArrowException, OSError) as error:
        raise damaged(first, error) from None
    columns = list(schema.names)
    check_names(name, columns, "")
    names = class_names(schema)
    plain = pa.schema([pa.field(f.name, pa.string() if f.name in names else plain_type(f.type)) for f in schema])

    def alike(batch: pa.RecordBatch, path: Path) -> pa.RecordBatch:
        arrays = []
        batch = with_names(batch, {**names, **class_names(batch.schema)}, path.name)
        for field in plain:
            if batch.schema.names.count(field.name) != 1:
                raise DataError(
                    f"{path.name} has no column `{field.name}`; {first.name} has it.",
                    "give files of the same columns, or one file.",
                )
            array = batch.column(field.name)
            if pa.types.is_dictionary(array.type):
                array = array.dictionary_decode()
            if array.type != field.type:
                try:
                    array = array.cast(field.type)
                except pa.ArrowException:
                    raise DataError(
                        f"{path.name}: the column `{field.name}` holds {array.type}, in {first.name} {field.type}.",
                        "give files of the same columns, or one file.",
                    ) from None
            arrays.append(array)
        return pa.RecordBatch.from_arrays(arrays, schema=plain)

    def batches() -> Iterator[pa.RecordBatch]:
        for split, path in files:
            found = stream(path)
            while True:
                try:
                    batch = next(found, None)
                except (pa.ArrowException, OSError) as error:
                    raise damaged(path, error) from None
                if batch is None:
                    break
                yield with_split(alike(batch, path), split)

    split_column = [SPLIT] if any(split for split, _ in files) and SPLIT not in columns else []
    kinds = kinds_of(schema, lambda: next((row for batch in batches() for row in batch.slice(0, 1).to_pylist()), {}))
    return Table(name, columns + split_column, batches, kinds, first.parent)


# -- folders and the hub -----------------------------------------------------------------------------------------


def _folder(path: Path, warn: Warn) -> Table:
    if (path / "dataset_dict.json").is_file():
        try:
            splits = list(json.loads((path / "dataset_dict.json").read_text("utf-8"))["splits"])
        except (ValueError, KeyError, TypeError):
            raise DataError(f"{path}/dataset_dict.json is damaged.", "save the dataset again.") from None
        files = [(str(split), file) for split in splits for file in sorted((path / str(split)).glob("*.arrow"))]
        if files:
            return _saved(files, path.name)
    if (path / "dataset_info.json").is_file() and (found := sorted(path.glob("*.arrow"))):
        return _saved([("", file) for file in found], path.name)
    if found := [p for p in sorted(path.glob("*.parquet")) if not p.name.startswith((".", "_"))]:
        return _parquet(found, path.name, _splits_of(found))
    media = open_media(path, warn)
    if media is not None:
        return media
    raise DataError(f"{path} holds no table.", _instead(path))


def _splits_of(paths: list[Path]) -> list[str] | None:
    """The split of each file, where all names begin with one and they differ: train-00000.parquet, test-00000.parquet.

    Taken together such files would put the test rows among those to train on.
    """
    found = [SPLIT_NAMES.get(re.split(r"[-_.]", path.name.lower())[0], "") for path in paths]
    return found if all(found) and len(set(found)) > 1 else None


def _instead(path: Path) -> str:
    """What in a folder without a table could be meant."""
    if (path / "run.json").is_file() and (path / "train").is_dir():
        return f"it is a run; its rows are in {path / 'train'}."
    about = {"dataset_dict.json", "dataset_info.json", "state.json", "run.json", "measure.json"}
    ends = tuple(f".{kind}" for kind in KINDS)
    files = [p.name for p in path.iterdir() if p.is_file() and p.name not in about]
    tables = sorted(name for name in files if name.lower().removesuffix(".gz").endswith(ends))
    if tables:
        return f"give the file: {path / tables[0]}"
    return "give a file, or a folder of images or sounds, of .parquet files, or one saved by datasets.save_to_disk."


def _hub(name: str) -> Table:
    try:
        from datasets import config, load_dataset
    except ImportError:
        raise MissingExtra("data on the hub needs the extra `hub`.", 'pip install "leaven[hub]"', where=name) from None
    try:
        loaded = load_dataset(name)
    except Exception as error:  # every failure of the hub client is the same to the user: it was not read
        said = (str(error).splitlines() or ["no reason given"])[0]
        raise DataError(
            f"the hub dataset was not read ({type(error).__name__}: {said}).",
            "check the id and the connection, or give a file.",
            where=f"hf://{name}",
        ) from None
    return of_datasets(f"hf://{name}", dict(loaded.items()), Path(config.HF_CACHE_HOME))


__all__ = ["LONGEST_CELL", "Table", "open_table", "too_long"]
