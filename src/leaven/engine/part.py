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
from leaven.records import Entry, Record, canonical, child_id, digest

if TYPE_CHECKING:
    from leaven.context import Models
    from leaven.operators import Operator

GOES_ON, REFUSED, FAILED, LEFT = range(4)
DECIDED = "_k_"
BELOW = "\x1f"
"""Between the names of nested branches, where a path of them is stored."""
STEPS = pa.list_(pa.struct([("step", pa.string()), ("round", pa.int64()), ("drawn", pa.string())]))
HEAD = pa.schema(
    [
        pa.field("_id", pa.string()),
        pa.field("_order", pa.int64()),
        pa.field("_root", pa.string()),
        pa.field("_parents", pa.list_(pa.string())),
        pa.field("_steps", STEPS),
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
    """Each record that stands in the branch ``at`` goes into every branch below it."""

    branches: tuple[str, ...]
    at: tuple[str, ...] = ()


@dataclass(frozen=True)
class Join:
    """The branches below ``at`` are one stream again."""

    at: tuple[str, ...] = ()


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
    if "_state" in table.schema.names:
        table = table.filter(pc.equal(table.column("_state"), GOES_ON))
    parts = []
    if decision is not None:
        table, refused = worker.apply(table, decision)
        parts.append(refused)
    if stage.work or stage.deciding:
        table = worker.run(table)
    return in_one([table, *parts], stage)


class _Part:
    def __init__(self, stage: Stage, states: Callable[[str], Mapping[str, Any]], models: Models) -> None:
        self.stage = stage
        self.states = states
        self.models = models
        self.out: list[tuple[int, Record]] = []
        self.needed = stage.lineage[0] | stage.lineage[1]
        self.seen: dict[tuple[str, int], dict[str, int]] = {}

    def run(self, table: pa.Table | pa.RecordBatch) -> pa.Table:
        """The rows as records through all steps, and back into a table."""
        records = to_records(table, self.stage)
        records.sort(key=lambda record: record.order)
        for work in self.stage.work:
            if isinstance(work, Run):
                records = self.step(work, records)
            elif isinstance(work, Split):
                records = self.split(work, records)
            else:
                records = join(work, records)
        records.sort(key=lambda record: record.order)  # stable: branches meet in the order of their roots
        extra = self.deciding(self.stage.deciding, records) if self.stage.deciding else {}
        return to_table(records, self.out, extra, self.stage)

    def context(self, run: Run, drawing: str = "") -> Context:
        """What a step sees.  ``drawing`` names what is drawn beside the operator itself, so that the two draws are
        independent."""
        return Context(
            seed=self.stage.seed,
            step=f"{run.step.key}.{drawing}" if drawing else run.step.key,
            round_number=run.round,
            models=self.models,
            state=self.states(run.state) if run.state else None,
            constants=self.stage.constants,
            lineage=self.stage.lineage,
            columns=run.columns,
        )

    def apply(self, table: pa.Table, decision: np.ndarray) -> tuple[pa.Table, pa.Table]:
        """The rows that go on and those that a keep over all decided to refuse (of the real ones: to leave)."""
        run = self.stage.decided
        assert run is not None
        assert isinstance(run.step.op, Keep)
        gone = table.filter(pa.array(decision > 0))
        state = np.where(real_rows(gone), LEFT, REFUSED)
        reasons = np.array(run.step.op.reasons, object)[decision[decision > 0]]
        said = {"_state": state, "_reason": reasons, "_step": [run.step.name] * len(gone)}
        for name, values in said.items():
            gone = gone.set_column(
                gone.column_names.index(name), HEAD.field(name), pa.array(values, HEAD.field(name).type)
            )
        return table.filter(pa.array(decision == 0)), gone

    def split(self, work: Split, records: list[Record]) -> list[Record]:
        """Records in the branch go into each branch below; the column ``branch`` says which, unless the data has one
        of its own."""
        named = "branch" not in self.stage.schema.names
        out: list[Record] = []
        for record in records:
            if record.branch != work.at:
                out.append(record)
                continue
            for name in work.branches:
                fields = {**record.fields, "branch": name} if named else dict(record.fields)
                into = (*record.branch, name)
                out.append(
                    Record(
                        record.id, fields, record.root, record.order, record.parents, record.steps, record.made, into
                    )
                )
        return out

    def refuse(self, record: Record, step: Step, reason: str, detail: str = "") -> None:
        """A real row that a keep leaves out is not refused: it was not chosen."""
        record.step, record.reason, record.detail = step.name, reason, detail
        self.out.append((LEFT if is_real(record.parents, record.order) else REFUSED, record))

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
        valued = self.valued(run)
        changes = _Changes(run.columns)
        out: list[Record] = []
        for record, mine in zip(records, chosen, strict=True):
            if not mine:
                out.append(record)
                continue
            try:
                op = valued(record)
                if isinstance(op, Make):
                    out.extend(self.make(run, record, list(op.make(record, ctx.of(record))), changes))
                elif isinstance(op, Keep):
                    said = op.keep(record, ctx.of(record))
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
        ctx = self.context(run, "when")
        return [
            here and bool(run.step.when(ctx.values(record), ctx.of(record).rng))
            for here, record in zip(mine, records, strict=True)
        ]

    def valued(self, run: Run) -> Callable[[Record], Any]:
        """The operator for a record: with the parameters that are expressions evaluated for it, and validated."""
        if not run.step.values:
            return lambda record: run.step.op
        drawing = [(name, e, self.context(run, name)) for name, e in run.step.values.items()]

        def valued(record: Record) -> Any:
            found = {name: e(ctx.values(record), ctx.of(record).rng) for name, e, ctx in drawing}
            return with_values(run.step.op, found)

        return valued

    def note(self, run: Run, op: Note, ctx: Context, records: list[Record], chosen: list[bool]) -> list[Record]:
        mine = [record for record, here in zip(records, chosen, strict=True) if here]
        noted = None if run.step.values else self.notes_at_once(op, ctx, mine)
        if noted is None:
            noted = self.notes_one_by_one(run, mine)
        out: list[Record] = []
        for record, here in zip(records, chosen, strict=True):
            if not here:
                out.append(record)
            elif id(record) in noted:
                out.append(self.noted(run, record, noted[id(record)]))
        return out

    def notes_at_once(self, op: Note, ctx: Context, records: list[Record]) -> dict[int, Mapping[str, Any]] | None:
        """The notes of all records, by identity; None where one of them broke."""
        try:
            return dict(zip(map(id, records), op.notes(records, ctx), strict=True))
        except LeavenError:
            raise
        except Exception:
            return None

    def notes_one_by_one(self, run: Run, records: list[Record]) -> dict[int, Mapping[str, Any]]:
        """The notes where each record has its own parameters, or where one of them broke: which one is found out."""
        noted: dict[int, Mapping[str, Any]] = {}
        valued = self.valued(run)
        for record in records:
            try:  # a fresh context each: what a failed attempt drew must not shift this draw
                noted[id(record)] = next(iter(valued(record).notes([record], self.context(run))))
            except LeavenError:
                raise
            except Exception as error:
                self.fail(record, run.step, error)
        return noted

    def noted(self, run: Run, record: Record, values: Mapping[str, Any]) -> Record:
        """The record with its new columns; a field that it had is overwritten, and the history says what it was."""
        new = {run.step.column(name): value for name, value in values.items()}
        data = self.stage.schema.names
        old = {n: record.fields.get(n) for n, value in new.items() if n in data and record.fields.get(n) != value}
        record.fields.update(new)
        if old:
            record.steps = (*record.steps, _entry(run, {"was": old}))
            record.made = True  # a row of which any field came from a model is not wholly real
            for gone in dropped(frozenset(old), run.columns) - set(new):
                record.fields.pop(gone, None)
        return record

    def make(self, run: Run, record: Record, children: list[Record], changes: _Changes) -> list[Record]:
        """Children with their ids and history; refused ones put aside."""
        key = self.key(run, record)
        out: list[Record] = []
        for ordinal, child in enumerate(children):
            child.id = child_id(child.parents, key, run.round, ordinal)
            child.steps = (*child.steps, _entry(run, child.drawn))
            child.made = True
            changes.drop(record, child)
            for name in self.needed:
                self.remember(name, record, child)
            if child.reason:
                self.refuse(child, run.step, child.reason, child.detail)
            else:
                out.append(child)
        return out

    def key(self, run: Run, record: Record) -> str:
        """What ids of children are keyed by: the step's key.  Where branches brought a record here twice, the later
        copies get one of their own: two children are never called the same."""
        seen = self.seen.setdefault((run.step.key, run.round), {})
        before = seen.get(record.id, 0)
        seen[record.id] = before + 1
        return f"{run.step.key}.{before}" if before else run.step.key

    def remember(self, name: str, record: Record, child: Record) -> None:
        if name in self.stage.lineage[0]:
            child.fields[f"parent.{name}"] = record.fields.get(name)
        if name in self.stage.lineage[1]:
            child.fields[f"root.{name}"] = record.fields.get(f"root.{name}", record.fields.get(name))

    def group(self, run: Run, op: Keep, ctx: Context, records: list[Record], chosen: list[bool]) -> list[Record]:
        """A keep whose groups are whole within the part: all records of a root are."""
        mine = [record for record, here in zip(records, chosen, strict=True) if here]
        _, groups = np.unique(group_keys(mine, op.scope()), return_inverse=True)
        op = for_all(run.step, ctx)
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
        ctx = self.context(run)
        op = for_all(run.step, ctx)
        chosen = self.chosen(run, records)
        mine = [record for record, here in zip(records, chosen, strict=True) if here]
        found: dict[str, Any] = {}
        if len(mine) < len(records):
            found["mask"] = pa.array(chosen, pa.bool_())
        if op.scope() != ("all",):
            found["group"] = pa.array(group_keys(records, op.scope()), pa.uint64())
        for name, array in op.columns(mine, ctx).items() if mine else ():
            found[name] = _spread(array, np.array(chosen, bool))
        return {f"{DECIDED}{name}": array for name, array in found.items()}


class _Changes:
    """What a child loses: the columns about fields that its operator changed."""

    def __init__(self, columns: Mapping[str, Column]) -> None:
        self.columns = columns
        self.any_about = any(column.about for column in columns.values())
        self.known: dict[frozenset[str], frozenset[str]] = {}

    def drop(self, record: Record, child: Record) -> None:
        if not self.any_about:
            return
        changed = frozenset([name for name in child.changed if child.fields[name] != record.fields.get(name)])
        if changed not in self.known:
            self.known[changed] = dropped(changed, self.columns)
        for gone in self.known[changed]:
            if gone not in child.changed:
                child.fields.pop(gone, None)


def join(work: Join, records: list[Record]) -> list[Record]:
    """The records of the branches below stand where the fork stood."""
    depth = len(work.at)
    for record in records:
        if len(record.branch) > depth and record.branch[:depth] == work.at:
            record.branch = work.at
    return records


def with_values(op: Operator, values: Mapping[str, Any]) -> Operator:
    """The operator with some parameters set anew, validated."""
    return type(op)(**{**{k: getattr(op, k) for k in op.model_fields_set}, **values})


def for_all(step: Step, ctx: Context) -> Keep:
    """A keep over a group: its expressions see what is the same for all records."""
    op = step.op
    if step.values:
        op = with_values(op, {name: e(ctx.constants) for name, e in step.values.items()})
    assert isinstance(op, Keep)
    return op


_NOTHING = Column(VALUE, written=False)


def is_real(parents: Sequence[str], order: int) -> bool:
    """True for a row of the source or the pool itself; a candidate made elsewhere is none."""
    return not parents and order >> SET_BITS != SETS.index("given")


def real_rows(table: pa.Table) -> np.ndarray:
    """``is_real`` of each row."""
    parents = table.column("_parents")
    bare = pc.list_value_length(parents).fill_null(0).to_numpy() == 0
    found: np.ndarray = bare & (table.column("_order").to_numpy() >> SET_BITS != SETS.index("given"))
    return found


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


_as_json = json.JSONEncoder(ensure_ascii=False, sort_keys=True, default=str).encode


def _entry(run: Run, drawn: Mapping[str, Any]) -> Entry:
    return run.step.name, run.round, _as_json(drawn) if drawn else "{}"


# -- tables and records ---------------------------------------------------------------------------------------------


def arrow_type(column: Column, stored: pa.DataType | None) -> pa.DataType:
    """How a column stands in a table: as it was read, a score as a number, anything else as JSON."""
    if stored is not None:
        return stored
    return pa.float64() if column.type == SCORE else pa.string()


def to_records(table: pa.Table | pa.RecordBatch, stage: Stage) -> list[Record]:
    """The rows as records.  A source table has no history yet: each row is its own root."""
    data = frozenset(stage.schema.names)
    names = [n for n in table.schema.names if not n.startswith("_")]
    values = [
        [None if v is None else json.loads(v) for v in column] if _is_json(name, stage) else column
        for name, column in ((n, table.column(n).to_pylist()) for n in names)
    ]
    every = data.issuperset(names)
    rows: Iterator[dict[str, Any]] = (
        dict(zip(names, row, strict=True))
        if every
        else {n: v for n, v in zip(names, row, strict=True) if v is not None or n in data}
        for row in (zip(*values, strict=True) if names else iter([()] * table.num_rows))
    )
    ids, orders = table.column("_id").to_pylist(), table.column("_order").to_pylist()
    if "_root" not in table.schema.names:
        given = SETS.index("given")
        return [
            Record(i, row, i, order, made=order >> SET_BITS == given)
            for i, row, order in zip(ids, rows, orders, strict=True)
        ]
    return [
        Record(i, row, root, order, parents, steps, made, tuple(branch.split(BELOW)) if branch else ())
        for i, row, root, order, parents, steps, made, branch in zip(
            ids,
            rows,
            table.column("_root").to_pylist(),
            orders,
            _lists(table.column("_parents"), lambda flat: flat.to_pylist()),
            _lists(
                table.column("_steps"), lambda flat: list(zip(*(c.to_pylist() for c in flat.flatten()), strict=True))
            ),
            table.column("_made").to_pylist(),
            table.column("_branch").to_pylist(),
            strict=True,
        )
    ]


def _lists(column: pa.ChunkedArray, decode: Callable[[pa.Array], list[Any]]) -> list[tuple[Any, ...]]:
    """The lists of a column as tuples: all their items decoded at once, then dealt out."""
    flat = decode(pa.concat_arrays([chunk.flatten() for chunk in column.chunks])) if column.num_chunks else []
    found, at = [], 0
    for length in pc.list_value_length(column).to_pylist():
        found.append(tuple(flat[at : at + length]))
        at += length
    return found


def _listed(items: pa.Array, lengths: list[int], kind: pa.DataType) -> pa.Array:
    """A column of lists from all their items."""
    offsets = np.concatenate(([0], np.cumsum(lengths, dtype=np.int64))).astype(np.int32)
    return pa.ListArray.from_arrays(pa.array(offsets), items, type=kind)


def _is_json(name: str, stage: Stage) -> bool:
    if name in stage.schema.names:
        return False
    column = stage.columns.get(name)
    return name.startswith(("parent.", "root.")) or (column is not None and column.type == VALUE)


def schema_of(stage: Stage) -> pa.Schema:
    """How the parts of a stage are stored."""
    schema = HEAD
    lineage = [f"parent.{n}" for n in sorted(stage.lineage[0])] + [f"root.{n}" for n in sorted(stage.lineage[1])]
    for name in [*stage.columns, *lineage]:
        column = stage.columns.get(name, _NOTHING)
        stored = stage.schema.field(name).type if name in stage.schema.names else None
        schema = schema.append(pa.field(name, arrow_type(column, stored)))
    return schema


def to_table(
    records: Sequence[Record], out: Sequence[tuple[int, Record]], extra: Mapping[str, pa.Array], stage: Stage
) -> pa.Table:
    """The part as it is stored: first the records that go on, then those that do not."""
    every = [*records, *(record for _, record in out)]
    entries = [entry for r in every for entry in r.steps]
    steps = pa.StructArray.from_arrays(
        [pa.array([e[i] for e in entries], STEPS.value_type.field(i).type) for i in range(3)],
        fields=list(STEPS.value_type),
    )
    parents = pa.array([parent for r in every for parent in r.parents], pa.string())
    arrays: dict[str, Any] = {
        "_id": [r.id for r in every],
        "_order": [r.order for r in every],
        "_root": [r.root for r in every],
        "_parents": _listed(parents, [len(r.parents) for r in every], HEAD.field("_parents").type),
        "_steps": _listed(steps, [len(r.steps) for r in every], STEPS),
        "_made": [r.made for r in every],
        "_branch": [BELOW.join(r.branch) for r in every],
        "_state": [GOES_ON] * len(records) + [state for state, _ in out],
        "_step": [r.step for r in every],
        "_reason": [r.reason for r in every],
        "_detail": [r.detail for r in every],
    }
    schema = schema_of(stage)
    for field in list(schema)[len(HEAD) :]:
        values = [r.fields.get(field.name) for r in every]
        if _is_json(field.name, stage):
            values = [None if v is None else json.dumps(v, ensure_ascii=False, default=str) for v in values]
        elif pa.types.is_string(field.type):
            values = [v if v is None or isinstance(v, str) else _text(v) for v in values]
        arrays[field.name] = values
    table = pa.Table.from_pydict(arrays, schema=schema)
    for name, array in extra.items():
        table = table.append_column(name, pa.concat_arrays([array, pa.nulls(len(out), array.type)]))
    return table


def in_one(tables: Sequence[pa.Table], stage: Stage) -> pa.Table:
    """Tables of one part as one, with the columns of the stage; what a row lacks is null."""
    schema = schema_of(stage)
    for field in tables[0].schema:
        if field.name.startswith(DECIDED):
            schema = schema.append(field)
    whole = [
        pa.Table.from_arrays(
            [t.column(f.name) if f.name in t.column_names else pa.nulls(len(t), f.type) for f in schema], schema=schema
        )
        for t in tables
    ]
    return pa.concat_tables(whole)


def _text(value: Any) -> str:
    return str(value) if isinstance(value, int | float | bool) else json.dumps(value, ensure_ascii=False, default=str)
