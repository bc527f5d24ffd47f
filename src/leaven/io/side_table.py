"""A small table that a step looks into: concepts, terms, translations.  It stands in memory, read once a process."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from functools import lru_cache
from pathlib import Path
from typing import Any

from leaven.errors import DataError, RecipeError, listed
from leaven.io.delimited import open_csv
from leaven.io.json_rows import open_json

NUMBER = re.compile(r"[+-]?(\d+(\.\d*)?|\.\d+)([eE][+-]?\d+)?")

Rows = Sequence[Mapping[str, Any]]


def side_table(path: str, columns: Sequence[str] = ()) -> Rows:
    """The rows of a csv, tsv, json, jsonl or yaml file (a list of mappings), in the file's order.

    A column of a csv in which every cell is a number holds numbers; an empty cell is None.  A path is taken from the
    folder in which leaven runs.  Raises DataError, also where one of ``columns`` is not there.
    """
    rows, names = _read(path, version(path))
    lacking = [name for name in columns if name not in names]
    if lacking:
        raise DataError(f"it has no column `{lacking[0]}`; it has {listed(names)}.", "rename one of them.", where=path)
    return rows


def version(path: str) -> tuple[int, int]:
    """Two numbers that a file has until it is changed.  Raises DataError where there is none."""
    try:
        stat = Path(path).stat()
    except OSError:
        raise DataError("there is no such table.", "a path is taken from the folder you are in.", where=path) from None
    return stat.st_mtime_ns, stat.st_size


@lru_cache(maxsize=16)
def _read(path: str, version: tuple[int, int]) -> tuple[Rows, Sequence[str]]:
    """The rows and the names of their columns; a file that was changed is read anew."""
    file = Path(path)
    kind = file.suffix.lower()
    if kind in (".csv", ".tsv", ".txt"):
        table = open_csv(file, tabs=kind == ".tsv")
        rows = [row for batch in table.batches() for row in batch.to_pylist()]
        return _with_numbers(rows, table.columns), table.columns
    if kind in (".json", ".jsonl", ".ndjson"):
        table = open_json(file)
        return [row for batch in table.batches() for row in batch.to_pylist()], table.columns
    if kind in (".yaml", ".yml"):
        return _of_yaml(path)
    raise DataError("a table is csv, tsv, json, jsonl or yaml.", "save it as .csv (UTF-8).", where=path)


def _of_yaml(path: str) -> tuple[Rows, Sequence[str]]:
    from leaven.plain_yaml import load_file

    try:
        data = load_file(path)
    except RecipeError as error:  # the loader is the recipes'; this file is the data's
        raise DataError(error.what, error.fix, where=error.where) from None
    if not isinstance(data, list) or not all(isinstance(row, dict) for row in data):
        raise DataError("a table in yaml is a list of mappings.", "- {word: cat, lang: spa}", where=path)
    names = list(dict.fromkeys(name for row in data for name in row))
    return [{name: row.get(name) for name in names} for row in data], names


def _with_numbers(rows: list[dict[str, Any]], names: Sequence[str]) -> Rows:
    for name in names:
        cells = [row[name] for row in rows]
        filled = [cell.strip() for cell in cells if cell and cell.strip()]
        whole = all(re.fullmatch(r"[+-]?\d+", cell) for cell in filled)
        numbers = filled and all(NUMBER.fullmatch(cell) for cell in filled)
        for row, cell in zip(rows, cells, strict=True):
            if not cell or not cell.strip():
                row[name] = None
            elif numbers:
                row[name] = int(cell) if whole else float(cell)
    return rows
