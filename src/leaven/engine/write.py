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
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

from leaven.blend.blend import choose
from leaven.engine.folder import replace_folder
from leaven.engine.local import Outcome, Piece
from leaven.engine.part import FAILED, GOES_ON, HEAD, REFUSED
from leaven.fields import SCORE, Column
from leaven.io.dataset import SET_BITS, SETS, Dataset
from leaven.io.sorter import Sorter
from leaven.recipe import Fork, Recipe, Repeat, advance
from leaven.records import place

ROW_GROUP = 8192
STEPS = pa.list_(pa.struct([("step", pa.string()), ("round", pa.int64()), ("drawn", pa.string())]))


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
    reasons: dict[str, int] = field(default_factory=dict)
    failures: dict[str, int] = field(default_factory=dict)
    balance: dict[str, tuple[int, int]] = field(default_factory=dict)
    """For each label its real and its made rows in train/."""


class Writer:
    def __init__(self, recipe: Recipe, dataset: Dataset, folder: Path, seed: int) -> None:
        self.recipe, self.dataset, self.folder, self.seed = recipe, dataset, folder, seed
        self.label = dataset.main("label")
        self.codes = {name: i for i, name in enumerate(dataset.labels)}
        self.noted = _noted(recipe, dataset.typed())
        self.scores = sorted(n for n, c in self.noted.items() if c.type == SCORE)
        self.extra = sorted(n for n, c in self.noted.items() if c.written and n not in dataset.types)
        self.done = Written()

    def write(self, outcome: Outcome) -> Written:
        """Write everything aside, then put it in place."""
        new = self.folder / "new"
        shutil.rmtree(new, ignore_errors=True)
        new.mkdir(parents=True)
        chosen = self.choose(outcome.ends)
        self.train(outcome.ends, chosen, new / "train")
        self.others(outcome.passed, new)
        for name in ("train", "refused", "failed"):
            if (new / name).exists():
                replace_folder(new / name, self.folder / name)
            else:
                shutil.rmtree(self.folder / name, ignore_errors=True)
        shutil.rmtree(new)
        return self.done

    # -- which rows -----------------------------------------------------------------------------------------------

    def choose(self, ends: Sequence[Piece]) -> dict[str, np.ndarray]:
        """For each piece, which of its rows go into train/."""
        labels, keys, ids, real_rows = [], [], [], []
        edges = [0]
        for piece in ends:
            table = _going(piece, ["_id", "_state", "_parents", "_order", *([self.label] if self.label else [])])
            parents = np.asarray(pc.list_value_length(table.column("_parents")).fill_null(0))
            orders = table.column("_order").to_numpy()
            real_rows.append((parents == 0) & ((orders >> SET_BITS) == SETS.index("source")))
            names = table.column("_id").to_pylist()
            ids.append(np.array([place(i) for i in names], np.uint64))
            keys.append(np.array([self.key(i) for i in names], np.uint64))
            if self.label:
                found = table.column(self.label).to_pylist()
                labels.append(np.array([self.codes.get(v, -1) for v in found], np.int64))
            edges.append(edges[-1] + len(names))
        if not ends:
            return {}
        all_ids, real = np.concatenate(ids), np.concatenate(real_rows)
        first = np.zeros(len(all_ids), bool)
        first[np.unique(all_ids, return_index=True)[1]] = True  # the blend joins by id: no record twice
        candidates = np.flatnonzero(first & ~real)
        all_labels = np.concatenate(labels) if labels else np.zeros(len(all_ids), np.int64)
        counts = np.array(list(self.dataset.labels.values()) or [self.dataset.counts["source"]], np.int64)
        picked = choose(self.recipe.blend, counts, all_labels[candidates], np.concatenate(keys)[candidates])
        taken = np.zeros(len(all_ids), bool)
        taken[candidates[picked]] = True
        self.done.kept = len(candidates)
        taken |= first & real if self.recipe.blend.real != "none" else False
        return {p.name: taken[a:b] for p, a, b in zip(ends, edges[:-1], edges[1:], strict=True)}

    def key(self, record: str) -> int:
        return place(f"{self.seed} {record}")

    # -- train/ ---------------------------------------------------------------------------------------------------

    def train(self, ends: Sequence[Piece], chosen: Mapping[str, np.ndarray], folder: Path) -> None:
        folder.mkdir(parents=True)
        rows = self.dataset.counts["source"] + sum(int(mask.sum()) for mask in chosen.values())
        schema = self.train_schema()
        replaced: set[str] = set()
        pool_ended = 0
        with Sorter(self.folder / "new" / "sorting", schema, rows) as sorter:
            for piece in ends:
                table = _going(piece, None)
                orders = table.column("_order").to_numpy() >> SET_BITS
                bare = np.asarray(pc.list_value_length(table.column("_parents")).fill_null(0)) == 0
                pool_ended += int((bare & (orders == SETS.index("pool"))).sum())
                mask = chosen[piece.name]
                table, bare, orders = table.filter(pa.array(mask)), bare[mask], orders[mask]
                source_rows = bare & (orders == SETS.index("source"))
                replaced.update(i for i, r in zip(table.column("_id").to_pylist(), source_rows, strict=True) if r)
                self.add(sorter, self.shown(table, schema))
            if self.recipe.blend.real == "all":
                for batch in self.source():
                    keep = [i not in replaced for i in batch.column("_id").to_pylist()] if replaced else None
                    table = pa.Table.from_batches([batch])
                    self.add(sorter, self.shown(table.filter(pa.array(keep)) if keep else table, schema))
            for number, (table, _) in enumerate(sorter.tables()):
                path = folder / f"part-{number:05d}.parquet"
                pq.write_table(table, path, compression="zstd", row_group_size=ROW_GROUP)
                self.count(table)
        self.done.left = self.dataset.counts.get("pool", 0) - pool_ended

    def add(self, sorter: Sorter, table: pa.Table) -> None:
        if len(table):
            sorter.add(table, np.array([self.key(i) for i in table.column("_id").to_pylist()], np.uint64))

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
            values = [str(v) for v in table.column(self.dataset.columns[self.label]).to_pylist()]
            for (label, made), n in Counter(zip(values, synthetic.tolist(), strict=True)).items():
                real_n, made_n = self.done.balance.get(label, (0, 0))
                self.done.balance[label] = (real_n + n * (not made), made_n + n * made)

    def train_schema(self) -> pa.Schema:
        fields = self.user_fields()
        fields += [pa.field(name, pa.string()) for name in self.extra]
        fields += [pa.field("_id", pa.string()), pa.field("_parents", pa.list_(pa.string())), pa.field("_steps", STEPS)]
        if self.scores:
            fields.append(pa.field("_scores", pa.struct([(name, pa.float64()) for name in self.scores])))
        fields += [pa.field("_synthetic", pa.bool_()), pa.field("_weight", pa.float64())]
        return pa.schema(fields)

    def user_fields(self) -> list[pa.Field]:
        """The user's own columns, in the file's order and with their own types."""
        with pa.OSFile(str(self.dataset.path("source")), "rb") as raw:
            stored = pa.ipc.open_file(raw).schema
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
            return _steps(table.column("_steps").to_pylist() if "_steps" in have else ["[]"] * n)
        if out.name == "_synthetic":
            return _column(table, "_made", pa.bool_(), n) if "_made" in have else pa.array([False] * n)
        if out.name == "_parents":
            return _column(table, "_parents", out.type, n) if "_parents" in have else pa.array([[]] * n, out.type)
        if out.name == "_weight":
            return self.weights(table, n)
        if out.name in self.extra and name in have:
            return pa.array([_plain(v) for v in table.column(name).to_pylist()], pa.string())
        return _column(table, name, out.type, n)

    def weights(self, table: pa.Table, n: int) -> pa.Array:
        name = self.recipe.blend.weight
        if name is None or name not in table.column_names or "_made" not in table.column_names:
            return pa.array(np.ones(n))
        values, made = table.column(name).to_pylist(), table.column("_made").to_pylist()
        found = [float(v) if is_made and v is not None else 1.0 for v, is_made in zip(values, made, strict=True)]
        return pa.array(found, pa.float64())

    # -- refused/ and failed/ ---------------------------------------------------------------------------------------

    def others(self, passed: Sequence[Piece], new: Path) -> None:
        """What was refused, as Parquet; what broke, as lines of JSON."""
        schema = pa.schema([f for f in self.train_schema() if f.name not in ("_synthetic", "_weight")])
        for name in ("_step", "_reason", "_detail"):
            schema = schema.append(pa.field(name, pa.string()))
        held: list[pa.Table] = []
        files = 0

        def flush() -> None:
            nonlocal held, files
            table = pa.concat_tables(held)
            (new / "refused").mkdir(exist_ok=True)
            pq.write_table(
                table, new / "refused" / f"part-{files:05d}.parquet", compression="zstd", row_group_size=ROW_GROUP
            )
            held, files = [], files + 1

        reasons: Counter[str] = Counter()
        failures: Counter[str] = Counter()
        for piece in passed:
            state = piece.read(["_state", "_reason", "_step"])
            codes = state.column("_state").to_numpy()
            if not (codes == REFUSED).any() and not (codes == FAILED).any():
                continue
            table = piece.read()
            refused = table.filter(pa.array(codes == REFUSED))
            if len(refused):
                reasons.update(refused.column("_reason").to_pylist())
                held.append(self.shown(refused, schema))
                if sum(map(len, held)) >= 65_536:
                    flush()
            failed = table.filter(pa.array(codes == FAILED))
            if len(failed):
                failures.update(failed.column("_reason").to_pylist())
                self.failed(failed, new)
        if held:
            flush()
        self.done.refused = sum(reasons.values())
        self.done.failed = sum(failures.values())
        self.done.made = self.done.kept + self.done.refused
        self.done.reasons = dict(reasons.most_common())
        self.done.failures = dict(failures.most_common())

    def failed(self, table: pa.Table, new: Path) -> None:
        (new / "failed").mkdir(exist_ok=True)
        with (new / "failed" / "records.jsonl").open("a", encoding="utf-8") as file:
            for row in table.to_pylist():
                fields = {self.dataset.columns.get(n, n): v for n, v in row.items() if not n.startswith("_")}
                said = {"_id": row["_id"], "_step": row["_step"], "_error": row["_detail"], **fields}
                file.write(json.dumps(said, ensure_ascii=False, default=str) + "\n")


def _going(piece: Piece, columns: Sequence[str] | None) -> pa.Table:
    """The rows of a piece that reached its end; a piece of an input set that no step touched goes whole."""
    table = piece.read(columns)
    if "_state" not in table.column_names:
        n = len(table)
        for name in HEAD.names:
            if name not in table.column_names and name != "_state":
                empty: Any = {"_parents": [], "_made": False, "_steps": "[]"}.get(name)
                table = table.append_column(name, pa.array([empty] * n, HEAD.field(name).type))
        return table
    return table.filter(pc.equal(table.column("_state"), GOES_ON))


def _column(table: pa.Table, name: str, kind: pa.DataType, n: int) -> Any:
    if name not in table.column_names:
        return pa.nulls(n, kind)
    column = table.column(name)
    if column.type != kind:
        column = column.cast(kind)
    joined = column.combine_chunks()
    return joined if isinstance(joined, pa.Array) else pa.array(joined.to_pylist(), kind)


def _steps(texts: Sequence[str]) -> pa.Array:
    """The history of each row: step, round, and what was drawn as JSON."""
    found: list[list[dict[str, Any]]] = []
    for text in texts:
        entries = json.loads(text) if text != "[]" else []
        found.append([{**e, "drawn": json.dumps(e["drawn"], ensure_ascii=False, sort_keys=True)} for e in entries])
    return pa.array(found, STEPS)


def _plain(value: str | None) -> str | None:
    """A noted value as a text: a text stays itself, anything else is JSON."""
    if value is None:
        return None
    decoded = json.loads(value)
    return decoded if isinstance(decoded, str) else value


def _noted(recipe: Recipe, data: Mapping[str, Column]) -> dict[str, Column]:
    """All columns that the recipe's steps write."""
    found: dict[str, Column] = {}

    def walk(nodes: Sequence[Any]) -> None:
        for node in nodes:
            if isinstance(node, Fork):
                for steps in node.branches.values():
                    walk(steps)
            elif isinstance(node, Repeat):
                walk(node.steps)
            else:
                found.update({n: c for n, c in advance(node, {}, data).items() if n not in data})

    for chain in recipe.chains:
        walk(chain.nodes)
    return found
