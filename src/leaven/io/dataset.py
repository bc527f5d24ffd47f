"""Read the user's files into ``input/``: one Arrow file a set (source, dev, test, pool, given), with ids.

Rows are checked, renamed to the recipe's field names, split into sets, given their ids, and laid in the order of
``place(id)``: so a part of the work is a stretch of a file, whatever the number of workers.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Collection, Mapping
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

from leaven.errors import DataError, brief
from leaven.fields import VALUE, Column
from leaven.io.aside import leaks, set_aside
from leaven.io.labels import read_labels
from leaven.io.reader import Reader
from leaven.io.sets import SET_BITS, SETS, occurrences, parts_of, refuse_equal_ids, table_print, write_set
from leaven.io.tables import open_table
from leaven.records import digest
from leaven.storage import MEDIA, NOTED_ON

if TYPE_CHECKING:
    import numpy as np
    import pyarrow as pa


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
    broken: list[dict[str, Any]] = field(default_factory=list)
    """Rows whose image or sound cannot be read, with the path and the reason: they are in no set."""

    def typed(self) -> dict[str, Column]:
        """The columns of the data; boxes, masks and the like are about its image, segments about its sound."""
        on = {kind: self.main(of) for of, kinds in NOTED_ON.items() for kind in kinds}
        return {name: Column(kind, frozenset(filter(None, [on.get(kind, "")]))) for name, kind in self.types.items()}

    def path(self, name: str) -> Path:
        return self.folder / f"{name}.arrow"

    def table(self, name: str) -> pa.Table:
        """A set, in the order of ``place(id)``, memory-mapped."""
        import pyarrow as pa

        return pa.ipc.open_file(pa.memory_map(str(self.path(name)))).read_all()

    def schema(self) -> pa.Schema:
        """The fields and riding columns of the source, with the types that they are stored in."""
        import pyarrow as pa

        with pa.OSFile(str(self.path("source")), "rb") as source:
            stored = pa.ipc.open_file(source).schema
        return pa.schema([field for field in stored if not field.name.startswith("_")])

    def parts(self, name: str) -> int:
        """The number of parts of a set."""
        return parts_of(self.counts.get(name, 0), any(kind in MEDIA for kind in self.types.values()))

    def main(self, kind: str) -> str:
        """The first field of a type, or an empty text."""
        return next((name for name, t in self.types.items() if t == kind), "")

    def save(self) -> None:
        data = asdict(self)
        del data["folder"]
        (self.folder / "dataset.json").write_text(json.dumps(data, indent=1, ensure_ascii=False), "utf-8")


def load(folder: Path) -> Dataset:
    """The dataset of a run folder."""
    try:
        data = json.loads((folder / "dataset.json").read_text("utf-8"))
        return Dataset(folder=folder, **data)
    except (OSError, ValueError, TypeError):
        raise DataError(f"{folder / 'dataset.json'} is damaged.", "run augment again into another folder.") from None


def read(
    data: str,
    folder: Path,
    *,
    fields: Mapping[str, str],
    optional: Collection[str] = (),
    named: Mapping[str, str] | None = None,
    unlabelled: str | None = None,
    given: str | None = None,
    test: str | None = None,
    dev: str | None = None,
    labels: str | None = None,
    seed: int = 0,
    told: Callable[[str], None] = lambda what: None,
    pool: Mapping[str, str] | None = None,
) -> Dataset:
    """Read files into ``folder``.  ``fields`` are the recipe's (name -> type), those in ``optional`` may be absent;
    ``named`` maps a field to a column; ``pool`` are the fields that rows of ``unlabelled`` must have, with their types,
    all but the label if none are named.  Without ``fields`` what the data holds decides.

    ``test`` is a file or a share of the source, ``given`` a file of candidates made elsewhere.  Raises DataError for
    what cannot be used; nothing is left in the folder then that a run would read.
    """
    share = _share(test)
    warnings: list[str] = []
    table = open_table(data, warnings.append)
    descriptions = read_labels(labels) if labels else {}
    folder.mkdir(parents=True, exist_ok=True)
    reader = Reader(folder, fields, named or {}, optional, told, pool)
    reader.take(table, "")
    if unlabelled:
        reader.take(open_table(unlabelled, warnings.append), "pool")
    if given:
        if "given" in reader.sets:
            what = f"{reader.name} has made rows of its own (`_synthetic` is true), beside --given {given}"
            raise DataError(f"{what}.", "leave out --given, or put all made rows into its file.")
        reader.take(open_table(given, warnings.append), "given")
        reader.apart.discard("given")  # steps do make from it: an id that a source row has too would name two records
    if test and share is None:
        reader.take(open_table(test, warnings.append), "test")
    if dev:
        reader.take(open_table(dev, warnings.append), "dev")
    warnings += reader.warnings
    for into in reader.sets.values():
        into.close()
    dataset = _finish(reader, share, seed, warnings)
    dataset.descriptions = descriptions
    if dataset.counts.get("test"):
        shared = f"{test} of {dataset.name}"
        dataset.test_from = shared if share is not None else Path(test).name if test else "the split column"
    dataset.save()
    return dataset


def _share(test: str | None) -> float | None:
    try:
        share = float(test or "")
    except ValueError:
        return None
    if not 0 < share < 1:
        raise DataError(f"--test {test} is neither a file nor a share between 0 and 1.", "--test 0.3")
    return share


def _finish(reader: Reader, share: float | None, seed: int, warnings: list[str]) -> Dataset:
    """Decide which rows go where, give them their ids, and write the sets."""
    import numpy as np

    name, sets = reader.name, reader.sets
    if "source" not in sets:
        raise _no_source(reader)
    source, test = sets["source"], sets.get("test")
    refuse_equal_ids([s for s in sets.values() if s.name not in reader.apart])
    if reader.broken:
        many = len(reader.broken)
        what = "1 file cannot be used" if many == 1 else f"{many:,} files cannot be used"
        warnings.append(
            f"{what}, and {'is' if many == 1 else 'are'} in failed/; the first: {reader.broken[0]['error']}"
        )
    moved = None
    if share is not None:
        if test:
            raise DataError(f"{name} has rows of the split `test` already.", "leave out --test, or the column split.")
        moved = set_aside(source, share, seed, name)
    gone = leaks(source, test, name, warnings) if test else None
    stay = np.ones(source.rows, bool)
    for mask in (moved, gone):
        if mask is not None:
            stay &= ~mask
    label = next((n for n, t in reader.mapped.types.items() if t == "label" and n in reader.mapped.columns), "")
    counted = _count_labels(reader, stay)
    if label:
        _check_labels(reader, reader.mapped.columns[label], counted, int(stay.sum()), warnings)
    named = [sets[n] for n in SETS if n in sets]
    times = occurrences(named)
    picks: dict[str, np.ndarray | None] = dict.fromkeys(sets)
    picks["source"] = stay
    counts: dict[str, int] = {}
    prints: list[bytes] = []
    media = any(reader.mapped.types[name] in MEDIA for name in reader.mapped.columns)
    for set_name in SETS:
        piece = source if set_name == "test" and moved is not None else sets.get(set_name)
        if piece is None:
            continue
        keep = moved if piece is source and set_name == "test" else picks[set_name]
        rows = piece.rows if keep is None else int(keep.sum())
        if rows:
            counts[set_name] = rows
            prints.append(
                write_set(reader.folder, set_name, piece, keep, times[piece.name], rows, reader.riding_types, media)
            )
    for piece in sets.values():
        piece.path.unlink(missing_ok=True)
    mapped = reader.mapped
    return Dataset(
        name=name,
        folder=reader.folder,
        columns={**mapped.columns, **reader.riding},
        types={**{n: mapped.types[n] for n in mapped.columns}, **dict.fromkeys(reader.riding, VALUE)},
        stored=reader.stored,
        order=reader.order,
        counts=counts,
        labels=counted,
        fingerprint=digest(*prints).hex(),
        guessed=dict(mapped.guessed),
        warnings=warnings,
        broken=reader.broken,
    )


def _no_source(reader: Reader) -> DataError:
    counts = {name: s.rows for name, s in reader.sets.items()}
    if set(counts) == {"given"}:
        return DataError(f"{reader.name} has made rows only (`_synthetic` is true).", "give real rows too.")
    if "pool" in counts and not counts.keys() & {"test", "dev"}:
        return DataError(f"{reader.name} has no labelled rows to start from.", "fill in the label of some rows.")
    have = ", ".join(f"{n:,} of {name}" for name, n in counts.items())
    return DataError(
        f"{reader.name} has no labelled rows of the split `train` to start from; it has {have}.",
        "add such rows, or rename the column split if it means something else.",
    )


def _count_labels(reader: Reader, stay: np.ndarray) -> dict[str, int]:
    import numpy as np

    source = reader.sets["source"]
    if not source.labels:
        return {}
    codes = np.concatenate(source.labels)[stay]
    found = np.bincount(codes[codes >= 0], minlength=len(reader.label_codes))
    return {name: int(found[code]) for name, code in sorted(reader.label_codes.items()) if found[code]}


def _check_labels(reader: Reader, column: str, counts: Mapping[str, int], rows: int, warnings: list[str]) -> None:
    """Labels that nothing can be learned from are an error, those that look odd a warning."""
    import numpy as np

    if len(counts) == 1:
        value = brief(next(iter(counts)))
        raise DataError(
            f'{reader.name}: the label `{brief(column)}` has one value only, "{value}",'
            f" in {rows:,} {'row' if rows == 1 else 'rows'}.",
            "name another column with --label COLUMN, or add rows of a second label.",
        )
    if len(counts) > max(10, rows / 2) and all(map(_fraction, counts)):
        raise DataError(
            f"{reader.name}: the column `{brief(column)}` holds numbers, not texts.",
            "make classes of the numbers, such as low and high; regression is not built yet.",
        )
    if rows > 2 and len(counts) == rows:
        warnings.append(
            f"each of the {rows:,} rows has a label of its own; if `{brief(column)}` is no label,"
            " name another column with --label COLUMN"
        )
    known = np.array([reader.label_codes[name] for name in counts])
    for name, what in (("test", "not measured on"), ("given", "check how theirs are spelled")):
        apart = reader.sets.get(name)
        if apart is not None and apart.labels:
            codes = np.concatenate(apart.labels)
            lacking = int((~np.isin(codes, known)).sum())
            if lacking:
                have = "row has" if len(codes) == 1 else "rows have"
                warnings.append(f"{lacking:,} of {len(codes):,} {name} {have} no label of the source; {what}")


def _fraction(label: str) -> bool:
    try:
        return not float(label).is_integer()
    except (ValueError, OverflowError):
        return False


__all__ = ["SETS", "SET_BITS", "Dataset", "load", "parts_of", "read", "read_labels", "table_print"]
