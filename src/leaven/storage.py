"""How the values of each type of field stand in Arrow tables, and how they come back as what operators work on.

A text, a label or a number stands as it is.  Images and sounds are their encoded bytes and the path that they came
from, as ``datasets`` writes them; boxes, points, segments and soft labels are lists of small structs.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from typing import TYPE_CHECKING, Any

from leaven.media.audio import Audio
from leaven.media.broken import Broken
from leaven.media.image import Image

if TYPE_CHECKING:
    import pyarrow as pa

IMAGES = ("image", "mask", "map")
MEDIA = (*IMAGES, "audio")
"""Types whose values are bytes to decode."""
NOTED_ON = {"image": ("boxes", "mask", "points", "map"), "audio": ("segments",)}
"""What says where something is in an image, or when in a sound: untrue once that changes, unless it is moved along."""
ANNOTATIONS = frozenset(kind for kinds in NOTED_ON.values() for kind in kinds)

JSON = "json"
"""The kind of a column whose values a step noted and no type of ours has a way for: it stands as JSON."""
MARKED = ("boxes", "mask", "points", "segments", "caption")
"""What may be marked on an image or a sound that has no label."""
Value = Any


def arrow_of(kind: str) -> pa.DataType | None:
    """The Arrow type of a type of field; None where values of many shapes have it (kept as JSON, or as read)."""
    import pyarrow as pa

    if kind in MEDIA:
        return pa.struct([("bytes", pa.binary()), ("path", pa.string())])
    if kind == "boxes":
        numbers = [(name, pa.float64()) for name in ("x", "y", "w", "h")]
        return pa.list_(pa.struct([*numbers, ("label", pa.string()), ("polygons", pa.list_(pa.list_(pa.float64())))]))
    if kind == "points":
        return pa.list_(pa.struct([("x", pa.float64()), ("y", pa.float64()), ("label", pa.string())]))
    if kind == "segments":
        return pa.list_(pa.struct([("start", pa.float64()), ("end", pa.float64()), ("label", pa.string())]))
    if kind == "label_probs":
        return pa.list_(pa.struct([("label", pa.string()), ("prob", pa.float64())]))
    if kind == "sequence":
        return pa.list_(pa.list_(pa.float32()))
    if kind == "vector":
        return pa.list_(pa.float32())
    return None


def to_values(kind: str, column: Sequence[Any]) -> list[Value]:
    """Cells of a table as what operators work on."""
    decode = _DECODE.get(kind)
    return [None if cell is None else decode(cell) for cell in column] if decode else list(column)


def to_cells(kind: str, values: Sequence[Value]) -> list[Any]:
    """What operators work on as cells of a table."""
    encode = _ENCODE.get(kind)
    return [None if value is None else encode(value) for value in values] if encode else list(values)


def decoded_size(fields: Mapping[str, Any]) -> int:
    """About how many bytes the pixels and samples among a record's fields take, by the headers of the files."""
    size = 0
    for value in fields.values():
        if isinstance(value, Image):
            with suppress(Broken):
                width, height = value.size
                size += 3 * width * height
        elif isinstance(value, Audio):
            size += 8 * len(value.encoded)  # 4 of a wav of 16 bits in one channel, 20 of an mp3
    return size


def settle(fields: Mapping[str, Any]) -> None:
    """Encode the media among a record's fields, and let their pixels and samples go."""
    for value in fields.values():
        if isinstance(value, Image | Audio):
            value.settle()


def _numbers(cell: Any) -> Any:
    import numpy as np

    return np.array(cell, np.float32)


def _dict_of(kind: str) -> Callable[[Any], list[dict[str, Any]]]:
    names = {"boxes": ("x", "y", "w", "h", "label", "polygons"), "points": ("x", "y", "label")}
    wanted = names.get(kind, ("start", "end", "label"))

    def cells(value: Any) -> list[dict[str, Any]]:
        return [{name: item.get(name) for name in wanted} for item in value]

    return cells


_DECODE: dict[str, Callable[[Any], Value]] = {
    **dict.fromkeys(IMAGES, lambda cell: Image(cell["bytes"], cell["path"] or "")),
    "audio": lambda cell: Audio(cell["bytes"], cell["path"] or ""),
    "label_probs": lambda cell: {item["label"]: item["prob"] for item in cell},
    "sequence": _numbers,
    "vector": _numbers,
    JSON: json.loads,
}
_ENCODE: dict[str, Callable[[Value], Any]] = {
    **dict.fromkeys(MEDIA, lambda value: {"bytes": value.encoded, "path": value.path or None}),
    "label_probs": lambda value: [{"label": str(label), "prob": float(p)} for label, p in value.items()],
    "sequence": lambda value: [list(map(float, row)) for row in value],
    "vector": lambda value: list(map(float, value)),
    **{kind: _dict_of(kind) for kind in ("boxes", "points", "segments")},
}
