"""One part of one stage: a pure function from a plan, a table and fitted states to a table.

Inside, rows are records; outside there is one Arrow table a part, with the records that go on, those refused and
those that failed.  Nothing here knows how many parts or workers there are.
"""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator, Mapping, Sequence
from dataclasses import replace
from itertools import groupby
from typing import TYPE_CHECKING, Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from leaven.context import Context, Rows
from leaven.engine.rows import in_one, to_records, to_table
from leaven.engine.stage import (
    DECIDED,
    FAILED,
    GOES_ON,
    HEAD,
    LEFT,
    REFUSED,
    Join,
    Run,
    Split,
    Stage,
    is_real,
    real_rows,
)
from leaven.errors import LeavenError, RecipeError
from leaven.fields import Column, dropped
from leaven.media.audio import Audio
from leaven.media.broken import Broken
from leaven.media.image import Image
from leaven.models.asker import Stopped
from leaven.models.calls import CallFailed
from leaven.operators import Keep, Make, Note
from leaven.recipe import Step
from leaven.records import Entry, Record, Refuse, canonical, child_id, digest
from leaven.storage import ANNOTATIONS, decoded_size, settle

if TYPE_CHECKING:
    from leaven.context import Asking, Models
    from leaven.operators import Operator


def run_part(
    stage: Stage,
    table: pa.Table | pa.RecordBatch,
    decision: np.ndarray | None,
    states: Callable[[str], Mapping[str, Any]],
    models: Models,
    drawn: Callable[[str], Rows] = lambda path: Rows(HEAD.empty_table()),
) -> pa.Table:
    """Run a stage over a part.  Raises what the author of the recipe must mend; what breaks at one record is a row
    of state FAILED."""
    worker = _Part(stage, states, models, drawn)
    if "_state" in table.schema.names:
        table = table.filter(pc.equal(table.column("_state"), GOES_ON))
    parts = []
    if decision is not None:
        table, refused = worker.apply(table, decision)
        parts.append(refused)
    if stage.work or stage.deciding:
        table = worker.run(table)
    return in_one([table, *parts], stage)


async def ask_part(
    stage: Stage,
    table: pa.Table | pa.RecordBatch,
    models: Models,
    asking: Callable[[Operator], Asking],
    told: Callable[[str], None],
) -> Callable[[], pa.Table]:
    """As ``run_part``, for a stage of one step that asks models: all records of the part at a time.

    ``told`` hears what became of each record: ``on``, ``refused`` or ``failed``.  What came back is taken up by the
    function returned, which may run in another thread: other parts are being asked meanwhile.
    """
    worker = _Part(stage, lambda name: {}, models, lambda path: Rows(HEAD.empty_table()))
    if "_state" in table.schema.names:
        table = table.filter(pc.equal(table.column("_state"), GOES_ON))
    records = to_records(table, stage)
    records.sort(key=lambda record: record.order)
    [run] = stage.work
    assert isinstance(run, Run)
    take_up = await worker.ask(run, records, asking, told)

    def finish() -> pa.Table:
        done = take_up()
        done.sort(key=lambda record: record.order)
        return in_one([to_table(done, worker.out, {}, stage)], stage)

    return finish


AT_A_TIME = 16
AT_ONCE = 32_000_000
"""Bytes of pixels and samples of the rows that come in, which are worked on together."""

Found = list[Record] | Mapping[str, Any] | Exception
"""What asking about a record came to: its children, its new columns, or why there are none."""


class _Part:
    def __init__(
        self,
        stage: Stage,
        states: Callable[[str], Mapping[str, Any]],
        models: Models,
        drawn: Callable[[str], Rows],
    ) -> None:
        self.stage = stage
        self.states = states
        self.models = models
        self.drawn = drawn
        self.out: list[tuple[int, Record]] = []
        self.needed = stage.lineage[0] | stage.lineage[1]
        self.seen: dict[tuple[str, int], dict[str, int]] = {}

    def run(self, table: pa.Table | pa.RecordBatch) -> pa.Table:
        """The rows as records through all steps, and back into a table."""
        records = to_records(table, self.stage)
        records.sort(key=lambda record: record.order)
        records = self.by_roots(records) if self.stage.media else self.through(records)
        extra = self.deciding(self.stage.deciding, records) if self.stage.deciding else {}
        return to_table(records, self.out, extra, self.stage)

    def through(self, records: list[Record]) -> list[Record]:
        """The records through all steps of the stage."""
        for work in self.stage.work:
            if isinstance(work, Run):
                records = self.step(work, records)
            elif isinstance(work, Split):
                records = self.split(work, records)
            else:
                records = join(work, records)
        records.sort(key=lambda record: record.order)  # stable: branches meet in the order of their roots
        return records

    def by_roots(self, records: list[Record]) -> list[Record]:
        """As ``through``, some roots at a time, whose images and sounds are then encoded and let go: a part of large
        photographs would not fit into memory with all its children.  As many as fit: each step works the faster the
        more it has to do at once."""
        done: list[Record] = []
        for family in batches(records):
            aside = len(self.out)
            some = self.through(family)
            for record in some:
                settle(record.fields)
            for _, record in self.out[aside:]:
                settle(record.fields)
            done += some
        return done

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
            drawn=lambda: self.drawn(run.drawn[1]),
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

    def fail(self, record: Record, run: Run, error: Exception, key: str = "") -> None:
        step = run.step
        said: dict[str, Any] = {"error": f"{type(error).__name__}: {error}"}
        reason = type(error).__name__
        if isinstance(error, CallFailed):
            reason = error.reason
            said = {"error": error.detail, "answers": error.answers, "step": key, "round": run.round}
        elif isinstance(error, Broken):
            reason, said = error.reason, {"error": error.detail}
        detail = json.dumps(said, ensure_ascii=False)
        self.out.append((FAILED, replace(record, step=step.name, reason=reason, detail=detail)))

    async def ask(
        self, run: Run, records: list[Record], asking: Callable[[Operator], Asking], told: Callable[[str], None]
    ) -> Callable[[], list[Record]]:
        """Ask models about every record at once; the function returned takes the answers up, in the records' order."""
        chosen = self.chosen(run, records)
        valued = self.valued(run)
        ctx = self.context(run)

        async def one(record: Record, key: str) -> Found:
            found: Found
            try:
                op = valued(record)
                found = await answered(op, record, ctx.apart(record, asking(op), key))
            except LeavenError:
                told("stopped")
                raise
            except Exception as error:  # one record's trouble is not the run's
                found = error
            told("refused" if isinstance(found, Refuse) else "failed" if isinstance(found, Exception) else "on")
            return found

        keys = [self.key(run, record) if mine else "" for record, mine in zip(records, chosen, strict=True)]
        asked = []
        for record, key, mine in zip(records, keys, chosen, strict=True):
            if mine:
                asked.append(asyncio.ensure_future(one(record, key)))
                if len(asked) % AT_A_TIME == 0:  # the first are on the wire while the next are prepared
                    await asyncio.sleep(0)
        answers = await asyncio.gather(*asked, return_exceptions=True)  # those on the wire are stored, come what may
        stopped = [a for a in answers if isinstance(a, LeavenError) or not isinstance(a, list | Mapping | Exception)]
        for error in sorted(stopped, key=lambda error: isinstance(error, Stopped)):
            raise error
        return lambda: self.take_up(run, records, keys, answers)

    def take_up(self, run: Run, records: list[Record], keys: list[str], answers: Sequence[Any]) -> list[Record]:
        """What asking came to: children, columns and records' own errors.  A record that was not asked about has no
        key."""
        found = iter(answers)
        changes = Changes(run.step.op, run.columns)
        out: list[Record] = []
        for record, key in zip(records, keys, strict=True):
            answer = next(found) if key else None
            if answer is None:
                out.append(record)
            elif isinstance(answer, Refuse):
                self.refuse(record, run.step, answer.reason, answer.detail)
            elif isinstance(answer, Exception):
                self.fail(record, run, answer, key)
            elif isinstance(answer, list):
                out.extend(self.make(run, record, answer, changes, key))
            elif isinstance(answer, Mapping):
                out.append(self.noted(run, record, answer))
        return out

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
        changes = Changes(run.step.op, run.columns)
        out: list[Record] = []
        for record, mine in zip(records, chosen, strict=True):
            if not mine:
                out.append(record)
                continue
            try:
                op = valued(record)
                if isinstance(op, Make):
                    made = op.make(record, ctx.of(record))
                    assert isinstance(made, Iterator), "a make that asks models is a stage of its own"
                    out.extend(self.make(run, record, list(made), changes, self.key(run, record)))
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
                self.fail(record, run, error)
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
            try:
                return with_values(run.step.op, found)
            except RecipeError as error:  # what an expression gives for one record is its trouble, not the run's
                raise ValueError(error.what) from None

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
                self.fail(record, run, error)
        return noted

    def noted(self, run: Run, record: Record, values: Mapping[str, Any]) -> Record:
        """The record with its new columns; a field that it had is overwritten, and the history says what it was."""
        new = {run.step.column(name): value for name, value in values.items()}
        data = self.stage.schema.names
        old = {n: _said(record.fields.get(n)) for n, v in new.items() if n in data and differ(record.fields.get(n), v)}
        record.fields.update(new)
        if old:
            record.steps = (*record.steps, _entry(run, {"was": old}))
            record.made = True  # a row of which any field came from a model is not wholly real
            for gone in dropped(frozenset(old), run.columns) - set(new):
                record.fields.pop(gone, None)
        return record

    def make(self, run: Run, record: Record, children: list[Record], changes: Changes, key: str) -> list[Record]:
        """Children with their ids and history; refused ones put aside."""
        out: list[Record] = []
        for ordinal, child in enumerate(children):
            child.id = child_id(child.parents, key, run.round, ordinal)
            child.steps = (*child.steps, _entry(run, child.drawn))
            child.made = True
            child = changes.drop(record, child)
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


def batches(records: Sequence[Record]) -> Iterator[list[Record]]:
    """Whole families, as many as hold about AT_ONCE bytes of pixels and samples."""
    some: list[Record] = []
    size = 0
    for _, of_root in groupby(records, key=lambda record: record.root):
        family = list(of_root)
        some += family
        size += sum(decoded_size(record.fields) for record in family)
        if size >= AT_ONCE:
            yield some
            some, size = [], 0
    if some:
        yield some


async def answered(op: Operator, record: Record, ctx: Context) -> list[Record] | Mapping[str, Any]:
    """What an operator that asks models makes or notes of a record."""
    if isinstance(op, Note):
        noted = op.note(record, ctx)
        assert isinstance(noted, Awaitable)
        values: Mapping[str, Any] = await noted
        return values
    assert isinstance(op, Make)
    making = op.make(record, ctx)
    assert isinstance(making, AsyncIterator)
    children = [child async for child in making]
    got = len(children)
    for _ in range(op.asked() - got):
        empty = record.child(dict.fromkeys(op.changes()))
        children.append(empty.refuse("too_few", f"{got} of {op.asked()}"))
    if ctx.examples:
        for child in children:
            child.drawn = {**child.drawn, "examples": ctx.examples}
    return children


class Changes:
    """What a child loses: the columns about fields that its operator changed, unless they are said to hold."""

    def __init__(self, op: Operator, columns: Mapping[str, Column]) -> None:
        self.columns = columns
        self.holds = getattr(op, "holds", ())
        self.any_about = any(column.about for column in columns.values())
        self.known: dict[frozenset[str], frozenset[str]] = {}

    def drop(self, record: Record, child: Record) -> Record:
        """Take what is not true any more from the child; refused where that was an annotation, such as ``boxes``: it
        would teach that there is nothing in the image."""
        if not self.any_about:
            return child
        changed = frozenset([name for name in child.changed if differ(child.fields[name], record.fields.get(name))])
        if changed not in self.known:
            self.known[changed] = dropped(changed, self.columns, self.holds)
        lost = ""
        for gone in sorted(self.known[changed]):
            if gone not in child.changed:
                value = child.fields.pop(gone, None)
                if self.columns[gone].type in ANNOTATIONS and value is not None and value != []:
                    lost = lost or gone
        return child.refuse(f"{lost}_lost", "the step does not move it along") if lost and not child.reason else child


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


def differ(one: Any, other: Any) -> bool:
    """Whether two values are not the same; matrices are compared as a whole."""
    if isinstance(one, np.ndarray) or isinstance(other, np.ndarray):
        return not np.array_equal(one, other)
    return bool(one != other)


def _said(value: Any) -> Any:
    """An old value as the history keeps it: of an image or a sound the hash of its bytes."""
    return canonical(value).decode().strip('"') if isinstance(value, Image | Audio) else value


_as_json = json.JSONEncoder(ensure_ascii=False, sort_keys=True, default=str).encode


def _entry(run: Run, drawn: Mapping[str, Any]) -> Entry:
    return run.step.name, run.round, _as_json(drawn) if drawn else "{}"
