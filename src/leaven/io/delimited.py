"""csv and tsv files.

The reader is the standard library's: it leaves "007" a text.  Rows come in batches without their line numbers, which
nobody needs while all is well; the file is read once more to name the line of what is not.
"""

from __future__ import annotations

import csv
from collections.abc import Iterator
from dataclasses import dataclass
from itertools import islice
from pathlib import Path
from typing import TYPE_CHECKING, Any

from leaven.errors import DataError
from leaven.io.table import BATCH, Table, check_lengths, check_names, lines

if TYPE_CHECKING:
    import pyarrow as pa

MOST_CHARACTERS = 64_000_000
"""Where a quote is never closed the reader would take the whole file for one cell."""


def open_csv(path: Path, *, tabs: bool) -> Table:
    first = next(lines(path), "")
    if not first.strip():
        raise DataError(f"{path.name} has no header line.", "give a file with a header line and at least 2 rows.")
    delimiter = "\t" if tabs else _delimiter(first)
    file = _File(path, delimiter, plain=delimiter == "\t" and not _quoted(path))
    header = next(file.rows())
    check_names(path.name, header, " in the header line")
    return Table(path.name, header, lambda: file.batches(header))


def _delimiter(header: str) -> str:
    """What the header separates its names with; a comma where nothing speaks for anything else."""
    return max(",;\t", key=header.count)


@dataclass(frozen=True)
class _File:
    path: Path
    delimiter: str
    plain: bool

    def reader(self) -> Any:
        csv.field_size_limit(MOST_CHARACTERS)
        if self.plain:
            return csv.reader(lines(self.path), delimiter=self.delimiter, quoting=csv.QUOTE_NONE, strict=True)
        return csv.reader(lines(self.path), delimiter=self.delimiter, strict=True)

    def rows(self) -> Iterator[list[str]]:
        try:
            yield from filter(None, self.reader())
        except csv.Error as error:
            raise self.wrong_quotes(error) from None

    def batches(self, header: list[str]) -> Iterator[pa.RecordBatch]:
        import pyarrow as pa

        schema = pa.schema([(name, pa.string()) for name in header])
        rows = self.rows()
        next(rows)
        done = 0
        while chunk := list(islice(rows, BATCH)):
            if any(len(row) != len(header) for row in chunk):
                raise self.ragged(len(header))
            arrays = [pa.array(column, pa.string()) for column in zip(*chunk, strict=True)]
            for array in arrays:
                check_lengths(array, self.path.name, done)
            yield pa.RecordBatch.from_arrays(arrays, schema=schema)
            done += len(chunk)

    def ragged(self, width: int) -> DataError:
        """The first line whose fields are not as many as the header's, and how many such lines there are."""
        reader = self.reader()
        first, fields, count = 0, 0, 0
        try:
            for row in reader:
                if row and len(row) != width:
                    if not count:
                        first, fields = reader.line_num, len(row)
                    count += 1
        except csv.Error as error:
            if not count:
                return self.wrong_quotes(error)
        more = f"; {count:,} lines are like that" if count > 1 else ""
        tsv = f"{self.path.name.partition('.')[0]}.tsv"
        fix = f"put the text in double quotes, or save with tabs as {tsv}."
        if self.delimiter == "\t":
            fix = "replace the tabs inside texts by blanks, or save as csv with the texts in double quotes."
        said = "1 field" if fields == 1 else f"{fields} fields"
        return DataError(f"{self.path.name} line {first} has {said}, the header has {width}{more}.", fix)

    def wrong_quotes(self, error: csv.Error) -> DataError:
        """Where the row begins that the reader stopped in: there a closing quote is missing, most often."""
        reader, began = self.reader(), 1
        try:
            for _ in reader:
                began = reader.line_num + 1
        except csv.Error:
            pass
        ended = reader.line_num
        if "field larger" in str(error):
            what = f"a cell of more than {MOST_CHARACTERS:,} characters begins; a closing quote is missing"
        elif "unexpected end" in str(error):
            what = "a closing quote is missing"
        elif ended > began:
            what = f"a closing quote is missing, or a quote in the text is not doubled (found in line {ended})"
        else:
            what = "a quote inside the text is not doubled"
        return DataError(
            f"{self.path.name} line {began}: {what}.",
            "put the text in double quotes, and double the quotes inside it, or save with tabs.",
        )


def _quoted(path: Path) -> bool:
    """True where a tab-separated file uses quotes as csv does, rather than as signs in its texts.

    So it is where the header does; else where each field that opens with a quote closes with one, or where only then
    all rows have as many fields as the header.
    """
    width, fits, seen, closed = 0, True, False, True
    for line in lines(path):
        cells = line.rstrip("\r\n").split("\t")
        if not width:
            width = len(cells)
            if any(len(cell) > 1 and cell[0] == cell[-1] == '"' for cell in cells):
                return True
        fits &= len(cells) == width or cells == [""]
        for cell in cells if '"' in line else ():
            if cell.startswith('"'):
                seen = True
                closed &= len(cell) > 1 and cell.endswith('"') and '"' not in cell[1:-1].replace('""', "")
    if not seen:
        return False
    return closed or (not fits and _fits(_File(path, "\t", plain=False), width))


def _fits(file: _File, width: int) -> bool:
    try:
        return all(len(row) == width for row in file.rows())
    except DataError:
        return False
