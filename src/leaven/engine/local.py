"""Run a recipe on this machine: unroll it into stages, run their parts on all cores, decide where all must be seen.

The files of a part are named by the hash of everything that could change them (steps, seed, fitted states, input), so
that a killed run goes on where it was, and a stale part is never read.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import lru_cache
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from leaven import __version__
from leaven._words import MADE
from leaven.asks import GroupFailed
from leaven.context import Asking, Context, Rows
from leaven.draws import Draw
from leaven.engine.asking import ModelDesk, asking_of, records_of
from leaven.engine.folder import Folder, arrays_bytes, write_whole
from leaven.engine.part import for_all, with_values, within_part
from leaven.engine.pieces import Piece, going, side_by_side, write_table
from leaven.engine.reporter import Reporter, Silent
from leaven.engine.rows import kinds_of, to_table
from leaven.engine.stage import BELOW, DECIDED, Join, Run, Split, Stage
from leaven.engine.workers import Job, Workers, models, work
from leaven.errors import BudgetReached, ModelError, RecipeError, listed
from leaven.fields import CONTENT, Column
from leaven.io.dataset import SET_BITS, SETS, Dataset, parts_of
from leaven.keep.near_test import NearTest
from leaven.models.calls import Adapter
from leaven.models.embedders import choose
from leaven.models.roles import ASKED
from leaven.operators import Keep, Make, Note, State
from leaven.recipe import Fork, Node, Recipe, Repeat, Start, Step, advance, lineage, walk_steps
from leaven.records import Record, canonical, child_id, digest, place
from leaven.storage import MEDIA

if TYPE_CHECKING:
    from leaven.expressions import Expression
    from leaven.operators import Operator


@dataclass
class Stream:
    """Where a chain stands: its parts, and the work that is put off until something must wait."""

    pieces: list[Piece]
    stored: dict[str, Column]
    work: list[Run | Split | Join] = field(default_factory=list)
    decided: Run | None = None
    decision: str = ""


@dataclass
class Outcome:
    """What a run of the steps left: the pieces in which chains ended, all that were written on the way, and those of
    rounds whose result others took the place of."""

    ends: list[Piece]
    passed: list[Piece]
    replaced: list[Piece]
    rounds: list[dict[str, Any]]


class Engine:
    """Runs one checked recipe over one dataset in one folder."""

    def __init__(
        self,
        recipe: Recipe,
        dataset: Dataset,
        folder: Folder,
        *,
        seed: int = 0,
        workers: int = 1,
        limit: int | None = None,
        operators: Sequence[str] = (),
        reporter: Reporter | None = None,
        desk: ModelDesk | None = None,
        embed: str = "",
    ) -> None:
        self.recipe, self.dataset, self.folder = recipe, dataset, folder
        self.seed, self.limit = seed, limit
        own = {s.op.name for s in recipe.steps() if type(s.op).__module__.startswith("leaven_operators_")}
        self.pool = Workers(workers, operators, sorted(own))
        self.reporter = reporter or Silent()
        self.desk = desk
        self.embed = embed
        self.typed = dataset.typed()
        self.lineage = lineage(recipe)
        self.label = dataset.main("label")
        counts = sorted(dataset.labels.values())
        labels = {name: dataset.descriptions.get(name) or recipe.labels.get(name) or name for name in dataset.labels}
        self.constants: dict[str, Any] = {
            **recipe.let,
            "labels": labels,
            "label_field": self.label,
            "median": float(np.median(counts)) if counts else 0.0,
        }
        named = [*(e for step in recipe.steps() for e in step.expressions()), *recipe.texts.values()]
        self.counts_made = any(MADE in expression.names for expression in named)
        if self.counts_made:
            self.constants[MADE] = 0
        self.schema = dataset.schema()
        self.made: list[Piece] = []
        self.passed: list[Piece] = []
        self.replaced: list[Piece] = []
        self.rounds: list[dict[str, Any]] = []
        self.number = 0
        self.total = sum(1 for _ in recipe.steps())
        self.embedder = ""
        self.asked_embed = desk.embedder() if desk else None
        self.drawing: dict[str, Rows] = {}
        self.written: dict[str, Column] = {}
        self.lacks: dict[str, int] = {}
        self.parts_of: dict[int, int] = {}
        self.incoming: list[Piece] = []
        self.fitted: dict[str, str] = {}
        """The state of each step that was fitted, by its name: a later step may name it."""

    def run(self) -> Outcome:
        with self.pool:
            for chain in self.recipe.chains:
                stream = self.begin(chain.start)
                columns = dict(self.typed)
                if chain.start == "pool":
                    columns = {n: c for n, c in columns.items() if c.type != "label"}
                self.walk(chain.nodes, stream, columns, 0, ())
                if "test" in self.dataset.counts:
                    self.no_test_row(chain.start, stream, columns)
                self.flush(stream)
                self.made += stream.pieces
                if self.counts_made:
                    known = sum(len(going(piece.read(["_state"]))) for piece in self.made)
                    self.constants = {**self.constants, MADE: known}
        return Outcome(self.made, self.passed, self.replaced, self.rounds)

    # -- the way of a chain ---------------------------------------------------------------------------------------

    def begin(self, name: str) -> Stream:
        """The records of a set that a chain starts from; ``limit`` takes some of them, by hash of (seed, id)."""
        if name == "start":
            return Stream([], dict(self.typed))
        path = self.dataset.path(name)
        if not self.dataset.counts.get(name):
            return Stream([], dict(self.typed))
        if self.limit is None:
            print_ = self.print_of(name)
            pieces = [Piece(str(path), f"{print_}-{i}", i) for i in range(self.dataset.parts(name))]
            return Stream(pieces, dict(self.typed))
        table = self.dataset.table(name)
        keys = np.array([place(f"{self.seed} {i}") for i in table.column("_id").to_pylist()], np.uint64)
        chosen = np.sort(np.argsort(keys, kind="stable")[: self.limit])
        piece = self.stored(table.take(pa.array(chosen)), self.print_of(name), f"{self.limit} {self.seed}")
        return Stream([piece], dict(self.typed))

    def walk(
        self,
        nodes: Sequence[Node],
        stream: Stream,
        columns: dict[str, Column],
        round_number: int,
        branch: tuple[str, ...],
    ) -> None:
        for node in nodes:
            if isinstance(node, Step):
                self.step(replace(node, branch=branch), stream, columns, round_number)
            elif isinstance(node, Fork):
                stream.work.append(Split(tuple(node.branches), branch))
                before = {**columns, "branch": Column("text", written=False)}
                stream.stored["branch"] = before["branch"]
                for name, steps in node.branches.items():
                    inner = dict(before)
                    self.walk(steps, stream, inner, round_number, (*branch, name))
                    columns.update(inner)
                stream.work.append(Join(branch))
            elif isinstance(node, Start):
                self.start(node, stream, columns, round_number)
            else:
                self.repeat(node, stream, columns, round_number, branch)

    def step(self, step: Step, stream: Stream, columns: dict[str, Column], round_number: int) -> None:
        run = Run(step, round_number, dict(columns))
        how = getattr(step.op, "draw", None)
        if isinstance(how, Draw):
            if how.of == "stream":
                self.flush(stream)
                self.incoming = stream.pieces
            if not step.op.awaits():
                if isinstance(how.of, list):
                    raise RecipeError(
                        f"step {step.name} draws rows that stand in the recipe, and asks no model.",
                        "draw: {of: source}, or stream.",
                    )
                run = replace(run, drawn=self.drawn_from(how.of))
        if step.op.needs_state():
            if "stream" in step.op.fits_on():
                self.flush(stream)
                self.incoming = stream.pieces
            run = replace(run, state=self.fit(run))
            self.fitted[step.name] = run.state
        after = advance(step, columns, self.typed)
        columns.clear()
        columns.update(after)
        stream.stored.update(after)
        self.written.update(after)
        if isinstance(step.op, Keep) and not within_part(step.op.scope()):
            self.flush(stream, deciding=run)
            stream.decision = self.decide(run, stream.pieces)
            stream.decided = run
        elif step.op.awaits():  # a stage of its own: it runs where the models are, all its records at a time
            self.flush(stream)
            stream.work.append(run)
            self.flush(stream, asking=run)
        else:
            stream.work.append(run)

    def drawn_from(self, name: str) -> tuple[str, str]:
        """The rows that a step draws from, as a file that every worker maps: what it holds, as a hash, and its path."""
        print_ = self.print_of(name)
        if name == "source":
            return print_, str(self.dataset.path("source"))
        path = self.folder.states / f"{print_}.arrow"
        if not path.is_file():
            write_table(path, self.set_table(name, {*self.schema.names, *self.typed, *self.written}), None)
        return print_, str(path)

    def no_test_row(self, start: str, stream: Stream, columns: Mapping[str, Column]) -> None:
        """Refuse, last of all, what nearly equals a test row: by its text, or where there are images or sounds by each
        that may be another than the source's."""
        media = [name for name, column in self.typed.items() if column.type in MEDIA]
        compared = [name for name in media if self.typed[name].type in ("image", "audio") and self.brings(name, start)]
        for name in compared if media else filter(None, [self.dataset.main("text")]):
            step = Step(NearTest(on=name, own=bool(media)), "near_test", "near_test", 0)
            run = Run(step, 0, dict(columns))
            stream.work.append(replace(run, state=self.fit(run)))

    def brings(self, name: str, start: str) -> bool:
        """Whether a field may come to hold what no source row does."""
        if start != "source":
            return True
        for step in self.recipe.steps():
            if isinstance(step.op, Make | Note):
                changed = set(map(step.column, step.op.writes()))
                if isinstance(step.op, Make):
                    changed |= step.op.changes() or changed or {name}  # one that names no field may change any
                if name in changed:
                    return True
        return False

    def repeat(
        self, node: Repeat, stream: Stream, columns: dict[str, Column], outer: int, branch: tuple[str, ...]
    ) -> None:
        """Rounds, unrolled as they come: each starts from the records that came in.

        With ``until: dev`` the rounds after the best one do not count; with ``result: last`` one round alone does.
        """
        self.flush(stream)
        base, others = self.apart(stream.pieces, branch)
        made_before, after = list(self.made), dict(columns)
        rounds: list[list[Piece]] = []
        best, best_score = 0, -1.0
        went_in: list[int] = []
        for number in range(1, node.times + 1):
            room = self.room(node, outer, went_in)
            if node.begins:
                self.lacks = _cut(self.wanted(node, rounds), room)
                stream.pieces = []
                if not sum(self.lacks.values()):
                    break
                went_in.append(sum(self.lacks.values()))
            else:
                stream.pieces = self.fewer(self.lacking(node, base, rounds), room)
                if not stream.pieces:
                    break
                went_in.append(sum(len(going(piece.read(["_state"]))) for piece in stream.pieces))
            after = dict(columns)
            self.walk(node.steps, stream, after, outer * 1000 + number, branch)
            self.flush(stream)
            rounds.append(stream.pieces)
            self.made = made_before + (stream.pieces if node.last else [p for pieces in rounds for p in pieces])
            said: dict[str, Any] = {"round": number}
            if node.until and node.until.dev:
                said["dev"] = score = self.dev_accuracy()
                if score > best_score + 1e-9:
                    best, best_score = number, score
            else:
                best = number
            self.rounds.append(said)
            if node.until and node.until.dev and number - best >= node.until.patience:
                break
        taken = range(best - 1, best) if node.last and best else range(best)
        self.replaced += [p for i, pieces in enumerate(rounds) if i not in taken for p in pieces]
        if node.begins:
            columns.clear()
        columns.update(after)
        self.made, self.lacks = made_before, {}
        stream.pieces = side_by_side([*(rounds[i] for i in taken), *([others] if others else [])])

    def apart(self, pieces: list[Piece], branch: tuple[str, ...]) -> tuple[list[Piece], list[Piece]]:
        """The records of a branch, and those of the other branches, which its rounds leave alone."""
        if not branch:
            return pieces, []
        mine, others = [], []
        for piece in pieces:
            table = going(piece.read())
            here = pc.equal(table.column("_branch"), BELOW.join(branch))
            mine.append(self.stored(table.filter(here), "mine", piece.name, *branch))
            others.append(self.stored(table.filter(pc.invert(here)), "others", piece.name, *branch))
        return mine, others

    def start(self, node: Start, stream: Stream, columns: dict[str, Column], round_number: int) -> None:
        """Records from nothing but a label: what ``n`` says of each, or in a repeat what its groups still lack."""
        each = list(self.dataset.labels) if node.per else [""]
        counts = self.lacks or dict.fromkeys(each, self.number_of(node.n, round_number))
        typed = {node.per: columns[node.per]} if node.per else {}
        columns.clear()
        columns.update(typed)
        stream.stored = dict(typed)
        stage = self.stage_of([], None, None, dict(typed))
        order = SETS.index("given") << SET_BITS  # no real row: what it becomes was made
        records: list[Record] = []
        for label in each:
            for ordinal in range(counts[label]):
                own = child_id(("start",), f"start {label}", round_number, ordinal)
                fields = {node.per: label} if node.per else {}
                records.append(Record(own, fields, own, order + len(records), made=True))
        parts = self.parts_of.setdefault(id(node), parts_of(len(records)))
        buckets: list[list[Record]] = [[] for _ in range(parts)]
        for record in records:
            buckets[place(record.id) * parts >> 64].append(record)
        said = canonical([node.per, counts, round_number, parts]).decode()
        stream.pieces = [
            self.stored(to_table(bucket, [], {}, stage), "start", said, self.address(stage), f"{number}")
            for number, bucket in enumerate(buckets)
        ]

    def number_of(self, n: Expression | None, round_number: int) -> int:
        """How many records a start makes; ``--limit`` cuts it."""
        number = 1 if n is None else int(n({**self.constants, "round_number": round_number}))
        return max(0, number if self.limit is None else min(number, self.limit))

    def wanted(self, node: Repeat, rounds: list[list[Piece]]) -> dict[str, int]:
        """How many of each label a round starts: what it lacks to ``kept``; without ``until`` what `start` says."""
        [begin, *_] = node.steps
        assert isinstance(begin, Start)
        each = list(self.dataset.labels) if begin.per else [""]
        if node.until is None or node.until.kept is None:
            return dict.fromkeys(each, self.number_of(begin.n, len(rounds) + 1))
        goal = self.number_of(node.until.kept, len(rounds) + 1)
        have: Counter[Any] = Counter()
        for piece in (p for pieces in rounds for p in pieces):
            table = going(piece.read([begin.per, "_state"] if begin.per else ["_state"]))
            have.update(table.column(begin.per).to_pylist() if begin.per else {"": len(table)})
        return {label: max(0, goal - have[label]) for label in each}

    def lacking(self, node: Repeat, base: list[Piece], rounds: list[list[Piece]]) -> list[Piece]:
        """The records of the groups that still lack some, where ``until`` counts them; nothing where none does."""
        until = node.until
        if until is None or until.kept is None or not rounds:
            return base
        goal = float(until.kept({**self.constants, "round_number": len(rounds)}))
        key = "_root" if until.per == "root" else until.per
        have: Counter[Any] = Counter()
        for piece in (p for pieces in (rounds[-1:] if node.last else rounds) for p in pieces):
            have.update(going(piece.read([key, "_state"])).column(key).to_pylist())
        found, some = [], False
        for piece in base:
            table = going(piece.read())
            values = table.column("_id" if key == "_root" and key not in table.column_names else key).to_pylist()
            rows = [i for i, value in enumerate(values) if have[value] < goal]
            some = some or bool(rows)
            found.append(self.stored(table.take(pa.array(rows, pa.int64())), "lacking", piece.name, *map(str, rows)))
        return found if some else []

    def room(self, node: Repeat, outer: int, went_in: Sequence[int]) -> int | None:
        """For how many records the next round may ask models, by what those before it took; None without a limit."""
        if node.calls is None:
            return None
        asking = [step.key for step in walk_steps(node.steps) if step.op.awaits()]
        if not asking or not went_in:
            return node.calls // max(1, len(asking))
        assert self.desk is not None
        used = self.desk.ledger.asked(asking, [outer * 1000 + number for number in range(1, len(went_in) + 1)])
        return int((node.calls - used) / max(1.0, used / max(1, sum(went_in))))

    def fewer(self, pieces: list[Piece], room: int | None) -> list[Piece]:
        """At most so many of the records, those first in the order of (seed, id); none where there is no room."""
        if room is None:
            return pieces
        tables = [going(piece.read()) for piece in pieces]
        keys = [np.array([place(f"{self.seed} {i}") for i in t.column("_id").to_pylist()], np.uint64) for t in tables]
        every = np.concatenate([*keys, np.zeros(0, np.uint64)])
        if len(every) <= room:
            return pieces
        if room <= 0:
            return []
        last = np.sort(every)[room - 1]
        cut = [table.filter(pa.array(key <= last)) for table, key in zip(tables, keys, strict=True)]
        return [self.stored(table, "room", piece.name, str(room)) for table, piece in zip(cut, pieces, strict=True)]

    def stored(self, table: pa.Table, *said: str) -> Piece:
        """A table as a piece, under a name that says how it came about."""
        name = digest(*said).hex()
        path = self.folder.parts / f"{name}.arrow"
        if not path.exists():
            write_table(path, table)
        return Piece(str(path), name)

    def dev_accuracy(self) -> float:
        """How well a student fitted on the source and what this round left does on the dev rows.

        Without dev rows it is judged out of fold on the source: made rows then train in every fold, whoever their
        labels came from, so the number flatters; it is only compared between rounds.
        """
        from leaven.any_record.prediction import Prediction

        inputs = [n for n, c in self.typed.items() if c.type == "text"]
        judge = Prediction(
            target=self.label, input=inputs, folds=0 if "dev" in self.dataset.counts else 5, train_on=["source", "made"]
        )
        run = Run(Step(judge, "dev", "dev", 0), 0, self.typed)
        state = self.folder.load_state(self.fit(run))
        table = self.dataset.table("dev" if "dev" in self.dataset.counts else "source")
        from leaven.engine.rows import to_records

        stage = self.stage_of([], None, None, dict(self.typed))
        records = to_records(table, stage)
        ctx = self.context(run, state)
        right = [n["prediction"] == r.get(self.label) for r, n in zip(records, judge.notes(records, ctx), strict=True)]
        return round(float(np.mean(right)), 6)

    # -- stages ---------------------------------------------------------------------------------------------------

    def stage_of(
        self, work: Sequence[Run | Split | Join], decided: Run | None, deciding: Run | None, columns: dict[str, Column]
    ) -> Stage:
        return Stage(
            tuple(work),
            columns,
            self.schema,
            self.seed,
            self.constants,
            self.lineage,
            decided=decided,
            deciding=deciding,
        )

    def flush(self, stream: Stream, deciding: Run | None = None, asking: Run | None = None) -> None:
        """Run what was put off over every part; the stream then stands at the files that it wrote."""
        if not stream.work and not stream.decided and not deciding:
            return
        stage = self.stage_of(stream.work, stream.decided, deciding, dict(stream.stored))
        address = self.address(stage)
        models = self.models_state(stage)
        answers = self.answers_print(asking) if asking else ""
        jobs: list[Job] = []
        pieces: list[Piece] = []
        for index, piece in enumerate(stream.pieces):
            name = digest(address, piece.name, stream.decision, models, *filter(None, [answers])).hex()
            path = self.folder.parts / f"{name}.arrow"
            pieces.append(Piece(str(path), name))
            if not path.exists():
                decision = (str(self.folder.parts / f"{stream.decision}.npz"), index) if stream.decision else None
                jobs.append(Job(address, piece, decision, str(path), str(self.folder.path), models))
        if asking:
            self.ask_jobs(stage, asking, jobs, models)
        else:
            self.run_jobs(stage, jobs, len(stream.pieces))
        stream.pieces, stream.work, stream.decided, stream.decision = pieces, [], None, ""
        self.passed = self.passed + pieces

    def run_jobs(self, stage: Stage, jobs: list[Job], parts: int) -> None:
        runs = [w for w in stage.work if isinstance(w, Run)]
        self.number += len(runs) + (stage.decided is not None)
        telling = [r for r in runs if r.step.op.kind == "make"] or [r for r in runs if r.state] or runs[-1:]
        title = ", ".join(f"{r.step.op.kind} {r.step.name}" for r in telling)
        waits = stage.decided or stage.deciding
        if not title and waits:
            title = f"keep {waits.step.name}"
        self.reporter.stage(min(self.number, self.total), self.total, title, parts)
        for _ in range(parts - len(jobs)):
            self.reporter.part(1, {})
        if self.asked_embed and any(_embeds(run.step.op) for run in stage.runs()):  # its models are here alone
            for job in jobs:
                self.reporter.part(1, work(job, stage, self.asked_embed))
            return
        for counts in self.pool.run(stage, jobs):
            self.reporter.part(1, counts)

    def ask_jobs(self, stage: Stage, run: Run, jobs: Sequence[Job], models_name: str) -> None:
        """Run the parts of a step that asks models, here."""
        self.number += 1
        step = run.step
        records = records_of(jobs)
        self.reporter.stage(self.number, self.total, f"{step.op.kind} {step.name}", max(1, records))
        if not jobs:
            self.reporter.part(1, {})
            return
        assert self.desk is not None, "augment opens the models that a recipe asks"
        self.desk.done, self.desk.total = 0, records
        shared = self.asking(step.op)

        def asking(op: Operator) -> Asking:
            return shared if op is step.op else self.asking(op)

        try:
            self.desk.parts(stage, jobs, models(self.folder.path, models_name), asking, self.reporter)
        except BudgetReached as reached:
            raise self.desk.how_much_more(reached) from None

    def asking(self, op: Operator) -> Asking:
        """What a step brings to its models; each record may have parameters of its own."""
        assert self.desk is not None
        found = asking_of(
            op, self.desk.conversation, self.recipe.texts, self.dataset.main("text"), lambda name: self.rows_of(name)
        )
        found.adapter = self.adapter(op)
        return found

    def adapter(self, op: Operator) -> Adapter | None:
        """What the step fitted that an operator names."""
        state = self.fitted.get(getattr(op, "adapter", None) or "")
        return Adapter(state, self.folder.states / state) if state else None

    def rows_of(self, name: str) -> Rows:
        """A set to draw examples from, read once."""
        print_ = self.print_of(name)
        if print_ not in self.drawing:
            noted = set(self.written) if name == "stream" else set()
            self.drawing[print_] = self.rows_for(name, {*self.schema.names, *noted})
        return self.drawing[print_]

    def rows_for(self, name: str, columns: frozenset[str] | set[str]) -> Rows:
        """A set as rows, whose images come out as images."""
        return Rows(self.set_table(name, columns), kinds_of({**self.written, **self.typed}, self.schema))

    def answers_print(self, run: Run) -> str:
        """What a step's answers hang on besides its own words: who answers, earlier attempts, what examples come of."""
        assert self.desk is not None
        op = run.step.op
        who = []
        for role in sorted({*op.roles, op.tunes()} & set(ASKED)):
            over, player = self.desk.players.player(role, getattr(op, "model", None))
            who += [role, over, player.model]
        if fitted := self.adapter(op):
            who.append(fitted.name)
        how = getattr(op, "draw", None)
        drawn = self.print_of(how.of) if how and isinstance(how.of, str) else ""
        return digest(*who, drawn, self.desk.ledger.attempts_print([run.step.key])).hex()

    # -- what all must be seen for --------------------------------------------------------------------------------

    def fit(self, run: Run) -> str:
        """The name of a step's fitted state; fits it if no equal fit is there."""
        op, sets = run.step.op, run.step.op.fits_on()
        if op.name == "adapter" and run.step.values:  # of no record: `epochs: k`
            op = with_values(op, {name: e(self.constants) for name, e in run.step.values.items()})
        prints = [self.print_of(name) for name in sets]
        name = digest(
            "state",
            op.name,
            canonical(op.spec()),
            self.code(op),
            *prints,
            f"{self.seed}",
            canonical(self.constants),
            self.models_print(),
            *([run.step.key, f"{run.round}"] if op.asks() else []),
            *([self.answers_print(run)] if op.asks() or op.tunes() else []),
        ).hex()
        if not self.folder.has_state(name):
            self.reporter.waiting(f"fit {run.step.name}")
            if op.asks():
                self.folder.save_state(name, self.asked_in_groups(run))
                return name
            columns = {*op.reads(), self.label, getattr(op, "target", "")}
            if op.tunes():  # a text of `let` may name others
                columns |= {*self.schema.names, *self.written}
            rows = {s: self.rows_for(s, columns) for s in sets}
            from threadpoolctl import threadpool_limits

            ctx = self.context(run, {})
            ctx.folder = self.folder.states / name
            ctx.told = lambda said: self.reporter.waiting(f"fit {run.step.name}: {said}")
            if op.tunes():
                self.hand_over(op, ctx)
            with threadpool_limits(1):  # two threads add up in another order: other bytes
                self.folder.save_state(name, op.fit(rows, ctx))
        return name

    def hand_over(self, op: Operator, ctx: Context) -> None:
        """To a fit of a model that the user names: who plays its role, and the recipe's texts."""
        assert self.desk is not None
        asking = self.asking(op)
        asking.parameters = {}  # a text is of the row alone
        ctx.fits_further(self.desk.players.player(op.tunes(), getattr(op, "model", None))[1], asking)

    def asked_in_groups(self, run: Run) -> State:
        """What models say about groups of all that comes in.  Raises ModelError where one is not answered: its records
        cannot go on; the same command asks about it anew."""
        assert self.desk is not None
        desk, op = self.desk, run.step.op
        rows = self.rows_for("stream", {*self.schema.names, *self.written})
        asking = self.asking(op)

        def of(group: Record) -> Context:
            return self.context(run, {}).apart(group, asking)

        try:
            return desk.run(op.fit_asking(rows, of), lambda: desk.tell(self.reporter))
        except GroupFailed as failed:
            desk.ledger.end([(run.step.key, run.round, group) for group in failed.groups])
            raise ModelError(
                f"step {run.step.name}: no answer about {listed(failed.groups)}: {failed.why}.",
                "the same command asks again.",
                next_step=True,
            ) from None

    def decide(self, run: Run, pieces: Sequence[Piece]) -> str:
        """Let a keep over all records, or over groups that parts divide, decide; the decision's name."""
        name = digest(
            "decision",
            run.step.op.name,
            canonical(run.step.op.spec()),
            self.code(run.step.op),
            run.step.key,
            f"{self.seed} {run.round}",
            run.state,
            *(piece.name for piece in pieces),
        ).hex()
        path = self.folder.parts / f"{name}.npz"
        if path.exists():
            return name
        self.reporter.waiting(f"keep {run.step.name}")
        columns: dict[str, list[np.ndarray]] = {}
        masks = []
        for piece in pieces:
            mask, mine = _decided(piece)
            masks.append(mask)
            for key, array in mine.items():
                columns.setdefault(key, []).append(array)
        edges = np.cumsum([0, *map(len, masks)])
        codes = np.zeros(edges[-1], np.uint8)
        if columns:
            codes[np.concatenate(masks)] = self.codes(run, columns)
        write_whole(path, arrays_bytes({"codes": codes, "edges": edges}))
        return name

    def codes(self, run: Run, columns: dict[str, list[np.ndarray]]) -> np.ndarray:
        """What the keep decides of each row.  Columns are let go as they are used: a row must cost few bytes here."""
        ctx = self.context(run, self.folder.load_state(run.state) if run.state else {})
        order = np.argsort(np.concatenate(columns.pop("_order")), kind="stable")  # source order, then ordinal
        groups = np.zeros(len(order), np.int64)
        if "group" in columns:
            groups = np.unique(np.concatenate(columns.pop("group"))[order], return_inverse=True)[1]
        ordered = {key: np.concatenate(columns.pop(key))[order] for key in list(columns)}
        codes = np.empty(len(order), np.uint8)
        codes[order] = for_all(run.step, ctx).decide(ordered, groups, ctx)
        return codes

    def context(self, run: Run, state: Mapping[str, Any]) -> Context:
        return Context(
            seed=self.seed,
            step=run.step.key,
            round_number=run.round,
            models=self.asked_embed or models(self.folder.path, self.models_print()),
            state=state,
            constants=self.constants,
            lineage=self.lineage,
            columns=run.columns,
        )

    def set_table(self, name: str, columns: frozenset[str] | set[str]) -> pa.Table:
        if name not in ("made", "stream"):
            return self.dataset.table(name) if self.dataset.counts.get(name) else self.schema_table()
        pieces = self.made if name == "made" else self.incoming
        wanted = [c for c in self.schema.names if c in columns]
        if name == "stream":  # what steps wrote is there too
            wanted += [n for n in self.written if n in columns and n not in wanted]
        tables = []
        for piece in pieces:
            table = going(piece.read(["_id", "_root", "_state", *wanted]))
            if "_root" not in table.column_names:  # rows of an input set, which no step touched
                table = table.append_column("_root", table.column("_id"))
            tables.append(table.select(["_id", "_root", *(n for n in wanted if n in table.column_names)]))
        return pa.concat_tables(tables, promote_options="default") if tables else self.schema_table()

    def schema_table(self) -> pa.Table:
        extra = [pa.field("_id", pa.string()), pa.field("_root", pa.string())]
        return pa.schema([*extra, *self.schema]).empty_table()

    # -- names of what is there ------------------------------------------------------------------------------------

    def print_of(self, name: str) -> str:
        """What a set holds, as a hash."""
        if name in ("made", "stream"):
            return digest(name, *(piece.name for piece in (self.made if name == "made" else self.incoming))).hex()
        return digest(self.dataset.fingerprint, name).hex()

    def code(self, op: Operator) -> str:
        """The code of an operator: our version, or the content of the user's own file."""
        return _code(type(op).__module__)

    def address(self, stage: Stage) -> str:
        work_said = [
            [
                "run",
                w.step.key,
                w.step.op.name,
                w.step.op.spec(),
                self.code(w.step.op),
                w.round,
                w.state,
                *filter(None, [w.drawn[0]]),
                list(w.step.branch),
                w.step.when.source if w.step.when else "",
                {k: v.source for k, v in w.step.values.items()},
                w.step.renamed and w.step.name,
            ]
            if isinstance(w, Run)
            else ["split", list(w.at), *w.branches]
            if isinstance(w, Split)
            else ["join", list(w.at)]
            for w in (*stage.work, *filter(None, (stage.decided, stage.deciding)))
        ]
        said = [work_said, stage.decided is not None, stage.deciding is not None, self.seed, sorted(stage.columns)]
        return digest(canonical(said), canonical(self.constants), canonical([sorted(s) for s in self.lineage])).hex()

    def models_print(self) -> str:
        """The name of the embedder's state, chosen when the first step needs one."""
        if not self.embedder and any(_embeds(step.op) for step in self.recipe.steps()):
            said = [self.embed] if self.embed else []
            name = digest("embedder", self.print_of("source"), f"{self.seed}", __version__, *said).hex()
            if self.asked_embed:
                name = digest("embedder", self.asked_embed.player.model).hex()
                self.folder.save_state(name, {"name": np.array(self.asked_embed.name)})
            if not self.folder.has_state(name):
                self.reporter.waiting("choose an embedder")
                rows = Rows(self.dataset.table("source"))
                texts = [n for n, c in self.typed.items() if c.type == "text"]
                labels = rows.column(self.label) if self.label else [None] * len(rows)
                said = rows.texts(texts) if texts else []
                self.folder.save_state(name, choose(said, labels if texts else [], self.seed, self.embed))
            self.embedder = name
        return self.embedder

    def embedder_name(self) -> str:
        """Who plays embed; an empty text where no step asks for vectors."""
        name = self.models_print()
        if not name:
            return ""
        types = {"text" if c.type in CONTENT else c.type for c in self.typed.values()}
        built_in = {"image": "image-features", "audio": "audio-features"}
        asked = self.asked_embed
        if "text" in types and not asked:
            built_in["text"] = str(self.folder.load_state(name)["name"])
        kinds = [kind for kind in ("text", "image", "audio") if kind in types]
        names = [asked.name if asked and asked.plays(kind) else built_in.get(kind, "wordllama") for kind in kinds]
        return ", ".join(dict.fromkeys(names))

    def models_state(self, stage: Stage) -> str:
        return self.models_print() if any(_embeds(run.step.op) for run in stage.runs()) else ""


def _decided(piece: Piece) -> tuple[np.ndarray, dict[str, np.ndarray]]:
    """Which of the rows that go on the keep is about, and the columns to decide by of just these."""
    with pa.OSFile(piece.path, "rb") as source:
        names = pa.ipc.open_file(source).schema.names
    table = going(piece.read([n for n in names if n.startswith(DECIDED) or n in ("_order", "_state")]))
    mask = np.ones(len(table), bool)
    if f"{DECIDED}mask" in table.column_names:
        mask = table.column(f"{DECIDED}mask").to_numpy()
        table = table.filter(pa.array(mask))
    columns = [name for name in table.column_names if name not in ("_state", f"{DECIDED}mask")]
    return mask, {n.removeprefix(DECIDED): _array(table.column(n)) for n in columns} if mask.any() else {}


def _array(column: pa.ChunkedArray) -> np.ndarray:
    joined = column.combine_chunks()
    if isinstance(joined, pa.ChunkedArray):
        joined = joined.chunk(0) if joined.num_chunks else pa.array([], column.type)
    if pa.types.is_fixed_size_list(joined.type):
        return np.asarray(joined.flatten()).reshape(len(joined), joined.type.list_size)
    if pa.types.is_string(joined.type):
        return np.array([v or "" for v in joined.to_pylist()], dtype=np.str_)
    return np.asarray(joined)


@lru_cache(maxsize=64)
def _code(module: str) -> str:
    if module.startswith("leaven."):
        return __version__
    import sys

    file = getattr(sys.modules.get(module), "__file__", None)
    return digest(Path(file).read_bytes()).hex() if file else module


def _embeds(op: Operator) -> bool:
    """True where an operator asks for vectors."""
    return "embed" in op.roles or getattr(op, "by", "") == "vector"


def _cut(lacks: dict[str, int], room: int | None) -> dict[str, int]:
    """What groups lack, cut to what there is room for: the same share of each, and one for the first ones."""
    total = sum(lacks.values())
    if room is None or total <= room:
        return lacks
    found = {group: max(0, room) * n // total for group, n in lacks.items()}
    for group in [g for g, n in lacks.items() if n > found[g]][: max(0, room) - sum(found.values())]:
        found[group] += 1
    return found
