"""Apply what people decided to what a run made, before the blend: they win over every keep, and not over the test set.

It works on the pieces that the steps left: a record that is kept after all is a row of one more piece, one that is
refused leaves its piece.  So what counts and writes rows knows nothing of it.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Collection, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from leaven.context import Context, Rows
from leaven.engine.decisions import Decisions, Standing, content_print, seen_columns, standing
from leaven.engine.local import Outcome
from leaven.engine.pieces import Piece, write_table
from leaven.engine.stage import GOES_ON, HEAD, REFUSED
from leaven.fields import Column, dropped
from leaven.io.dataset import SET_BITS, SETS, Dataset
from leaven.keep.near_test import NearTest
from leaven.records import Record
from leaven.storage import to_values

STEP, REJECTED, GUARDED = "review", "rejected", "near_test"
ID = ("_id", "_state", "_parents", "_order")
Columns = Sequence[str] | None


@dataclass
class Reviewed:
    """How many decisions were applied, and what became of the others; none is dropped in silence."""

    accepted: int = 0
    rejected: int = 0
    relabelled: int = 0
    edited: int = 0
    agreed: int = 0
    """Decisions that the run came to by itself."""
    stale: int = 0
    """About a record that holds something else now."""
    gone: int = 0
    """About a record that the run does not make any more."""
    guarded: int = 0
    """About a record that is near to a test row: it stays refused, whoever wants it."""
    unfit: int = 0
    """A label or a column that the data do not have, or an accepted record without any content."""
    pool: int = 0
    """Rows of the pool among the rejected ones."""
    wanted: set[str] = field(default_factory=set)
    """The records that a person keeps: they enter the blend before others."""
    read: Decisions = field(default_factory=Decisions)

    def as_json(self) -> dict[str, Any]:
        counts = {name: n for name, n in vars(self).items() if isinstance(n, int) and n and name != "pool"}
        return {**self.read.as_json(), **counts} if self.read.bytes else {}

    def lines(self) -> list[str]:
        """What to say of it: what was applied, and what could not be."""
        names = ("accepted", "rejected", "relabelled", "edited")
        applied = [f"{name} {n:,}" for name in names if (n := getattr(self, name))]
        found = [f"Review    {'   '.join(applied)}"] if applied else []
        for n, why in (
            (self.stale, "stale: the record holds something else now"),
            (self.gone, "without a record: this run does not make it"),
            (self.guarded, "not applied: the record is near to a test row"),
            (self.unfit, "not applied: no such label or column, or a record without content"),
        ):
            if n:
                found.append(f"Review    {n:,} {'decision' if n == 1 else 'decisions'} {why}")
        return found


class Reviewer:
    """Applies decisions.  ``shown`` turns rows of a piece into what ``train/`` shows, ``noted`` are the columns that
    steps wrote."""

    def __init__(
        self, dataset: Dataset, noted: Mapping[str, Column], shown: Callable[[pa.Table], pa.Table], folder: Path
    ) -> None:
        self.dataset, self.shown, self.folder = dataset, shown, folder
        self.columns = {**dataset.typed(), **noted}
        self.name_of = {column: name for name, column in dataset.columns.items()}
        self.label = dataset.main("label")
        self.guards: list[tuple[str, NearTest, Context]] | None = None

    def apply(
        self,
        outcome: Outcome,
        decisions: Decisions,
        ended: Callable[[Piece, Columns], pa.Table],
        refused: Callable[[Outcome, Columns], Iterable[pa.Table]],
    ) -> tuple[Outcome, Reviewed]:
        """The outcome with the decisions applied.  ``ended`` reads the rows that reached the end of a piece,
        ``refused`` those that did not, in the order in which the first of a record counts."""
        done = Reviewed(read=decisions)
        wanted = standing(decisions.lines)
        if not wanted:
            return outcome, done
        met: set[str] = set()
        turned: list[pa.Table] = []  # kept rows that are refused now
        kept: list[pa.Table] = []  # and the other way round
        ends = []
        asked = pa.array(list(wanted), pa.string())
        for piece in outcome.ends:
            if not _some(ended(piece, ID), asked):
                ends.append(piece)
                continue
            table = ended(piece, None)
            changed, gone = self._ended(table, wanted, met, done)
            if not changed and not gone:
                ends.append(piece)
                continue
            turned += gone.values()
            left = [row for i in range(len(table)) if i not in gone for row in [changed.get(i, i)]]
            ends.append(self._stored(_put(_stated(table, GOES_ON), left), piece.name))
        agreed = {own for own, said in wanted.items() if own not in met and not said.keep}
        for one in _each(outcome):
            if any(_some(table, asked) for table in refused(one, ID)):
                for table in refused(one, None):
                    kept += self._refused(table, wanted, met, agreed, turned, done)
        done.gone = len(wanted.keys() - met)
        ends += [self._stored(table, f"accepted-{i}") for i, table in enumerate(kept)]
        first = [self._stored(table, f"rejected-{i}") for i, table in enumerate(turned)]
        return replace(outcome, ends=ends, passed=[*first, *outcome.passed]), done

    # -- rows ---------------------------------------------------------------------------------------------------------

    def _ended(
        self, table: pa.Table, wanted: Mapping[str, Standing], met: set[str], done: Reviewed
    ) -> tuple[dict[int, pa.Table], dict[int, pa.Table]]:
        """Of the rows that reached the end those that become others, and those that go, by their place."""
        changed: dict[int, pa.Table] = {}
        gone: dict[int, pa.Table] = {}
        for i in _places(table, wanted):
            row = table.slice(i, 1)
            own, again = row.column("_id")[0].as_py(), row.column("_id")[0].as_py() in met
            met.add(own)
            said = wanted[own]
            count = Reviewed() if again else done  # a record may end in several branches: it counts once
            if not self._agrees(row, said):
                count.stale += 1
            elif not said.keep:
                count.rejected += 1
                count.pool += _is_pool(row)
                gone[i] = _stated(row, REFUSED, REJECTED)
            elif said.label is None and not said.texts:
                count.agreed += 1
                done.wanted.add(own)
            elif (new := self._mended(_stated(row, GOES_ON), said, count)) is not None:
                if self._near_test(new):
                    count.guarded += 1
                    gone[i] = _stated(new, REFUSED, GUARDED)
                else:
                    changed[i] = new
                    done.wanted.add(own)
                    count.relabelled += said.label is not None
                    count.edited += bool(said.texts)
        return changed, gone

    def _refused(
        self,
        table: pa.Table,
        wanted: Mapping[str, Standing],
        met: set[str],
        agreed: set[str],
        turned: list[pa.Table],
        done: Reviewed,
    ) -> list[pa.Table]:
        """The refused rows that are kept after all; those that the test set forbids go to ``turned``."""
        kept = []
        for i in _places(table, wanted, met):
            row = table.slice(i, 1)
            own = row.column("_id")[0].as_py()
            if own in met:  # twice in this table
                continue
            met.add(own)
            said = wanted[own]
            if not self._agrees(row, said):
                done.stale += 1
                continue
            if own in agreed:
                done.agreed += 1
                continue
            why, step = (row.column(name)[0].as_py() or "" for name in ("_reason", "_step"))
            new = self._mended(_stated(row, GOES_ON), said, done, {"refused": why, "at": step})
            if new is None:
                continue
            if (why == GUARDED and not said.texts) or self._near_test(new):
                done.guarded += 1
                turned.append(_stated(new, REFUSED, GUARDED))
            elif self._empty(new):
                done.unfit += 1
            else:
                kept.append(new)
                done.wanted.add(own)
                done.accepted += 1
                done.relabelled += said.label is not None
                done.edited += bool(said.texts)
        return kept

    def _agrees(self, row: pa.Table, said: Standing) -> bool:
        seen_in = self.shown(row)
        [seen] = seen_in.to_pylist()
        return content_print(seen, seen_columns(self.dataset, seen_in.schema)) == said.content

    def _mended(
        self, row: pa.Table, said: Standing, done: Reviewed, history: Mapping[str, Any] | None = None
    ) -> pa.Table | None:
        """The row with its new values and an entry in its history; None where a value does not fit the data."""
        new = {self.name_of.get(column, column): text for column, text in said.texts.items()}
        if said.label is not None:
            new[self.label] = said.label
        fits = said.label is None or (self.label and said.label in self.dataset.labels)
        if not fits or any(not _is_text(row, name) for name in new):
            done.unfit += 1
            return None
        was: dict[str, Any] = {}
        for name, value in new.items():
            was[self.dataset.columns.get(name, name)] = row.column(name)[0].as_py()
            row = _set(row, name, value)
        for name in dropped(frozenset(new), self.columns):
            if name in row.column_names:  # what was about the old value is not true of the new one
                row = _set(row, name, None)
        drawn = {**(history or {}), **({"was": was} if was else {})}
        return _with_entry(row, drawn) if drawn else row

    def _empty(self, row: pa.Table) -> bool:
        """True where a step refused a record that it never filled, such as an answer that did not come."""
        [values] = row.to_pylist()
        return all(values.get(name) is None for name in self.dataset.types if name != self.label)

    # -- the test set -------------------------------------------------------------------------------------------------

    def _near_test(self, row: pa.Table) -> bool:
        if self.guards is None:
            self.guards = list(self._guards())
        for name, op, ctx in self.guards:
            if name in row.column_names:
                [value] = to_values(self.columns[name].type, row.column(name).to_pylist())
                if value is not None and op.keep(Record("", {name: value}), ctx):
                    return True
        return False

    def _guards(self) -> Iterable[tuple[str, NearTest, Context]]:
        """The keep that ends every recipe with test rows, fitted here: a refused record may not have come so far."""
        if not self.dataset.counts.get("test"):
            return
        kinds = {name: column.type for name, column in self.columns.items()}
        media = [name for name, kind in kinds.items() if kind in ("image", "audio") and name in self.dataset.types]
        sets = {name: Rows(self.dataset.table(name), kinds) for name in ("test", "source")}
        for name in media or filter(None, [self.dataset.main("text")]):
            op = NearTest(on=name, own=bool(media))
            state = op.fit({s: sets[s] for s in op.fits_on()}, Context())
            yield name, op, Context(state=state, columns=self.columns)

    # -- pieces -------------------------------------------------------------------------------------------------------

    def _stored(self, table: pa.Table, name: str) -> Piece:
        path = self.folder / f"{name}.arrow"
        write_table(path, table)
        return Piece(str(path), f"review-{name}")


def _each(outcome: Outcome) -> Iterator[Outcome]:
    """The outcome piece by piece: one is in memory at a time."""
    for piece in outcome.passed:
        yield Outcome([], [piece], [], [])
    for piece in outcome.replaced:
        yield Outcome([], [], [piece], [])


def _some(table: pa.Table, asked: pa.Array) -> bool:
    return bool(pc.any(pc.is_in(table.column("_id"), value_set=asked)).as_py())


def _places(table: pa.Table, wanted: Mapping[str, Standing], met: Collection[str] = ()) -> list[int]:
    """Where made rows stand about which something is decided."""
    asked = pa.array([own for own in wanted if own not in met], pa.string())
    here = np.flatnonzero(pc.is_in(table.column("_id"), value_set=asked).to_numpy())
    return [i for i in here.tolist() if not _is_source(table.slice(i, 1))]


def _is_source(row: pa.Table) -> bool:
    return _set_of(row) == "source"


def _is_pool(row: pa.Table) -> bool:
    return _set_of(row) == "pool"


def _set_of(row: pa.Table) -> str:
    """The set of which a row is, as it was read; an empty text for a child."""
    return "" if row.column("_parents")[0].as_py() else SETS[row.column("_order")[0].as_py() >> SET_BITS]


def _is_text(row: pa.Table, name: str) -> bool:
    return name in row.column_names and pa.types.is_string(row.schema.field(name).type)


def _stated(table: pa.Table, state: int, reason: str = "") -> pa.Table:
    """The rows in another state; of a row of an input set its history begins here."""
    for name in ("_root", "_steps", "_branch", "_state", "_step", "_reason", "_detail"):
        if name not in table.column_names:
            field_ = HEAD.field(name)
            empty: Any = [] if name == "_steps" else None
            values = table.column("_id") if name == "_root" else pa.array([empty] * len(table), field_.type)
            table = table.append_column(field_, values)
    said: dict[str, Any] = {"_state": state}
    if reason:
        said |= {"_step": STEP, "_reason": reason, "_detail": None}
    for name, value in said.items():
        filled = pa.array([value] * len(table), HEAD.field(name).type)
        table = table.set_column(table.column_names.index(name), HEAD.field(name), filled)
    return table


def _set(row: pa.Table, name: str, value: Any) -> pa.Table:
    field_ = row.schema.field(name)
    return row.set_column(row.column_names.index(name), field_, pa.array([value], field_.type))


def _with_entry(row: pa.Table, drawn: Mapping[str, Any]) -> pa.Table:
    entry = {"step": STEP, "round": 0, "drawn": json.dumps(drawn, ensure_ascii=False)}
    return _set(row, "_steps", [*(row.column("_steps")[0].as_py() or []), entry])


def _put(table: pa.Table, rows: list[int | pa.Table]) -> pa.Table:
    """Rows of a table by their place, some of them replaced, in order."""
    runs: list[pa.Table] = []
    places: list[int] = []
    for row in rows:
        if isinstance(row, int):
            places.append(row)
            continue
        runs += [table.take(pa.array(places, pa.int64())), row]
        places = []
    return pa.concat_tables([*runs, table.take(pa.array(places, pa.int64()))])
