"""Read the user's files into ``input/``: one Arrow file a set (source, dev, test, pool, given), with ids.

Rows are checked, renamed to the recipe's field names, split into sets, given their ids, and laid in the order of
``place(id)``: so a part of the work is a stretch of a file, whatever the number of workers.
"""

from __future__ import annotations

import json
import shutil
from collections import Counter
from collections.abc import Iterator, Mapping
from dataclasses import asdict, dataclass, field
from itertools import pairwise
from pathlib import Path
from typing import TYPE_CHECKING, Any

from leaven.errors import DataError
from leaven.fields import VALUE, Column
from leaven.io.columns import OURS, SPLIT_NAMES, Mapped, map_columns
from leaven.io.sorter import Sorter
from leaven.io.tables import LONGEST_CELL, Table, open_table, too_long
from leaven.records import content_hash, digest, folded, place, source_id

if TYPE_CHECKING:
    import numpy as np
    import pyarrow as pa

SETS = ("source", "dev", "test", "pool", "given")
ROWS_PER_PART = 1000
ID, ORDER = "_id", "_order"
SET_BITS = 40
"""A row's order is its place in its set; the bits above say which set."""
TEXTS = ("text", "caption", "question", "answer", "context", "lang", "group")


@dataclass
class Dataset:
    """What was read.  ``columns`` maps a field or riding column to the user's name, ``types`` to its type,
    ``stored`` to the Arrow type that it had; ``counts`` are the rows of each set, ``labels`` the source's, by label."""

    name: str
    folder: Path
    columns: dict[str, str]
    types: dict[str, str]
    stored: dict[str, str]
    order: list[str]
    counts: dict[str, int]
    labels: dict[str, int]
    fingerprint: str
    guessed: dict[str, str] = field(default_factory=dict)
    test_from: str = ""
    warnings: list[str] = field(default_factory=list)
    descriptions: dict[str, str] = field(default_factory=dict)

    def typed(self) -> dict[str, Column]:
        return {name: Column(kind) for name, kind in self.types.items()}

    def path(self, name: str) -> Path:
        return self.folder / f"{name}.arrow"

    def table(self, name: str) -> pa.Table:
        """A set, in the order of ``place(id)``, memory-mapped."""
        import pyarrow as pa

        return pa.ipc.open_file(pa.memory_map(str(self.path(name)))).read_all()

    def parts(self, name: str) -> int:
        """The number of parts of a set: a power of two above rows/1,000."""
        return 1 << max(0, (self.counts.get(name, 0) - 1) // ROWS_PER_PART).bit_length()

    def main(self, kind: str) -> str:
        """The first field of a type, or an empty text."""
        return next((name for name, t in self.types.items() if t == kind), "")

    def save(self) -> None:
        data = asdict(self)
        del data["folder"]
        (self.folder / "dataset.json").write_text(json.dumps(data, indent=1, ensure_ascii=False), "utf-8")


def load(folder: Path) -> Dataset:
    """The dataset of a run folder."""
    data = json.loads((folder / "dataset.json").read_text("utf-8"))
    return Dataset(folder=folder, **data)


def read(
    data: str,
    folder: Path,
    *,
    fields: Mapping[str, str],
    named: Mapping[str, str] | None = None,
    unlabelled: str | None = None,
    test: str | None = None,
    dev: str | None = None,
    labels: str | None = None,
    seed: int = 0,
) -> Dataset:
    """Read files into ``folder``.  ``fields`` are the recipe's (name -> type), ``named`` maps a field to a column.

    ``test`` is a file or a share of the source.  Raises DataError for what cannot be used; nothing is left in the
    folder then that a run would read.
    """
    reader = _Reader(data, folder, dict(fields), dict(named or {}), seed)
    folder.mkdir(parents=True, exist_ok=True)
    reader.take(open_table(data), "")
    if unlabelled:
        reader.take(open_table(unlabelled), "pool")
    share = _share(test)
    if test and share is None:
        reader.take(open_table(test), "test")
    if dev:
        reader.take(open_table(dev), "dev")
    if share is not None:
        reader.set_aside(share)
    return reader.finish(test, labels)


def _share(test: str | None) -> float | None:
    try:
        share = float(test or "")
    except ValueError:
        return None
    if not 0 < share < 1:
        raise DataError(f"--test {test} is neither a file nor a share between 0 and 1.", "--test 0.3")
    return share


@dataclass
class _Set:
    """One set while it is read: its rows in a file, and a few numbers a row."""

    path: Path
    schema: pa.Schema | None = None
    writer: Any = None
    content: list[bytes] = field(default_factory=list)
    texts: list[np.ndarray] = field(default_factory=list)
    labels: list[np.ndarray] = field(default_factory=list)
    groups: list[np.ndarray] = field(default_factory=list)
    ids: dict[str, int] | None = None
    rows: int = 0


class _Reader:
    def __init__(self, data: str, folder: Path, fields: dict[str, str], named: dict[str, str], seed: int) -> None:
        self.data, self.folder, self.fields, self.named, self.seed = data, folder, fields, named, seed
        self.sets: dict[str, _Set] = {}
        self.mapped = Mapped({}, {})
        self.riding: dict[str, str] = {}
        self.stored: dict[str, str] = {}
        self.label_codes: dict[str, int] = {}
        self.moved: np.ndarray | None = None
        self.warnings: list[str] = []
        self.name = ""
        self.columns_read = 0
        self.order: list[str] = []
        self.own_ids = False

    # -- reading ------------------------------------------------------------------------------------------------

    def take(self, table: Table, into: str) -> None:
        """Read one table: the data itself (``into`` empty: its rows go where they belong), or a whole set."""
        fields, named = self.fields, self.named
        if into:
            named = {n: c for n, c in self.named.items() if c in table.columns}
            same = {n: c for n, c in self.mapped.columns.items() if c in table.columns}
            named = {**same, **named}
            fields = {n: t for n, t in self.mapped.types.items() if n in self.mapped.columns}
            if into == "pool":
                fields = {n: t for n, t in fields.items() if t != "label"}
        mapped = map_columns(table, fields, named)
        if not into:
            self.mapped, self.name, self.columns_read = mapped, table.name, len(table.columns)
            self.own_ids = ID in table.columns
            self.order = [c for c in table.columns if c not in OURS]
            for name, kind in self.fields.items():
                if name not in mapped.columns and kind in ("text", "label"):
                    raise _no_column(table, name, kind)
            taken = set(mapped.columns.values()) | OURS
            for column in table.columns:
                if column not in taken:
                    self.riding[f"column.{column}" if column in mapped.types else column] = column
        elif missing := [n for n in fields if n not in mapped.columns and fields[n] in ("text", "label")]:
            raise _no_column(table, missing[0], fields[missing[0]])
        empty: dict[str, list[int]] = {}
        row = 0
        for batch in table.batches():
            for name, values in self.batch(batch, mapped, table, row, into, empty):
                self.add(name, values)
            row += len(batch)
        for name, rows in empty.items():
            raise DataError(
                f"{table.name} row {rows[0]}: the {name} is empty; {len(rows)} of {row} rows are"
                f" ({', '.join(map(str, rows[:5]))}{', ...' if len(rows) > 5 else ''}).",
                "fill them in or remove these rows.",
            )
        if not row:
            raise DataError(f"{table.name} has a header and no rows.", "give at least 2 rows.")

    def batch(
        self, batch: pa.RecordBatch, mapped: Mapped, table: Table, before: int, into: str, empty: dict[str, list[int]]
    ) -> Iterator[tuple[str, dict[str, Any]]]:
        """The rows of a batch, checked and renamed, by the set that they belong to."""
        import numpy as np
        import pyarrow as pa

        have = batch.schema.names
        columns: dict[str, Any] = {}
        for name, column in mapped.columns.items():
            kind = mapped.types[name]
            array = batch.column(column)
            if kind == "label" or kind in TEXTS:
                self.stored.setdefault(name, str(array.type))
                array = _texts(array, column, table, kind)
                for i in np.flatnonzero(np.array([v is not None and len(v) > LONGEST_CELL for v in array.to_pylist()])):
                    raise too_long(table.name, before + int(i) + 1, len(array[int(i)].as_py()))
                if kind == "text":
                    blank = [before + i + 1 for i, v in enumerate(array.to_pylist()) if v is None or not v.strip()]
                    if blank:
                        empty.setdefault(name, []).extend(blank)
                if kind == "label":
                    array = pa.array([v.strip() or None if v else None for v in array.to_pylist()], pa.string())
            columns[name] = array
        for name, column in self.riding.items():
            columns[name] = batch.column(column) if column in have else pa.nulls(len(batch), pa.string())
        label = next((n for n, t in mapped.types.items() if t == "label" and n in columns), "")
        where = np.full(len(batch), into or "source", dtype=object)
        if not into:
            if label:
                where[np.array(columns[label].is_null())] = "pool"
            if "split" in have:
                where = self.split(batch, where, table, before)
            if "_synthetic" in have:
                where[np.array(batch.column("_synthetic").fill_null(False).to_pylist(), bool)] = "given"
        own = batch.column(ID).cast(pa.string()).to_pylist() if self.own_ids and ID in have else None
        for name in dict.fromkeys(where):
            rows = np.flatnonzero(where == name)
            picked = {n: a.take(pa.array(rows)) for n, a in columns.items()}
            yield (
                name,
                {
                    "columns": picked,
                    "rows": rows + before + 1,
                    "ids": [own[i] for i in rows] if own else None,
                    "label": label,
                },
            )

    def split(self, batch: pa.RecordBatch, where: np.ndarray, table: Table, before: int) -> np.ndarray:
        values = batch.column("split").to_pylist()
        for i, value in enumerate(values):
            said = SPLIT_NAMES.get(str(value or "train").strip().lower())
            if said is None:
                raise DataError(
                    f"{table.name} row {before + i + 1}: `{value}` in the column split is no split.",
                    "train, test, dev and validation are; rename the column if it means something else.",
                )
            if said != "train":
                where[i] = said
        return where

    def add(self, name: str, found: dict[str, Any]) -> None:
        """Append rows to a set: to its file, and their hashes to its arrays."""
        import numpy as np
        import pyarrow as pa

        columns, label = found["columns"], found["label"]
        order = [n for n in self.mapped.columns if n in columns] + [n for n in self.riding if n in columns]
        arrays = [columns[n] for n in order]
        if name not in self.sets:
            self.sets[name] = _Set(self.folder / f"reading-{name}")
        into = self.sets[name]
        n = len(arrays[0])
        orders = pa.array(np.arange(into.rows, into.rows + n) + (SETS.index(name) << SET_BITS), pa.int64())
        table = pa.RecordBatch.from_arrays([*arrays, orders], names=[*order, ORDER])
        if into.writer is None:
            into.schema = table.schema
            into.writer = pa.ipc.new_stream(str(into.path), into.schema)
        else:
            table = _conform(table, into.schema)
        into.writer.write_batch(table)
        fields = [f for f in order if f in self.mapped.columns]
        values = [columns[f].to_pylist() for f in fields]
        content = [content_hash(dict(zip(fields, row, strict=True))) for row in zip(*values, strict=True)]
        texts = [f for f in fields if self.mapped.types[f] in TEXTS and self.mapped.types[f] != "group"]
        seen = [columns[f].to_pylist() for f in texts]
        keys = [digest(*(folded(v or "") for v in row), size=8) for row in zip(*seen, strict=True)]
        into.texts.append(np.frombuffer(b"".join(keys), np.uint64))
        if label:
            codes = [
                -1 if v is None else self.label_codes.setdefault(v, len(self.label_codes))
                for v in columns[label].to_pylist()
            ]
            into.labels.append(np.array(codes, np.int32))
        group = next((f for f in fields if self.mapped.types[f] == "group"), "")
        if group:
            hashed = [digest(str(v), size=8) for v in columns[group].to_pylist()]
            into.groups.append(np.frombuffer(b"".join(hashed), np.uint64))
        if found["ids"]:
            into.ids = into.ids or {}
            for own, row in zip(found["ids"], found["rows"], strict=True):
                if not own or own in into.ids:
                    what = f"id `{own}` stands in rows {into.ids[own]} and {row}" if own else f"row {row} has no id"
                    raise DataError(
                        f"{self.name}: {what}.",
                        "make ids unique, or drop the column `_id`; equal rows without an id are fine.",
                    )
                into.ids[own] = int(row)
        into.content.append(b"".join(content))
        into.rows += n

    # -- deciding -----------------------------------------------------------------------------------------------

    def set_aside(self, share: float) -> None:
        """Move a share of the source into the test set, by hash, per label; equal rows and groups stay together."""
        import numpy as np

        source = self.sets.get("source")
        if source is None or source.rows < 4:
            raise DataError(f"{self.name} has too few rows to set {share:.0%} aside.", "give a test set: --test FILE")
        if "test" in self.sets:
            raise DataError(
                f"{self.name} has rows of the split `test` already.", "leave out --test, or the column split."
            )
        texts = np.concatenate(source.texts)
        together = np.concatenate(source.groups) if source.groups else texts
        labels = np.concatenate(source.labels) if source.labels else np.zeros(source.rows, np.int32)
        with np.errstate(over="ignore"):  # a multiplicative hash of (key, seed): the same for equal rows
            mixed = (together ^ np.uint64(self.seed * 0x9E3779B97F4A7C15 & (2**64 - 1))) * np.uint64(0xBF58476D1CE4E5B9)
            mixed ^= mixed >> np.uint64(31)
        moved = np.zeros(source.rows, bool)
        for code in np.unique(labels):
            mine = np.flatnonzero(labels == code)
            order = mine[np.argsort(mixed[mine], kind="stable")]
            take = min(len(mine) - 1, max(1 if len(mine) > 1 else 0, round(share * len(mine))))
            moved[order[:take]] = True
        moved = np.isin(together, together[moved])
        for code in np.unique(labels):  # a group may have taken all rows of a label along: leave it whole in the source
            mine = labels == code
            if moved[mine].all():
                moved[np.isin(together, together[mine])] = False
        self.moved = moved

    def finish(self, test: str | None, labels: str | None) -> Dataset:
        import numpy as np

        if "source" not in self.sets:
            raise DataError(f"{self.name} has no labelled rows to start from.", "fill in the label of some rows.")
        for into in self.sets.values():
            if into.writer is not None:
                into.writer.close()
        gone = self.leaks()
        label_counts = self.count_labels(gone)
        for name in SETS:
            (self.folder / f"{name}.arrow").unlink(missing_ok=True)
        counts: dict[str, int] = {}
        prints: list[bytes] = []
        for name in SETS:
            picks = [(s, keep) for s, keep in self.pieces(name, gone) if s.rows]
            rows = sum(s.rows if keep is None else int(keep.sum()) for s, keep in picks)
            if rows:
                counts[name] = rows
                prints.append(self.write(name, picks, rows))
        for into in self.sets.values():
            into.path.unlink(missing_ok=True)
        where = {"file": Path(test).name if test else "", "share": f"{test} of {self.name}"}
        dataset = Dataset(
            name=self.name,
            folder=self.folder,
            columns={**self.mapped.columns, **self.riding},
            types={**{n: self.mapped.types[n] for n in self.mapped.columns}, **dict.fromkeys(self.riding, VALUE)},
            stored=self.stored,
            order=self.order,
            counts=counts,
            labels=label_counts,
            fingerprint=digest(*prints).hex(),
            guessed=dict(self.mapped.guessed),
            test_from=(where["share"] if self.moved is not None else where["file"] or "the split column")
            if counts.get("test")
            else "",
            warnings=self.warnings,
            descriptions=read_labels(labels) if labels else {},
        )
        if np.asarray(list(label_counts.values())).size == 1 and dataset.main("label"):
            value = next(iter(label_counts))
            shutil.rmtree(self.folder, ignore_errors=True)
            column = self.mapped.columns[dataset.main("label")]
            raise DataError(
                f'{self.name}: the label `{column}` has one value only, "{value}", in {counts["source"]} rows.',
                "name another column with --label COLUMN, or add rows of a second label.",
            )
        dataset.save()
        return dataset

    def leaks(self) -> np.ndarray | None:
        """Source rows that stand in the test set too (case and blanks folded): they leave the source."""
        import numpy as np

        test, source = self.sets.get("test"), self.sets["source"]
        if test is None:
            return None
        gone = np.isin(np.concatenate(source.texts), np.concatenate(test.texts))
        if not gone.any():
            return None
        if gone.all():
            raise DataError(f"{self.name}: every row stands in the test set too.", "give other rows with --test FILE.")
        n = int(gone.sum())
        rows = "row stands" if n == 1 else "rows stand"
        self.warnings.append(f"{n} source {rows} in the test set too; left out of the source")
        return gone

    def count_labels(self, gone: np.ndarray | None) -> dict[str, int]:
        import numpy as np

        source = self.sets["source"]
        if not source.labels:
            return {}
        codes = np.concatenate(source.labels)
        stay = np.ones(len(codes), bool)
        for mask in (gone, self.moved):
            if mask is not None:
                stay &= ~mask
        found = np.bincount(codes[stay], minlength=len(self.label_codes))
        return {name: int(found[code]) for name, code in sorted(self.label_codes.items()) if found[code]}

    def pieces(self, name: str, gone: np.ndarray | None) -> Iterator[tuple[_Set, np.ndarray | None]]:
        import numpy as np

        if name == "source":
            stay = np.ones(self.sets["source"].rows, bool)
            for mask in (gone, self.moved):
                if mask is not None:
                    stay &= ~mask
            yield self.sets["source"], stay
        elif name == "test" and self.moved is not None:
            yield self.sets["source"], self.moved
        elif name in self.sets:
            yield self.sets[name], None

    def write(self, name: str, pieces: list[tuple[_Set, np.ndarray | None]], rows: int) -> bytes:
        """Write a set in the order of its places, a record batch a part; its fingerprint."""
        import numpy as np
        import pyarrow as pa

        [(piece, keep)] = pieces
        assert piece.schema is not None
        schema = pa.schema([pa.field(ID, pa.string()), *piece.schema])
        content = b"".join(piece.content)
        occurrence = _occurrences(content)
        own = list(piece.ids) if piece.ids else None
        parts = 1 << max(0, (rows - 1) // ROWS_PER_PART).bit_length()
        with Sorter(self.folder / "sorting", schema, rows) as sorter:
            done = 0
            with pa.OSFile(str(piece.path), "rb") as raw:
                for batch in pa.ipc.open_stream(raw):
                    n = len(batch)
                    if own:
                        ids = own[done : done + n]
                    else:
                        ids = [
                            source_id(content[16 * i : 16 * i + 16], int(occurrence[i])) for i in range(done, done + n)
                        ]
                    keys = np.array([place(i) for i in ids], np.uint64)
                    arrays = [pa.array(ids, pa.string()), *batch.columns]
                    table = pa.RecordBatch.from_arrays(arrays, schema=schema)
                    if keep is not None:
                        mask = keep[done : done + n]
                        table, keys = table.filter(pa.array(mask)), keys[mask]
                    if len(table):
                        sorter.add(table, keys)
                    done += n
            hasher = [name.encode()]
            path = self.folder / f"{name}.arrow"
            with pa.OSFile(str(path), "wb") as sink, pa.ipc.new_file(sink, schema) as writer:
                files = 2**sorter.bits
                for number, (table, keys) in enumerate(sorter.tables()):
                    each = max(1, parts // files)
                    bits = np.uint64(64 - (parts.bit_length() - 1)) if parts > 1 else None
                    where = (keys >> bits).astype(np.int64) if bits is not None else np.zeros(len(keys), np.int64)
                    edges = np.searchsorted(where, np.arange(number * each, (number + 1) * each + 1))
                    for low, high in pairwise(edges):
                        batch = _one_batch(table.slice(low, high - low), schema)
                        writer.write_batch(batch)
                    hasher.append(digest(*(v for v in table.column(ID).to_pylist())))
                    hasher.append(table_print(table))
        (self.folder / "sorting").rmdir()
        return digest(*hasher)


def table_print(table: pa.Table | pa.RecordBatch) -> bytes:
    """A hash of the content of a table, whatever its layout in memory."""
    import pyarrow as pa

    sink = pa.BufferOutputStream()
    flat = table.combine_chunks() if isinstance(table, pa.Table) else pa.Table.from_batches([table]).combine_chunks()
    trimmed = flat.take(pa.array(range(len(flat)))) if len(flat) else flat
    with pa.ipc.new_stream(sink, trimmed.schema) as writer:
        writer.write_table(trimmed)
    return digest(sink.getvalue().to_pybytes())


def read_labels(path: str) -> dict[str, str]:
    """Class names and what they mean: yaml ``NAME: text``, or csv ``label,name,about``."""
    from leaven.plain_yaml import Map, load_file

    if path.endswith((".yaml", ".yml")):
        data = load_file(Path(path))
        if not isinstance(data, Map):
            raise DataError("a file of labels is `NAME: text` on each line.", "refund: asks for money back", where=path)
        return {key: str(value) for key, value in data.items()}
    table = open_table(path)
    if "label" not in table.columns or "about" not in table.columns:
        raise DataError(f"{table.name} has no columns `label` and `about`.", "label,name,about", where=path)
    return {
        str(row["label"]): str(row["about"] or row.get("name") or row["label"])
        for batch in table.batches()
        for row in batch.to_pylist()
    }


def _occurrences(content: bytes) -> np.ndarray:
    """For each row, how many equal rows stand before it."""
    import numpy as np

    halves = np.frombuffer(content, np.uint64).reshape(-1, 2)
    order = np.lexsort((halves[:, 1], halves[:, 0]))
    same = np.zeros(len(halves), bool)
    same[1:] = (halves[order[1:]] == halves[order[:-1]]).all(axis=1)
    index = np.arange(len(halves))
    starts = np.maximum.accumulate(np.where(same, 0, index))
    found = np.empty(len(halves), np.int64)
    found[order] = index - starts
    return found


def _texts(array: pa.Array, column: str, table: Table, kind: str) -> pa.Array:
    import pyarrow as pa

    if pa.types.is_string(array.type):
        return array
    if pa.types.is_integer(array.type) or pa.types.is_boolean(array.type) or pa.types.is_null(array.type):
        return array.cast(pa.string())
    what = "lists" if pa.types.is_nested(array.type) else "numbers" if pa.types.is_floating(array.type) else array.type
    fix = "one label a row: make one row of each, or join them into one text" if kind == "label" else "make it a text"
    if what == "numbers" and kind == "label":
        fix = "make classes of the numbers, such as low and high; regression is not built yet"
    raise DataError(f"{table.name}: the column `{column}` holds {what}, not texts.", f"{fix}.")


def _conform(batch: pa.RecordBatch, schema: pa.Schema | None) -> pa.RecordBatch:
    import pyarrow as pa

    assert schema is not None
    if batch.schema == schema:
        return batch
    arrays = [
        batch.column(f.name).cast(f.type) if f.name in batch.schema.names else pa.nulls(len(batch), f.type)
        for f in schema
    ]
    return pa.RecordBatch.from_arrays(arrays, schema=schema)


def _one_batch(table: pa.Table, schema: pa.Schema) -> pa.RecordBatch:
    import pyarrow as pa

    found = table.combine_chunks().to_batches()
    return found[0] if found else pa.RecordBatch.from_pylist([], schema=schema)


def _no_column(table: Table, name: str, kind: str) -> DataError:
    looks = {"label": "a label (few values, repeated)", "text": "a text"}[kind]
    return DataError(
        f"{table.name}: no column looks like {looks}; it has {', '.join(table.columns)}.",
        f"name it with --{kind} COLUMN." if name == kind else f"name it with --field {name}=COLUMN.",
    )


__all__ = ["SETS", "Counter", "Dataset", "load", "read", "read_labels", "table_print"]
