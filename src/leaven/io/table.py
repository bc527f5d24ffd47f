"""A table that is read anew at each call, from a file or from memory, and the lines of a text file."""

from __future__ import annotations

import gzip
import io
import shlex
import zlib
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import IO, TYPE_CHECKING, Any, Self

from leaven.errors import DataError

if TYPE_CHECKING:
    import pyarrow as pa

BATCH = 8192
SPLIT = "split"
LONGEST_CELL = 1_000_000
MARKS = {
    b"\xff\xfe\x00\x00": "UTF-32",
    b"\x00\x00\xfe\xff": "UTF-32",
    b"\xff\xfe": "UTF-16",
    b"\xfe\xff": "UTF-16",
}


@dataclass(frozen=True)
class Table:
    """``name`` is what people call it, ``batches`` reads it anew at each call.

    ``kinds`` are the types of the columns that say themselves what they hold (an image folder's, a Parquet file's of
    ``datasets``); ``base`` is the folder under which the paths of media lie.
    """

    name: str
    columns: list[str]
    batches: Callable[[], Iterator[pa.RecordBatch]]
    kinds: Mapping[str, str] = field(default_factory=dict)
    base: Path | None = None


class Held(str):
    """A table in memory, which goes by its name wherever a file does: ``DataFrame, 385 rows``."""

    table: Table

    def __new__(cls, table: Table) -> Self:
        held = super().__new__(cls, table.name)
        held.table = table
        return held


def plain_type(kind: Any) -> Any:
    """Texts as plain strings, however they are stored (dictionary, large, view)."""
    import pyarrow as pa

    if pa.types.is_dictionary(kind):
        kind = kind.value_type
    return pa.string() if pa.types.is_large_string(kind) or pa.types.is_string_view(kind) else kind


def with_split(batch: pa.RecordBatch, split: str) -> pa.RecordBatch:
    """The rows with the name of their split as a column, where they have none."""
    import pyarrow as pa

    if not split or SPLIT in batch.schema.names:
        return batch
    return batch.append_column(SPLIT, pa.array([split] * len(batch), pa.string()))


def check_names(name: str, columns: list[str], where: str) -> None:
    """Columns are known by their names, so no two may share one."""
    if len(set(columns)) == len(columns):
        return
    twice = next(column for column in columns if columns.count(column) > 1)
    if twice:
        raise DataError(f"{name} has two columns called `{twice}`.", f"rename one of them{where}.")
    raise DataError(f"{name} has {columns.count('')} columns without a name.", f"name them{where}, or remove them.")


def too_long(name: str, row: int, length: int) -> DataError:
    return DataError(
        f"{name} row {row}: a cell of {length:,} characters; the limit is {LONGEST_CELL:,}.",
        f"often a closing quote is missing near row {max(1, row - 1)}; if the text is right, shorten it.",
    )


def check_lengths(array: pa.Array, name: str, before: int) -> None:
    """Raise for the first text that is longer than a cell may be."""
    import pyarrow.compute as pc

    if array.nbytes <= LONGEST_CELL:
        return
    lengths = pc.utf8_length(array)
    longest = pc.max(lengths).as_py()
    if longest is not None and longest > LONGEST_CELL:
        row = pc.index(pc.fill_null(pc.greater(lengths, LONGEST_CELL), False), True).as_py()
        raise too_long(name, before + row + 1, lengths[row].as_py())


def unreadable(path: Path, error: OSError) -> DataError:
    return DataError(f"it cannot be read ({error.strerror or error}).", "name a readable file.", where=str(path))


def open_bytes(path: Path) -> IO[bytes]:
    try:
        return gzip.open(path) if _zipped(path) else path.open("rb")  # type: ignore[return-value]
    except OSError as error:
        raise unreadable(path, error) from None


def lines(path: Path) -> Iterator[str]:
    """The file's lines as text; a byte that is not UTF-8 is an error that names it."""
    with open_bytes(path) as raw, io.TextIOWrapper(raw, encoding="utf-8-sig", newline="") as text:
        try:
            yield from text
        except UnicodeDecodeError:
            raise _not_utf8(path) from None
        except (EOFError, gzip.BadGzipFile, zlib.error) as error:
            why = "it ends too early" if isinstance(error, EOFError) else "its bytes are something else"
            raise DataError(f"{path.name} is no whole gzip file: {why}.", "compress or download it again.") from None
        except OSError as error:
            raise unreadable(path, error) from None


def check_encoding(path: Path) -> None:
    """UTF-16 without a mark decodes as UTF-8 with a NUL in every second place: told by the first bytes."""
    try:
        with open_bytes(path) as raw:
            head = raw.read(4)
    except (OSError, EOFError, zlib.error):
        return  # whoever reads the lines says what is wrong
    for mark, kind in MARKS.items():
        if head.startswith(mark):
            raise _other_encoding(path, kind)
    if len(head) == 4 and 0 not in (head[0], head[2]) and head[1] == head[3] == 0:
        raise _other_encoding(path, "UTF-16LE")
    if len(head) == 4 and 0 not in (head[1], head[3]) and head[0] == head[2] == 0:
        raise _other_encoding(path, "UTF-16BE")


def _other_encoding(path: Path, kind: str) -> DataError:
    return DataError(f"{path.name} is {kind}, not UTF-8.", _convert(path, kind))


def _not_utf8(path: Path) -> DataError:
    with open_bytes(path) as raw:
        at = 0
        for row, line in enumerate(raw):
            try:
                line.decode("utf-8")
            except UnicodeDecodeError as error:
                header = _kind(path) in ("csv", "tsv", "txt")
                place = f"row {row}" if row and header else "the header" if header else f"line {row + 1}"
                what = f"{path.name} byte {at + error.start:,} ({place}) is not UTF-8"
                try:
                    line.decode("windows-1252")
                except UnicodeDecodeError:
                    return DataError(f"{what}.", "save it as UTF-8 from the program that wrote it.")
                return DataError(f"{what}; it reads as Windows-1252.", _convert(path, "WINDOWS-1252"))
            at += len(line)
    raise AssertionError("only called for a file that does not decode")


def _convert(path: Path, kind: str) -> str:
    stem, _, _ = path.name.partition(".")
    new = shlex.quote(f"{stem}-utf8.{_kind(path)}")
    old = shlex.quote(path.name)
    if _zipped(path):
        return f"save it as UTF-8: gunzip -c {old} | iconv -f {kind} -t UTF-8 > {new}"
    return f"save it as UTF-8: iconv -f {kind} -t UTF-8 {old} > {new}"


def _zipped(path: Path) -> bool:
    return path.name.lower().endswith(".gz")


def _kind(path: Path) -> str:
    return path.name.lower().removesuffix(".gz").rpartition(".")[2]
