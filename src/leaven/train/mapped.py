"""The rows of a run, one at a time from the disk: an image is read when its row is asked for, and never all of them."""

from __future__ import annotations

import json
import secrets
from bisect import bisect_right
from contextlib import suppress
from functools import cached_property
from itertools import accumulate
from pathlib import Path
from typing import TYPE_CHECKING, Any

from leaven import storage
from leaven.errors import DataError
from leaven.io.dataset import load
from leaven.records import digest
from leaven.train.rows import Heads, no_numbers

if TYPE_CHECKING:
    from collections.abc import Iterator

    import pyarrow as pa

NAME = "train.arrow"
WRITTEN_FROM = b"written_from"
BYTES_AT_ONCE = 1 << 26
ROWS_AT_ONCE = 8192


class Mapped:
    """The blended rows of a run's folder.

    Parquet cannot be read row by row, so the first call writes the rows of ``train/`` once more as ``train.arrow``,
    which every process maps: it may be deleted, and is written anew where ``train/`` has changed.
    """

    def __init__(self, folder: Path) -> None:
        if not any((folder / "train").glob("*.parquet")) or not (folder / "input").is_dir():
            raise DataError("it holds no run.", "name the folder that a run wrote to.", where=str(folder))
        folder = folder.absolute()  # a worker may stand elsewhere
        dataset = load(folder / "input")
        self.name = folder.name
        self.path = folder / NAME
        self.print = _print(folder / "train")
        _written(folder, self.path, self.print)
        names = self.table.column_names
        self.columns = [name for name in names if not name.startswith("_")]
        self.kinds = _kinds(self.table.schema) | {dataset.columns[name]: kind for name, kind in dataset.types.items()}
        self.label = dataset.columns.get(dataset.main("label"), "")

    @cached_property
    def table(self) -> pa.Table:
        """All rows, mapped; nothing is read before it is looked at."""
        import pyarrow as pa

        table = pa.ipc.open_file(pa.memory_map(str(self.path))).read_all()
        if (table.schema.metadata or {}).get(WRITTEN_FROM) != self.print:
            raise DataError("the run was written anew since.", "make the dataset again.", where=str(self.path.parent))
        return table

    def heads(self) -> Heads:
        labels = self.table.column(self.label).to_pylist() if self.label in self.columns else [None] * len(self.table)
        return Heads(
            self.table.column("_id").to_pylist(),
            self.table.column("_synthetic").to_pylist(),
            [None if label is None else str(label) for label in labels],
            self.table.column("_root").to_pylist(),
        )

    @cached_property
    def batches(self) -> tuple[list[int], list[pa.RecordBatch]]:
        """The user's columns in stretches, and where each begins."""
        found = self.table.select(self.columns).to_batches()
        return list(accumulate(map(len, found[:-1]), initial=0)), found

    def numbers(self, name: str) -> list[float | None]:
        scores = self.table.schema.field("_scores").type if "_scores" in self.table.column_names else None
        if scores is not None and scores.get_field_index(name) >= 0:
            return [None if row is None else row[name] for row in self.table.column("_scores").to_pylist()]
        found: list[Any] = self.table.column(name).to_pylist() if name in self.columns else ["no number"]
        if not all(value is None or isinstance(value, int | float) for value in found):
            raise no_numbers(name, self.name)
        return found

    def row(self, number: int) -> dict[str, Any]:
        starts, batches = self.batches
        at = bisect_right(starts, number) - 1
        [cells] = batches[at].slice(number - starts[at], 1).to_pylist()
        return {name: storage.to_values(self.kinds.get(name, ""), [cell])[0] for name, cell in cells.items()}

    def __getstate__(self) -> dict[str, Any]:
        mapped = ("table", "batches")  # each process maps them itself
        return {name: value for name, value in self.__dict__.items() if name not in mapped}


def _kinds(schema: pa.Schema) -> dict[str, str]:
    """The types of columns that steps wrote: media by what is noted for ``datasets``, others by how they are stored."""
    noted = json.loads((schema.metadata or {}).get(b"huggingface", b"{}"))
    features = noted.get("info", {}).get("features", {})
    found = {name: str(feature["_type"]).lower() for name, feature in features.items()}
    for kind in ("label_probs", "sequence", "vector"):
        found |= {field.name: kind for field in schema if field.type == storage.arrow_of(kind)}
    return found


def _print(train: Path) -> bytes:
    """What tells one writing of ``train/`` from the next."""
    files = [(path.name, path.stat()) for path in sorted(train.glob("*.parquet"))]
    return digest(*(f"{name} {stat.st_size} {stat.st_mtime_ns}" for name, stat in files)).hex().encode()


def _written(folder: Path, path: Path, wanted: bytes) -> None:
    """Write ``train.arrow`` aside and put it in place, unless it is there; several processes may do so at once."""
    import pyarrow as pa
    import pyarrow.parquet as pq

    try:
        with pa.memory_map(str(path)) as source:
            if (pa.ipc.open_file(source).schema.metadata or {}).get(WRITTEN_FROM) == wanted:
                return
    except (OSError, pa.ArrowInvalid):
        pass
    files = sorted((folder / "train").glob("*.parquet"))
    roots = pa.array(_roots(folder, files), pa.string())
    aside = folder / f".{NAME}.{secrets.token_hex(4)}"
    try:
        schema = pq.read_schema(files[0]).append(pa.field("_root", pa.string()))
        schema = schema.with_metadata({**(schema.metadata or {}), WRITTEN_FROM: wanted})
        begin = 0
        with pa.OSFile(str(aside), "wb") as sink, pa.ipc.new_file(sink, schema) as writer:
            for file in files:
                for batch in _batches(file):
                    own = roots.slice(begin, len(batch))
                    writer.write_batch(pa.RecordBatch.from_arrays([*batch.columns, own], schema=schema))
                    begin += len(batch)
        aside.replace(path)
    except OSError as error:
        raise DataError(
            f"{NAME} cannot be written beside train/ ({error.strerror or error}).",
            "make room, or copy the run's folder to a place of yours.",
            where=str(folder),
        ) from None
    finally:
        aside.unlink(missing_ok=True)


def _batches(file: Path) -> Iterator[pa.RecordBatch]:
    """The rows of a Parquet file, about 64 MB at a time: some thousand texts, a dozen long sounds."""
    import pyarrow.parquet as pq

    with pq.ParquetFile(file) as parquet:
        for group in range(parquet.num_row_groups):  # one by one: asked for all, the reader fetches all ahead
            said = parquet.metadata.row_group(group)
            rows = int(BYTES_AT_ONCE * said.num_rows / max(1, said.total_byte_size))
            yield from parquet.iter_batches(max(1, min(ROWS_AT_ONCE, rows)), row_groups=[group])


def _roots(folder: Path, files: list[Path]) -> list[str | None]:
    """The real row at the start of each row's line: itself, its parent, or what the finished parts of the work say of
    a child whose parent was made and not written."""
    import pyarrow as pa
    import pyarrow.compute as pc
    import pyarrow.parquet as pq

    small = pa.concat_tables([pq.read_table(file, columns=["_id", "_parents"]) for file in files])
    starts = {own for path in sorted((folder / "input").glob("*.arrow")) for own in _column(path, "_id")}
    found: list[str | None] = []
    lost: dict[str, int] = {}
    for own, parents in zip(small.column("_id").to_pylist(), small.column("_parents").to_pylist(), strict=True):
        root = parents[0] if parents else own
        if root in starts or not parents:
            found.append(root)
        else:
            lost[own] = len(found)
            found.append(None)
    asked = pa.array(list(lost), pa.string())
    for path in sorted((folder / "parts").glob("*.arrow")) if lost else ():  # they may be deleted
        with (
            suppress(OSError, pa.ArrowInvalid),
            pa.memory_map(str(path)) as source,
        ):
            table = pa.ipc.open_file(source).read_all()
            if {"_id", "_root"} <= set(table.column_names):
                here = table.select(["_id", "_root"]).filter(pc.is_in(table.column("_id"), value_set=asked))
                for own, root in zip(here.column("_id").to_pylist(), here.column("_root").to_pylist(), strict=True):
                    found[lost[own]] = root
    return found


def _column(path: Path, name: str) -> Iterator[str]:
    import pyarrow as pa

    with pa.memory_map(str(path)) as source:
        reader = pa.ipc.open_file(source)
        for i in range(reader.num_record_batches):
            yield from reader.get_batch(i).column(name).to_pylist()
