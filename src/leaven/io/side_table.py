"""A small table beside a recipe that a step looks into: concepts, terms, translations."""

from __future__ import annotations

import csv
import json
import re
from collections.abc import Mapping, Sequence
from functools import lru_cache
from io import StringIO
from typing import Any

from leaven.beside import Beside
from leaven.errors import RecipeError, listed
from leaven.plain_yaml import load

WHOLE = re.compile(r"[+-]?\d+")
NUMBER = re.compile(r"[+-]?(\d+(\.\d*)?|\.\d+)([eE][+-]?\d+)?")

Rows = Sequence[Mapping[str, Any]]


def side_table(file: Beside, columns: Sequence[str] = ()) -> Rows:
    """The rows of a csv, tsv, jsonl, json or yaml file (a list of mappings), in the file's order.

    A column of a csv in which every cell is a number holds numbers; an empty cell is None.  Raises RecipeError, also
    where one of ``columns`` is not there.
    """
    rows, names = _read(file)
    lacking = [name for name in columns if name not in names]
    if lacking:
        what = f"it has no column `{lacking[0]}`; it has {listed(names)}."
        raise RecipeError(what, f"give it the columns {', '.join(columns)}.", where=file.name)
    return rows


@lru_cache(maxsize=16)
def _read(file: Beside) -> tuple[Rows, Sequence[str]]:
    """The rows, and the names of their columns."""
    kind = file.name.lower().rpartition(".")[2]
    if kind in ("csv", "tsv", "txt"):
        return _of_csv(file)
    if kind in ("jsonl", "ndjson", "json"):
        try:
            lines = [file.text] if kind == "json" else filter(str.strip, file.text.split("\n"))
            read = [json.loads(line) for line in lines]
            rows = read[0] if kind == "json" else read
        except ValueError as error:
            raise RecipeError(f"it is no JSON: {error}.", "correct it.", where=file.name) from None
    elif kind in ("yaml", "yml"):
        rows = load(file.data, file.name)
    else:
        raise RecipeError("a table is csv, tsv, jsonl, json or yaml.", "save it as .csv (UTF-8).", where=file.name)
    if not isinstance(rows, list) or not all(isinstance(row, dict) for row in rows):
        raise RecipeError("a table is a list of mappings.", "- {word: cat, lang: spa}", where=file.name)
    names = list(dict.fromkeys(name for row in rows for name in row))
    return [{name: row.get(name) for name in names} for row in rows], names


def _of_csv(file: Beside) -> tuple[Rows, Sequence[str]]:
    text = StringIO(file.text, newline="")
    delimiter = "\t" if file.name.lower().endswith(".tsv") else max(",;\t", key=file.text.partition("\n")[0].count)
    try:
        read = [row for row in csv.reader(text, delimiter=delimiter, strict=True) if row]
    except csv.Error as error:
        raise RecipeError(f"it is no csv: {error}.", "correct its quotes.", where=file.name) from None
    if not read or not all(name.strip() for name in read[0]) or len(set(read[0])) < len(read[0]):
        raise RecipeError("a table begins with the names of its columns, no two alike.", "name them.", where=file.name)
    names = read[0]
    for number, row in enumerate(read[1:], 2):
        if len(row) != len(names):
            what = f"row {number} has {len(row)} cells; the header has {len(names)}."
            raise RecipeError(what, "put texts that hold the separator in double quotes.", where=file.name)
    columns = [_values(cells) for cells in zip(*read[1:])] or [[] for _ in names]
    return [dict(zip(names, row, strict=True)) for row in zip(*columns, strict=True)], names


def _values(cells: Sequence[str]) -> list[Any]:
    """The cells of a column, as numbers where all are."""
    filled = [cell.strip() for cell in cells if cell.strip()]
    as_value: Any = str
    if filled and all(NUMBER.fullmatch(cell) for cell in filled):
        as_value = int if all(WHOLE.fullmatch(cell) for cell in filled) else float
    return [as_value(cell) if cell.strip() else None for cell in cells]
