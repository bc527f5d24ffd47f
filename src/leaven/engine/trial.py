"""``leaven try``: the whole way for a few records, beside their parents; its answers serve the full run."""

from __future__ import annotations

import json
from collections.abc import Mapping
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
from leaven.engine.stage import FAILED, REFUSED
from leaven.fields import SCORE
from leaven.io.dataset import Dataset
from leaven.models.asker import Spend
from leaven.operators import Keep
from leaven.recipe import Recipe
from leaven.storage import to_values

SCORES = 2
"""How many scores stand beside a child."""


@dataclass(frozen=True)
class Child:
    """What became of a record: ``kept``, ``refused`` with a reason, or ``failed`` with an error."""

    state: str
    text: str
    scores: tuple[tuple[str, float], ...] = ()
    reason: str = ""


@dataclass
class Parent:
    id: str
    label: str
    text: str
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
    """Every parent with what came of it, in the order of the file."""
    found: dict[str, Parent] = {}
    text, label = dataset.main("text"), dataset.main("label")
    seen: set[tuple[str, str]] = set()
    rows: list[tuple[int, Mapping[str, Any], str]] = []
    for piece in outcome.passed:
        table = piece.read()
        for row in table.to_pylist():
            if row["_state"] in (REFUSED, FAILED):
                rows.append((row["_order"], row, "refused" if row["_state"] == REFUSED else "failed"))
    for piece in outcome.ends:
        rows += [(row["_order"], row, "kept") for row in going(piece.read()).to_pylist()]
    roots = {row.get("_root", row["_id"]) for _, row, _ in rows}
    for name in ("source", "pool", "given"):
        if dataset.counts.get(name):
            table = dataset.table(name)
            mine = table.filter(pc.is_in(table.column("_id"), value_set=pa.array(sorted(roots), pa.string())))
            for row in sorted(mine.to_pylist(), key=lambda row: int(row["_order"])):
                said = str(row.get(text) or "") if text else _of_media(row, dataset)
                found[row["_id"]] = Parent(row["_id"], str(row.get(label) or ""), said)
    order = {"kept": 0, "refused": 1, "failed": 2}
    for _, row, state in sorted(rows, key=lambda item: (item[0], order[item[2]])):
        if (row["_id"], state) in seen:
            continue
        seen.add((row["_id"], state))
        root = row.get("_root", row["_id"])
        parent = found.setdefault(root, Parent(root, str(row.get(label) or ""), ""))
        if row["_id"] == root and state == "kept" and not row.get("_made"):
            continue  # a real row that the steps left alone
        parent.children.append(_child(row, state, text, engine))
    return found


def _of_media(row: Mapping[str, Any], dataset: Dataset) -> str:
    """An image or a sound in words: the file it came from, and its size or length."""
    for name, kind in dataset.types.items():
        if kind in ("image", "audio") and row.get(name):
            [media] = to_values(kind, [row[name]])
            what = "{} x {}".format(*media.size) if kind == "image" else f"{media.seconds:.2f} s"
            return f"{media.path or kind}  {what}"
    return ""


def _drawn(row: Mapping[str, Any]) -> str:
    """What was drawn for a child, step by step: ``warp: rotate 11.2, flip horizontal``."""
    said = []
    for entry in row.get("_steps") or ():
        drawn = json.loads(entry["drawn"] or "{}")
        told = ", ".join(f"{key} {_brief(value)}" for key, value in drawn.items() if value not in (None, [], {}))
        said.append(f"{entry['step']}{': ' + told if told else ''}")
    return "; ".join(said)


def _brief(value: Any) -> str:
    return f"{value:.4g}" if isinstance(value, float) else str(value)


def _child(row: Mapping[str, Any], state: str, text: str, engine: Engine) -> Child:
    scores = []
    for name in row:
        column = engine.written.get(name)
        if column is not None and column.type == SCORE and isinstance(row[name], float):
            scores.append((name, row[name]))
    reason = str(row.get("_reason") or "")
    if row.get("_detail") and state == "refused":
        reason = f"{reason}: {row['_detail']}"
    shown = str(row.get(text) or "") if text else _drawn(row)
    if state == "failed":
        shown = json.loads(row["_detail"])["error"]
    return Child(state, shown, tuple(scores[:SCORES]), reason)
