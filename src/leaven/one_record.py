"""One operator on one record, in Python and with no folder: what ``op(record)`` does.

Ids, draws, fits and the choice of the embedder are those of a run: a row with the same fields, seed and source gives
the same children here and there, where the step bears the operator's own name.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from functools import cached_property
from math import isfinite
from numbers import Real
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from leaven._words import MADE
from leaven.context import Context, Rows
from leaven.draws import Draw
from leaven.engine.asking import ModelDesk, asking_of
from leaven.engine.opening import recording
from leaven.engine.part import Changes, answered
from leaven.errors import DataError, ModelError, RecipeError, brief, listed, suggest
from leaven.fields import VALUE, Column
from leaven.io.media_type import media_in
from leaven.media.audio import Audio
from leaven.media.broken import Broken
from leaven.media.image import Image
from leaven.models.budget import Budget
from leaven.models.calls import CallFailed
from leaven.models.config import load
from leaven.models.ledger import Ledger
from leaven.models.players import Players
from leaven.models.roles import ASKED
from leaven.operators import Keep, Make, Note, Operator
from leaven.records import Record, Refuse, content_hash, place, source_id
from leaven.storage import MEDIA, NOTED_ON, arrow_of, to_cells
from leaven.train.values import opened

if TYPE_CHECKING:
    import pyarrow as pa

Fields = Mapping[str, Any]
Sets = Mapping[str, Sequence[Fields] | None]
LABEL = "label"
FILE = {"bytes", "path"}
"""How `datasets` writes an image or a sound."""
PLACES = {
    "boxes": {"x": 0.0, "y": 0.0, "w": 8.0, "h": 8.0},
    "points": {"x": 4.0, "y": 4.0},
    "segments": {"start": 0.0, "end": 1.5},
}
"""The numbers that say where something is, and what they may be."""


def run(
    op: Operator, fields: Fields, seed: int, sets: Sets, models: Mapping[str, str] | None = None
) -> list[dict[str, Any]]:
    """What becomes of a record, as plain rows; a refused one bears its ``_reason``."""
    for name in models or {}:
        if name.partition(".")[0] not in ASKED:
            known = ["seed", *sets, *ASKED]
            raise RecipeError(f"`{name}` is no set of rows and no role of a model.", f"{suggest(name, known)}.")
    fields = taken(fields, op)
    sets = {
        name: None if rows is None else [taken(row, op, f"{name}[{i}]") for i, row in enumerate(rows)]
        for name, rows in sets.items()
    }
    record = Record(_id(fields, 0), {name: value for name, value in fields.items() if not name.startswith("_")})
    record.root = record.id
    op = bound(op, record.fields, sets.get("source"))
    if op.takes in ("image", "audio") and record.get(on := getattr(op, "on", "")) is None:
        raise DataError(f"{op.name} works on `{on}`, and the record's is None.", f"give the record a value of `{on}`.")
    ctx = _context(op, record, seed, sets)
    try:
        return _became(op, record, ctx, sets, models)
    except Refuse as refused:
        return [_row(record.fields, refused.reason)]
    except Broken as broken:
        raise DataError(f"{broken.detail}.", "give an image or a sound that can be decoded.") from None


def _became(
    op: Operator, record: Record, ctx: Context, sets: Sets, models: Mapping[str, str] | None
) -> list[dict[str, Any]]:
    if op.awaits():
        return _asked(op, record, ctx, sets, models or {})
    if isinstance(op, Note):
        return [{**record.fields, **next(iter(op.notes([record], ctx)))}]
    if isinstance(op, Make):
        made = op.make(record, ctx.of(record))
        assert isinstance(made, Iterator)
        changes = Changes(op, columns_of(record.fields))
        return [_row(child.fields, child.reason) for child in (changes.drop(record, child) for child in made)]
    assert isinstance(op, Keep)
    if op.scope() == ("record",):
        return [_row(record.fields, op.keep(record, ctx.of(record)).partition(": ")[0])]
    [code] = op.decide(op.columns([record], ctx), np.zeros(1, np.int64), ctx)
    return [_row(record.fields, op.reasons[code])]


def _asked(op: Operator, record: Record, ctx: Context, sets: Sets, models: Mapping[str, str]) -> list[dict[str, Any]]:
    """What models say about the record; nothing is stored.  Raises ModelError where the call failed."""
    players = Players(models, load(), recording=recording)
    for role in sorted(op.roles & set(ASKED)):
        players.player(role, getattr(op, "model", None))
    desk = ModelDesk(Ledger(None), Budget(None, 0.0), players)
    try:
        rows = rows_of(sets)
        asking = asking_of(op, desk.conversation, {}, _main(record.fields), lambda name: rows[name])
        found = desk.run(answered(op, record, ctx.apart(record, asking)))
    except Refuse as refused:
        return [_row(record.fields, refused.reason)]
    except CallFailed as failed:
        raise ModelError(f"{op.name}: {failed}.", "try again, or name another model.") from None
    finally:
        desk.close()
    if isinstance(found, Mapping):
        return [{**record.fields, **found}]
    return [_row(child.fields, child.reason) for child in found]


def _main(record: Fields) -> str:
    texts = [name for name, value in record.items() if name != LABEL and isinstance(value, str)]
    return "text" if "text" in texts else texts[0] if texts else ""


def _row(fields: Fields, reason: str) -> dict[str, Any]:
    return {**fields, **({"_reason": reason} if reason else {})}


def bound(op: Operator, record: Fields, source: Sequence[Fields] | None) -> Operator:
    """The operator with what it left to the data resolved: a field called text is the main text, else the first."""
    shared = [name for name in record if not source or any(name in row for row in source)]
    columns = columns_of({name: record[name] for name in shared})
    if op.takes and getattr(op, "on", "") is None:
        found = _of_types(op.takes, columns)
        if not found:
            raise _lacks(op, op.takes, record, source)
        op = op.model_copy(update={"on": op.takes if op.takes in found else found[0]})
    for kinds in op.lacking(columns_of(record)):
        raise _lacks(op, kinds, record, source)
    return op.bind(columns)


def _of_types(kinds: str, columns: Mapping[str, Column]) -> list[str]:
    return [name for kind in kinds.split(" or ") for name, column in columns.items() if column.type == kind]


def _lacks(op: Operator, kinds: str, record: Fields, source: Sequence[Fields] | None) -> RecipeError:
    """What is said where no field is of a type that the operator cannot do without."""
    what, first = f"{op.name} needs {kinds}", kinds.partition(" or ")[0]
    if source and _of_types(kinds, columns_of(record)):
        there = listed(dict.fromkeys(name for row in source for name in row))
        return RecipeError(f"{what} in the source rows too; they have {there}.", "give rows with the record's fields.")
    if not record:
        return RecipeError(f"{what}; the record is empty.", f"give its fields: {{{first!r}: ...}}")
    fits = [name for name, value in record.items() if _kind_of(value) == first and name not in MEDIA]
    named = f"name the field: on={fits[0]!r}" if fits else "name a field: on=..."
    way = named if kinds == op.takes else f"give the record a field `{first}`."
    return RecipeError(f"{what}; the record has {listed(record)}.", way)


def columns_of(record: Fields) -> dict[str, Column]:
    """The columns of a record, by their names and values; boxes and the like are about its image."""
    types = {name: _type(name, value) for name, value in record.items()}
    first = {kind: next((name for name, t in types.items() if t == kind), "") for kind in NOTED_ON}
    on = {kind: first[of] for of, kinds in NOTED_ON.items() for kind in kinds}
    return {name: Column(t, frozenset(filter(None, [on.get(t)]))) for name, t in types.items()}


def _type(name: str, value: Any) -> str:
    """``boxes``, ``mask`` and the like by their names, images and sounds by what they are."""
    if isinstance(value, Image | Audio):
        return name if name in MEDIA else "image" if isinstance(value, Image) else "audio"
    if name in (LABEL, "caption") or arrow_of(name) is not None:
        return name
    return "text" if isinstance(value, str) else VALUE


def taken(row: Fields, op: Operator, where: str = "") -> Fields:
    """A row as operators work on it: its images and sounds, those that the operator is told to work on among them, may
    be paths, bytes, arrays, tensors, Pillow's or what `datasets` holds.

    Raises DataError, which names ``where`` the row stands, for what is none, and for boxes and the like that are none.
    """
    if not isinstance(row, Mapping):
        fix = "give its fields: {'text': ..., 'label': ...}"
        raise DataError(f"a record is a mapping of fields, not of type {type(row).__name__}.", fix, where=where)
    on = getattr(op, "on", None)
    named = dict.fromkeys([on] if isinstance(on, str) else on or (), op.takes if op.takes in MEDIA else "")
    kinds = {**named, **{name: name for name in MEDIA}}
    for name in PLACES.keys() & row.keys():
        _check_places(name, row[name], where)
    row = {name: _as_media(name, kinds[name], v, where) if name in kinds else v for name, v in row.items()}
    vectors = {name for name in ("vector", *(named if op.takes == "vector" else ())) if row.get(name) is not None}
    return {name: _as_vector(name, v, where) if name in vectors else v for name, v in row.items()}


def _as_vector(name: str, value: Any, where: str) -> Any:
    """A list of numbers, an array or a tensor as a run holds it: in 32 bits."""
    try:
        found = np.array(value.tolist() if hasattr(value, "tolist") else value, np.float32)
    except (TypeError, ValueError):
        found = np.zeros(0, np.float32)
    if found.ndim != 1 or not len(found) or not np.isfinite(found).all():
        at = f"{where}: {name}" if where else name
        raise DataError(f"it is of type {type(value).__name__}.", "a vector is a list of finite numbers.", where=at)
    return found


def _as_media(name: str, kind: str, value: Any, where: str) -> Any:
    """An image or a sound as operators work on it; of a field that may hold either, as its value shows."""
    if value is None or isinstance(value, Image | Audio):
        return value
    kind = kind or _kind_of(value)
    at = f"{where}: {name}" if where else name
    holds = Audio if kind == "audio" else Image
    try:
        if not kind:
            return value
        if isinstance(value, Mapping) and value and value.keys() <= FILE:
            data, path = value.get("bytes"), value.get("path")
            return _as_media(name, kind, path, where) if data is None else holds(data, path or "")
        if isinstance(value, bytes):
            return holds(value)
        if isinstance(value, str | Path):
            return holds.read(value)
        if kind == "audio" and (wave := _wave(value)):
            return _sound(wave)
        if kind != "audio" and (hasattr(value, "dtype") or hasattr(value, "convert")):
            return opened("mask" if kind == "mask" else "image", value)[0]
    except DataError as error:
        raise DataError(error.what, error.fix, where=error.where or at) from None
    except OSError as error:
        raise DataError(f"{value} cannot be read ({error.strerror}).", "correct the path.", where=at) from None
    except ValueError as error:
        raise DataError(f"{error}.", "see docs/images-and-audio.md.", where=at) from None
    if kind == "audio":
        what = "a path, bytes, (samples, rate), {'array': ..., 'sampling_rate': ...} or an Audio"
        said = "samples without their rate" if hasattr(value, "dtype") else f"of type {type(value).__name__}"
    else:
        what, said = "a path, bytes, an array of uint8 or a Pillow image", f"of type {type(value).__name__}"
    raise DataError(f"it is {said}.", f"give {what}.", where=at)


def _kind_of(value: Any) -> str:
    """What a value shows itself to be."""
    if isinstance(value, Mapping):
        return "audio" if {"array", "sampling_rate"} <= value.keys() else media_in(value.get("bytes"))
    if isinstance(value, bytes):
        return media_in(value)
    pixels = isinstance(value, np.ndarray) and value.dtype == np.uint8 and value.ndim in (2, 3)
    return "image" if pixels or hasattr(value, "convert") else ""


def _wave(value: Any) -> tuple[Any, Any] | None:
    """The samples and the rate, where a value has both."""
    if isinstance(value, Mapping) and {"array", "sampling_rate"} <= value.keys():
        return np.asarray(value["array"], np.float32), value["sampling_rate"]
    if isinstance(value, tuple) and len(value) == 2 and hasattr(value[0], "dtype"):
        return value
    return None


def _sound(wave: tuple[Any, Any]) -> Audio:
    rate = wave[1]
    if not _is_number(rate) or rate < 1:
        raise DataError(f"its rate is {rate!r}; it is the number of samples a second.", "give (samples, 16000).")
    sound: Audio = opened("audio", (wave[0], int(rate)))[0]
    if sound.channels > len(sound.samples):
        raise DataError(
            f"it has {len(sound.samples):,} frames of {sound.channels:,} channels each.",
            "give an array as frames x channels: samples.T",
        )
    return sound


def _check_places(name: str, value: Any, where: str) -> None:
    """Boxes, points and segments are lists of mappings, each with the numbers that say where it is."""
    need = PLACES[name]
    example = f"each is as {need | {'label': 'cup'}}."
    if value is None:
        return
    if not isinstance(value, list | tuple):
        raise DataError(
            f"`{name}` is of type {type(value).__name__}, not a list.", f"{example[:-1]}, in a list.", where=where
        )
    for i, item in enumerate(value):
        if not isinstance(item, Mapping):
            raise DataError(f"{name}[{i}] is of type {type(item).__name__}, not a mapping.", example, where=where)
        for key in need:
            if key not in item:
                raise DataError(f"{name}[{i}] has no `{key}`; it has {listed(map(str, item))}.", example, where=where)
            if not _is_number(item[key]):
                said = brief(repr(item[key]))
                raise DataError(f"`{key}` of {name}[{i}] is {said}, not a number.", example, where=where)


def _is_number(value: Any) -> bool:
    return isinstance(value, Real) and not isinstance(value, bool) and isfinite(float(value))


def _context(op: Operator, record: Record, seed: int, sets: Sets) -> Context:
    rows = rows_of(sets)
    source = rows.get("source")
    labels = source.column(LABEL) if source and LABEL in source else []
    counts = Counter(label for label in labels if label is not None)
    known = frozenset(record.fields)
    constants = {
        "labels": {label: label for label in sorted(counts)},
        "label_field": LABEL,
        "median": float(np.median(list(counts.values()))) if counts else 0.0,
        MADE: len(rows.get("made", ())),
    }
    models = _Models(source, seed)

    def context(state: Mapping[str, Any]) -> Context:
        return Context(
            seed=seed,
            step=op.name,
            models=models,
            state=state,
            constants=constants,
            lineage=(known, known),
            columns=columns_of(record.fields),
            drawn=lambda: drawn_from(op, rows),
        )

    wanted = op.fits_on() if op.needs_state() else ()
    for name in wanted:
        if name not in rows and name != "made":
            raise DataError(
                f"{op.name} learns from the {name} rows, and none are given.",
                f"give them: {name}=[{{'text': ..., 'label': ...}}, ...]",
            )
    if not wanted:
        return context({})
    from threadpoolctl import threadpool_limits

    with threadpool_limits(1):
        state = op.fit({name: rows[name] for name in wanted if name in rows}, context({}))
    return context({name: np.asarray(value) for name, value in state.items()})


def drawn_from(op: Operator, rows: Mapping[str, Rows]) -> Rows:
    """The rows that an operator draws from."""
    how = getattr(op, "draw", None)
    name = how.of if isinstance(how, Draw) and isinstance(how.of, str) else "source"
    if name not in rows:
        raise DataError(
            f"{op.name} draws from the {name} rows, and none are given.", f"give them: {name}=[{{...}}, ...]"
        )
    return rows[name]


def rows_of(sets: Sets) -> dict[str, Rows]:
    """The sets as rows, with the types of their columns."""
    found = {}
    for name, given in sets.items():
        if given is not None:
            first: dict[str, Any] = {}
            for row in given:
                first = {**row, **{key: value for key, value in first.items() if value is not None}}
            found[name] = Rows(table(given), {n: column.type for n, column in columns_of(first).items()})
    return found


def table(rows: Sequence[Fields]) -> pa.Table:
    """Rows as a run holds them: with ids, in the order of their places, labels as texts."""
    import pyarrow as pa

    seen: Counter[bytes] = Counter()
    ids = []
    for row in rows:
        content = _content(row)
        ids.append(_id(row, seen[content]))
        seen[content] += 1
    columns: dict[str, Any] = {
        "_id": ids,
        "_root": [row.get("_root", i) for row, i in zip(rows, ids, strict=True)],
    }
    for name in dict.fromkeys(name for row in rows for name in row if not name.startswith("_")):
        values = [row.get(name) for row in rows]
        kind = next((_type(name, v) for v in values if v is not None), VALUE)
        cells = [v if v is None else str(v) for v in values] if name == LABEL else to_cells(kind, values)
        columns[name] = pa.array(cells, arrow_of(kind))
    order = sorted(range(len(ids)), key=lambda i: place(ids[i]))
    return pa.table(columns).take(pa.array(order, pa.int64()))


def _content(row: Fields) -> bytes:
    return content_hash({name: value for name, value in row.items() if not name.startswith("_")})


def _id(row: Fields, occurrence: int) -> str:
    return str(row.get("_id") or source_id(_content(row), occurrence))


class _Models:
    """The embedder that a run over this source would choose, loaded when first asked."""

    def __init__(self, source: Rows | None, seed: int) -> None:
        self._source, self._seed = source, seed

    @cached_property
    def _local(self) -> Any:
        from leaven.models.embedders import LocalModels, choose

        source = self._source
        if source is None or LABEL not in source:
            return LocalModels({"name": "wordllama"})
        texts = [
            name
            for name in source.table.column_names
            if name not in ("_id", "_root", LABEL) and _all_texts(source, name)
        ]
        return LocalModels(choose(source.texts(texts), source.column(LABEL), self._seed))

    def embed(self, texts: Sequence[str]) -> np.ndarray:
        found: np.ndarray = self._local.embed(texts)
        return found


def _all_texts(source: Rows, name: str) -> bool:
    import pyarrow as pa

    return bool(pa.types.is_string(source.table.schema.field(name).type))
