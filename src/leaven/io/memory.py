"""Rows that are in memory already: a DataFrame, an Arrow table, a list of dicts, a Dataset of ``datasets``.

They are read as a file with the same content would be: the same ids, checks and errors.  A package is asked about its
objects only where it was imported already, so none is loaded here.
"""

from __future__ import annotations

import json
import math
import os
import sys
from collections.abc import Iterable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from leaven.errors import DataError, brief
from leaven.io.class_names import class_names, with_names
from leaven.io.json_rows import HELD
from leaven.io.media_columns import FEATURES, FEW, is_media, kinds_of
from leaven.io.media_values import cells_of
from leaven.io.table import BATCH, SPLIT, Table, check_names, plain_type, with_split
from leaven.storage import arrow_of

if TYPE_CHECKING:
    import pyarrow as pa

GIVE = "give a file, a DataFrame, a list of dicts, or a Dataset."
MISSING = ("NAType", "NaTType")


def open_memory(data: Any) -> Table:
    """Open rows as a table.  Raises DataError for what holds none."""
    if _is(data, "datasets", "DatasetDict"):
        return of_datasets(_named("DatasetDict", sum(map(len, data.values()))), dict(data.items()))
    if _is(data, "datasets", "Dataset"):
        return of_datasets(_named("Dataset", len(data)), {"": data})
    if _is(data, "pandas", "DataFrame"):
        return _of_frame(data)
    if hasattr(data, "__arrow_c_stream__"):
        return _of_arrow(data)
    if isinstance(data, Mapping) or not isinstance(data, Iterable) or isinstance(data, bytes):
        raise DataError(f"a {type(data).__name__} is no table of rows.", GIVE)
    return _of_dicts(data)


def _is(data: Any, package: str, name: str) -> bool:
    kind = getattr(sys.modules.get(package), name, None)
    return isinstance(kind, type) and isinstance(data, kind)


def _named(kind: str, rows: int) -> str:
    return f"{kind}, {rows:,} row{'' if rows == 1 else 's'}"


def of_datasets(name: str, splits: Mapping[str, Any], within: Path | None = None) -> Table:
    """Datasets of the package ``datasets``, by their splits; a split without a name makes no column."""
    columns = list(next(iter(splits.values())).column_names) if splits else []
    if not columns:
        raise DataError(f"{name} holds no rows.", "give at least 2 rows.")
    split_column = [SPLIT] if any(splits) and SPLIT not in columns else []
    first = next(iter(splits.values()))
    names = {split: class_names(part.features.arrow_schema) for split, part in splits.items()}
    kinds = kinds_of(first.features.arrow_schema)
    media = [c for c, said in first.features.items() if type(said).__name__ in FEATURES]

    def batches() -> Iterator[pa.RecordBatch]:
        for split, part in splits.items():
            for table in part.with_format("arrow").iter(FEW if media else BATCH):
                for batch in _plain(with_names(table, names[split], name)).to_batches():
                    yield with_split(_with_bytes(batch, media, within), split)

    return Table(name, [*columns, *split_column], batches, kinds)


def _with_bytes(batch: pa.RecordBatch, media: Sequence[str], within: Path | None) -> pa.RecordBatch:
    """What ``datasets`` holds as paths, with the bytes of the files: they lie where its loader found them.

    Of a dataset that came from the hub only files ``within`` its cache are read: a path in it may name any.
    """
    import pyarrow as pa

    for name in media:
        cells = batch.column(name).to_pylist()
        if all(cell is None or cell["bytes"] is not None or not cell["path"] for cell in cells):
            continue
        for cell in cells:
            if cell is not None and cell["bytes"] is None and cell["path"]:
                path = Path(os.path.realpath(cell["path"]))
                if (within is None or path.is_relative_to(os.path.realpath(within))) and path.is_file():
                    cell["bytes"] = path.read_bytes()
        at = batch.schema.get_field_index(name)
        batch = batch.set_column(at, pa.field(name, arrow_of("image")), pa.array(cells, arrow_of("image")))
    return batch


def _of_frame(frame: Any) -> Table:
    """A pandas DataFrame; its index is no column."""
    import pyarrow as pa

    names = [str(column) for column in frame.columns]
    name = _named("DataFrame", len(frame))
    check_names(name, names, "")
    arrays, kinds = [], []
    for i, column in enumerate(names):
        series = frame.iloc[:, i]
        try:
            arrays.append(pa.array(series, from_pandas=True))
            kinds.append("")
        except (pa.ArrowException, OverflowError, UnicodeEncodeError):
            array, kind = column_of(series.tolist(), name, column)
            arrays.append(array)
            kinds.append(kind)
    return _of_table(pa.table(arrays, schema=_schema(names, arrays, kinds)), name)


def _of_arrow(data: Any) -> Table:
    """What hands its rows over as Arrow does: a pyarrow Table, a polars DataFrame, rows of a run."""
    import pyarrow as pa

    kind = type(data).__name__
    try:
        table = pa.table(data)
    except (pa.ArrowException, TypeError, ValueError):
        raise DataError(f"a {kind} is no table of rows.", GIVE) from None
    name = _named(kind, len(table))
    check_names(name, table.column_names, "")
    return _of_table(with_names(table, class_names(table.schema), name), name)


def _of_dicts(data: Iterable[Any]) -> Table:
    """Dicts, one for each row; a key that a row lacks is empty there."""
    import pyarrow as pa

    rows: Sequence[Any] = data if isinstance(data, Sequence) else list(data)
    name = _named(type(data).__name__, len(rows))
    names: dict[str, None] = {}
    for number, row in enumerate(rows, 1):
        if not isinstance(row, Mapping):
            raise DataError(
                f"{name}: entry {number} is a {type(row).__name__}, not a dict.",
                'each row is a dict: {"text": "...", "label": "..."}',
            )
        names.update(dict.fromkeys(row))
    if not names:
        raise DataError(f"{name} holds no rows.", "give at least 2 dicts.")
    found = [column_of([row.get(key) for row in rows], name, str(key)) for key in names]
    columns = [str(key) for key in names]
    check_names(name, columns, "")
    arrays = [array for array, _ in found]
    return _of_table(pa.table(arrays, schema=_schema(columns, arrays, [kind for _, kind in found])), name)


def _of_table(table: pa.Table, name: str) -> Table:
    plain = _plain(table)
    kinds = kinds_of(plain.schema, lambda: _first(plain))
    size = FEW if is_media(kinds) else BATCH
    return Table(name, plain.column_names, lambda: iter(plain.to_batches(max_chunksize=size)), kinds)


def _first(table: pa.Table) -> dict[str, Any]:
    """The first value of each column that is one."""
    return {name: next((v.as_py() for v in table.column(name) if v.is_valid), None) for name in table.column_names}


def _plain(table: pa.Table) -> pa.Table:
    import pyarrow as pa

    return table.cast(pa.schema([pa.field(f.name, plain_type(f.type), metadata=f.metadata) for f in table.schema]))


def _schema(names: Sequence[str], arrays: Sequence[Any], kinds: Sequence[str]) -> pa.Schema:
    """The columns with what was nested in them, where they hold it as JSON."""
    import pyarrow as pa

    return pa.schema(
        [
            pa.field(name, array.type, metadata={HELD: kind} if kind else None)
            for name, array, kind in zip(names, arrays, kinds, strict=True)
        ]
    )


def column_of(values: Sequence[Any], table: str, name: str) -> tuple[pa.Array, str]:
    """Python values as an array, and what is nested in them.  Those of several types are texts, as in JSON files;
    images and sounds are bytes and paths, and boxes and the like what they are in every table."""
    import pyarrow as pa

    known = cells_of(values, name)
    if known is not None:
        return known, ""
    kind = ""
    try:
        array = pa.array([None if _missing(value) else value for value in values])
        if not pa.types.is_nested(array.type):
            return array, ""
        kind = "objects" if pa.types.is_struct(array.type) else "lists"
    except UnicodeEncodeError:
        pass
    except (pa.ArrowException, OverflowError, TypeError, ValueError):
        held = {type(v) for v in values}
        nested = [
            word for word, t in (("lists", (list, tuple)), ("objects", Mapping)) if any(issubclass(h, t) for h in held)
        ]
        kind = " and ".join(nested)
    try:
        return pa.array([_text(value, bool(kind)) for value in values], pa.string()), kind
    except UnicodeEncodeError:
        row = next(i for i, v in enumerate(values, 1) if _halved(_text(v, bool(kind))))
        raise DataError(
            f"{table} row {row}: `{brief(name)}` holds half a character.", "remove it, or write the whole pair."
        ) from None


def _text(value: Any, nested: bool) -> str | None:
    if _missing(value):
        return None
    return value if isinstance(value, str) and not nested else json.dumps(value, ensure_ascii=False, default=_said)


def _missing(value: Any) -> bool:
    """True for what pandas takes for no value."""
    return value is None or type(value).__name__ in MISSING or (isinstance(value, float) and math.isnan(value))


def _said(value: Any) -> Any:
    """What JSON has no word for: what numpy holds as its numbers, anything else as its text."""
    return value.tolist() if hasattr(value, "tolist") else str(value)


def _halved(text: str | None) -> bool:
    return text is not None and any("\ud800" <= sign <= "\udfff" for sign in text)
