"""Shards of webdataset: ``.tar`` files in which files of one stem are a record (``7.jpg``, ``7.cls``, ``7.json``)."""

from __future__ import annotations

import json
import tarfile
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path, PurePosixPath
from typing import IO, TYPE_CHECKING, Any

from leaven.errors import DataError, brief
from leaven.io.class_folders import labelled
from leaven.io.media_columns import FEW, named_kind, noted
from leaven.io.media_files import Warn, media_of, some, split_in_name
from leaven.io.memory import column_of
from leaven.io.table import SPLIT, Table, unreadable
from leaven.storage import arrow_of

if TYPE_CHECKING:
    import pyarrow as pa

LABELS, TEXTS = ("cls", "class", "label"), ("txt", "text", "caption")
ASTRAY = "links and names outside"
MOST_BYTES = 1 << 30
MOST_TEXT = 10_000_000


@dataclass
class _Record:
    key: str
    shard: int
    media: dict[str, tuple[str, int, int]] = field(default_factory=dict)
    """By column: the name of the file in the shard, where its bytes begin, and how many there are."""
    values: dict[str, Any] = field(default_factory=dict)


def open_tars(shards: Sequence[Path], name: str, warn: Warn = lambda said: None) -> Table:
    """The records of shards, in their order.  Nothing is unpacked to disk, and links in a shard are not followed.

    ``x.jpg`` is the image, ``x.mask.png`` its mask, ``x.left.png`` a column ``left``; ``cls`` is the label, ``txt`` the
    caption (of a sound: the text), and the keys of ``json`` are columns of their own.  Shards that are called after
    different splits (``train-000000.tar``) say them.
    """
    import pyarrow as pa

    records: list[_Record] = []
    passed: dict[str, int] = {}
    for number, shard in enumerate(shards):
        records += _Shard(shard, number).read(passed)
    kept = [record for record in records if record.media]
    if not kept:
        raise DataError(f"{name} holds no images and no sounds.", "a record is x.jpg with x.cls, x.txt or x.json.")
    if len(kept) < len(records):
        lost = [record.key for record in records if not record.media]
        warn(f"{len(lost):,} records of {name} have no image and no sound {some(lost)}: left out")
    if passed:
        warn(f"{name} holds {sum(passed.values()):,} files that are not read ({', '.join(sorted(passed)[:8])})")
    if not any(record.values for record in kept):
        _by_folders(kept)
    splits = [split_in_name(shard.name) for shard in shards]
    if all(splits) and len(set(splits)) > 1:
        for record in kept:
            record.values.setdefault(SPLIT, splits[record.shard])
    media = list(dict.fromkeys(column for record in kept for column in record.media))
    if "image" not in media:  # beside a sound it is most often what is said
        for record in kept:
            record.values = {("text" if key == "caption" else key): value for key, value in record.values.items()}
    others = list(dict.fromkeys(column for record in kept for column in record.values if column not in media))
    arrays = {column: column_of([record.values.get(column) for record in kept], name, column) for column in others}
    first = {column: next(r.media[column][0] for r in kept if column in r.media) for column in media}
    kinds = {column: named_kind(column, media_of(path)) for column, path in first.items()}

    def batches() -> Iterator[pa.RecordBatch]:
        for begin in range(0, len(kept), FEW):
            rows = kept[begin : begin + FEW]
            cells = {column: _bytes(shards, rows, column) for column in media}
            also = {column: array.slice(begin, FEW) for column, (array, _) in arrays.items()}
            yield pa.RecordBatch.from_pydict({**cells, **also})

    table = Table(name, [*media, *others], batches, kinds)
    return noted(
        table, {column: [v for v in array.to_pylist() if v is not None] for column, (array, _) in arrays.items()}
    )


def _by_folders(records: Sequence[_Record]) -> None:
    """A folder of classes, packed: the folders in the tar are the labels."""
    labels, splits = labelled([record.key for record in records])
    for record, label, split in zip(records, labels, splits, strict=True):
        record.values = {k: v for k, v in (("label", label), (SPLIT, split)) if v is not None}


class _Shard:
    def __init__(self, path: Path, number: int) -> None:
        self.path, self.number = path, number

    def read(self, passed: dict[str, int]) -> list[_Record]:
        """The records, with what is said about them; of images and sounds the places alone."""
        found: dict[str, _Record] = {}
        try:
            size = self.path.stat().st_size
            with self.path.open("rb") as raw, tarfile.open(fileobj=raw, mode="r:") as tar:
                for member in tar:
                    name = PurePosixPath(member.name)
                    if member.isdir() or name.name.startswith("."):
                        continue
                    if not member.isreg() or member.issparse() or name.is_absolute() or ".." in name.parts:
                        passed[ASTRAY] = passed.get(ASTRAY, 0) + 1
                        continue
                    if member.offset_data + member.size > size:
                        raise self.wrong(f"it ends in the middle of {brief(member.name)}")
                    stem, _, end = name.name.partition(".")
                    record = found.setdefault(
                        str(name.with_name(stem)), _Record(str(name.with_name(stem)), self.number)
                    )
                    self.take(record, member, end.lower(), raw, passed)
        except tarfile.TarError as error:
            raise self.wrong(f"it is no whole tar file ({error})") from None
        except OSError as error:
            raise unreadable(self.path, error) from None
        return list(found.values())

    def take(self, record: _Record, member: tarfile.TarInfo, end: str, raw: IO[bytes], passed: dict[str, int]) -> None:
        """Note one file of a record."""
        prefix, _, last = end.rpartition(".")
        media = media_of(member.name)
        if media:
            column = "mask" if media == "image" and prefix in ("mask", "seg") else prefix or media
            if column in record.media:
                first = record.media[column][0]
                raise self.wrong(
                    f"{brief(first)} and {brief(member.name)} are of one record",
                    f"tell them apart: {record.key}.mask.{last}",
                )
            if member.size > MOST_BYTES:
                raise self.wrong(f"{brief(member.name)} has more than {MOST_BYTES:,} bytes")
            record.media[column] = (member.name, member.offset_data, member.size)
        elif last in (*LABELS, *TEXTS, "json"):
            if member.size > MOST_TEXT:
                raise self.wrong(f"{brief(member.name)} has more than {MOST_TEXT:,} bytes")
            self.say(record, member, end, raw)
        else:
            passed[f".{last}"] = passed.get(f".{last}", 0) + 1

    def say(self, record: _Record, member: tarfile.TarInfo, end: str, raw: IO[bytes]) -> None:
        at = raw.tell()
        raw.seek(member.offset_data)
        data = raw.read(member.size)
        raw.seek(at)
        try:
            text = data.decode("utf-8-sig")
            said = json.loads(text) if end.endswith("json") else text.strip()
        except (ValueError, RecursionError):
            raise self.wrong(f"{brief(member.name)} is no {'JSON' if end.endswith('json') else 'UTF-8'}") from None
        if isinstance(said, dict):
            for key, value in said.items():
                record.values[f"json.{key}" if key in ("image", "audio", "mask") else key] = value
        elif end in LABELS:
            record.values.setdefault("label", said)  # the words in the json come before the number
        elif end in TEXTS:
            record.values.setdefault("caption", said)
        else:
            record.values.setdefault(end, said)

    def wrong(self, what: str, fix: str = "write the shard again.") -> DataError:
        return DataError(f"{self.path.name}: {what}.", fix)


def _bytes(shards: Sequence[Path], rows: Sequence[_Record], column: str) -> pa.Array:
    """The files of a column, out of their shards."""
    import pyarrow as pa

    cells: list[dict[str, Any] | None] = []
    opened: dict[int, IO[bytes]] = {}
    try:
        for record in rows:
            if column not in record.media:
                cells.append(None)
                continue
            if record.shard not in opened:
                opened[record.shard] = shards[record.shard].open("rb")
            name, begin, size = record.media[column]
            opened[record.shard].seek(begin)
            cells.append({"bytes": opened[record.shard].read(size), "path": name})
    except OSError as error:
        raise unreadable(shards[record.shard], error) from None
    finally:
        for raw in opened.values():
            raw.close()
    return pa.array(cells, arrow_of("image"))
