"""``metadata.csv``, ``metadata.jsonl`` or ``metadata.parquet`` among the files, as ``datasets`` reads image and audio
folders: its column ``file_name`` names a file, the others say something about it."""

from __future__ import annotations

import posixpath
from collections.abc import Callable, Sequence
from dataclasses import replace
from pathlib import PurePosixPath
from typing import TYPE_CHECKING, Any

from leaven.errors import DataError, listed
from leaven.io.delimited import open_csv
from leaven.io.json_rows import open_json
from leaven.io.media_columns import kinds_of, named_kind, noted
from leaven.io.media_files import Tree, Warn, media_of, some, split_of_path
from leaven.io.media_table import FILE_NAME
from leaven.io.table import BATCH, SPLIT, Table, check_encoding, check_names
from leaven.storage import arrow_of

if TYPE_CHECKING:
    import pyarrow as pa

NAMES = ("metadata.csv", "metadata.jsonl", "metadata.parquet")
FURTHER = "_" + FILE_NAME
"""``mask_file_name`` names the file of a column ``mask``."""


def open_metadata(tree: Tree, warn: Warn = lambda said: None) -> Table | None:
    """The rows of all ``metadata`` files of a folder, their media by path; folders called after splits are splits.
    None where there is no such file.

    Labels are a column of the file: where there is one, ``datasets`` takes none from folders either.
    """
    import pyarrow as pa

    files = [path for path in tree.notes if PurePosixPath(path).name in NAMES]
    if not files:
        return None
    if len({PurePosixPath(path).name for path in files}) > 1:
        raise DataError(f"there are {listed(files)}.", "leave one kind of them there.", where=str(tree.root))
    tables = [_with_paths(tree, path) for path in files]
    try:
        whole = pa.concat_tables([table for table, _ in tables], promote_options="default")
    except pa.ArrowException:
        raise DataError(
            f"the columns of {listed(files)} are not of the same types.", "write them alike.", where=str(tree.root)
        ) from None
    media = tables[0][1]
    main = media[FILE_NAME if FILE_NAME in media else next(iter(media))]
    whole = _there(tree, files, whole, main, warn)
    splits = [split_of_path(path) or None for path in _paths(whole, main)]
    if any(splits) and SPLIT not in whole.column_names:
        whole = whole.append_column(SPLIT, pa.array(splits, pa.string()))
    order = sorted(range(len(whole)), key=_paths(whole, main).__getitem__)
    whole = whole.take(pa.array(order, pa.int64()))
    kinds = {column: _kind(column, _paths(whole, column)) for column in media.values()}
    table = Table(
        tree.root.name,
        whole.column_names,
        lambda: iter(whole.to_batches(max_chunksize=BATCH)),
        {**kinds_of(whole.schema), **kinds},
        tree.root,
    )
    return noted(table, {name: [v for v in whole.column(name).to_pylist() if v is not None] for name in _texts(whole)})


def _with_paths(tree: Tree, path: str) -> tuple[pa.Table, dict[str, str]]:
    """One file, its columns of names made columns of media; and which column each became."""
    import pyarrow as pa

    table = _opened(tree, path)
    folder = path.rpartition("/")[0]
    names = [c for c in table.column_names if c == FILE_NAME or c.endswith(FURTHER)]
    if not names or not all(pa.types.is_string(table.schema.field(name).type) for name in names):
        raise DataError(
            f"{path} has no column `{FILE_NAME}` of texts; it has {listed(table.column_names)}.",
            f"name the file of each row in a column `{FILE_NAME}`.",
            where=str(tree.root),
        )
    media: dict[str, str] = {}
    for name in names:
        paths = [
            value and posixpath.normpath(posixpath.join(folder, value)) for value in table.column(name).to_pylist()
        ]
        column = name.removesuffix(FURTHER)
        if name == FILE_NAME:
            column = _kind("", paths)
            table = table.set_column(table.column_names.index(name), name, pa.array(paths, pa.string()))
        else:
            table = table.drop_columns(name)
        cells = pa.array([value and {"bytes": None, "path": value} for value in paths], arrow_of("image"))
        table = table.add_column(len(media), column, cells)
        media[name] = column
    check_names(path, table.column_names, "")
    return table, media


def _opened(tree: Tree, path: str) -> pa.Table:
    import pyarrow as pa
    import pyarrow.parquet as pq

    file = tree.root / path
    if path.endswith(".parquet"):
        try:
            return pq.read_table(file)
        except (pa.ArrowException, OSError):
            raise DataError(f"{path} is no whole Parquet file.", "write it again.", where=str(tree.root)) from None
    check_encoding(file)
    opened: Callable[[], Table] = lambda: open_csv(file, tabs=False) if path.endswith(".csv") else open_json(file)  # noqa: E731
    table = replace(opened(), name=path)
    batches = list(table.batches())
    if not batches:
        raise DataError(f"{path} has column names and no rows.", "give at least 2 rows.", where=str(tree.root))
    return pa.Table.from_batches(batches)


def _kind(column: str, paths: Sequence[str | None]) -> str:
    """``image``, ``audio`` or ``mask``, by the column's name and the endings of most of its files."""
    sounds = sum(media_of(path or "") == "audio" for path in paths)
    return named_kind(column, "audio" if sounds * 2 > len(paths) else "image")


def _paths(table: pa.Table, column: str) -> list[str]:
    return [(cell or {}).get("path") or "" for cell in table.column(column).to_pylist()]


def _texts(table: pa.Table) -> list[str]:
    import pyarrow as pa

    return [field.name for field in table.schema if pa.types.is_string(field.type)]


def _there(tree: Tree, files: list[str], table: pa.Table, main: str, warn: Warn) -> pa.Table:
    """The rows whose file is there; those whose file is not, and files without a row, are told."""
    import pyarrow as pa

    there = {*tree.images, *tree.sounds}
    named: list[Any] = _paths(table, main)
    found = [path in there for path in named]
    if not any(found):
        raise DataError(
            f"no file that {listed(files)} names is there; the first: {next(iter(named), '')!r}.",
            f"`{FILE_NAME}` is a path from the folder of that file.",
            where=str(tree.root),
        )
    if lost := [path for path, is_there in zip(named, found, strict=True) if not is_there]:
        warn(f"{len(lost):,} of {len(named):,} files in {listed(files)} are not there {some(lost)}: left out")
    listed_files = {path for column in table.column_names for path in _cells(table, column)}
    if alone := sorted(there - listed_files):
        warn(f"{len(alone):,} files are not in {listed(files)} {some(alone)}: left out")
    return table.filter(pa.array(found)) if lost else table


def _cells(table: pa.Table, column: str) -> list[str]:
    return _paths(table, column) if table.schema.field(column).type == arrow_of("image") else []
