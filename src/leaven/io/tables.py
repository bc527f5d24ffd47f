"""Open a file or folder as a table: csv, tsv, json, jsonl, Parquet, a folder saved by ``datasets``, a hub id.

A table is column names and a function that gives Arrow batches, so that a million rows never stand in memory at once.
The csv reader is the standard library's: it names the line of a ragged row, and leaves "007" a text.
"""

from __future__ import annotations

import csv
import gzip
import io
import json
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import IO, TYPE_CHECKING, Any

from leaven.errors import DataError, MissingExtra, nearest

if TYPE_CHECKING:
    import pyarrow as pa

BATCH = 8192
LONGEST_CELL = 1_000_000
SPLIT = "split"


@dataclass(frozen=True)
class Table:
    """``name`` is what people call it, ``batches`` reads it anew at each call."""

    name: str
    columns: list[str]
    batches: Callable[[], Iterator[pa.RecordBatch]]


def open_table(where: str) -> Table:
    """Open what a user named.  Raises DataError with the file, the row and the way out."""
    if where.startswith("hf://"):
        return _hub(where.removeprefix("hf://"))
    path = Path(where)
    if not path.exists():
        here = [p.name for p in path.parent.iterdir()] if path.parent.is_dir() else []
        close = nearest(path.name, here)
        fix = f"{close} is in the same folder." if close else "check the path; it is read from the current folder."
        raise DataError("there is no such file.", fix, where=str(where))
    if path.is_dir():
        return _folder(path)
    if path.stat().st_size == 0:
        raise DataError(f"{path.name} is empty (0 bytes).", "give a file with a header line and at least 2 rows.")
    kind = path.name.lower().removesuffix(".gz").rpartition(".")[2]
    if kind in ("csv", "tsv", "txt"):
        return _csv(path, tabs=kind == "tsv")
    if kind in ("jsonl", "ndjson", "json"):
        return _json(path, array=kind == "json")
    if kind in ("parquet", "pq"):
        return _parquet([path], path.name)
    raise DataError(
        f"{path.name}: files of this kind are not read.", "give .csv, .tsv, .jsonl, .json, .parquet or a folder."
    )


def _open(path: Path) -> IO[bytes]:
    return gzip.open(path) if path.name.lower().endswith(".gz") else path.open("rb")  # type: ignore[return-value]


def _lines(path: Path) -> Iterator[str]:
    """The file's lines as text; a byte that is not UTF-8 is an error that names it."""
    with _open(path) as raw, io.TextIOWrapper(raw, encoding="utf-8-sig", newline="") as text:
        try:
            yield from text
        except UnicodeDecodeError:
            raise _not_utf8(path) from None
        except (EOFError, gzip.BadGzipFile) as error:
            raise DataError(f"{path.name} is no whole gzip file ({error}).", "compress it again.") from None


def _not_utf8(path: Path) -> DataError:
    with _open(path) as raw:
        at = 0
        for row, line in enumerate(raw):
            try:
                line.decode("utf-8")
            except UnicodeDecodeError as error:
                if line[error.start : error.end].startswith((b"\xff\xfe", b"\xfe\xff")) and not at:
                    return DataError(
                        f"{path.name} is UTF-16, not UTF-8.",
                        f"save it as UTF-8: iconv -f UTF-16 -t UTF-8 {path.name} > utf8-{path.name}",
                    )
                stem = path.name.partition(".")[0]
                return DataError(
                    f"{path.name} byte {at + error.start:,} (row {row}) is not UTF-8; it reads as Windows-1252.",
                    f"save it as UTF-8: iconv -f WINDOWS-1252 -t UTF-8 {path.name} > {stem}-utf8.csv",
                )
            at += len(line)
    raise AssertionError("only called for a file that does not decode")


def _csv(path: Path, *, tabs: bool) -> Table:
    csv.field_size_limit(2**31 - 1)
    lines = _lines(path)
    first = next(lines, "")
    lines.close()  # type: ignore[attr-defined]
    if not first.strip():
        raise DataError(f"{path.name} has no header line.", "give a file with a header line and at least 2 rows.")
    delimiter = "\t" if tabs else ";" if first.count(";") > first.count(",") else ","
    plain = tabs and not _quoted(path)

    def rows() -> Iterator[list[str]]:
        reader = csv.reader(
            _lines(path), delimiter=delimiter, quoting=csv.QUOTE_NONE if plain else csv.QUOTE_MINIMAL, strict=True
        )
        try:
            for row in reader:
                if row:
                    yield [*row, str(reader.line_num)]
        except csv.Error as error:
            why = "a closing quote is missing" if "unexpected end" in str(error) else str(error)
            raise DataError(
                f"{path.name} line {reader.line_num}: {why}.",
                "put the text in double quotes, and double the quotes inside it, or save with tabs.",
            ) from None

    header = next(rows())[:-1]
    if len(set(header)) < len(header):
        twice = next(name for name in header if header.count(name) > 1)
        raise DataError(f"{path.name} has two columns called `{twice}`.", "rename one of them in the header line.")

    def batches() -> Iterator[pa.RecordBatch]:
        import pyarrow as pa

        schema = pa.schema([(name, pa.string()) for name in header])
        body = rows()
        next(body)
        done = 0
        while chunk := _take(_even(body, path, header), BATCH):
            _short(chunk, path, header, done)
            columns = list(zip(*chunk, strict=True))
            arrays = [pa.array(column, pa.string()) for column in columns[: len(header)]]
            yield pa.RecordBatch.from_arrays(arrays, schema=schema)
            done += len(chunk)

    return Table(path.name, header, batches)


def _take(rows: Iterator[Any], n: int) -> list[Any]:
    chunk = []
    for row in rows:
        chunk.append(row)
        if len(chunk) == n:
            break
    return chunk


def _even(rows: Iterator[list[str]], path: Path, header: list[str]) -> Iterator[list[str]]:
    """The rows, if each has as many fields as the header; else one error that counts those that do not."""
    width = len(header) + 1
    for row in rows:
        if len(row) != width:
            ragged = 1 + sum(len(other) != width for other in rows)
            more = f"; {ragged} lines are like that" if ragged > 1 else ""
            raise DataError(
                f"{path.name} line {row[-1]} has {_fields(len(row) - 1)}, the header has {len(header)}{more}.",
                f"put the text in double quotes, or save with tabs as {path.name.partition('.')[0]}.tsv.",
            )
        yield row


def _short(chunk: list[list[str]], path: Path, header: list[str], done: int) -> None:
    for number, row in enumerate(chunk, done + 1):
        for cell in row:
            if len(cell) > LONGEST_CELL:
                raise too_long(path.name, number, len(cell))


def too_long(name: str, row: int, length: int) -> DataError:
    return DataError(
        f"{name} row {row}: a cell of {length:,} characters; the limit is {LONGEST_CELL:,}.",
        f"often a closing quote is missing near row {max(1, row - 1)}; if the text is right, shorten it.",
    )


def _fields(n: int) -> str:
    return "1 field" if n == 1 else f"{n} fields"


def _quoted(path: Path) -> bool:
    """True where a tab-separated file uses quotes as csv does: every field that opens with one closes with one."""
    seen = False
    for line in _lines(path):
        for cell in line.rstrip("\r\n").split("\t"):
            if cell.startswith('"'):
                if len(cell) < 2 or not cell.endswith('"') or cell[1:-1].replace('""', "").count('"'):
                    return False
                seen = True
    return seen


def _json(path: Path, *, array: bool) -> Table:
    def objects() -> Iterator[dict[str, Any]]:
        if array:
            try:
                data = json.loads("".join(_lines(path)))
            except (json.JSONDecodeError, RecursionError) as error:
                raise DataError(f"{path.name} is no JSON: {error}.", "give a JSON array of objects.") from None
            items: Iterable[Any] = data if isinstance(data, list) else [None]
            for number, item in enumerate(items, 1):
                yield _object(item, path, number)
            return
        for number, line in enumerate(_lines(path), 1):
            if line.strip():
                try:
                    yield _object(json.loads(line), path, number)
                except (json.JSONDecodeError, RecursionError) as error:
                    raise DataError(
                        f"{path.name} line {number} is no JSON object: {error}.", "one JSON object on each line."
                    ) from None

    kinds: dict[str, str] = {}
    for item in objects():
        for key, value in item.items():
            kinds[key] = _joined_kind(kinds.get(key, "none"), _kind(value))
    if not kinds:
        raise DataError(f"{path.name} holds no rows.", "give at least 2 objects.")

    def batches() -> Iterator[pa.RecordBatch]:
        import pyarrow as pa

        types = {"int": pa.int64(), "float": pa.float64(), "bool": pa.bool_()}
        schema = pa.schema([(name, types.get(kind, pa.string())) for name, kind in kinds.items()])
        items = objects()
        done = 0
        while chunk := _take(items, BATCH):
            arrays = []
            for name, kind in kinds.items():
                values = [item.get(name) for item in chunk]
                if kind == "json":
                    values = [v if v is None else json.dumps(v, ensure_ascii=False) for v in values]
                arrays.append(pa.array(values, schema.field(name).type))
                for number, value in enumerate(values, done + 1):
                    if isinstance(value, str) and len(value) > LONGEST_CELL:
                        raise too_long(path.name, number, len(value))
            yield pa.RecordBatch.from_arrays(arrays, schema=schema)
            done += len(chunk)

    return Table(path.name, list(kinds), batches)


def _object(item: Any, path: Path, number: int) -> dict[str, Any]:
    if not isinstance(item, dict):
        raise DataError(
            f"{path.name}: entry {number} is no JSON object.", 'each row is an object: {"text": "...", "label": "..."}'
        )
    return item


def _kind(value: Any) -> str:
    if value is None:
        return "none"
    if isinstance(value, bool):
        return "bool"
    if isinstance(value, int):
        return "int" if -(2**63) <= value < 2**63 else "json"
    return "float" if isinstance(value, float) else "str" if isinstance(value, str) else "json"


def _joined_kind(a: str, b: str) -> str:
    if a == b or b == "none":
        return a
    if a == "none":
        return b
    return "float" if {a, b} == {"int", "float"} else "json"


def _parquet(paths: list[Path], name: str) -> Table:
    import pyarrow as pa
    import pyarrow.parquet as pq

    try:
        columns = pq.read_schema(paths[0]).names
    except (pa.ArrowInvalid, OSError) as error:
        raise DataError(
            f"{paths[0].name} is no Parquet file ({str(error).splitlines()[0]}).", "write it again."
        ) from None

    def batches() -> Iterator[pa.RecordBatch]:
        for path in paths:
            for batch in pq.ParquetFile(path).iter_batches(BATCH):
                yield _plain(batch)

    return Table(name, columns, batches)


def _plain(batch: pa.RecordBatch) -> pa.RecordBatch:
    """Texts as plain strings, whatever the file stored them as (dictionary, large, view)."""
    import pyarrow as pa

    arrays, fields = [], []
    for field, array in zip(batch.schema, batch.columns, strict=True):
        kind = field.type
        if pa.types.is_dictionary(kind):
            array = array.dictionary_decode()
            kind = array.type
        if pa.types.is_large_string(kind) or pa.types.is_string_view(kind):
            array = array.cast(pa.string())
        arrays.append(array)
        fields.append(pa.field(field.name, array.type))
    return pa.RecordBatch.from_arrays(arrays, schema=pa.schema(fields))


def _folder(path: Path) -> Table:
    if (path / "dataset_dict.json").is_file():
        splits = json.loads((path / "dataset_dict.json").read_text("utf-8"))["splits"]
        return _arrow({split: sorted((path / split).glob("*.arrow")) for split in splits}, path.name)
    if (path / "dataset_info.json").is_file() and (found := sorted(path.glob("*.arrow"))):
        return _arrow({"": found}, path.name)
    if found := sorted(path.glob("*.parquet")):
        return _parquet(found, path.name)
    raise DataError(
        f"{path} holds no table.", "give a file, a folder of .parquet files, or one saved by datasets.save_to_disk."
    )


def _arrow(files: dict[str, list[Path]], name: str) -> Table:
    """A folder saved by ``datasets``: Arrow stream files; the split becomes a column."""
    import pyarrow as pa

    first = next(f for found in files.values() for f in found)
    with pa.memory_map(str(first)) as source:
        columns = pa.ipc.open_stream(source).schema.names

    def batches() -> Iterator[pa.RecordBatch]:
        for split, found in files.items():
            for file in found:
                with pa.memory_map(str(file)) as source:
                    for batch in pa.ipc.open_stream(source):
                        yield _split(_plain(batch), split)

    with_split = [SPLIT] if set(files) != {""} and SPLIT not in columns else []
    return Table(name, columns + with_split, batches)


def _split(batch: pa.RecordBatch, split: str) -> pa.RecordBatch:
    import pyarrow as pa

    if not split or SPLIT in batch.schema.names:
        return batch
    return batch.append_column(SPLIT, pa.array([split] * len(batch), pa.string()))


def _hub(name: str) -> Table:
    try:
        from datasets import load_dataset
    except ImportError:
        raise MissingExtra("data on the hub needs the extra `hub`.", 'pip install "leaven[hub]"', where=name) from None
    try:
        loaded = load_dataset(name)
    except Exception as error:  # every failure of the hub client is the same to the user: it was not read
        raise DataError(
            f"the hub dataset was not read ({type(error).__name__}: {str(error).splitlines()[0]}).",
            "check the id and the connection, or give a file.",
            where=f"hf://{name}",
        ) from None
    splits = dict(loaded.items())
    columns = next(iter(splits.values())).column_names

    def batches() -> Iterator[pa.RecordBatch]:
        for split, part in splits.items():
            for batch in part.with_format("arrow").iter(BATCH):
                for piece in batch.to_batches():
                    yield _split(_plain(piece), split)

    return Table(f"hf://{name}", [*columns, *([] if SPLIT in columns else [SPLIT])], batches)
