"""One part of one stage: a pure function from a plan, a table and fitted states to a table.

Inside, rows are records; outside there is one Arrow table a part, with the records that go on, those refused and
those that failed.  Nothing here knows how many parts or workers there are.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from leaven.context import Context
from leaven.errors import LeavenError
from leaven.fields import SCORE, VALUE, Column, dropped
from leaven.io.dataset import SET_BITS, SETS
from leaven.operators import Keep, Make, Note
from leaven.recipe import Step
from leaven.records import Record, canonical, child_id, digest

if TYPE_CHECKING:
    from leaven.context import Models
    from leaven.operators import Operator

GOES_ON, REFUSED, FAILED, LEFT = range(4)
DECIDED = "_k_"
HEAD = pa.schema(
    [
        pa.field("_id", pa.string()),
        pa.field("_order", pa.int64()),
        pa.field("_root", pa.string()),
        pa.field("_parents", pa.list_(pa.string())),
        pa.field("_steps", pa.string()),
        pa.field("_made", pa.bool_()),
        pa.field("_branch", pa.string()),
        pa.field("_state", pa.int8()),
        pa.field("_step", pa.string()),
        pa.field("_reason", pa.string()),
        pa.field("_detail", pa.string()),
    ]
)


@dataclass(frozen=True)
class Run:
    """A step within a stage; ``state`` names its fitted state, ``columns`` what stands before it."""

    step: Step
    round: int
    columns: Mapping[str, Column]
    state: str = ""


@dataclass(frozen=True)
class Split:
    """Each record goes into every branch."""

    branches: tuple[str, ...]


@dataclass(frozen=True)
class Join:
    """The branches are one stream again."""


@dataclass(frozen=True)
class Stage:
    """What is done to each part between two waits.

    ``decided`` is the keep whose decision (an index into its reasons for each row) opens the stage, ``deciding`` the
    one whose columns close it.
    """

    work: tuple[Run | Split | Join, ...]
    columns: Mapping[str, Column]
    schema: pa.Schema
    seed: int
    constants: Mapping[str, Any]
    lineage: tuple[frozenset[str], frozenset[str]]
    decided: Run | None = None
    deciding: Run | None = None


def run_part(
    stage: Stage,
    table: pa.Table | pa.RecordBatch,
    decision: np.ndarray | None,
    states: Callable[[str], Mapping[str, Any]],
    models: Models,
) -> pa.Table:
    """Run a stage over a part.  Raises what the author of the recipe must mend; what breaks at one record is a row
    of state FAILED."""
    worker = _Part(stage, states, models)
    records = to_records(table, stage)
    records.sort(key=lambda record: record.order)
    if decision is not None:
        records = worker.apply(records, decision)
    for work in stage.work:
        if isinstance(work, Run):
            records = worker.step(work, records)
        elif isinstance(work, Split):
            records = [_into(record, name) for record in records for name in work.branches]
        else:
            records = [replace(record, branch=record.branch[:-1]) for record in records]
    records.sort(key=lambda record: record.order)  # stable: branches meet in the order of their roots
    extra = worker.deciding(stage.deciding, records) if stage.deciding else {}
    return to_table(records, worker.out, extra, stage)


class _Part:
    def __init__(self, stage: Stage, states: Callable[[str], Mapping[str, Any]], models: Models) -> None:
        self.stage = stage
        self.states = states
        self.models = models
        self.out: list[tuple[int, Record]] = []
        self.needed = stage.lineage[0] | stage.lineage[1]

    def context(self, run: Run) -> Context:
        return Context(
            seed=self.stage.seed,
            step=run.step.key,
            round_number=run.round,
            models=self.models,
            state=self.states(run.state) if run.state else None,
            constants=self.stage.constants,
            lineage=self.stage.lineage,
        )

    def apply(self, records: list[Record], decision: np.ndarray) -> list[Record]:
        """Take out what a keep over all decided to refuse."""
        run = self.stage.decided
        assert run is not None
        assert isinstance(run.step.op, Keep)
        reasons = run.step.op.reasons
        for record, code in zip(records, decision, strict=True):
            if code:
                self.refuse(record, run.step, reasons[code])
        return [record for record, code in zip(records, decision, strict=True) if not code]

    def refuse(self, record: Record, step: Step, reason: str, detail: str = "") -> None:
        """A real row that a keep leaves out is not refused: it was not chosen."""
        state = LEFT if is_real(record.parents, record.order) else REFUSED
        self.out.append((state, replace(record, step=step.name, reason=reason, detail=detail)))

    def fail(self, record: Record, step: Step, error: Exception) -> None:
        detail = f"{type(error).__name__}: {error}"
        self.out.append((FAILED, replace(record, step=step.name, reason=type(error).__name__, detail=detail)))

    def step(self, run: Run, records: list[Record]) -> list[Record]:
        chosen = self.chosen(run, records)
        if not any(chosen):
            return records
        op, ctx = run.step.op, self.context(run)
        if isinstance(op, Note):
            return self.note(run, op, ctx, records, chosen)
        if isinstance(op, Keep) and op.scope() != ("record",):
            return self.group(run, op, ctx, records, chosen)
        out: list[Record] = []
        for record, mine in zip(records, chosen, strict=True):
            if not mine:
                out.append(record)
                continue
            try:
                if isinstance(op, Make):
                    out.extend(self.make(run, self.valued(run, op, record, ctx), record, ctx))
                elif isinstance(op, Keep):
                    said = self.valued(run, op, record, ctx).keep(record, ctx.of(record))
                    if said:
                        reason, _, detail = said.partition(": ")
                        self.refuse(record, run.step, reason, detail)
                    else:
                        out.append(record)
            except LeavenError:
                raise
            except Exception as error:  # one record's trouble is not the run's
                self.fail(record, run.step, error)
        return out

    def chosen(self, run: Run, records: list[Record]) -> list[bool]:
        """Which records a step works on: those of its branch, where its ``when`` holds."""
        depth = len(run.step.branch)
        mine = [record.branch[:depth] == run.step.branch for record in records] if depth else [True] * len(records)
        if run.step.when is None:
            return mine
        ctx = self.context(run)
        return [
            here and bool(run.step.when(ctx.values(record), ctx.of(record).rng))
            for here, record in zip(mine, records, strict=True)
        ]

    def valued(self, run: Run, op: Any, record: Record, ctx: Context) -> Any:
        """The operator with the parameters that are expressions evaluated for this record."""
        if not run.step.values:
            return op
        values = ctx.values(record)
        found = {name: e(values, ctx.of(record).rng) for name, e in run.step.values.items()}
        return type(op)(**{**{k: getattr(op, k) for k in op.model_fields_set}, **found})

    def note(self, run: Run, op: Note, ctx: Context, records: list[Record], chosen: list[bool]) -> list[Record]:
        mine = [record for record, here in zip(records, chosen, strict=True) if here]
        noted: dict[int, Mapping[str, Any]] = {}
        try:
            noted = {id(r): values for r, values in zip(mine, op.notes(mine, ctx), strict=True)}
        except LeavenError:
            raise
        except Exception:  # find out which record it was
            for record in mine:
                try:
                    noted[id(record)] = next(iter(op.notes([record], ctx)))
                except Exception as error:
                    self.fail(record, run.step, error)
        out: list[Record] = []
        for record, here in zip(records, chosen, strict=True):
            if not here:
                out.append(record)
            elif id(record) in noted:
                out.append(self.noted(run, record, noted[id(record)]))
        return out

    def noted(self, run: Run, record: Record, values: Mapping[str, Any]) -> Record:
        """The record with its new columns; a field that it had is overwritten, and the history says what it was."""
        new = {run.step.column(name): value for name, value in values.items()}
        data = self.stage.schema.names
        old = {n: record.fields.get(n) for n, value in new.items() if n in data and record.fields.get(n) != value}
        fields = {**record.fields, **new}
        steps, made = record.steps, record.made
        if old:
            steps = (*steps, _entry(run, {"was": old}))
            made = True  # a row of which any field came from a model is not wholly real
            for gone in dropped(frozenset(old), run.columns) - set(new):
                fields.pop(gone, None)
        return replace(record, fields=fields, steps=steps, made=made)

    def make(self, run: Run, op: Make, record: Record, ctx: Context) -> Iterator[Record]:
        children = list(op.make(record, ctx.of(record)))
        for ordinal, child in enumerate(children):
            child.id = child_id(child.parents, run.step.key, run.round, ordinal)
            child.steps = (*child.steps, _entry(run, child.drawn))
            child.made = True
            changed = frozenset(name for name in child.changed if child.fields[name] != record.fields.get(name))
            for gone in dropped(changed, run.columns):
                if gone not in child.changed:
                    child.fields.pop(gone, None)
            for name in self.needed:
                self.remember(name, record, child)
            if child.reason:
                self.refuse(child, run.step, child.reason, child.detail)
            else:
                yield child

    def remember(self, name: str, record: Record, child: Record) -> None:
        if name in self.stage.lineage[0]:
            child.fields[f"parent.{name}"] = record.fields.get(name)
        if name in self.stage.lineage[1]:
            child.fields[f"root.{name}"] = record.fields.get(f"root.{name}", record.fields.get(name))

    def group(self, run: Run, op: Keep, ctx: Context, records: list[Record], chosen: list[bool]) -> list[Record]:
        """A keep whose groups are whole within the part: all records of a root are."""
        mine = [record for record, here in zip(records, chosen, strict=True) if here]
        _, groups = np.unique(group_keys(mine, op.scope()), return_inverse=True)
        codes = iter(op.decide(op.columns(mine, ctx), groups, ctx).tolist())
        out: list[Record] = []
        for record, here in zip(records, chosen, strict=True):
            code = next(codes) if here else 0
            if code:
                self.refuse(record, run.step, op.reasons[code])
            else:
                out.append(record)
        return out

    def deciding(self, run: Run, records: list[Record]) -> dict[str, Any]:
        """The columns by which the keep that comes next will decide, and the group of each row."""
        op = run.step.op
        assert isinstance(op, Keep)
        ctx = self.context(run)
        chosen = np.array(self.chosen(run, records), bool)
        mine = [record for record, here in zip(records, chosen, strict=True) if here]
        found: dict[str, Any] = {f"{DECIDED}mask": pa.array(chosen)}
        if op.scope() != ("all",):
            found[f"{DECIDED}group"] = pa.array(group_keys(records, op.scope()), pa.uint64())
        for name, array in op.columns(mine, ctx).items() if mine else ():
            found[f"{DECIDED}{name}"] = _spread(array, chosen)
        return found


_NOTHING = Column(VALUE, written=False)


def is_real(parents: Sequence[str], order: int) -> bool:
    """True for a row of the source or the pool itself; a candidate made elsewhere is none."""
    return not parents and order >> SET_BITS != SETS.index("given")


def group_keys(records: Sequence[Record], scope: Sequence[str]) -> np.ndarray:
    """A 64-bit hash of each record's group."""
    keys = [digest(canonical([_group(record, name) for name in scope]), size=8) for record in records]
    return np.frombuffer(b"".join(keys), np.uint64)


def within_part(scope: Sequence[str]) -> bool:
    """True where a part holds every group whole."""
    return tuple(scope) == ("record",) or "root" in scope


def _group(record: Record, name: str) -> Any:
    if name == "root":
        return record.root
    if name == "parent":
        return list(record.parents)
    return record.get(name)


def _spread(array: np.ndarray, chosen: np.ndarray) -> pa.Array:
    """Values of the chosen rows as an Arrow column of all rows."""
    if array.dtype.kind == "U":
        values = np.full(len(chosen), None, object)
        values[chosen] = array
        return pa.array(values, pa.string())
    full = np.zeros((len(chosen), *array.shape[1:]), array.dtype)
    full[chosen] = array
    if full.ndim == 1:
        return pa.array(full)
    return pa.FixedSizeListArray.from_arrays(pa.array(full.ravel()), full.shape[1])


def _entry(run: Run, drawn: Mapping[str, Any]) -> dict[str, Any]:
    return {"step": run.step.name, "round": run.round, "drawn": dict(drawn)}


def _into(record: Record, branch: str) -> Record:
    return replace(record, branch=(*record.branch, branch), fields={**record.fields, "branch": branch})


# -- tables and records ---------------------------------------------------------------------------------------------


def arrow_type(column: Column, stored: pa.DataType | None) -> pa.DataType:
    """How a column stands in a table: as it was read, a score as a number, anything else as JSON."""
    if stored is not None:
        return stored
    return pa.float64() if column.type == SCORE else pa.string()


def to_records(table: pa.Table | pa.RecordBatch, stage: Stage) -> list[Record]:
    """The rows that go on.  A source table has no history yet: each row is its own root."""
    names = table.schema.names
    if "_state" in names:
        table = table.filter(pc.equal(table.column("_state"), GOES_ON))
    columns = {n: table.column(n).to_pylist() for n in names if not n.startswith(DECIDED) and n != "_state"}
    fields = [n for n in columns if not n.startswith("_")]
    as_json = {n for n in fields if _is_json(n, stage)}
    values = [
        [None if v is None else json.loads(v) for v in columns[n]] if n in as_json else columns[n] for n in fields
    ]
    rows = zip(*values, strict=True) if fields else iter([()] * len(table))
    bare = "_root" not in columns
    data = frozenset(stage.schema.names)
    found: list[Record] = []
    for i, row in enumerate(rows):
        here = {n: v for n, v in zip(fields, row, strict=True) if v is not None or n in data}
        record = Record(columns["_id"][i], here, order=columns["_order"][i])
        if bare:
            record.root = record.id
        else:
            record.root = columns["_root"][i]
            record.parents = tuple(columns["_parents"][i])
            record.steps = tuple(json.loads(columns["_steps"][i])) if columns["_steps"][i] != "[]" else ()
            record.made = columns["_made"][i]
            record.branch = tuple(columns["_branch"][i].split("/")) if columns["_branch"][i] else ()
        found.append(record)
    return found


def _is_json(name: str, stage: Stage) -> bool:
    column = stage.columns.get(name)
    return name.startswith(("parent.", "root.")) or (
        column is not None and column.type == VALUE and name not in stage.schema.names
    )


def to_table(
    records: Sequence[Record], out: Sequence[tuple[int, Record]], extra: Mapping[str, pa.Array], stage: Stage
) -> pa.Table:
    """The part as it is stored: first the records that go on, then those that do not."""
    every = [(GOES_ON, record) for record in records] + list(out)
    arrays: dict[str, Any] = {
        "_id": [r.id for _, r in every],
        "_order": [r.order for _, r in every],
        "_root": [r.root for _, r in every],
        "_parents": [r.parents for _, r in every],
        "_steps": [
            json.dumps(r.steps, ensure_ascii=False, separators=(",", ":"), default=str) if r.steps else "[]"
            for _, r in every
        ],
        "_made": [r.made for _, r in every],
        "_branch": ["/".join(r.branch) for _, r in every],
        "_state": [s for s, _ in every],
        "_step": [r.step for _, r in every],
        "_reason": [r.reason for _, r in every],
        "_detail": [r.detail for _, r in every],
    }
    schema = HEAD
    lineage = [f"parent.{n}" for n in sorted(stage.lineage[0])] + [f"root.{n}" for n in sorted(stage.lineage[1])]
    for name in [*stage.columns, *lineage]:
        column = stage.columns.get(name, _NOTHING)
        kind = arrow_type(column, stage.schema.field(name).type if name in stage.schema.names else None)
        values = [r.fields.get(name) for _, r in every]
        if _is_json(name, stage):
            values = [None if v is None else json.dumps(v, ensure_ascii=False, default=str) for v in values]
        elif pa.types.is_string(kind):
            values = [v if v is None or isinstance(v, str) else _text(v) for v in values]
        arrays[name] = values
        schema = schema.append(pa.field(name, kind))
    table = pa.Table.from_pydict(arrays, schema=schema)
    if extra:
        nothing = len(out)
        for name, array in extra.items():
            table = table.append_column(name, pa.concat_arrays([array, pa.nulls(nothing, array.type)]))
    return table


def _text(value: Any) -> str:
    return str(value) if isinstance(value, int | float | bool) else json.dumps(value, ensure_ascii=False, default=str)


def run_record(op: Operator, record: Mapping[str, Any], seed: int, models: Models) -> list[dict[str, Any]]:
    """One operator on one record, with no folder: what ``op(record)`` does in Python."""
    from leaven.recipe import bind

    columns = {name: Column("label" if name == "label" else "text") for name in record}
    if op.takes and getattr(op, "on", "") is None:
        op = op.model_copy(update={"on": "text" if "text" in record else next(iter(record))})
    step = Step(bind(op, columns), op.name, op.name, 0)
    run = Run(step, 0, columns)
    fields = pa.schema([])
    stage = Stage((run,), columns, fields, seed, {"labels": {}, "label_field": "label"}, (frozenset(), frozenset()))
    part = _Part(stage, lambda _: {}, models)
    real = Record("record", dict(record), root="record")
    kept = part.step(run, [real])
    return [
        *({k: v for k, v in r.fields.items() if k != "branch"} for r in kept),
        *({**r.fields, "_reason": r.reason} for _, r in part.out),
    ]
