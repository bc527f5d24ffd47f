"""What ``leaven search`` does: run recipes, choose among what they made out of fold, and judge the choice once."""

from __future__ import annotations

import tempfile
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow.parquet as pq

from leaven.engine.augment import Reporter, Request, augment, prepare_aside
from leaven.engine.folder import Folder
from leaven.engine.opening import open_players
from leaven.errors import BudgetReached, DataError, LeavenError
from leaven.io import dataset as datasets
from leaven.measure.bench import Bench, Fitter, Rows, choose_C, folds
from leaven.measure.case import Case
from leaven.measure.command import MeasureRequest, measure
from leaven.measure.gain import skewed
from leaven.measure.measured import Measured
from leaven.measure.students import AnyStudent
from leaven.measure.trials import Ints, Metric, Trials
from leaven.recipe import Recipe, check, read
from leaven.search.choose import Choice, Kept, choose
from leaven.search.keeps import Scored
from leaven.search.recommend import chosen, keeps_for, with_scores

USUAL = (
    "classic-text", "recombine", "self-train", "given", "auggpt", "back-translation",
    "classic-image", "trivial-augment", "classic-audio", "spec-augment",
)  # fmt: skip
"""What is tried where the user names no recipe: those of them that run over the data with the models at hand."""


@dataclass(frozen=True)
class SearchRequest:
    """What the user asked for: ``base`` is the data, the folder and the models of all runs."""

    base: Request
    recipes: Sequence[str]
    trials: int
    seeds: int
    metric: Metric | None = None


@dataclass(frozen=True)
class Try:
    """A recipe that was run: how many made rows it left and what it spent; ``left_out`` says why it has no part."""

    recipe: str
    kept: int = 0
    usd: float = 0.0
    left_out: str = ""


@dataclass(frozen=True)
class Found:
    """What a search came to; ``measured`` is the choice on the test set, ``recipe`` its file."""

    tries: list[Try]
    choice: Choice
    student: str
    metric: Metric
    real_rows: int
    recipe: Path | None
    measured: Measured | None


def search(request: SearchRequest, reporter: Reporter) -> Found:
    """Try recipes, keeps, ratios and weights on the real rows; write and judge the one that is recommended."""
    out = request.base.out
    recipes = _recipes(request, reporter)
    tries, folders, spent = [], {}, 0.0
    for recipe in recipes:
        folder = out / "tries" / recipe.name.replace(":", "-")
        own = replace(request.base, out=folder, recipe=str(with_scores(recipe, out / "scored" / folder.name)))
        budget = request.base.budget
        try:
            run = augment(replace(own, budget=None if budget is None else max(0.0, budget - spent)), reporter)
        except BudgetReached as reached:
            tries.append(Try(recipe.name, left_out=f"the budget: {reached.what}"))
            spent += float(Folder(folder).describe().get("spent", {}).get("usd", 0.0))
            continue
        usd = float(run.spent.get("usd", 0.0))
        spent += usd
        tries.append(Try(recipe.name, run.written.made_written, usd, "" if run.written.made_written else "kept no row"))
        if run.written.made_written:
            folders[recipe.name] = folder
    if not folders:
        raise DataError(
            "no recipe left a made row.", "name others, -r NAME, or look at tries/*/report.html.", where=str(out)
        )
    bench, students, student, metric, kept = _bench(request, recipes, folders, reporter)
    reporter.waiting("choose out of fold")
    choice = choose(
        bench,
        students,
        student,
        metric,
        kept,
        trials=request.trials,
        seed=request.base.seed,
        workers=request.base.workers,
        told=lambda said: reporter.waiting(f"try {said}"),
    )
    path, measured = None, None
    if choice.setting is not None:
        some = kept[choice.setting.made]
        name, keeping = some.made, some.keeping
        recipe = next(r for r in recipes if r.name == name)
        blend = {"ratio": round(choice.setting.ratio, 4)}
        if round(choice.setting.ratio * len(bench.real)) >= some.rows:
            blend = {}
        if choice.setting.weight != 1.0:
            blend["weight"] = choice.setting.weight
        path = chosen(recipe, keeping, blend, out / "recommended")
        run_folder = out / "run"
        run_folder.mkdir(parents=True, exist_ok=True)
        if not (run_folder / "ledger.sqlite").exists():
            Folder(folders[name]).lend_answers(Folder(run_folder))
        augment(replace(request.base, out=run_folder, recipe=str(path)), reporter)
        asked = MeasureRequest(
            str(run_folder), None, None, {}, (), request.seeds, metric, request.base.seed, request.base.workers,
            weights=(1.0,),
        )  # fmt: skip
        measured = measure(asked, reporter)
    return Found(tries, choice, students[student].name, metric, len(bench.real), path, measured)


def _recipes(request: SearchRequest, reporter: Reporter) -> list[Recipe]:
    """The recipes to try: those that were named, or of the usual ones those that run here."""
    named = [read(name, folders=request.base.operators) for name in dict.fromkeys(request.recipes)]
    if len({recipe.name for recipe in named}) < len(named):
        raise DataError("two of the recipes have one name.", "name each file differently.")
    with tempfile.TemporaryDirectory(prefix="leaven-") as scratch:
        _, dataset = prepare_aside(request.base, Folder(Path(scratch)), None, reporter.waiting)
        if not dataset.main("label"):
            raise DataError(
                f"{dataset.name} has no label: there is nothing to search by.", "name a column, --label COLUMN."
            )
        if not dataset.counts.get("test"):
            raise DataError("there are no test rows to judge the choice by.", "--test FILE, or --test 0.3")
        if named:
            return named
        found = []
        for name in USUAL:
            recipe = read(name)
            try:
                check(recipe, dataset.typed(), dataset.counts)
                open_players(recipe, request.base.models)
            except LeavenError:
                continue
            if all(dataset.counts.get(chain.start) for chain in recipe.chains if chain.start in ("pool", "given")):
                found.append(recipe)
    return found


def _bench(
    request: SearchRequest, recipes: Sequence[Recipe], folders: Mapping[str, Path], reporter: Reporter
) -> tuple[Bench, list[AnyStudent], int, Metric, dict[str, Kept]]:
    """Real rows, and a made set for each recipe and keep, with the student that is better without any."""
    sets: dict[str, Rows] = {}
    kept: dict[str, Kept] = {}
    case: Case | None = None
    for name, folder in folders.items():
        reporter.waiting(f"read what {name} made")
        own = Case(datasets.load(Folder(folder).input), None)
        if case is None:
            case = own
        made, _, _ = own.without_leaks(own.of_run(folder))
        sets[name], scored = made, _scored(folder, made, own)
        for keeping in keeps_for(next(r for r in recipes if r.name == name)):
            if left := int(keeping.left(scored).sum()):
                kept[f"{name}/{keeping.name}"] = Kept(name, keeping, left)
    assert case is not None
    metric: Metric = request.metric or ("macro_f1" if skewed(case.real.labels) else "accuracy")
    every = case.every(list(sets.values()))
    vectors = dict(zip(every, case.content.embed(every), strict=True))
    fold = folds(case.real.labels, request.base.seed)
    others = case.content.others(every)
    bench = Bench(case.real, sets, case.test, len(case.names), vectors, fold, (),
                  None if others is None else tuple(others), case.content.student)  # fmt: skip
    students = bench.students()
    bench = replace(bench, C=choose_C(bench, students, request.base.seed))
    fitter: Fitter[Ints, AnyStudent]
    with Fitter(bench, students, request.base.workers, lambda said: None) as fitter:
        trials = Trials(bench, fitter, case.names, None, 1, metric)
        student = int(np.argmax([trials.right_of_fold(s, None).sum() for s in range(len(students))]))
    return bench, students, student, metric, kept


def _scored(folder: Path, made: Rows, case: Case) -> Scored:
    """What the keeps read, in the order of the rows."""
    found: dict[str, tuple[Any, Any]] = {}
    for path in sorted((folder / "train").glob("*.parquet")):
        table = pq.read_table(path)
        if "checked" not in table.column_names:
            break
        scores = table.column("_scores").to_pylist()
        for own, label, score in zip(
            table.column("_id").to_pylist(), table.column("checked").to_pylist(), scores, strict=True
        ):
            found[own] = label, (score or {}).get("checked_label_prob")
    rows = [found.get(own, (None, None)) for own in made.ids]
    return Scored(
        made.labels,
        np.array([case.code.get(str(label), -1) for label, _ in rows], np.int64),
        np.array([np.nan if p is None else float(p) for _, p in rows]),
        made.roots[:, 0],
    )
