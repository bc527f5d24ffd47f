"""The names of classes that stand as numbers, where ``datasets`` notes them beside the column (``ClassLabel``)."""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from leaven.errors import DataError, brief

if TYPE_CHECKING:
    import pyarrow as pa

Names = Mapping[str, list[str]]


def class_names(schema: pa.Schema) -> Names:
    """For each column of classes their names, in the order of their numbers; those within lists stay numbers."""
    try:
        features = json.loads((schema.metadata or {}).get(b"huggingface", b"{}"))["info"]["features"]
        said = {name: feature["names"] for name, feature in features.items() if feature.get("_type") == "ClassLabel"}
    except (ValueError, KeyError, TypeError, AttributeError):
        return {}
    return {
        name: names
        for name, names in said.items()
        if isinstance(names, list) and all(isinstance(text, str) for text in names) and _numbers(schema, name)
    }


def _numbers(schema: pa.Schema, name: str) -> bool:
    """True for one column of whole numbers."""
    import pyarrow as pa

    at = schema.get_field_index(name)
    return at >= 0 and bool(pa.types.is_integer(schema.field(at).type))


def with_names(rows: pa.Table | pa.RecordBatch, names: Names, table: str) -> Any:
    """The same rows, with the names of classes for their numbers; one below 0 is none, as ``datasets`` has it."""
    import pyarrow as pa
    import pyarrow.compute as pc

    for column, texts in names.items():
        if not _numbers(rows.schema, column):
            continue
        numbers: Any = rows.column(column)
        numbers = pc.if_else(pc.less(numbers, 0), None, numbers)
        largest = pc.max(numbers).as_py()
        if largest is not None and largest >= len(texts):
            raise DataError(
                f"{table}: the column `{brief(column)}` holds the class {largest:,}; {len(texts):,} have names.",
                "name them all in its ClassLabel, or make it numbers: dataset.cast_column(NAME, Value('int64')).",
            )
        found = pc.take(pa.array(texts, pa.string()), numbers)
        at = rows.schema.get_field_index(column)
        rows = rows.set_column(at, pa.field(column, pa.string()), found)
    return rows
