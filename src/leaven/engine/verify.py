"""``leaven verify``: the run once more, from its folder alone and with the network off; are the bytes the same?"""

from __future__ import annotations

import shutil
from collections.abc import Mapping
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from leaven.engine.asking import ModelDesk
from leaven.engine.augment import versions
from leaven.engine.decisions import lend as lend_decisions
from leaven.engine.folder import LEDGER, Folder, folder_aside
from leaven.engine.local import Engine
from leaven.engine.recorded_recipe import recorded_recipe
from leaven.engine.reporter import Reporter
from leaven.engine.write import Writer
from leaven.errors import DataError
from leaven.io import dataset as datasets
from leaven.models.budget import Budget
from leaven.models.ledger import Ledger
from leaven.models.replay import Replayed, ReplayedPlayers
from leaven.recipe import check

FOLDERS = ("train", "refused", "failed")


@dataclass(frozen=True)
class Compared:
    """A folder of the run beside its replay: rows, and where they differ first."""

    name: str
    rows: int
    same_rows: bool
    same_bytes: bool
    where: str = ""


@dataclass(frozen=True)
class Verified:
    out: Path
    answers: int
    compared: list[Compared]
    versions: Mapping[str, tuple[str, str]]
    """What is another version here: then, now."""
    then: Mapping[str, str]

    @property
    def same(self) -> bool:
        return all(c.same_bytes for c in self.compared)


def verify(out: Path, reporter: Reporter, *, operators: tuple[str, ...] = (), workers: int = 1) -> Verified:
    """Replay a finished run from its input/ and ledger into a folder aside, and compare.

    Raises DataError where the folder holds no finished run.
    """
    folder = Folder(out)
    said = folder.describe()
    if not said.get("finished"):
        raise DataError(f"{out} holds no finished run.", "let leaven augment finish it first; verify repeats it.")
    with ExitStack() as stack:
        work = stack.enter_context(folder_aside())
        shutil.copytree(folder.input, work.input)
        dataset = datasets.load(work.input)
        recipe = check(recorded_recipe(folder, operators), dataset.typed(), dataset.counts)
        folder.lend_models(work)
        desk, answers = None, 0
        if folder.lend_answers(work):
            ledger = Ledger(work.path / LEDGER)
            answers = ledger.answered()
            names = said.get("ledger_names", {})
            players = ReplayedPlayers({role: _player(uri, names) for role, uri in said.get("asked", {}).items()})
            desk = ModelDesk(ledger, Budget(None, 0.0), players, replay=True)
            stack.callback(desk.close)
        engine = Engine(
            recipe,
            dataset,
            work,
            seed=said["seed"],
            workers=workers,
            limit=said["limit"],
            operators=operators,
            reporter=reporter,
            desk=desk,
            embed=said.get("embed", ""),
        )
        lend_decisions(out, work.path, said)
        Writer(recipe, dataset, work.path, said["seed"]).write(engine.run())
        then, now = said.get("versions", {}), versions(dataset)
        differ = {name: (then[name], now[name]) for name in then if now.get(name, then[name]) != then[name]}
        compared = [compare(out / name, work.path / name, name) for name in FOLDERS if (out / name).is_dir()]
        return Verified(out, answers, compared, differ, then)


def _player(said: Mapping[str, str], names: Mapping[str, str]) -> Replayed:
    return Replayed(said["role"], said["uri"], names[said["uri"]])


def compare(old: Path, new: Path, name: str) -> Compared:
    """Two folders of tables, file by file."""
    files = sorted(p.name for p in old.iterdir())
    others = sorted(p.name for p in new.iterdir()) if new.is_dir() else []
    rows = sum(_count(old / file) for file in files)
    if files != others:
        return Compared(name, rows, False, False, f"{name}/ holds {', '.join(others) or 'nothing'} here")
    if all((old / file).read_bytes() == (new / file).read_bytes() for file in files):
        return Compared(name, rows, True, True)
    for file in files:
        was, now = _rows(old / file), _rows(new / file)
        for number, (a, b) in enumerate(zip(was, now, strict=False), 1):
            if a != b:
                field = next(key for key in {**a, **b} if a.get(key) != b.get(key))
                where = f"{name}/{file} differs: row {number}, _id {str(a.get('_id'))[:6]}, field {field}"
                return Compared(name, rows, False, False, where)
        if len(was) != len(now):
            where = f"{name}/{file} differs: {len(was):,} rows, here {len(now):,}"
            return Compared(name, rows, False, False, where)
    return Compared(name, rows, True, False)


def _count(path: Path) -> int:
    """The rows of a file, without reading them: they may hold images."""
    import pyarrow.parquet as pq

    if path.suffix == ".jsonl":
        return len(path.read_text("utf-8").splitlines())
    return int(pq.read_metadata(path).num_rows)


def _rows(path: Path) -> list[dict[str, Any]]:
    import json

    import pyarrow.parquet as pq

    if path.suffix == ".jsonl":
        return [json.loads(line) for line in path.read_text("utf-8").splitlines()]
    found: list[dict[str, Any]] = pq.read_table(path).to_pylist()
    return found
