"""Blend what was kept with the real rows, and write ``train/``, ``refused/`` and ``failed/``.

Two passes over the pieces: the first gathers a few numbers a row and decides, the second moves the rows.  Rows are
written in the order of a hash of (seed, id), so that real and made ones are mixed and every reader sees all labels.
"""

from __future__ import annotations

import json
import shutil
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from itertools import pairwise
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

from leaven.blend.blend import choose
from leaven.engine.decisions import read as read_decisions
from leaven.engine.folder import replace_folder
from leaven.engine.local import Outcome
from leaven.engine.pieces import Piece, going
from leaven.engine.reviewed import Reviewed, Reviewer
from leaven.engine.stage import FAILED, HEAD, LEFT, REFUSED, STEPS, real_rows
from leaven.fields import SCORE, VALUE, Column
from leaven.io.dataset import SET_BITS, SETS, Dataset
from leaven.io.sorter import Sorter
from leaven.keep.near import one_of, seen_before
from leaven.recipe import Recipe, advance
from leaven.records import place
from leaven.storage import arrow_of

ROW_GROUP = 8192
MEDIA_GROUP = 100
"""Rows of a row group where they hold images or sounds: a reader holds one whole."""
ROWS_A_FILE = 65_536
BYTES_A_FILE = 1 << 28
FEATURES = {"image": "Image", "mask": "Image", "map": "Image", "audio": "Audio"}
"""What ``datasets`` calls the types that it decodes."""


@dataclass
class Written:
    """What a run came to.  ``made`` = ``kept`` + ``refused``; ``left`` are pool rows that no chain ended with."""

    made: int = 0
    kept: int = 0
    refused: int = 0
    failed: int = 0
    left: int = 0
    real_written: int = 0
    made_written: int = 0
    attached: int = 0
    """Real rows that hold something of a made one."""
    reasons: dict[str, int] = field(default_factory=dict)
    failures: dict[str, int] = field(default_factory=dict)
    failed_places: list[tuple[str, int, str]] = field(default_factory=list)
    """Step, round and id of the records about which a model gave no answer that could be used."""
    first_failed: str = ""
    """The text of the first of them."""
    not_chosen: dict[str, int] = field(default_factory=dict)
    """Real rows that a keep left before anything was made of them, by reason."""
    balance: dict[str, tuple[int, int]] = field(default_factory=dict)
    """For each label its real and its made rows in train/."""
    reviewed: Reviewed = field(default_factory=Reviewed)
    """What became of the decisions of people."""


class Writer:
    def __init__(self, recipe: Recipe, dataset: Dataset, folder: Path, seed: int) -> None:
        self.recipe, self.dataset, self.folder, self.seed = recipe, dataset, folder, seed
        self.label = dataset.main("label")
        self.codes = {name: i for i, name in enumerate(dataset.labels)}
        self.noted = _noted(recipe, dataset.typed())
        self.scores = sorted(n for n, c in self.noted.items() if c.type == SCORE)
        self.extra = sorted(
            n for n, c in self.noted.items() if c.written and c.type != SCORE and n not in dataset.types
        )
        types = {*dataset.types.values(), *(column.type for column in self.noted.values())}
        self.group_size = MEDIA_GROUP if types & FEATURES.keys() else ROW_GROUP
        self.attach = {column: name for name, column in (recipe.blend.attach or {}).items()}
        """The columns of a root's row that hold a field of a made one, and which."""
        self.attached: dict[str, list[Any]] = {}
        """What they hold, by the root's id."""
        self.done = Written()

    def write(self, outcome: Outcome) -> Written:
        """Write everything aside, then put it in place."""
        new = self.folder / "new"
        shutil.rmtree(new, ignore_errors=True)
        new.mkdir(parents=True)
        outcome = self.reviewed(outcome, new / "reviewed")
        ends = self.choose(outcome.ends)
        self.done.left -= self.done.reviewed.pool  # a person refused them; the steps did not leave them
        self.train(outcome.ends, ends, new / "train")
        self.others(outcome, ends.kept, new)
        for name in ("train", "refused", "failed"):
            if (new / name).exists():
                replace_folder(new / name, self.folder / name)
            else:
                shutil.rmtree(self.folder / name, ignore_errors=True)
        shutil.rmtree(new)
        return self.done

    def reviewed(self, outcome: Outcome, aside: Path) -> Outcome:
        """The outcome with what people decided (``review/decisions.jsonl``) applied."""
        decisions = read_decisions(self.folder)
        if not decisions.lines:
            return outcome
        schema = self.train_schema()
        reviewer = Reviewer(self.dataset, self.noted, lambda table: self.shown(table, schema), aside)
        outcome, self.done.reviewed = reviewer.apply(outcome, decisions, _going, _refused)
        return outcome

    # -- which rows -----------------------------------------------------------------------------------------------

    def choose(self, pieces: Sequence[Piece]) -> _Ends:
        """Decide from a few numbers a row: which set it is of, its key, its label."""
        keys, labels, sets = [np.empty(0, np.uint64)], [np.empty(0, np.int32)], [np.empty(0, np.int8)]
        values = [np.zeros(0)]
        wanted = self.done.reviewed.wanted
        asked = [np.zeros(0, bool)]
        goes_by = [self.recipe.blend.by] if self.recipe.blend.order == "curriculum" else []
        for piece in pieces:
            table = _going(
                piece, ["_id", "_state", "_parents", "_order", *([self.label] if self.label else []), *goes_by]
            )
            keys.append(self.keys(table))
            sets.append(_set_of(table))
            labels.append(self.label_codes(table))
            asked.append(np.array([i in wanted for i in table.column("_id").to_pylist()] if wanted else [], bool))
            values.append(self.easy(table) if goes_by else np.zeros(0))
        edges = np.cumsum([len(k) for k in keys])
        key, of_set, label = np.concatenate(keys), np.concatenate(sets), np.concatenate(labels)
        easy = np.concatenate(values)
        del keys, sets, labels, values
        first = ~seen_before(key)  # the blend joins by id: no record twice
        real = of_set == SETS.index("source")
        candidates = np.flatnonzero(first & ~real)
        counts = np.array(list(self.dataset.labels.values()) or [self.dataset.counts["source"]], np.int64)
        rank = key[candidates]
        if wanted:  # what a person keeps goes first
            rank = np.where(np.concatenate(asked)[candidates], rank >> np.uint64(32), rank)
        picked = choose(self.recipe.blend, counts, label[candidates], rank)
        taken = first & real if self.recipe.blend.real != "none" else np.zeros(len(key), bool)
        if self.attach:
            chosen = candidates[picked]
            self.attached = self.fields_of(pieces, edges, chosen[np.argsort(rank[picked], kind="stable")])
            self.done.attached = len(self.attached)
            if self.recipe.blend.real == "kept":
                plain = ["_id", "_state", "_parents", "_order"]
                taken &= np.concatenate([np.zeros(0, bool), *(self.holds(_going(piece, plain)) for piece in pieces)])
        else:
            taken[candidates[picked]] = True
        self.done.kept = len(candidates)
        self.done.left = self.dataset.counts.get("pool", 0) - int((first & (of_set == SETS.index("pool"))).sum())
        return _Ends(
            taken=[taken[a:b] for a, b in pairwise(edges)],
            real=np.sort(key[first & real & taken]),
            kept=np.sort(key[candidates]),
            rows=int(taken.sum()),
            rows_of=(self.real_rows(taken, real, first), int(taken[candidates].sum())),
            values=np.sort(easy[candidates[taken[candidates]]]) if len(easy) else easy,
        )

    def real_rows(self, taken: np.ndarray, real: np.ndarray, first: np.ndarray) -> int:
        """How many real rows train/ will hold, those included that no step touched."""
        if self.recipe.blend.real == "all":
            return self.dataset.counts["source"]
        if self.attach:
            return len(self.attached)
        return int((taken & real & first).sum())

    def fields_of(self, pieces: Sequence[Piece], edges: np.ndarray, chosen: np.ndarray) -> dict[str, list[Any]]:
        """The fields of the first made row of each root, among these places in all pieces."""
        first: dict[str, tuple[int, list[Any]]] = {}
        turn = {int(place): i for i, place in enumerate(chosen.tolist())}
        for piece, (low, high) in zip(pieces, pairwise(edges), strict=True):
            some = chosen[(chosen >= low) & (chosen < high)]
            if not len(some):
                continue
            table = _going(piece, None).take(pa.array(some - low))
            fields = [self.cells(table, name) for name in self.attach.values()]
            for at, root, *values in zip(some.tolist(), table.column("_root").to_pylist(), *fields, strict=True):
                if root not in first or turn[at] < first[root][0]:
                    first[root] = (turn[at], values)
        return {root: values for root, (_, values) in first.items()}

    def cells(self, table: pa.Table, name: str) -> list[Any]:
        if name not in table.column_names:
            return [None] * len(table)
        cells: list[Any] = table.column(name).to_pylist()
        return list(map(_plain, cells)) if name in self.noted and self.noted[name].type == VALUE else cells

    def holds(self, table: pa.Table | pa.RecordBatch) -> np.ndarray:
        """Which rows have something attached."""
        return np.array([i in self.attached for i in table.column("_id").to_pylist()], bool)

    def label_codes(self, table: pa.Table) -> np.ndarray:
        """Each row's label as its place among the source's; -1 without one, and 0 where the data has no labels."""
        if self.label not in table.column_names:
            return np.full(len(table), -1 if self.label else 0, np.int32)
        return np.array([self.codes.get(v, -1) for v in table.column(self.label).to_pylist()], np.int32)

    def keys(self, table: pa.Table | pa.RecordBatch) -> np.ndarray:
        """The hash of (seed, id) of each row: by it some of the made rows are chosen, and two told to be the same."""
        return np.array([place(f"{self.seed} {i}") for i in table.column("_id").to_pylist()], np.uint64)

    def order(self, table: pa.Table, ends: _Ends) -> np.ndarray:
        """Another hash of (seed, id), which puts rows in order: by the first one those chosen would come first.

        Where the blend wants another order, the hash decides within a kind, or among equal values.
        """
        mixed = np.array([place(f"order {self.seed} {i}") for i in table.column("_id").to_pylist()], np.uint64)
        how = self.recipe.blend.order
        if how == "mixed":
            return mixed
        made = np.zeros(len(table), bool)
        if "_made" in table.column_names:
            made = table.column("_made").to_numpy(zero_copy_only=False).astype(bool)
        second = ~made if how == "made_first" else made
        # The first kind lies below, the second above: in the shares of both, so that every stretch is as long.
        edge = (ends.rows_of[0 if how != "made_first" else 1] + 1) / (sum(ends.rows_of) + 2)
        within = mixed.astype(np.float64) / 2.0**64
        if how == "curriculum":
            within = np.where(made, ends.rank(self.easy(table)) * (1 - 1e-9) + within * 1e-9, within)
        at = np.where(second, edge + (1 - edge) * within, edge * within)
        return (np.clip(at, 0.0, 1.0 - 2.0**-53) * 2.0**64).astype(np.uint64)

    def easy(self, table: pa.Table) -> np.ndarray:
        """What a curriculum goes by; NaN where a row has none."""
        if self.recipe.blend.by not in table.column_names:
            return np.full(len(table), np.nan)
        return np.array([np.nan if v is None else float(v) for v in table.column(self.recipe.blend.by).to_pylist()])

    # -- train/ ---------------------------------------------------------------------------------------------------

    def train(self, pieces: Sequence[Piece], ends: _Ends, folder: Path) -> None:
        folder.mkdir(parents=True)
        schema = self.train_schema()
        size = self.dataset.path("source").stat().st_size + sum(piece.size() for piece in pieces)
        rows = self.dataset.counts["source"] + ends.rows
        with Sorter(self.folder / "new" / "sorting", schema, rows, size) as sorter:
            for piece, taken in zip(pieces, ends.taken, strict=True):
                if taken.any():
                    table = _going(piece, None).filter(pa.array(taken))
                    sorter.add(self.shown(table, schema), self.order(table, ends))
            if self.recipe.blend.real == "all" or self.attach:
                for batch in self.source():
                    stay = ~one_of(ends.real, self.keys(batch))  # one that went through the steps is there already
                    if self.recipe.blend.real == "kept":
                        stay &= self.holds(batch)
                    rows_left = pa.Table.from_batches([batch]).filter(pa.array(stay))
                    sorter.add(self.shown(rows_left, schema), self.order(rows_left, ends))
            for number, (table, _) in enumerate(sorter.tables()):
                path = folder / f"part-{number:05d}.parquet"
                pq.write_table(table, path, compression="zstd", row_group_size=self.group_size)
                self.count(table)

    def source(self) -> Iterator[pa.RecordBatch]:
        with pa.OSFile(str(self.dataset.path("source")), "rb") as raw:
            reader = pa.ipc.open_file(raw)
            for i in range(reader.num_record_batches):
                yield reader.get_batch(i)

    def count(self, table: pa.Table) -> None:
        synthetic = table.column("_synthetic").to_numpy(zero_copy_only=False)
        self.done.made_written += int(synthetic.sum())
        self.done.real_written += int((~synthetic).sum())
        if self.label:
            column = self.dataset.columns[self.label]
            for row in table.group_by([column, "_synthetic"]).aggregate([([], "count_all")]).to_pylist():
                label, made, n = str(row[column]), row["_synthetic"], row["count_all"]
                real_n, made_n = self.done.balance.get(label, (0, 0))
                self.done.balance[label] = (real_n + n * (not made), made_n + n * made)

    def train_schema(self) -> pa.Schema:
        fields = self.user_fields()
        fields += [pa.field(name, arrow_of(self.noted[name].type) or pa.string()) for name in self.extra]
        fields += [pa.field(column, self.stored(name)) for column, name in self.attach.items()]
        fields += [pa.field("_id", pa.string()), pa.field("_parents", pa.list_(pa.string())), pa.field("_steps", STEPS)]
        if self.scores:
            fields.append(pa.field("_scores", pa.struct([(name, pa.float64()) for name in self.scores])))
        fields += [pa.field("_synthetic", pa.bool_()), pa.field("_weight", pa.float64())]
        return pa.schema(fields, metadata=self.features())

    def stored(self, name: str) -> pa.DataType:
        """How the values of a column stand in train/."""
        if name not in self.noted:
            return self.dataset.schema().field(name).type
        kind = self.noted[name].type
        return pa.float64() if kind == SCORE else arrow_of(kind) or pa.string()

    def features(self) -> dict[str, str] | None:
        """What makes ``datasets`` open images as images, and sounds as sounds."""
        kinds = {self.dataset.columns.get(n, n): t for n, t in self.dataset.types.items()}
        kinds |= {name: self.noted[name].type for name in self.extra}
        media = {column: {"_type": FEATURES[kind]} for column, kind in kinds.items() if kind in FEATURES}
        return {"huggingface": json.dumps({"info": {"features": media}})} if media else None

    def user_fields(self) -> list[pa.Field]:
        """The user's own columns, in the file's order and with their own types."""
        stored = self.dataset.schema()
        name_of = {column: name for name, column in self.dataset.columns.items()}
        kinds = {"int64": pa.int64(), "int32": pa.int32(), "int16": pa.int16(), "int8": pa.int8(), "bool": pa.bool_()}
        out = []
        for column in self.dataset.order:
            if column in name_of and name_of[column] in stored.names:
                name = name_of[column]
                out.append(pa.field(column, kinds.get(self.dataset.stored.get(name, ""), stored.field(name).type)))
        return out

    def shown(self, table: pa.Table, schema: pa.Schema) -> pa.Table:
        """Rows of a piece, or of the source, as people see them."""
        n = len(table)
        name_of = {column: name for name, column in self.dataset.columns.items()}
        arrays: list[Any] = []
        for out in schema:
            arrays.append(self.column(table, out, name_of.get(out.name, out.name), n))
        return pa.Table.from_arrays(arrays, schema=schema)

    def column(self, table: pa.Table, out: pa.Field, name: str, n: int) -> Any:
        have = table.column_names
        if out.name == "_scores":
            found = [_column(table, s, pa.float64(), n) for s in self.scores]
            return pa.StructArray.from_arrays(found, fields=list(out.type))
        if out.name == "_steps":
            return _column(table, "_steps", STEPS, n) if "_steps" in have else pa.array([[]] * n, STEPS)
        if out.name == "_synthetic":
            return _column(table, "_made", pa.bool_(), n) if "_made" in have else pa.array([False] * n)
        if out.name == "_parents":
            return _column(table, "_parents", out.type, n) if "_parents" in have else pa.array([[]] * n, out.type)
        if out.name == "_weight":
            return self.weights(table, n)
        if out.name in self.attach:
            at = list(self.attach).index(out.name)
            held = [self.attached.get(i) for i in table.column("_id").to_pylist()]
            return pa.array([values[at] if values else None for values in held], out.type)
        if out.name in self.extra and name in have and self.noted[out.name].type == VALUE:
            return pa.array([_plain(v) for v in table.column(name).to_pylist()], pa.string())
        return _column(table, name, out.type, n)

    def weights(self, table: pa.Table, n: int) -> pa.Array:
        name = self.recipe.blend.weight
        if name is None or "_made" not in table.column_names:
            return pa.array(np.ones(n))
        if isinstance(name, float):
            return pa.array(np.where(table.column("_made").to_numpy(zero_copy_only=False), name, 1.0))
        if name not in table.column_names:
            return pa.array(np.ones(n))
        values, made = table.column(name).to_pylist(), table.column("_made").to_pylist()
        found = [float(v) if is_made and v is not None else 1.0 for v, is_made in zip(values, made, strict=True)]
        return pa.array(found, pa.float64())

    # -- refused/ and failed/ ---------------------------------------------------------------------------------------

    def others(self, outcome: Outcome, kept: np.ndarray, new: Path) -> None:
        """What was refused, as Parquet; what broke, as lines of JSON."""
        schema = pa.schema([f for f in self.train_schema() if f.name not in ("_synthetic", "_weight", *self.attach)])
        for name in ("_step", "_reason", "_detail"):
            schema = schema.append(pa.field(name, pa.string()))
        keys = [np.empty(0, np.uint64), *(self.keys(table) for table in _refused(outcome, ["_id"]))]
        edges = np.cumsum([len(k) for k in keys])
        # Rounds and branches meet a record more than once: kept by one of them it is kept, else refused once.
        fresh = ~seen_before(np.concatenate(keys)) & ~one_of(kept, np.concatenate(keys))
        reasons: Counter[str] = Counter()
        held: list[pa.Table] = []
        files = held_bytes = 0
        for (low, high), table in zip(pairwise(edges), _refused(outcome, None), strict=True):
            refused = table.filter(pa.array(fresh[low:high]))
            reasons.update(refused.column("_reason").to_pylist())
            held.append(self.shown(refused, schema))
            held_bytes += held[-1].nbytes
            if sum(map(len, held)) >= ROWS_A_FILE or held_bytes >= BYTES_A_FILE:
                self.write_refused(held, new, files)
                held, files, held_bytes = [], files + 1, 0
        if sum(map(len, held)):
            self.write_refused(held, new, files)
        failures = self.broken(new)
        for piece in outcome.passed:
            states = piece.read(["_state"]).column("_state").to_numpy()
            if (states == FAILED).any():
                table = piece.read().filter(pa.array(states == FAILED))
                failures.update(table.column("_reason").to_pylist())
                self.failed(table, new)
        self.done.not_chosen = dict(_not_chosen(outcome).most_common())
        self.done.refused = reasons.total()
        self.done.failed = failures.total()
        self.done.made = self.done.kept + self.done.refused
        self.done.reasons = dict(reasons.most_common())
        self.done.failures = dict(failures.most_common())

    def write_refused(self, held: list[pa.Table], new: Path, number: int) -> None:
        folder = new / "refused"
        folder.mkdir(exist_ok=True)
        path = folder / f"part-{number:05d}.parquet"
        pq.write_table(pa.concat_tables(held), path, compression="zstd", row_group_size=self.group_size)

    def broken(self, new: Path) -> Counter[str]:
        """The rows whose image or sound could not be read: they are in no set."""
        for row in self.dataset.broken:
            self.done.first_failed = self.done.first_failed or row["path"]
            said = {"_id": "", "_step": "read", "_reason": row["reason"], "_error": row["error"], **row["fields"]}
            self.append_failed(new, said)
        return Counter(row["reason"] for row in self.dataset.broken)

    def append_failed(self, new: Path, said: Mapping[str, Any]) -> None:
        (new / "failed").mkdir(exist_ok=True)
        with (new / "failed" / "records.jsonl").open("a", encoding="utf-8") as file:
            file.write(json.dumps(said, ensure_ascii=False, default=str) + "\n")

    def failed(self, table: pa.Table, new: Path) -> None:
        media = [f.name for f in table.schema if f.type == arrow_of("image")]
        for name in media:  # the file's name says which; its bytes are in input/
            paths = pc.struct_field(table.column(name), "path")
            table = table.set_column(table.column_names.index(name), name, paths)
        for row in table.to_pylist():
            fields = {self.dataset.columns.get(n, n): v for n, v in row.items() if not n.startswith("_")}
            why = json.loads(row["_detail"])
            said = {"_id": row["_id"], "_step": row["_step"], "_reason": row["_reason"], "_error": why["error"]}
            if "answers" in why:
                said["_answers"] = why["answers"]
                self.done.first_failed = self.done.first_failed or str(row.get(self.dataset.main("text")) or "")
                self.done.failed_places.append((why["step"], why["round"], row["_id"]))
            self.append_failed(new, said | fields)


@dataclass
class _Ends:
    """What the first pass found: which rows of each piece go into train/, the keys of the real ones among them, and
    those of all made rows that were kept, taken or not."""

    taken: list[np.ndarray]
    real: np.ndarray
    kept: np.ndarray
    rows: int
    rows_of: tuple[int, int] = (0, 0)
    """How many real and how many made rows train/ will hold."""
    values: np.ndarray = field(default_factory=lambda: np.zeros(0))
    """What a curriculum goes by, of the made rows among them, ascending."""

    def rank(self, values: np.ndarray) -> np.ndarray:
        """Which share of the made rows comes before one of such a value: 0 for the highest, near 1 without any."""
        n = len(self.values)
        after = np.searchsorted(self.values, np.where(np.isnan(values), -np.inf, values), side="right")
        found: np.ndarray = (n - after) / max(1, n)
        return np.where(np.isnan(values), (n - 0.5) / max(1, n), found)


def _going(piece: Piece, columns: Sequence[str] | None) -> pa.Table:
    """The rows of a piece that reached its end; a piece of an input set that no step touched goes whole."""
    table = going(piece.read(columns))
    if "_state" in table.column_names:
        return table
    table = table.append_column("_parents", pa.array([[]] * len(table), HEAD.field("_parents").type))
    return table.append_column("_made", pa.array(_set_of(table) == SETS.index("given")))


def _set_of(table: pa.Table) -> np.ndarray:
    """The set that a row is of, as an index into SETS; GIVEN for a child, which is of none."""
    bare = pc.list_value_length(table.column("_parents")).fill_null(0).to_numpy() == 0
    found: np.ndarray = np.where(bare, table.column("_order").to_numpy() >> SET_BITS, SETS.index("given"))
    return found.astype(np.int8)


def _refused(outcome: Outcome, columns: Sequence[str] | None) -> Iterator[pa.Table]:
    """What steps refused, and the made rows of rounds that others took the place of."""
    names = None if columns is None else ["_state", "_parents", "_order", *columns]
    for piece in outcome.passed:
        table = piece.read(names)
        yield table.filter(pc.equal(table.column("_state"), REFUSED))
    for piece in outcome.replaced:
        table = _going(piece, names)
        table = table.filter(pa.array(~real_rows(table)))
        for name, word in (("_step", "repeat"), ("_reason", "other_round")):
            if name in table.column_names:
                table = table.set_column(table.column_names.index(name), name, pa.array([word] * len(table)))
        yield table


def _not_chosen(outcome: Outcome) -> Counter[str]:
    """Rows of the source that keeps left out, each once, by the reason of the first."""
    found: dict[str, str] = {}
    for piece in outcome.passed:
        table = piece.read(["_id", "_state", "_order", "_reason"])
        real = table.column("_order").to_numpy() >> SET_BITS == SETS.index("source")
        some = table.filter(pa.array(real & (table.column("_state").to_numpy() == LEFT)))
        for own, reason in zip(some.column("_id").to_pylist(), some.column("_reason").to_pylist(), strict=True):
            found.setdefault(own, reason)
    return Counter(found.values())


def _column(table: pa.Table, name: str, kind: pa.DataType, n: int) -> Any:
    if name not in table.column_names:
        return pa.nulls(n, kind)
    column = table.column(name)
    if column.type != kind:
        column = column.cast(kind)
    joined = column.combine_chunks()
    return joined if isinstance(joined, pa.Array) else pa.array(joined.to_pylist(), kind)


def _plain(value: str | None) -> str | None:
    """A noted value as a text: a text stays itself, anything else is JSON."""
    if value is None:
        return None
    decoded = json.loads(value)
    return decoded if isinstance(decoded, str) else value


def _noted(recipe: Recipe, data: Mapping[str, Column]) -> dict[str, Column]:
    """All columns that the recipe's steps write."""
    found: dict[str, Column] = {}
    for step in recipe.steps():
        found.update({n: c for n, c in advance(step, found, data).items() if n not in data})
    return found
