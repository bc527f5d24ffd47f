"""``leaven try``: the whole way for a few records, beside their parents; its answers serve the full run."""

from __future__ import annotations

import json
from collections.abc import Collection, Mapping
from contextlib import ExitStack
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.compute as pc

from leaven.engine.augment import Reporter, Request, desk_of, engine_of, prepare_aside
from leaven.engine.folder import Folder, folder_aside
from leaven.engine.local import Engine, Outcome
from leaven.engine.part import within_part
from leaven.engine.pieces import going
from leaven.engine.rows import kinds_of
from leaven.engine.stage import FAILED, LEFT, REFUSED
from leaven.fields import CONTENT, SCORE, VALUE
from leaven.io.dataset import Dataset
from leaven.models.asker import Spend
from leaven.operators import Keep
from leaven.recipe import Recipe
from leaven.storage import JSON, arrow_of, to_values

SHOWN = 5
"""Numbers of a vector that are shown."""
SCORES = 2
"""How many scores stand beside a child."""
STATES = {REFUSED: "refused", FAILED: "failed", LEFT: "left"}


@dataclass(frozen=True)
class Child:
    """What became of a record: ``kept``, ``refused`` with a reason, ``failed`` with an error, or ``left``: a real row
    that a keep did not choose."""

    state: str
    text: str
    scores: tuple[tuple[str, float], ...] = ()
    reason: str = ""
    step: str = ""
    """The one that refused it, left it or broke."""
    steps: tuple[tuple[str, str], ...] = ()
    """Of an image or a sound, the steps that made it, each with what was drawn."""
    said: tuple[tuple[str, Any], ...] = ()
    """What it says otherwise than its parent: its label, its captions, what is heard in it."""
    others: tuple[str, ...] = ()
    """Its other parents, as ``Parent.text`` says them."""


@dataclass
class Parent:
    id: str
    label: str
    text: str
    captions: tuple[str, ...] = ()
    """Of an image or a sound, what is said of it."""
    children: list[Child] = field(default_factory=list)
    repairs: int = 0


@dataclass(frozen=True)
class Trial:
    """What a trial came to."""

    request: Request
    recipe: Recipe
    dataset: Dataset
    parents: list[Parent]
    waits: list[str]
    """The keeps that decided among these few records and may decide otherwise among all."""
    spend: Spend


def try_out(request: Request, number: int, out: Path | None, reporter: Reporter) -> Trial:
    """Run the recipe over ``number`` records, drawn by the seed; of ``out`` only the ledger is written."""
    with ExitStack() as stack:
        work = stack.enter_context(folder_aside())
        if out:
            stack.enter_context(Folder(out).locked())
            Folder(out).states.mkdir(exist_ok=True)  # what takes minutes to fit is fitted once
            work.states.symlink_to(Folder(out).states.resolve())
        recipe, dataset = prepare_aside(request, work, out, reporter.waiting)
        desk = desk_of(request, recipe, out)
        if desk:
            stack.callback(desk.close)
            desk.asker.say = reporter.say
        engine = engine_of(replace(request, limit=number, workers=1), recipe, dataset, work, desk, reporter)
        outcome = engine.run()
        waits = [s.name for s in recipe.steps() if isinstance(s.op, Keep) and not within_part(s.op.scope())]
        parents = beside(outcome, dataset, engine)
        if desk:
            repairs = desk.ledger.repairs()
            for parent in parents.values():
                parent.repairs = repairs.get(parent.id, 0)
        spend = desk.asker.spend if desk else Spend()
        return Trial(request, recipe, dataset, list(parents.values()), waits, spend)


def beside(outcome: Outcome, dataset: Dataset, engine: Engine) -> dict[str, Parent]:
    """Every record that was drawn, with what came of it, in the order of the file."""
    of = _Columns(dataset, engine)
    rows: list[tuple[int, Mapping[str, Any], str]] = []
    for piece in outcome.passed:
        rows += [(row["_order"], row, STATES[row["_state"]]) for row in of.light(piece.read()) if row["_state"]]
    for piece in outcome.ends:
        rows += [(row["_order"], row, "kept") for row in of.light(going(piece.read()))]
    wanted = {row.get("_root", row["_id"]) for _, row, _ in rows}
    for chain in engine.recipe.chains:
        if chain.nodes and chain.start != "start":  # of some of them nothing may be made
            wanted.update(
                i for piece in engine.begin(chain.start).pieces for i in piece.read().column("_id").to_pylist()
            )
    found, own = of.parents(wanted)
    others = {i for _, row, _ in rows for i in row.get("_parents") or ()} - wanted
    partners = {i: parent.text for i, parent in of.parents(others)[0].items()} | {i: p.text for i, p in found.items()}
    order = {"kept": 0, "refused": 1, "failed": 2, "left": 3}
    seen: set[tuple[str, str]] = set()
    for _, row, state in sorted(rows, key=lambda item: (item[0], order[item[2]])):
        if (row["_id"], state) in seen:
            continue
        seen.add((row["_id"], state))
        root = row.get("_root", row["_id"])
        parent = found.setdefault(root, Parent(root, str(row.get(of.label) or ""), ""))
        if row["_id"] == root and state == "kept" and not row.get("_made"):
            continue  # a real row that the steps left alone
        parent.children.append(of.child(row, state, own.get(root, {}), partners))
    return found


class _Columns:
    """Which columns of a row tell what it is, and what is new in it."""

    def __init__(self, dataset: Dataset, engine: Engine) -> None:
        self.dataset, self.written = dataset, engine.written
        self.text, self.label = dataset.main("text"), dataset.main("label")
        columns = {**engine.typed, **engine.written}
        self.kinds = kinds_of(columns, engine.schema)
        self.media = [name for name, column in columns.items() if column.type in ("image", "audio")]
        telling = (*CONTENT, "label", "label_probs")
        self.telling = [name for name, column in columns.items() if column.type in telling and column.written]
        self.noted = [name for name, column in columns.items() if column.type == VALUE and column.written]
        self.captions = [name for name, column in engine.typed.items() if column.type == "caption"]

    def light(self, table: pa.Table) -> list[dict[str, Any]]:
        """The rows of a table without the bytes of images and sounds; ``_media`` says which have some."""
        heavy = [name for name in table.column_names if table.schema.field(name).type == arrow_of("image")]
        there = {name: table.column(name).is_valid().to_pylist() for name in self.media if name in heavy}
        rows: list[dict[str, Any]] = table.drop_columns(heavy).to_pylist()
        for i, row in enumerate(rows):
            row["_media"] = any(valid[i] for valid in there.values())
        return rows

    def parents(self, wanted: Collection[str]) -> tuple[dict[str, Parent], dict[str, Mapping[str, Any]]]:
        """Rows of the sets that were read, and all that stands in them."""
        found, rows = {}, {}
        for name in ("source", "pool", "given"):
            if self.dataset.counts.get(name):
                table = self.dataset.table(name)
                mine = table.filter(pc.is_in(table.column("_id"), value_set=pa.array(sorted(wanted), pa.string())))
                for row in sorted(mine.to_pylist(), key=lambda row: int(row["_order"])):
                    media = "" if self.text else _of_media(row, self.dataset)
                    captions = tuple(c for name in self.captions for c in _listed(row.get(name))) if media else ()
                    said = media or self.words(row)
                    found[row["_id"]] = Parent(row["_id"], str(row.get(self.label) or ""), said, captions)
                    rows[row["_id"]] = row
        return found, rows

    def child(self, row: Mapping[str, Any], state: str, root: Mapping[str, Any], others: Mapping[str, str]) -> Child:
        scores = [
            (name, row[name])
            for name, column in self.written.items()
            if column.type == SCORE and isinstance(row.get(name), float)
        ]
        step = "" if state == "kept" else str(row.get("_step") or "")
        reason = str(row.get("_reason") or "")
        if row.get("_detail") and state in ("refused", "left"):
            reason = f"{reason}: {row['_detail']}"
        if state == "failed":
            return Child(state, json.loads(row["_detail"])["error"], tuple(scores[:SCORES]), reason, step)
        if state == "left":
            return Child(state, "", reason=reason, step=step)
        if not row["_media"]:
            own = row.get(self.label)
            label = ((self.label, own),) if root and own not in (None, root.get(self.label)) else ()
            return Child(state, self.words(row), tuple(scores[:SCORES]), reason, step, said=label)
        steps = tuple((entry["step"], entry["drawn"] or "") for entry in row.get("_steps") or ())
        new = [(name, self.value(name, row)) for name in (*self.telling, *self.noted)]
        said = tuple(
            (name, value) for name, value in new if value != self.value(name, root) and (value or name in root)
        )
        with_ = tuple(others[i] for i in row.get("_parents") or () if i in others and i != row.get("_root"))
        return Child(state, "", tuple(scores[:SCORES]), reason, step, steps, said, with_)

    def words(self, row: Mapping[str, Any]) -> str:
        """The main text; of a row that is a vector how long it is, and where it points."""
        vector = row.get(self.dataset.main("vector")) if not self.text else None
        if not vector:
            return str(row.get(self.text) or "")
        first = ", ".join(f"{number:.2f}" for number in vector[:SHOWN])
        return f"{len(vector)} numbers: {first}" + (", ..." if len(vector) > SHOWN else "")

    def value(self, name: str, row: Mapping[str, Any]) -> Any:
        """A text, a list of them or a soft label; of what else a step noted nothing."""
        [value] = to_values(self.kinds[name], [row.get(name)]) if self.kinds[name] == JSON else [row.get(name)]
        return value if name in self.telling or isinstance(value, str) else None


def _listed(captions: Any) -> list[str]:
    return [str(caption) for caption in ([captions] if isinstance(captions, str) else captions or ()) if caption]


def _of_media(row: Mapping[str, Any], dataset: Dataset) -> str:
    """An image or a sound in words: the file it came from, and its size or length."""
    for name, kind in dataset.types.items():
        if kind in ("image", "audio") and row.get(name):
            [media] = to_values(kind, [row[name]])
            what = "{} x {}".format(*media.size) if kind == "image" else f"{media.seconds:.2f} s"
            return f"{media.path or kind}  {what}"
    return ""
