"""Tables to records and back: outside a part rows are Arrow columns, inside they are records."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from leaven.engine.stage import BELOW, DECIDED, GOES_ON, HEAD, STEPS, Stage
from leaven.fields import SCORE, VALUE, Column
from leaven.io.dataset import SET_BITS, SETS
from leaven.records import Record
from leaven.storage import JSON, arrow_of, to_cells, to_values


def arrow_type(column: Column, stored: pa.DataType | None) -> pa.DataType:
    """How a column stands in a table: as it was read, a score as a number, images and the like in their own way,
    anything else as JSON."""
    if stored is not None:
        return stored
    return pa.float64() if column.type == SCORE else arrow_of(column.type) or pa.string()


def kind_of(name: str, stage: Stage) -> str:
    """The type of a column; one that was copied from the parent or the root has that one's."""
    line, _, own = name.partition(".")
    column = stage.columns.get(own if line in ("parent", "root") else name)
    return column.type if column else VALUE


def kinds_of(columns: Mapping[str, Column], data: pa.Schema) -> dict[str, str]:
    """How the values of each column come out of a table: what steps noted, and no type has a way for, is JSON."""
    noted = {name for name, column in columns.items() if column.type == VALUE and name not in data.names}
    return {name: JSON if name in noted else column.type for name, column in columns.items()}


def to_records(table: pa.Table | pa.RecordBatch, stage: Stage) -> list[Record]:
    """The rows as records.  A source table has no history yet: each row is its own root."""
    data = frozenset(stage.schema.names)
    names = [n for n in table.schema.names if not n.startswith("_")]
    values = [
        [None if v is None else json.loads(v) for v in column]
        if _is_json(name, stage)
        else to_values(kind_of(name, stage), column)
        for name, column in ((n, table.column(n).to_pylist()) for n in names)
    ]
    every = data.issuperset(names)
    rows: Iterator[dict[str, Any]] = (
        dict(zip(names, row, strict=True))
        if every
        else {n: v for n, v in zip(names, row, strict=True) if v is not None or n in data}
        for row in (zip(*values, strict=True) if names else iter([()] * table.num_rows))
    )
    ids, orders = table.column("_id").to_pylist(), table.column("_order").to_pylist()
    if "_root" not in table.schema.names:
        given = SETS.index("given")
        return [
            Record(i, row, i, order, made=order >> SET_BITS == given)
            for i, row, order in zip(ids, rows, orders, strict=True)
        ]
    return [
        Record(i, row, root, order, parents, steps, made, tuple(branch.split(BELOW)) if branch else ())
        for i, row, root, order, parents, steps, made, branch in zip(
            ids,
            rows,
            table.column("_root").to_pylist(),
            orders,
            _lists(table.column("_parents"), lambda flat: flat.to_pylist()),
            _lists(
                table.column("_steps"), lambda flat: list(zip(*(c.to_pylist() for c in flat.flatten()), strict=True))
            ),
            table.column("_made").to_pylist(),
            table.column("_branch").to_pylist(),
            strict=True,
        )
    ]


def _lists(column: pa.ChunkedArray, decode: Callable[[pa.Array], list[Any]]) -> list[tuple[Any, ...]]:
    """The lists of a column as tuples: all their items decoded at once, then dealt out."""
    flat = decode(pa.concat_arrays([chunk.flatten() for chunk in column.chunks])) if column.num_chunks else []
    found, at = [], 0
    for length in pc.list_value_length(column).to_pylist():
        found.append(tuple(flat[at : at + length]))
        at += length
    return found


def _listed(items: pa.Array, lengths: list[int], kind: pa.DataType) -> pa.Array:
    """A column of lists from all their items."""
    offsets = np.concatenate(([0], np.cumsum(lengths, dtype=np.int64))).astype(np.int32)
    return pa.ListArray.from_arrays(pa.array(offsets), items, type=kind)


def _is_json(name: str, stage: Stage) -> bool:
    if name in stage.schema.names:
        return False
    if name.startswith(("parent.", "root.")):
        return arrow_of(kind_of(name, stage)) is None
    column = stage.columns.get(name)
    return column is not None and column.type == VALUE


def schema_of(stage: Stage) -> pa.Schema:
    """How the parts of a stage are stored."""
    schema = HEAD
    lineage = [f"parent.{n}" for n in sorted(stage.lineage[0])] + [f"root.{n}" for n in sorted(stage.lineage[1])]
    for name in [*stage.columns, *lineage]:
        column = stage.columns.get(name) or Column(_native(name, stage), written=False)
        stored = stage.schema.field(name).type if name in stage.schema.names else None
        schema = schema.append(pa.field(name, arrow_type(column, stored)))
    return schema


def _native(name: str, stage: Stage) -> str:
    """The type that a copied column is stored as: the original's where that has a way of its own, else JSON."""
    kind = kind_of(name, stage)
    return kind if arrow_of(kind) is not None else VALUE


def to_table(
    records: Sequence[Record], out: Sequence[tuple[int, Record]], extra: Mapping[str, pa.Array], stage: Stage
) -> pa.Table:
    """The part as it is stored: first the records that go on, then those that do not."""
    every = [*records, *(record for _, record in out)]
    entries = [entry for r in every for entry in r.steps]
    steps = pa.StructArray.from_arrays(
        [pa.array([e[i] for e in entries], STEPS.value_type.field(i).type) for i in range(3)],
        fields=list(STEPS.value_type),
    )
    parents = pa.array([parent for r in every for parent in r.parents], pa.string())
    arrays: dict[str, Any] = {
        "_id": [r.id for r in every],
        "_order": [r.order for r in every],
        "_root": [r.root for r in every],
        "_parents": _listed(parents, [len(r.parents) for r in every], HEAD.field("_parents").type),
        "_steps": _listed(steps, [len(r.steps) for r in every], STEPS),
        "_made": [r.made for r in every],
        "_branch": [BELOW.join(r.branch) for r in every],
        "_state": [GOES_ON] * len(records) + [state for state, _ in out],
        "_step": [r.step for r in every],
        "_reason": [r.reason for r in every],
        "_detail": [r.detail for r in every],
    }
    schema = schema_of(stage)
    for field in list(schema)[len(HEAD) :]:
        values = [r.fields.get(field.name) for r in every]
        if _is_json(field.name, stage):
            values = [None if v is None else json.dumps(v, ensure_ascii=False, default=str) for v in values]
        elif not pa.types.is_string(field.type):
            values = to_cells(kind_of(field.name, stage), values)
        else:
            values = [v if v is None or isinstance(v, str) else _text(v) for v in values]
        arrays[field.name] = values
    table = pa.Table.from_pydict(arrays, schema=schema)
    for name, array in extra.items():
        table = table.append_column(name, pa.concat_arrays([array, pa.nulls(len(out), array.type)]))
    return table


def in_one(tables: Sequence[pa.Table], stage: Stage) -> pa.Table:
    """Tables of one part as one, with the columns of the stage; what a row lacks is null."""
    schema = schema_of(stage)
    for field in tables[0].schema:
        if field.name.startswith(DECIDED):
            schema = schema.append(field)
    whole = [
        pa.Table.from_arrays(
            [t.column(f.name) if f.name in t.column_names else pa.nulls(len(t), f.type) for f in schema], schema=schema
        )
        for t in tables
    ]
    return pa.concat_tables(whole)


def _text(value: Any) -> str:
    return str(value) if isinstance(value, int | float | bool) else json.dumps(value, ensure_ascii=False, default=str)
