"""The rows of a run's ``train/``: the user's columns first, then ours."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any

from leaven.errors import DataError, listed
from leaven.fields import VALUE
from leaven.io.columns import OURS
from leaven.io.dataset import load
from leaven.io.media_columns import FEW, is_media, kinds_of
from leaven.storage import MEDIA

if TYPE_CHECKING:
    import pyarrow as pa

OWN = ("_id", "_parents", "_steps", "_scores", "_synthetic", "_weight")
"""The columns that leaven adds, in the order in which they are written, after the user's."""
BATCH = 8192
Row = dict[str, Any]
Warn = Callable[[str], None]


class Train:
    def __init__(self, folder: Path) -> None:
        import pyarrow.parquet as pq

        self.folder = folder
        self.files = sorted((folder / "train").glob("*.parquet"))
        if not self.files:
            if (folder / "run.json").is_file():
                what, fix = "its run has not ended", "run the same augment command again; it goes on."
            elif next(folder.glob("part-*.parquet"), None):
                what, fix = "it is no run", f"give the folder of the run: {folder.parent}"
            else:
                what, fix = "it holds no run", "leaven augment DATA -o OUT, then leaven export OUT"
            raise DataError(f"{what}.", fix, where=str(folder))
        stored: pa.Schema = pq.read_schema(self.files[0])
        self.users = [name for name in stored.names if name not in OURS]
        names = self.users + [name for name in OWN if name in stored.names]
        self.schema = stored.empty_table().select(names).schema

    @cached_property
    def kinds(self) -> dict[str, str]:
        """The types of the user's columns: as the run had them, else as their own types say."""
        found = kinds_of(self.schema)
        if (self.folder / "input" / "dataset.json").is_file():
            dataset = load(self.folder / "input")
            found |= {
                column: dataset.types[name]
                for name, column in dataset.columns.items()
                if dataset.types.get(name, VALUE) != VALUE
            }
        return {name: kind for name, kind in found.items() if name in self.schema.names}

    def column(self, *kinds: str) -> str:
        """The first of the user's columns of these types, or an empty text."""
        return next((name for name in self.users if self.kinds.get(name) in kinds), "")

    def need(self, kind: str, shape: str, instead: str) -> str:
        """The column of a type; a DataError where there is none that ``shape`` could be written from."""
        column = self.column(kind)
        if not column:
            what = f"{shape} is written from a column of type {kind}; {self.folder} has {listed(self.users)}"
            raise DataError(f"{what}.", instead)
        return column

    def batches(self, columns: list[str] | None = None) -> Iterator[pa.RecordBatch]:
        import pyarrow.parquet as pq

        names = columns or self.schema.names
        few = any(self.kinds.get(name) in MEDIA for name in names)
        for path in self.files:
            with pq.ParquetFile(path) as file:
                for batch in file.iter_batches(FEW if few else BATCH, columns=names):
                    yield batch.select(names)

    def rows(self, columns: list[str] | None = None) -> Iterator[Row]:
        for batch in self.batches(columns):
            yield from batch.to_pylist()

    def values(self, column: str) -> Iterator[Any]:
        """One column alone: nothing else is read."""
        for batch in self.batches([column]):
            yield from batch.column(0).to_pylist()

    def refuse_bytes(self, kind: str) -> None:
        """Texts hold no images and no audio."""
        found = [field.name for field in self.schema if "binary" in str(field.type)]
        if found:
            fix = "--as parquet" + (", or --as webdataset" if is_media(self.kinds) else "")
            raise DataError(f"the column `{found[0]}` holds bytes, which {kind} cannot.", fix)

    def tell_left_out(self, written: list[str], shape: str, warn: Warn) -> None:
        """Say which of the user's columns a format has no place for."""
        out = [name for name in self.users if name not in written and name not in ("file_name", "split")]
        if out:
            verb = "has no place" if len(out) == 1 else "have no place"
            warn(f"{listed(out)} {verb} in {shape}: left out; --as webdataset holds every column")
