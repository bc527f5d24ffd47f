"""A column of vectors: lists of finite numbers, as many in every row."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

from leaven.errors import DataError, brief
from leaven.storage import arrow_of

if TYPE_CHECKING:
    import pyarrow as pa


def vectors_of(array: pa.Array, column: str, table: str, before: int, width: int) -> tuple[pa.Array, int]:
    """The cells in 32 bits, and how many numbers each has; text files hold them as JSON.

    ``width`` is what earlier rows have, 0 where none is known; ``before`` is how many rows came before.  Raises
    DataError for other cells.
    """
    import pyarrow as pa
    import pyarrow.compute as pc

    wanted = arrow_of("vector")
    try:
        if pa.types.is_string(array.type):
            array = pa.array([json.loads(cell) if cell else None for cell in array.to_pylist()], wanted)
        found = array.cast(wanted)
    except (pa.ArrowException, ValueError, TypeError):
        raise DataError(
            f"{table}: the column `{brief(column)}` holds {array.type}, and a vector is a list of numbers.",
            "give each as [0.1, -2, ...], or name another column with --field vector=COLUMN.",
        ) from None
    widths = pc.list_value_length(found).to_pylist()
    width = width or next(filter(None, widths), 0)
    for row, own in enumerate(widths, before + 1):
        if own is not None and own != width:
            raise DataError(
                f"{table} row {row}: `{brief(column)}` has {own} numbers, and rows before it have {width}.",
                "make all vectors by one model, or leave such rows out.",
            )
    numbers = found.flatten()
    if numbers.null_count or pc.all(pc.is_finite(numbers)).as_py() is False:
        raise DataError(
            f"{table}: some numbers of `{brief(column)}` are missing or not finite.", "leave such rows out."
        )
    return found, width
