"""The rows of train/ or refused/: ids, parents, labels and scores in memory, texts only of the rows asked for."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

from leaven.records import place

FEW = 16
"""Rows with images or sounds that are read at a time."""
SMALL = ("_id", "_parents", "_scores", "_synthetic", "_step", "_reason")


class Rows:
    """The Parquet files of one folder, as one table; a folder that is not there has no rows."""

    def __init__(self, folder: Path, label: str) -> None:
        self.files = [pq.ParquetFile(path) for path in sorted(folder.glob("*.parquet"))]
        schema = self.files[0].schema_arrow if self.files else pa.schema([])
        self.columns = schema.names
        small = [name for name in dict.fromkeys((*SMALL, label)) if name in schema.names]
        self._table = pa.concat_tables([file.read(columns=small) for file in self.files]) if self.files else None
        self.ids = self._list("_id")
        every = self._list("_parents")
        self.parents = [found[0] if found else None for found in every]
        self.partners = {i: found[1:] for i, found in enumerate(every) if found and len(found) > 1}
        """The other parents of the rows that have several."""
        self.labels = [None if value is None else str(value) for value in self._list(label)]
        self.reasons = self._list("_reason")
        self.steps = self._list("_step")
        self.made = np.array(self._list("_synthetic"), bool) if "_synthetic" in small else np.ones(len(self.ids), bool)

    def __len__(self) -> int:
        return len(self.ids)

    def start_from(self, real: set[str], tables: Iterator[pa.Table]) -> None:
        """Let a row whose parent was itself made, and not written, stand beside the real row at the start of its line.

        ``tables`` have `_id` and `_root`; they are read only where they are asked for.
        """
        lost = {own: i for i, (own, p) in enumerate(zip(self.ids, self.parents, strict=True)) if p and p not in real}
        made = {p for partners in self.partners.values() for p in partners if p not in real}
        asked = pa.array([*lost, *made], pa.string())
        began: dict[str, str] = {}
        for table in tables if lost or made else ():
            here = table.filter(pc.is_in(table.column("_id"), value_set=asked))
            for own, root in zip(here.column("_id").to_pylist(), here.column("_root").to_pylist(), strict=True):
                if root in real:
                    began[own] = root
        for own, i in lost.items():
            self.parents[i] = began.get(own, self.parents[i])
        for i, partners in self.partners.items():
            self.partners[i] = [began.get(p, p) for p in partners]

    def _list(self, name: str) -> list[Any]:
        if self._table is None or name not in self._table.column_names:
            return [] if self._table is None else [None] * len(self._table)
        return list(self._table.column(name).to_pylist())

    def lists(self, column: str) -> bool:
        """True for a column of lists of texts."""
        kind = self.files[0].schema_arrow.field(column).type if column in self.columns else None
        return kind is not None and pa.types.is_list(kind) and pa.types.is_string(kind.value_type)

    def outlined(self, column: str) -> bool:
        """True where some boxes of the first rows have polygons."""
        if column not in self.columns or not self.files[0].num_row_groups:
            return False
        [first] = self.files[0].read_row_group(0, columns=[column]).columns
        boxes = pc.list_flatten(first.combine_chunks())
        return bool(pc.any(pc.is_valid(pc.struct_field(boxes, "polygons"))).as_py())

    def scores(self) -> dict[str, np.ndarray]:
        """Each score column as floats, NaN where a row has none."""
        if self._table is None or "_scores" not in self._table.column_names:
            return {}
        whole = self._table.column("_scores").combine_chunks()
        struct = whole if isinstance(whole, pa.Array) else whole.chunk(0)
        return {
            f.name: pc.fill_null(pc.struct_field(struct, f.name).cast(pa.float64()), np.nan).to_numpy(
                zero_copy_only=False
            )
            for f in struct.type
        }

    def take(self, wanted: Sequence[int], columns: Sequence[str] | None = None, most: int = 0) -> list[dict[str, Any]]:
        """Whole rows, or some columns of them, in the order asked for; texts cut after ``most`` characters and,
        where they are, with their whole length in the row's ``_length``."""
        order = np.argsort(wanted, kind="stable")
        found: list[dict[str, Any]] = [{} for _ in wanted]
        begin = at = 0
        for file in self.files:
            for group in range(file.num_row_groups):
                end = begin + file.metadata.row_group(group).num_rows
                here = []
                while at < len(order) and wanted[order[at]] < end:
                    here.append(int(order[at]))
                    at += 1
                if here:
                    table = file.read_row_group(group, columns=None if columns is None else list(columns))
                    table = table.take(pa.array([wanted[i] - begin for i in here]))
                    for i, row in zip(here, cut(table, most).to_pylist(), strict=True):
                        found[i] = row
                begin = end
        return found

    def few_at_a_time(self, wanted: Iterable[int], columns: Sequence[str]) -> Iterator[tuple[int, dict[str, Any]]]:
        """Rows with their number, in the order of the files: their images are not all in memory at once."""
        left = sorted(set(wanted), reverse=True)
        begin = 0
        for file in self.files:
            for group in range(file.num_row_groups):
                end = begin + file.metadata.row_group(group).num_rows
                if left and left[-1] < end:
                    for batch in file.iter_batches(FEW, row_groups=[group], columns=list(columns)):
                        while left and left[-1] < begin + len(batch):
                            yield left[-1], batch.slice(left[-1] - begin, 1).to_pylist()[0]
                            left.pop()
                        begin += len(batch)
                        if not left:
                            return
                begin = end


def roots(parts: Path) -> Iterator[pa.Table]:
    """`_id` and `_root` of the finished parts of the work; nothing where these were deleted."""
    for path in sorted(parts.glob("*.arrow")):
        try:
            table = pa.ipc.open_file(pa.memory_map(str(path))).read_all()
        except (OSError, pa.ArrowInvalid):
            continue
        if {"_id", "_root"} <= set(table.column_names):
            yield table.select(["_id", "_root"])


def cut(table: pa.Table, most: int) -> pa.Table:
    """A table whose texts have at most ``most`` characters (0: all), with the longest text's length as ``_length``."""
    if not most:
        return table
    lengths: Any = None
    for number, field in enumerate(table.schema):
        if pa.types.is_string(field.type) or pa.types.is_large_string(field.type):
            column = table.column(number)
            long = pc.fill_null(pc.utf8_length(column), 0)
            lengths = long if lengths is None else pc.max_element_wise(lengths, long)
            table = table.set_column(number, field.name, pc.utf8_slice_codeunits(column, 0, most))
    return table if lengths is None else table.append_column("_length", lengths)


def even(ids: Sequence[str], labels: Sequence[str | None], most: int) -> list[int]:
    """At most ``most`` rows, one of each label in turn, each label's in the order of the hash of their ids."""
    queues: dict[str | None, list[int]] = {}
    for i in sorted(range(len(ids)), key=lambda i: place(ids[i])):
        queues.setdefault(labels[i], []).append(i)
    turns = sorted((turn, place(ids[i]), i) for queue in queues.values() for turn, i in enumerate(queue[:most]))
    return [i for _, _, i in turns[:most]]
