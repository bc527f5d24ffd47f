"""Rows of the user's files, checked, renamed to the recipe's fields, and sent to the sets that they belong to."""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

from leaven.errors import DataError, brief, listed
from leaven.fields import TYPES
from leaven.io.columns import BY_NAME, OURS, Mapped, map_columns
from leaven.io.elsewhere import way_to
from leaven.io.encoded import read_media
from leaven.io.json_rows import HELD
from leaven.io.media_columns import LOOKED_AT, is_address, is_media, media_of_paths
from leaven.io.sets import ID, MEDIA_PER_PART, OWN, ROW, SPLIT_NAMES, RowSet, row_hashes
from leaven.io.table import Table, check_lengths
from leaven.io.vector_column import vectors_of
from leaven.media.broken import Broken
from leaven.records import digest, folded
from leaven.storage import MEDIA, arrow_of

if TYPE_CHECKING:
    import numpy as np
    import pyarrow as pa

BROKEN = "broken"
ASTRAY = {"no_file", "outside"}
"""Reasons of files that lie elsewhere than the table says."""
PLURAL = {"image": "images", "audio": "sounds", "text": "texts"}
DEFAULT = {"image": "classic-image", "audio": "classic-audio"}
"""The recipe that is named to whoever has such data and took one for other data."""
TEXTS = ("text", "caption", "question", "answer", "context", "lang", "group")
WIDER = {"uint8": "int16", "uint16": "int32", "uint32": "int64", "uint64": "int64", "double": "int64", "float": "int64"}
"""Labels of these types are written back as integers that every reader knows."""


class Reader:
    """``sets`` are the rows read so far; ``mapped`` and ``riding`` say which column each field was."""

    def __init__(
        self,
        folder: Path,
        fields: Mapping[str, str],
        named: Mapping[str, str],
        optional: Collection[str] = (),
        told: Callable[[str], None] = lambda what: None,
        pool: Mapping[str, str] | None = None,
    ) -> None:
        self.told = told
        self.pool = pool or {}
        """The fields that rows without a label must have, and their types; empty: all that the data has."""
        self.folder, self.fields, self.named, self.optional = folder, dict(fields), dict(named), set(optional)
        self.sets: dict[str, RowSet] = {}
        self.mapped = Mapped({}, {})
        self.of_pool: Collection[str] = ()
        """The fields that rows without a label alone have."""
        self.riding: dict[str, str] = {}
        self.riding_types: dict[str, pa.DataType] = {}
        self.stored: dict[str, str] = {}
        self.label_codes: dict[str, int] = {}
        self.widths: dict[str, int] = {}
        """How many numbers the vectors of a column have."""
        self.name = ""
        self.order: list[str] = []
        self.split = ""
        self.own_ids = False
        self.apart: set[str] = set()
        """Sets from a file of their own that no step makes from: their ids may be those of source rows."""
        self.warnings: list[str] = []
        self.broken: list[dict[str, Any]] = []
        """Rows whose image or sound cannot be read: where it lies, what is wrong, and the row's other columns."""

    def take(self, table: Table, into: str) -> None:
        """Read one table: the data itself (``into`` empty: its rows go where they belong), or a whole set."""
        if not into:
            mapped = self.begin(table)
        elif into in self.sets and into != "pool":
            raise DataError(
                f"{self.name} has rows of the split `{into}` already.", f"leave out --{into}, or the column split."
            )
        else:
            mapped = self.alike(table, into)
            if into != "pool":
                self.apart.add(into)
            if into == "given":
                self.ride_along(table, mapped)
        wrong = _Wrong(table.name)
        media = [name for name in mapped.columns if mapped.types[name] in MEDIA]
        row, before = 0, len(self.broken)
        for whole in table.batches():
            at_a_time = MEDIA_PER_PART if media else len(whole)
            for batch in (whole.slice(begin, at_a_time) for begin in range(0, len(whole), at_a_time)):
                for name, found in self.batch(batch, mapped, table, row, into, wrong):
                    self.add(name, found, table.name)
                row += len(batch)
                if media:
                    self.told(f"read {table.name}: {row:,} files")
        wrong.tell(row)
        if not row:
            raise DataError(f"{table.name} has column names and no rows.", "give at least 2 rows.")
        if len(self.broken) - before == row:
            raise _none_read(table, row, self.broken[before:])

    def begin(self, table: Table) -> Mapped:
        """Map the columns of the data; the others ride along."""
        if not self.fields:
            kinds = set(table.kinds.values())
            other = "vector" if "vector" in self.named else "text"
            kind = next((k for k in ("image", "audio") if k in kinds or k in self.named), other)
            self.fields = {kind: kind, "label": "label"}
            self.optional = {"label"} if kind != "text" else set()
        of_pool = self.pool.keys() - self.fields.keys()
        named = {name: column for name, column in self.named.items() if name not in of_pool}
        self.mapped = mapped = map_columns(table, self.fields, named, optional=self.optional)
        self.name = table.name
        self.own_ids = ID in table.columns
        self.order = [c for c in table.columns if c not in OURS]
        for name, kind in self.fields.items():
            if name not in mapped.columns and kind in ("text", "label", "vector", *MEDIA) and name not in self.optional:
                raise _no_column(table, name, kind, mapped)
        taken = set(mapped.columns.values())
        self.split = next((c for c in table.columns if c.lower() == "split" and c not in taken), "")
        self.ride_along(table, mapped)
        for said, cells in _astray(table, taken):
            if table.base is not None and not all(map(is_address, cells)):
                none = f"none of the first {len(cells):,} lies under {table.base}"
                self.warnings.append(f"{table.name}: {said}; {none}: they are read as texts")
        return mapped

    def ride_along(self, table: Table, mapped: Mapped) -> None:
        """Take the columns along that are no field: also those that candidates made elsewhere alone have, such as
        what a model said of them."""
        known = {*mapped.columns.values(), *self.riding.values(), *OURS}
        for column in table.columns:
            if column not in known:
                inside = column in mapped.types or column.startswith("_")  # a name that means something here
                self.riding[f"column.{column}" if inside else column] = column
                self.order += [] if column in self.order else [column]

    def alike(self, table: Table, into: str) -> Mapped:
        """The columns of a further table: called as in the data, or as the user said; nothing is guessed."""
        if into == "pool":
            self.join_pool(table)
        wanted = {n: t for n, t in self.mapped.types.items() if n in self.mapped.columns}
        if into == "pool":
            wanted = {n: t for n, t in wanted.items() if t != "label"}
        else:
            wanted = {n: t for n, t in wanted.items() if n not in self.of_pool}
        same = {n: c for n, c in self.mapped.columns.items() if c in table.columns and n in wanted}
        said = {n: c for n, c in self.named.items() if c in table.columns and n in wanted}
        mapped = map_columns(table, wanted, {**same, **said}, guess=False)
        for name, kind in wanted.items():
            if into == "pool" and self.pool and name not in self.pool:
                continue  # a step makes it
            if name not in mapped.columns and kind in TYPES:
                column = self.mapped.columns[name]
                raise DataError(
                    f"{table.name} has no column `{column}`, the {name} of {self.name};"
                    f" it has {listed(table.columns)}.",
                    f"call it `{column}` there too.",
                )
        return mapped

    def join_pool(self, table: Table) -> None:
        """Fields that rows without a label alone have, such as the questions and answers of plain instructions."""
        import pyarrow as pa

        own = {n: t for n, t in self.pool.items() if n not in self.mapped.types and n not in self.riding}
        columns = {name: self.named.get(name, name) for name in own}
        for name, column in columns.items():
            if column not in table.columns:
                raise DataError(
                    f"{table.name} has no column `{column}`, which the recipe needs of rows without a label;"
                    f" it has {listed(table.columns)}.",
                    f"call it `{column}` there, or name it: --field {name}=COLUMN",
                )
            self.riding_types[name] = arrow_of(own[name]) or pa.string()
        self.order += [column for column in columns.values() if column not in self.order]
        mapped = self.mapped
        self.mapped = Mapped({**mapped.columns, **columns}, {**mapped.types, **own}, mapped.guessed)
        self.of_pool = own.keys()

    def batch(
        self, batch: pa.RecordBatch, mapped: Mapped, table: Table, before: int, into: str, wrong: _Wrong
    ) -> Iterator[tuple[str, dict[str, Any]]]:
        """The rows of a batch, checked and renamed, by the set that they belong to."""
        import numpy as np
        import pyarrow as pa

        have = batch.schema.names
        columns: dict[str, Any] = {}
        values: dict[str, list[Any]] = {}
        broken: dict[int, Broken] = {}
        broken_in: dict[int, str] = {}
        for name, column in mapped.columns.items():
            kind = mapped.types[name]
            array = batch.column(column)
            if kind in MEDIA:
                array, values[name] = read_media(array, kind, table, broken)
                broken_in = dict.fromkeys(broken, column) | broken_in
            elif arrow_of(kind) is not None:
                array = self.shaped(array, kind, column, table, before)
            elif kind == "label" or (kind in TEXTS and not is_list(array)):
                self.stored.setdefault(name, WIDER.get(str(array.type), str(array.type)))
                array = self.texts(array, batch.schema.field(column), table, kind, before)
                values[name] = wrong.look(name, array, kind, before)
                if kind == "label":
                    stripped = [v.strip() or None if v else None for v in values[name]]
                    if stripped != values[name]:
                        values[name], array = stripped, pa.array(stripped, pa.string())
            else:
                array = self.ride(batch, name, column, table, before)
            columns[name] = array
        for name, column in self.riding.items():
            columns[name] = self.ride(batch, name, column, table, before)
        label = next((n for n, t in mapped.types.items() if t == "label" and n in columns), "")
        where = np.full(len(batch), into or "source", dtype=object)
        if not into:
            if label:
                where[np.array(columns[label].is_null())] = "pool"
            if self.split:
                self.by_split(batch, where, table, before)
            if "_synthetic" in have:
                where[_true(batch.column("_synthetic"))] = "given"
        for i, error in broken.items():
            where[i] = BROKEN
            self.put_aside(batch.slice(i, 1), broken_in[i], mapped, error)
        own = batch.column(ID).cast(pa.string()).to_pylist() if self.own_ids and ID in have else None
        names = list(dict.fromkeys(where))
        for name in names:
            if name == BROKEN:
                continue
            if len(names) == 1:
                picked, rows, lists = columns, np.arange(len(batch)), values
            else:
                rows = np.flatnonzero(where == name)
                picked = {n: a.take(pa.array(rows)) for n, a in columns.items()}
                lists = {n: [v[i] for i in rows] for n, v in values.items()}
            ids = [own[i] for i in rows] if own else None
            yield name, {"columns": picked, "values": lists, "rows": rows + before + 1, "ids": ids, "label": label}

    def texts(self, array: pa.Array, field: pa.Field, table: Table, kind: str, before: int) -> pa.Array:
        """A column as texts; what cannot be one is an error that says what to do."""
        import pyarrow as pa
        import pyarrow.compute as pc

        is_type = pa.types
        held = (field.metadata or {}).get(HELD, b"").decode()
        if is_type.is_string(array.type) and not held:
            return array
        if is_type.is_integer(array.type) or is_type.is_boolean(array.type) or is_type.is_null(array.type):
            return array.cast(pa.string())
        if is_type.is_binary(array.type) or is_type.is_large_binary(array.type):
            try:
                return array.cast(pa.string())
            except pa.ArrowException:
                held = "bytes"
        if is_type.is_floating(array.type) and kind == "label":
            array = pc.if_else(pc.is_nan(array), None, array)
            whole = pc.equal(pc.floor(array), array)
            if pc.all(whole).as_py() is not False and (pc.max(pc.abs(array)).as_py() or 0) < 2**53:
                return array.cast(pa.int64()).cast(pa.string())  # integers with gaps, as pandas stores them
        what = held or (
            "lists"
            if is_type.is_list(array.type)
            or is_type.is_large_list(array.type)
            or is_type.is_fixed_size_list(array.type)
            else "objects"
            if is_type.is_nested(array.type)
            else "numbers"
            if is_type.is_floating(array.type) or is_type.is_decimal(array.type)
            else "dates"
            if is_type.is_temporal(array.type)
            else str(array.type)
        )
        raise _no_texts(table.name, field.name, what, kind)

    def shaped(self, array: pa.Array, kind: str, column: str, table: Table, before: int) -> pa.Array:
        """Boxes, points and the like, as they are stored."""
        import pyarrow as pa

        wanted = arrow_of(kind)
        if kind == "vector":
            found, self.widths[column] = vectors_of(array, column, table.name, before, self.widths.get(column, 0))
            return found
        if array.type == wanted:
            return array
        try:
            return pa.array(array.to_pylist(), wanted)
        except (pa.ArrowException, TypeError):
            raise DataError(
                f"{table.name}: the column `{column}` holds {array.type}, which is no list of {kind}.",
                "rename the column, or give each as the documentation says: docs/images-and-audio.md",
            ) from None

    def put_aside(self, row: pa.RecordBatch, column: str, mapped: Mapped, error: Broken) -> None:
        """A row whose file, in this column, cannot be used: it is told of in failed/."""
        media = {column for name, column in mapped.columns.items() if mapped.types[name] in MEDIA}
        [cells] = row.to_pylist()
        path = _path_of(cells[column])
        fields = {name: (_path_of(value) if name in media else value) for name, value in cells.items()}
        self.broken.append({"path": path, "reason": error.reason, "error": error.detail, "fields": fields})

    def ride(self, batch: pa.RecordBatch, name: str, column: str, table: Table, before: int) -> pa.Array:
        """A column as it is, of the type that it has in the data."""
        import pyarrow as pa

        if column not in batch.schema.names:
            return pa.nulls(len(batch), self.riding_types.get(name, pa.string()))
        array = batch.column(column)
        kind = self.riding_types.setdefault(name, pa.string() if pa.types.is_null(array.type) else array.type)
        if array.type == kind:
            if pa.types.is_string(kind):
                check_lengths(array, table.name, before)
            return array
        try:
            return array.cast(kind)
        except pa.ArrowException:
            raise DataError(
                f"{table.name}: the column `{column}` holds {array.type}, in {self.name} {kind}.",
                "make them of one type, or leave the column out of one file.",
            ) from None

    def by_split(self, batch: pa.RecordBatch, where: np.ndarray, table: Table, before: int) -> None:
        for i, value in enumerate(batch.column(self.split).to_pylist()):
            said = SPLIT_NAMES.get(str(value or "train").strip().lower())
            if said is None:
                raise DataError(
                    f"{table.name} row {before + i + 1}: `{brief(str(value))}` in the column {self.split} is no split.",
                    "train, test, dev and validation are; rename the column if it means something else.",
                )
            if said != "train":
                where[i] = said

    def add(self, name: str, found: dict[str, Any], file: str) -> None:
        """Append rows to a set: to its file, and their hashes to its arrays."""
        import numpy as np
        import pyarrow as pa

        columns, values, label = found["columns"], found["values"], found["label"]
        into = self.sets.setdefault(name, RowSet(name, self.folder / f"reading-{name}"))
        order = [n for n in self.mapped.columns if n in columns] + [n for n in self.riding if n in columns]
        n = len(found["rows"])
        held = {name: columns[name] for name in order}
        if self.own_ids:
            ids = found["ids"] or [None] * n
            if found["ids"] and not all(ids):
                row = next(row for own, row in zip(ids, found["rows"], strict=True) if not own)
                raise DataError(
                    f"{file}: row {row} has no id.",
                    "make ids unique, or drop the column `_id`; equal rows without an id are fine.",
                )
            held[OWN], held[ROW] = pa.array(ids, pa.string()), pa.array(found["rows"], pa.int64())
        if not held:
            held[ROW] = pa.array(found["rows"], pa.int64())
        into.append(held, file)
        fields = [f for f in order if f in self.mapped.columns]
        lists = [values[f] if f in values else columns[f].to_pylist() for f in fields]
        content = row_hashes(fields, lists, n)
        into.content.append(b"".join(content))
        if found["ids"]:
            keys = [digest(own, size=8) for own in found["ids"]]
        elif self.own_ids:
            keys = [digest(file, b"%d" % row, size=8) for row in found["rows"]]  # never equal to an id's
        else:
            keys = []
        if keys:
            into.own.append(np.frombuffer(b"".join(keys), np.uint64))
        told = {*TEXTS[:-1], "image", "audio"}
        seen = [v for f, v in zip(fields, lists, strict=True) if self.mapped.types[f] in told and f in values]
        if seen:
            texts = [digest(*[folded(v or "") for v in row], size=8) for row in zip(*seen, strict=True)]
        else:
            texts = [row[:8] for row in content]
        into.texts.append(np.frombuffer(b"".join(texts), np.uint64))
        if label:
            codes = self.label_codes
            said = [-1 if v is None else codes.setdefault(v, len(codes)) for v in values[label]]
            into.labels.append(np.array(said, np.int32))
        group = next((f for f in fields if self.mapped.types[f] == "group"), "")
        if group:
            hashed = [digest(str(v), size=8) for v in values[group]]
            into.groups.append(np.frombuffer(b"".join(hashed), np.uint64))


def is_list(array: pa.Array) -> bool:
    """True for a column of several texts a row, such as five captions."""
    import pyarrow as pa

    return bool(pa.types.is_list(array.type) or pa.types.is_large_list(array.type))


def _path_of(cell: Any) -> str:
    return str(cell.get("path") or "") if isinstance(cell, dict) else str(cell or "")


def _none_read(table: Table, rows: int, broken: Sequence[Mapping[str, Any]]) -> DataError:
    """No file of a table can be read: most often its paths are from another folder."""
    first = broken[0]
    reasons = {row["reason"] for row in broken}
    column = next((name for name, value in first["fields"].items() if first["path"] and value == first["path"]), "")
    at = f", row 1, column `{brief(column)}`" if column and first["reason"] in ASTRAY else ""
    if reasons == {"not_fetched"}:
        way = "name the downloaded files by their paths, from the table's own folder"
    elif table.base and reasons <= ASTRAY:
        way = way_to(table.name, first["path"], table.base)
    else:
        way = "check that these are images or sounds"
    return DataError(
        f"{table.name}: none of its {rows:,} files can be read; the first{at}: {first['error']}.", f"{way}."
    )


class _Wrong:
    """Rows whose text cannot be used: one error with a count, once all are read."""

    def __init__(self, table: str) -> None:
        self.table = table
        self.rows: dict[tuple[str, str], list[int]] = {}
        self.counts: dict[tuple[str, str], int] = {}

    def look(self, name: str, array: pa.Array, kind: str, before: int) -> list[str | None]:
        """The values of a column, looked at."""
        import numpy as np
        import pyarrow.compute as pc

        check_lengths(array, self.table, before)
        values: list[str | None] = array.to_pylist()
        if kind == "text":
            self.found(name, "empty", [before + i + 1 for i, v in enumerate(values) if v is None or not v.strip()])
        nul = pc.fill_null(pc.match_substring(array, "\0"), False)
        if pc.any(nul).as_py():
            self.found(name, "nul", (np.flatnonzero(np.array(nul)) + before + 1).tolist())
        return values

    def found(self, name: str, what: str, rows: list[int]) -> None:
        if rows:
            key = (name, what)
            self.counts[key] = self.counts.get(key, 0) + len(rows)
            self.rows[key] = (self.rows.get(key, []) + rows)[:6]

    def tell(self, of: int) -> None:
        for (name, what), rows in self.rows.items():
            count = self.counts[name, what]
            which = f"({', '.join(map(str, rows[:5]))}{', ...' if count > 5 else ''})"
            if what == "empty":
                said, fix = f"the {name} is empty", "fill them in or remove these rows."
            else:
                said, fix = f"the {name} holds a NUL character", "remove the NUL characters or these rows."
            verb = ("is" if what == "empty" else "does") if count == 1 else ("are" if what == "empty" else "do")
            raise DataError(
                f"{self.table} row {rows[0]}: {said}; {count:,} of {of:,} rows {verb} {which}.",
                fix if count > 1 else fix.replace("fill them in", "fill it in").replace("these rows", "this row"),
            )


def _no_texts(name: str, column: str, what: str, kind: str) -> DataError:
    fixes = {
        "lists": "one label a row: make one row of each, or join them into one text.",
        "numbers": "make classes of the numbers, such as low and high; regression is not built yet.",
    }
    option = f"--{kind} COLUMN" if kind in ("text", "label") else "--field NAME=COLUMN"
    fix = fixes.get(what, "") if kind == "label" else ""
    return DataError(
        f"{name}: the column `{brief(column)}` holds {what}, not texts.",
        fix or f"write them as texts, or name another column with {option}.",
    )


def _no_column(table: Table, name: str, kind: str, mapped: Mapped) -> DataError:
    if error := _names_files(table, mapped, name):
        return error
    other = next((k for k in table.kinds.values() if k in ("image", "audio")), "")
    if other and kind in ("text", "image", "audio") and kind != other:
        holds, lacks = PLURAL[other], PLURAL[kind]
        what = f"{table.name} holds {holds} and no {lacks}; its columns are {listed(table.columns)}"
        return DataError(
            f"{what}.", f"take a recipe for {holds}, such as -r {DEFAULT[other]}; leaven recipes lists them."
        )
    looks = {"label": "a label (few values, repeated)", "text": "a text", "vector": "a vector (a list of numbers)"}.get(
        kind, f"the {name} ({kind})"
    )
    way = (
        f"name it with --{kind} COLUMN."
        if name == kind and kind in ("text", "label")
        else f"name it with --field {name}=COLUMN."
    )
    taken = ", ".join(f"`{brief(c)}` is the {n}" for n, c in mapped.columns.items() if _said(mapped, n))
    what = f"no other column looks like {looks}; {taken}" if taken else f"no column looks like {looks}"
    return DataError(f"{table.name}: {what}; it has {listed(table.columns)}.", way)


def _names_files(table: Table, mapped: Mapped, lacking: str) -> DataError | None:
    """An error where a field is lacking and a column names images or sounds that are not there."""
    for found, cells in _astray(table, set(mapped.columns.values())):
        what = f"{table.name}: {found}"
        if all(map(is_address, cells)):
            said, way = (
                "leaven fetches no address",
                "download the files, and name them by their paths from the table's own folder",
            )
        elif table.base is None:
            said, way = (
                "rows in memory name files of no folder",
                "give the images or sounds themselves, or read a table in a file",
            )
        else:
            said = f"none of the first {len(cells):,} lies under {table.base}"
            way = way_to(table.name, str(cells[0]), table.base)
        option = f"--{lacking} COLUMN" if lacking in ("text", "label") else f"--field {lacking}=COLUMN"
        return DataError(f"{what}; {said}.", f"{way}; or name the {lacking} with {option}.")
    return None


def _astray(table: Table, taken: Collection[str]) -> Iterator[tuple[str, list[str]]]:
    """Columns that name images or sounds which are not there, in words with an example; and their first values.

    None of a table that has images or sounds: what else it says of them may be their names.
    """
    batch = None if is_media(table.kinds) else next(iter(table.batches()), None)
    if batch is None:
        return
    for column in batch.schema.names:
        if column in taken:
            continue
        values = batch.column(column).slice(0, LOOKED_AT).to_pylist()
        cells = [value for value in values if value not in (None, "")]
        media = media_of_paths(cells)
        if media and (table.base is None or not any(map(partial(_is_there, table.base), cells))):
            row = values.index(cells[0]) + 1
            yield f"the column `{brief(column)}` names {PLURAL[media]}, such as {brief(cells[0])} in row {row}", cells


def _is_there(base: Path, path: str) -> bool:
    try:
        return (base / path).is_file()
    except (OSError, ValueError):
        return False


def _said(mapped: Mapped, name: str) -> bool:
    """True where a field's column was named, by the user or by its own name; not where values made it likely."""
    return mapped.guessed.get(name, BY_NAME) == BY_NAME


def _true(array: pa.Array) -> np.ndarray:
    """``_synthetic`` as booleans; in a csv it is a text."""
    import numpy as np

    return np.array([v is True or str(v).strip().lower() in ("true", "1") for v in array.to_pylist()], bool)
