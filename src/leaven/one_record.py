"""One operator on one record, in Python and with no folder: what ``op(record)`` does.

Ids, draws, fits and the choice of the embedder are those of a run: a row with the same fields, seed and source gives
the same children here and there, where the step bears the operator's own name.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from leaven.context import Context, Rows
from leaven.draws import Draw
from leaven.engine.asking import ModelDesk, asking_of
from leaven.engine.opening import recording
from leaven.engine.part import Changes, answered
from leaven.errors import DataError, ModelError, RecipeError
from leaven.fields import VALUE, Column
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

if TYPE_CHECKING:
    import pyarrow as pa

Fields = Mapping[str, Any]
Sets = Mapping[str, Sequence[Fields] | None]
LABEL = "label"


def run(
    op: Operator, fields: Fields, seed: int, sets: Sets, models: Mapping[str, str] | None = None
) -> list[dict[str, Any]]:
    """What becomes of a record, as plain rows; a refused one bears its ``_reason``."""
    fields = with_media(fields)
    sets = {name: None if rows is None else [with_media(row) for row in rows] for name, rows in sets.items()}
    record = Record(_id(fields, 0), {name: value for name, value in fields.items() if not name.startswith("_")})
    record.root = record.id
    op = bound(op, record.fields, sets.get("source"))
    ctx = _context(op, record, seed, sets)
    try:
        return _became(op, record, ctx, sets, models)
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
    shared = [name for name in record if source is None or any(name in row for row in source)]
    columns = columns_of({name: record[name] for name in shared})
    if op.takes and getattr(op, "on", "") is None:
        found = [n for kind in op.takes.split(" or ") for n, column in columns.items() if column.type == kind]
        if not found:
            raise RecipeError(
                f"{op.name} needs {op.takes}; the record has {', '.join(record)}.", "name a field: on=..."
            )
        op = op.model_copy(update={"on": op.takes if op.takes in found else found[0]})
    return op.bind(columns)


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


def with_media(row: Fields) -> dict[str, Any]:
    """A row whose images and sounds, given as paths, bytes, arrays or Pillow's own, are what operators work on."""
    return {name: _as_media(name, value) if name in MEDIA else value for name, value in row.items()}


def _as_media(name: str, value: Any) -> Any:
    kind = Audio if name == "audio" else Image
    if value is None or isinstance(value, kind):
        return value
    if isinstance(value, bytes):
        return kind(value)
    try:
        if isinstance(value, str | Path):
            return kind.read(value)
        if kind is Image and hasattr(value, "convert"):  # Pillow's
            value = np.asarray(value if name == "mask" else value.convert("RGB"))
        if kind is Image and isinstance(value, np.ndarray):
            return Image.of_codes(value) if name == "mask" else Image.of(value)
    except OSError as error:
        raise DataError(f"{name}: {value} cannot be read ({error.strerror}).", "correct the path.") from None
    except ValueError as error:
        raise DataError(f"{name}: {error}.", "give pixels as height x width x 3 of uint8.") from None
    what = "a path, bytes or an Audio" if kind is Audio else "a path, bytes, an array of uint8 or a Pillow image"
    raise DataError(f"{name} is a {type(value).__name__}.", f"give {what}.")


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
    name = how.of if isinstance(how, Draw) else "source"
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
