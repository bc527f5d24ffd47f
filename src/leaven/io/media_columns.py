"""Which columns of a table hold images, sounds, or what is said about them: by their types, else by their values."""

from __future__ import annotations

import json
import math
import posixpath
import re
import zlib
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import replace
from functools import partial
from itertools import islice
from pathlib import Path
from typing import TYPE_CHECKING, Any

from leaven.errors import DataError, brief
from leaven.io.media_files import AUDIO_ENDS, IMAGE_ENDS, media_of
from leaven.io.media_type import media_in
from leaven.io.table import Table, open_bytes
from leaven.storage import MEDIA, arrow_of

if TYPE_CHECKING:
    import pyarrow as pa

MASK = re.compile("mask|segmentation")
CAPTIONS = ("caption", "captions", "sentences", "descriptions")
SHAPED = ("boxes", "points", "segments", "label_probs", "sequence")
"""Types that stand as lists of objects or numbers; a column of such a name, and such values, is one."""
NOTES = (*SHAPED, "map")
FEATURES = {"Image": "image", "Audio": "audio"}
"""What ``datasets`` calls the types that it decodes."""
ENDS = re.compile(rb"\.(%s)\b" % "|".join(sorted(IMAGE_ENDS | AUDIO_ENDS)).encode(), re.IGNORECASE)
HEAD = 65_536
LOOKED_AT = 64
FEW = 64
"""Rows of a batch where files are inside."""

Convert = Callable[[Any], Any]


def is_media(kinds: Mapping[str, str]) -> bool:
    return any(kind in MEDIA for kind in kinds.values())


def named_kind(column: str, media: str) -> str:
    """``image`` or ``audio``, or ``mask`` for images in a column that is called so."""
    if media == "image" and MASK.search(column.lower()):
        return "mask"
    return "map" if media == "image" and column == "map" else media


# -- by types --------------------------------------------------------------------------------------------------------


def kinds_of(schema: pa.Schema, first: Callable[[], Mapping[str, Any]] = dict) -> dict[str, str]:
    """The columns of a schema that say what they hold: ``datasets`` notes images and sounds in it, boxes and the like
    have types of their own.

    ``first`` gives a value of each column, where bytes have to be looked at to tell.
    """

    noted = _noted(schema)
    found: dict[str, str] = {}
    values: Mapping[str, Any] | None = None
    for field in schema:
        if field.name in noted:
            found[field.name] = named_kind(field.name, noted[field.name])
        elif _holds_files(field.type):
            values = first() if values is None else values
            if media := media_of_value(values.get(field.name)):
                found[field.name] = named_kind(field.name, media)
        else:
            kind = next((k for k in SHAPED if field.type == arrow_of(k) and (k != "sequence" or field.name == k)), "")
            if kind:
                found[field.name] = kind
    if is_media(found):
        found |= {name: "caption" for name in schema.names if name in CAPTIONS and _says(schema.field(name).type)}
        if "label" in schema.names and "label" not in found:
            found["label"] = "label"
    return found


def _holds_files(kind: pa.DataType) -> bool:
    """True for bytes, alone or beside a path."""
    import pyarrow as pa

    if pa.types.is_struct(kind) and {field.name for field in kind} == {"bytes", "path"}:
        kind = kind.field("bytes").type
    return bool(pa.types.is_binary(kind) or pa.types.is_large_binary(kind))


def _noted(schema: pa.Schema) -> dict[str, str]:
    try:
        features = json.loads((schema.metadata or {}).get(b"huggingface", b"{}"))["info"]["features"]
        return {name: FEATURES[said["_type"]] for name, said in features.items() if said.get("_type") in FEATURES}
    except (ValueError, KeyError, TypeError, AttributeError):
        return {}


def media_of_value(value: Any) -> str:
    """``image``, ``audio`` or nothing, by the bytes of a cell, else by its path."""
    if isinstance(value, Mapping):
        data, path = value.get("bytes"), value.get("path") or ""
    else:
        data, path = value, ""
    return media_in(data) or media_of(path) if data or path else ""


def _says(kind: pa.DataType) -> bool:
    import pyarrow as pa

    return bool(pa.types.is_string(kind) or (pa.types.is_list(kind) and pa.types.is_string(kind.value_type)))


# -- by values -------------------------------------------------------------------------------------------------------


def with_media(table: Table, folder: Path) -> Table:
    """A table of a text file in ``folder``, whose columns of paths are known as what they name, and others as what
    they say about it.

    A column is one of paths where all of its first values end as images do, or all as sounds do, and one of them lies
    in the table's folder, or in a folder below that all values of the column are taken from.
    """
    if not _names_some(folder / table.name):
        return replace(table, base=folder)
    sample = _sample(table)
    kinds: dict[str, str] = {}
    base = folder
    for column, values in sample.items():
        media = media_of_paths(values)
        found = _base_of(values, folder) if media else None
        if found is not None and (not kinds or found == base):
            kinds[column], base = named_kind(column, media), found
    if not kinds:
        return replace(table, base=folder)
    return noted(replace(table, kinds=kinds, base=base), sample)


def _names_some(path: Path) -> bool:
    """True where the first lines of a file hold a word that ends as images and sounds do: most tables need no look."""
    try:
        with open_bytes(path) as raw:
            return ENDS.search(raw.read(HEAD)) is not None
    except (OSError, EOFError, zlib.error):
        return False  # whoever reads the lines says what is wrong


def _sample(table: Table) -> dict[str, list[Any]]:
    batch = next(islice(table.batches(), 1), None)
    if batch is None:
        return {}
    cut = batch.slice(0, LOOKED_AT)
    return {name: [v for v in cut.column(name).to_pylist() if v not in (None, "")] for name in batch.schema.names}


def media_of_paths(values: Sequence[Any]) -> str:
    """``image`` or ``audio`` where all values are names of such files, be they paths or addresses."""
    if not values or not all(isinstance(value, str) for value in values):
        return ""
    kinds = {media_of(re.split("[?#]", value)[0] if is_address(value) else value) for value in values}
    return kinds.pop() if len(kinds) == 1 else ""


def is_address(value: str) -> bool:
    return "://" in value


def _base_of(values: Sequence[str], folder: Path) -> Path | None:
    """The folder that the paths are under: the table's own, or one right below it."""
    try:
        below = [entry for entry in sorted(folder.iterdir()) if entry.is_dir() and not entry.name.startswith(".")]
        for base in (folder, *below):
            if any(not posixpath.isabs(value) and (base / value).is_file() for value in values):
                return base
    except (OSError, ValueError):
        pass
    return None


def noted(table: Table, sample: Mapping[str, Sequence[Any]]) -> Table:
    """The same table, with captions, labels, boxes and the like known by the names of their columns, and taken out of
    the JSON that a file of rows holds them in."""
    kinds = dict(table.kinds)
    shapes: dict[str, tuple[pa.DataType, Convert]] = {}
    for column in table.columns:
        values = sample.get(column, [])
        if column in kinds or not values:
            continue
        if column in SHAPED and all(fits(partial(shaped, column), value) for value in values):
            kinds[column] = column
            shapes[column] = arrow_of(column), partial(shaped, column)
        elif column in CAPTIONS:
            kinds[column] = "caption"
            if all(fits(_texts, value) for value in values):
                shapes[column] = _list_of_texts(), _texts
        elif column == "label":
            kinds[column] = "label"
    return replace(table, kinds=kinds, batches=partial(_converted, table, shapes))


def _converted(table: Table, shapes: Mapping[str, tuple[pa.DataType, Convert]]) -> Iterator[pa.RecordBatch]:
    import pyarrow as pa

    row = 0
    for batch in table.batches():
        for name, (kind, convert) in shapes.items():
            cells = []
            for value in batch.column(name).to_pylist():
                row += 1
                try:
                    cells.append(None if value in (None, "") else convert(value))
                except (ValueError, TypeError, KeyError, AttributeError, RecursionError):
                    raise DataError(
                        f"{table.name} row {row}: `{brief(name)}` is not as in the first rows: {brief(str(value))}.",
                        "correct the row.",
                    ) from None
            row -= len(batch)
            at = batch.schema.get_field_index(name)
            batch = batch.set_column(at, pa.field(name, kind), pa.array(cells, kind))
        row += len(batch)
        yield batch


def fits(convert: Convert, value: Any) -> bool:
    try:
        convert(value)
    except (ValueError, TypeError, KeyError, AttributeError, RecursionError):
        return False
    return True


def _list_of_texts() -> pa.DataType:
    import pyarrow as pa

    return pa.list_(pa.string())


def _texts(value: Any) -> list[str]:
    said = _opened(value)
    if not all(isinstance(text, str) for text in said):
        raise ValueError(value)
    return said


def _opened(value: Any) -> list[Any]:
    said = json.loads(value) if isinstance(value, str) else value
    if not isinstance(said, list):
        raise ValueError(value)
    return said


def shaped(kind: str, value: Any) -> list[Any]:
    """What JSON holds as a cell of a type."""
    if kind == "label_probs":
        said = json.loads(value) if isinstance(value, str) else value
        items = said.items() if isinstance(said, dict) else [(i["label"], i["prob"]) for i in said]
        return [{"label": str(label), "prob": _number(prob)} for label, prob in items]
    if kind == "sequence":
        return [[_number(v) for v in frame] for frame in _opened(value)]
    numbers = {"boxes": ("x", "y", "w", "h"), "points": ("x", "y"), "segments": ("start", "end")}[kind]
    cells = []
    for item in _opened(value):
        cell: dict[str, Any] = {name: _number(item[name]) for name in numbers}
        cell["label"] = None if item.get("label") is None else str(item["label"])
        if kind == "boxes":
            lines = item.get("polygons")
            cell["polygons"] = lines and [[_number(v) for v in line] for line in lines]
        cells.append(cell)
    return cells


def _number(value: Any) -> float:
    if isinstance(value, bool) or not isinstance(value, int | float) or not math.isfinite(value):
        raise ValueError(value)
    return float(value)
