"""The main job: read, choose a recipe, run it, blend, write."""

from __future__ import annotations

import shutil
import sys
import time
from collections.abc import Callable, Mapping, Sequence
from contextlib import ExitStack, suppress
from dataclasses import dataclass, field
from importlib import metadata
from pathlib import Path
from typing import TYPE_CHECKING, Any, Protocol

from leaven import __version__
from leaven.engine.folder import Folder, replace_folder
from leaven.engine.local import Engine
from leaven.engine.opening import asks, check_embedder, open_desk, open_players, roles_of
from leaven.engine.reporter import Reporter as StageReporter
from leaven.engine.write import Writer, Written
from leaven.errors import BudgetReached, DataError, ModelError
from leaven.io import dataset as datasets
from leaven.io.dataset import Dataset
from leaven.models import config
from leaven.models.asked_embed import on_a_server
from leaven.models.asker import Spend
from leaven.models.replay import asked_as
from leaven.recipe import Recipe, check, read

if TYPE_CHECKING:
    from leaven.engine.asking import ModelDesk

MANY = 50
"""From this many rows without a label, and as many as there are labels, a pool is worth a recipe of its own."""
LIBRARIES = ("numpy", "pyarrow", "scikit-learn")
FOR_MEDIA = {
    "image": ("pillow", "opencv-python-headless", "opencv-python"),
    "audio": ("scipy", "soundfile", "python-stretch"),
}
HALF_WRITTEN = (".run.json.", ".report.html.", ".README.md.", ".measure.json.", ".train.arrow.")


@dataclass(frozen=True)
class Request:
    """What the user asked for."""

    data: str
    out: Path
    recipe: str | None = None
    named: Mapping[str, str] = field(default_factory=dict)
    unlabelled: str | None = None
    labels: str | None = None
    test: str | None = None
    dev: str | None = None
    sets: Sequence[str] = ()
    seed: int = 0
    workers: int = 1
    limit: int | None = None
    operators: Sequence[str] = ()
    given: str | None = None
    models: Mapping[str, str] = field(default_factory=dict)
    """URIs by role, or by ROLE.NICK."""
    budget: float | None = None
    """USD that all commands in the folder may spend together."""
    timeout: float = 60.0
    concurrency: int | None = None
    headers: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True)
class Run:
    """What came of it."""

    request: Request
    recipe: Recipe
    why: str
    dataset: Dataset
    written: Written
    seconds: float
    models: Mapping[str, str] = field(default_factory=dict)
    spend: Spend = field(default_factory=Spend)
    """What this command took."""
    spent: Mapping[str, Any] = field(default_factory=dict)
    """What all commands in the folder took."""

    def as_json(self) -> dict[str, Any]:
        done, counts = self.written, self.dataset.counts
        return {
            "run": str(self.request.out),
            "read": counts["source"] + counts.get("pool", 0) + counts.get("given", 0),
            "left": done.left,
            "made": done.made,
            "kept": done.kept,
            "refused": done.refused,
            "failed": done.failed,
            "waiting": 0,
            "written": done.real_written + done.made_written,
            "calls": self.spent.get("calls", 0),
            "tokens_in": self.spent.get("tokens_in", 0),
            "tokens_out": self.spent.get("tokens_out", 0),
            "usd": None if self.spent.get("unpriced") else round(self.spent.get("usd", 0.0), 6),
            "seconds": round(self.seconds, 3),
        }


class Reporter(StageReporter, Protocol):
    """Who is told, from the first line on."""

    def read(self, dataset: Dataset, recipe: Recipe, why: str, request: Request, new: bool) -> None: ...

    def models(self, models: Mapping[str, str], recipe: Recipe, request: Request, new: bool) -> None: ...

    def resumed(self, stored: int, before: Mapping[str, Any]) -> None: ...


def augment(request: Request, reporter: Reporter) -> Run:
    """Run the main job.  Raises LeavenError for what the user must act on; the folder is then as it was.

    A run that a budget, a server or Ctrl-C stops goes on with the same command; so does one with failed records.
    """
    began = time.monotonic()
    folder = Folder(request.out)
    with folder.locked(), ExitStack() as stack:
        before = folder.describe()
        recipe, dataset, why = prepare(request, folder, before, reporter.waiting)
        stack.callback(shutil.rmtree, dataset.folder, ignore_errors=True)
        said = describe(request, recipe, dataset, why)
        stack.enter_context(folder.unharmed())
        desk = desk_of(request, recipe, folder.path)
        if desk:
            stack.callback(desk.close)
            desk.ledger.begin()
            desk.asker.say = reporter.say
        commit_input(folder, dataset)
        folder.keep_files(recipe.files())
        folder.say({**said, "finished": False})
        reporter.read(dataset, recipe, why, request, not before)
        if desk and before and (stored := desk.ledger.answered()):
            reporter.resumed(stored, before)
        engine = engine_of(request, recipe, dataset, folder, desk, reporter)
        asked = who_plays(recipe, desk) if desk else {}
        models = {"embed": embedder} if (embedder := engine.embedder_name()) else {}
        models |= {role: uri for role, (_, uri) in asked.items()}
        reporter.models(models, recipe, request, not before)
        try:
            outcome = engine.run()
        except (BudgetReached, ModelError, KeyboardInterrupt) as stop:
            folder.say(
                {**said, "models": models, "finished": False, "stopped": {"at": clock_time(), "why": _why(stop)}}
            )
            raise
        written = Writer(recipe, dataset, folder.path, request.seed).write(outcome)
        if desk:
            desk.ledger.end(written.failed_places)
        spend, spent = (desk.asker.spend, desk.ledger.totals()) if desk else (Spend(), {})
        run = Run(request, recipe, why, dataset, written, time.monotonic() - began, models, spend, spent)
        folder.say(
            {
                **said,
                "models": models,
                **(asked_of(desk, asked, before) if desk else {}),
                "spent": spent,
                "rounds": outcome.rounds,
                "finished": True,
                "counts": {k: v for k, v in run.as_json().items() if k not in ("run", "seconds")},
                "reasons": written.reasons,
                **({"review": applied} if (applied := written.reviewed.as_json()) else {}),
            }
        )
        tidy(folder, {piece.name for piece in (*outcome.passed, *outcome.ends)})
    return run


def prepare(
    request: Request, folder: Folder, before: Mapping[str, Any], told: Callable[[str], None]
) -> tuple[Recipe, Dataset, str]:
    """The checked recipe, the data that it is about to work on (read aside), and why this recipe; ``told`` hears how
    far reading is."""
    recipe = read(request.recipe, sets=request.sets, folders=request.operators) if request.recipe else None
    dataset = take_in(request, folder, recipe, before, told)
    try:
        name, why = (request.recipe, "named") if request.recipe else choose_recipe(dataset, "chat" in named(request))
        if recipe is None:
            recipe = read(str(name), sets=request.sets, folders=request.operators)
        return check(recipe, dataset.typed(), dataset.counts), dataset, why
    except BaseException:
        shutil.rmtree(dataset.folder, ignore_errors=True)
        raise


def prepare_aside(
    request: Request, work: Folder, out: Path | None, told: Callable[[str], None]
) -> tuple[Recipe, Dataset]:
    """Recipe and data of a command that leaves no run, in a folder aside; the run in ``out`` has to be of this data."""
    recipe, dataset, _ = prepare(request, work, {}, told)
    if out:
        same_data(out, Folder(out).describe(), dataset)
    commit_input(work, dataset)
    return recipe, dataset


def engine_of(
    request: Request, recipe: Recipe, dataset: Dataset, folder: Folder, desk: ModelDesk | None, reporter: StageReporter
) -> Engine:
    """What runs the recipe as it was asked for."""
    return Engine(
        recipe,
        dataset,
        folder,
        seed=request.seed,
        workers=request.workers,
        limit=request.limit,
        operators=request.operators,
        reporter=reporter,
        desk=desk,
        embed=named(request).get("embed", ""),
    )


def named(request: Request) -> dict[str, str]:
    """The models that the user named: here, and in ``leaven.toml``."""
    return {**config.load().models, **request.models}


def desk_of(request: Request, recipe: Recipe, path: Path | None) -> ModelDesk | None:
    """The models that the recipe asks, with the ledger of a folder; None where it asks none."""
    check_embedder(recipe, named(request).get("embed", ""))
    if not asks(recipe) and not on_a_server(named(request)):
        return None
    players = open_players(
        recipe, request.models, timeout=request.timeout, concurrency=request.concurrency, headers=request.headers
    )
    return open_desk(path, recipe, players, request.budget)


def asked_of(desk: ModelDesk, played: Mapping[str, tuple[str, str]], before: Mapping[str, Any]) -> dict[str, Any]:
    """What ``run.json`` says of the models: who answered for which role, under what name in the ledger, and what their
    servers refused."""
    opened = desk.players.opened()
    asked = {name: {"role": over, "uri": uri} for name, (over, uri) in played.items()}
    if server := on_a_server(desk.players.named):
        asked["embed"] = {"role": "embed", "uri": server}
    return {
        "asked": asked,
        "ledger_names": {player.uri: player.model for player in opened},
        "left_out": {
            **before.get("left_out", {}),  # a command that finds all answers stored asks nobody, and hears nothing
            **{player.model: list(player.left_out) for player in opened if player.left_out},
        },
    }


def clock_time() -> str:
    return time.strftime("%Y-%m-%d %H:%M")


def _why(stop: BaseException) -> str:
    return {"BudgetReached": "budget", "ModelError": "a model"}.get(type(stop).__name__, "by you")


def who_plays(recipe: Recipe, desk: ModelDesk) -> dict[str, tuple[str, str]]:
    """For each role that the recipe asks the one that really answers, and its URI."""
    return {asked_as(role, nick): desk.players.who(role, nick) for role, nick in roles_of(recipe)}


def take_in(
    request: Request, folder: Folder, recipe: Recipe | None, before: Mapping[str, Any], told: Callable[[str], None]
) -> Dataset:
    """Read the data aside, into ``input.new``; a folder that holds a run of other data is refused."""
    fields = dict(recipe.fields) if recipe else {}
    aside = folder.path / "input.new"
    shutil.rmtree(aside, ignore_errors=True)
    try:
        dataset = datasets.read(
            request.data,
            aside,
            fields=fields,
            optional=recipe.optional if recipe else (),
            named=request.named,
            unlabelled=request.unlabelled,
            test=request.test,
            dev=request.dev,
            labels=request.labels,
            seed=request.seed,
            given=request.given,
            told=told,
            pool=recipe.pool if recipe else None,
        )
        same_data(folder.path, before, dataset)
    except BaseException:
        shutil.rmtree(aside, ignore_errors=True)
        raise
    return dataset


def same_data(path: Path, before: Mapping[str, Any], dataset: Dataset) -> None:
    """Raise where the folder holds a run of other data."""
    at = path / "input"
    if not before or before.get("fingerprint") == dataset.fingerprint or not (at / "dataset.json").is_file():
        return
    old = datasets.load(at)
    if not shared_ids(old, dataset):
        raise DataError(
            f"{path} holds a run of other data: {old.name}, {old.counts['source']:,} rows;"
            f" no id in common with {dataset.name}.",
            "choose another folder with -o; leaven does not overwrite a run.",
        )


def shared_ids(old: Dataset, new: Dataset) -> bool:
    """True where two readings have a source or pool row in common."""
    found: list[set[str]] = []
    for dataset in (old, new):
        tables = [dataset.table(name) for name in ("source", "pool", "test") if dataset.counts.get(name)]
        found.append({i for table in tables for i in table.column("_id").to_pylist()})
    return not found[0].isdisjoint(found[1])


def commit_input(folder: Folder, dataset: Dataset) -> None:
    replace_folder(dataset.folder, folder.input)
    dataset.folder = folder.input


def choose_recipe(dataset: Dataset, chat: bool = False) -> tuple[str, str]:
    """The recipe for a dataset that came without one, and the reason in words; ``chat``: a chat model is named."""
    types = set(dataset.types.values())
    for kind in ("image", "audio"):
        if kind in types and "text" not in types:
            return f"classic-{kind}", f"{'images' if kind == 'image' else 'sounds'}, no model"
    counts = sorted(dataset.labels.values()) or [dataset.counts["source"]]
    median = counts[len(counts) // 2]
    rows = f"{median} {'row' if median == 1 else 'rows'} a label"
    pool = dataset.counts.get("pool", 0)
    if pool >= max(MANY, len(counts)):
        return "self-train", f"{rows}, {pool:,} rows without a label"
    if chat:
        return "auggpt", f"{rows}, a chat model"
    if pool:
        return "classic-text", f"{rows}, only {pool} rows without a label, no chat model"
    return "classic-text", f"{rows}, no pool, no chat model"


def versions(dataset: Dataset) -> dict[str, str]:
    """What the bytes of a run hang on.  Asked of the installer's notes: to import scikit-learn takes a second."""
    found = {"leaven": __version__, "python": sys.version.split()[0]}
    types = {column.type for column in dataset.typed().values()}
    for name in (*LIBRARIES, *(library for kind, some in FOR_MEDIA.items() if kind in types for library in some)):
        with suppress(metadata.PackageNotFoundError):
            found[name] = metadata.version(name)
    return found


def describe(request: Request, recipe: Recipe, dataset: Dataset, why: str) -> dict[str, Any]:
    """What ``run.json`` says of a run: enough to repeat it, and no key."""
    return {
        "recipe": recipe.name,
        "recipe_text": recipe.text,
        "chosen": why,
        "set": list(request.sets),
        "seed": request.seed,
        "limit": request.limit,
        "operators": list(request.operators),
        "embed": named(request).get("embed", ""),
        "data": dataset.name,
        "fingerprint": dataset.fingerprint,
        "versions": versions(dataset),
        "warnings": dataset.warnings,
    }


def tidy(folder: Folder, used: set[str]) -> None:
    """Remove parts that no step of this run wrote or read, and what a killed command left half-written."""
    for path in folder.path.glob(".*"):
        if path.name.startswith(HALF_WRITTEN):
            path.unlink(missing_ok=True)
    for path in folder.parts.glob("*"):
        if (path.suffix == ".arrow" and path.stem not in used) or path.name.startswith("."):
            path.unlink(missing_ok=True)
