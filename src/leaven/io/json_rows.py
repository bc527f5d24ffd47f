"""JSON: one object on each line, or an array of objects; a file's name does not decide which."""

from __future__ import annotations

import json
from collections.abc import Iterator
from itertools import islice
from pathlib import Path
from typing import TYPE_CHECKING, Any

from leaven.errors import DataError, brief
from leaven.io.table import BATCH, Table, check_lengths, check_names, lines

if TYPE_CHECKING:
    import pyarrow as pa

ROW = 'each row is an object: {"text": "...", "label": "..."}'
NESTED = frozenset({"lists", "objects", "lists and objects"})
CHARACTERS = 1 << 20
MOST_CHARACTERS = 64_000_000
HELD = b"holds"
"""The key of a column's metadata that says what was nested in it, where it was not texts."""


def open_json(path: Path) -> Table:
    array = _is_array(path)
    kinds: dict[str, str] = {}
    rows = 0
    for item in _items(path, array):
        rows += 1
        for key, value in item.items():
            kind = _kind(value)
            kinds[key] = kind if kinds.get(key) == kind else _joined(kinds.get(key, "none"), kind)
    if not kinds:
        raise DataError(f"{path.name} holds no rows.", "give at least 2 objects.")
    if rows == 1 and all(kind in NESTED for kind in kinds.values()):
        raise DataError(
            f"{path.name} holds one object of columns, not rows.",
            'write rows; with pandas: frame.to_json(FILE, orient="records")',
        )
    columns = list(kinds)
    for name in columns:
        _whole(name, f"{path.name}: the name of a column")
    check_names(path.name, columns, "")
    return Table(path.name, columns, lambda: _batches(path, array, kinds))


def _batches(path: Path, array: bool, kinds: dict[str, str]) -> Iterator[pa.RecordBatch]:
    import pyarrow as pa

    types = {"int": pa.int64(), "float": pa.float64(), "bool": pa.bool_()}
    schema = pa.schema(
        [
            pa.field(name, types.get(kind, pa.string()), metadata={HELD: kind} if kind in NESTED else None)
            for name, kind in kinds.items()
        ]
    )
    items = _items(path, array)
    done = 0
    while chunk := list(islice(items, BATCH)):
        arrays = []
        for name, kind in kinds.items():
            values = [item.get(name) for item in chunk]
            if kind == "float":
                values = [v if v is None else float(v) for v in values]
            elif kind == "mixed" or kind in NESTED:
                plain = kind == "mixed"
                values = [
                    v if v is None or (plain and isinstance(v, str)) else json.dumps(v, ensure_ascii=False)
                    for v in values
                ]
            try:
                arrays.append(pa.array(values, schema.field(name).type))
            except UnicodeEncodeError:
                for number, value in enumerate(values, done + 1):
                    _whole(value, f"{path.name} row {number}: `{brief(name)}`")
                raise
            if pa.types.is_string(arrays[-1].type):
                check_lengths(arrays[-1], path.name, done)
        yield pa.RecordBatch.from_arrays(arrays, schema=schema)
        done += len(chunk)


def _whole(text: Any, what: str) -> None:
    """JSON can say half a character (a lone surrogate), which no file and no model can hold."""
    try:
        if isinstance(text, str):
            text.encode()
    except UnicodeEncodeError as error:
        half = f"\\u{ord(error.object[error.start]):04x}"
        raise DataError(f"{what} holds half a character ({half}).", "remove it, or write the whole pair.") from None


def _is_array(path: Path) -> bool:
    for line in lines(path):
        if line.strip():
            return line.lstrip().startswith("[")
    return False


def _items(path: Path, array: bool) -> Iterator[dict[str, Any]]:
    return _of_array(path) if array else _of_lines(path)


def _of_lines(path: Path) -> Iterator[dict[str, Any]]:
    for number, line in enumerate(lines(path), 1):
        if line.strip():
            try:
                item = json.loads(line)
            except (ValueError, RecursionError) as error:
                raise DataError(
                    f"{path.name} line {number} is no JSON object: {_why(error)}.",
                    "give one JSON object on each line, or one array of objects.",
                ) from None
            if not isinstance(item, dict):
                raise DataError(f"{path.name} line {number} is no JSON object.", ROW)
            yield item


def _of_array(path: Path) -> Iterator[dict[str, Any]]:
    """The objects of an array, a stretch of the file at a time."""
    decoder = json.JSONDecoder()
    source = lines(path)
    held, at, number = "", 0, 0
    open_ended = True

    def more(least: int) -> None:
        nonlocal held, at, open_ended
        found, size = [held[at:]], 0
        while size < least:
            line = next(source, None)
            if line is None:
                open_ended = False
                break
            found.append(line)
            size += len(line)
        held, at = "".join(found), 0

    def skip(signs: str) -> str:
        nonlocal at
        while True:
            while at < len(held) and held[at] in signs:
                at += 1
            if at < len(held) or not open_ended:
                return held[at : at + 1]
            more(CHARACTERS)

    skip(" \t\r\n")
    at += 1  # the bracket that opens the array
    while (sign := skip(" \t\r\n")) != "]":
        if number and sign == ",":
            at += 1
            sign = skip(" \t\r\n")
        elif number and sign:
            raise _bad_array(path, f"a comma is missing after entry {number}")
        if not sign:
            raise _bad_array(path, f"the array is not closed after entry {number}")
        number += 1
        size = CHARACTERS
        while True:
            try:
                item, at = decoder.raw_decode(held, at)
                break
            except (ValueError, RecursionError) as error:
                broken_in_the_middle = isinstance(error, json.JSONDecodeError) and error.pos < len(held) - 20
                unclosed = "Unterminated" in str(error)
                if not open_ended or (broken_in_the_middle and not unclosed) or len(held) > MOST_CHARACTERS:
                    raise _bad_array(path, f"entry {number}: {_why(error)}") from None
                more(size)
                size *= 2
        if not isinstance(item, dict):
            raise DataError(f"{path.name}: entry {number} is no JSON object.", ROW)
        yield item
    at += 1
    if skip(" \t\r\n"):
        raise _bad_array(path, "something stands after the array")


def _bad_array(path: Path, why: str) -> DataError:
    return DataError(f"{path.name} is no JSON: {why}.", "give a JSON array of objects, or one object on each line.")


def _why(error: Exception) -> str:
    if isinstance(error, RecursionError):
        return "it is nested too deeply"
    if isinstance(error, json.JSONDecodeError):
        said = error.msg.removesuffix(" at").rstrip(":")
        return f"{said[:1].lower()}{said[1:]} (character {error.colno})"
    return "a number has more than 4,300 digits"


def _kind(value: Any) -> str:
    if isinstance(value, str):
        return "str"
    if value is None:
        return "none"
    if isinstance(value, bool):
        return "bool"
    if isinstance(value, int):
        return "int" if -(2**63) <= value < 2**63 else "mixed"
    if isinstance(value, float):
        return "float"
    return "lists" if isinstance(value, list) else "objects"


def _joined(a: str, b: str) -> str:
    """The kind of a column that holds both: numbers together are floats, other scalars texts."""
    if a == b or b == "none":
        return a
    if a == "none":
        return b
    nested = {a, b} & NESTED
    if nested:
        return nested.pop() if len(nested) == 1 else "lists and objects"
    return "float" if {a, b} == {"int", "float"} else "mixed"
