"""One operator on one record, in Python and with no folder: what ``op(record)`` does.

Ids, draws, fits and the choice of the embedder are those of a run: a row with the same fields, seed and source gives
the same children here and there, where the step bears the operator's own name.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from functools import cached_property
from typing import TYPE_CHECKING, Any

import numpy as np

from leaven.context import Context, Rows
from leaven.engine.asking import ModelDesk, asking_of
from leaven.engine.opening import recording
from leaven.engine.part import answered
from leaven.errors import DataError, ModelError, RecipeError
from leaven.fields import VALUE, Column
from leaven.models.budget import Budget
from leaven.models.calls import CallFailed
from leaven.models.config import load
from leaven.models.ledger import Ledger
from leaven.models.players import Players
from leaven.models.roles import ASKED
from leaven.operators import Keep, Make, Note, Operator
from leaven.records import Record, Refuse, content_hash, place, source_id

if TYPE_CHECKING:
    import pyarrow as pa

Fields = Mapping[str, Any]
Sets = Mapping[str, Sequence[Fields] | None]
LABEL = "label"


def run(
    op: Operator, fields: Fields, seed: int, sets: Sets, models: Mapping[str, str] | None = None
) -> list[dict[str, Any]]:
    """What becomes of a record, as plain rows; a refused one bears its ``_reason``."""
    record = Record(_id(fields, 0), {name: value for name, value in fields.items() if not name.startswith("_")})
    record.root = record.id
    op = bound(op, record.fields, sets.get("source"))
    ctx = _context(op, record, seed, sets)
    if op.awaits():
        return _asked(op, record, ctx, sets, models or {})
    if isinstance(op, Note):
        return [{**record.fields, **next(iter(op.notes([record], ctx)))}]
    if isinstance(op, Make):
        made = op.make(record, ctx.of(record))
        assert isinstance(made, Iterator)
        return [_row(child.fields, child.reason) for child in made]
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
        rows = {name: Rows(table(given)) for name, given in sets.items() if given is not None}
        own = ctx.apart(record)
        own._asking = asking_of(op, desk.conversation, {}, _main(record.fields), lambda name: rows[name])
        found = desk.run(answered(op, record, own))
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
    columns = {name: Column(_type(name, record[name])) for name in shared}
    if op.takes and getattr(op, "on", "") is None:
        found = [name for name, column in columns.items() if column.type == op.takes]
        if not found:
            raise RecipeError(
                f"{op.name} needs {op.takes}; the record has {', '.join(record)}.", "name a field: on=..."
            )
        op = op.model_copy(update={"on": op.takes if op.takes in found else found[0]})
    return op.bind(columns)


def _type(name: str, value: Any) -> str:
    return LABEL if name == LABEL else "text" if isinstance(value, str) else VALUE


def _context(op: Operator, record: Record, seed: int, sets: Sets) -> Context:
    rows = {name: Rows(table(given)) for name, given in sets.items() if given is not None}
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
        return Context(seed=seed, step=op.name, models=models, state=state, constants=constants, lineage=(known, known))

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


def table(rows: Sequence[Fields]) -> pa.Table:
    """Rows as a run holds them: with ids, in the order of their places, labels as texts."""
    import pyarrow as pa

    seen: Counter[bytes] = Counter()
    ids = []
    for row in rows:
        content = _content(row)
        ids.append(_id(row, seen[content]))
        seen[content] += 1
    columns: dict[str, list[Any]] = {
        "_id": ids,
        "_root": [row.get("_root", i) for row, i in zip(rows, ids, strict=True)],
    }
    for name in dict.fromkeys(name for row in rows for name in row if not name.startswith("_")):
        values = [row.get(name) for row in rows]
        columns[name] = [v if v is None else str(v) for v in values] if name == LABEL else values
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
