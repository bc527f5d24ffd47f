"""What the page and the card say of a run, read from its folder alone; rows stay on the disk until they are shown."""

from __future__ import annotations

import json
import shlex
import sqlite3
import time
from collections.abc import Iterable, Iterator, Mapping
from contextlib import closing
from dataclasses import dataclass
from functools import cached_property
from itertools import groupby
from pathlib import Path
from typing import Any

from leaven.engine.folder import Folder
from leaven.engine.recorded_recipe import recorded_recipe
from leaven.errors import DataError, LeavenError
from leaven.fields import VALUE
from leaven.io import dataset as datasets
from leaven.recipe import Recipe, advance
from leaven.report.rows import Rows, roots

TEXTS = ("text", "caption", "question", "answer", "context", "rationale")
"""Types of fields that are read as texts."""
MEDIA = ("image", "map", "audio")
"""Types that are shown as pictures of their own; a mask lies over its image."""
MARKS = ("boxes", "points", "segments")
FAILED = 20
OLDER = 2.0
"""Seconds by which a measurement may be older than its run before it is called so (a copied folder mixes them up)."""
GROUPED = """
    SELECT step, model, TOTAL(tries), COUNT(*), TOTAL(repair), TOTAL(tokens_in), TOTAL(tokens_out), TOTAL(usd),
           TOTAL(usd IS NULL AND answer IS NOT NULL), TOTAL(seconds), TOTAL(error IS NOT NULL)
    FROM answers GROUP BY step, model ORDER BY MIN(at), step, model
"""


@dataclass(frozen=True)
class Calls:
    """What one step asked of one model; ``usd`` is None where a price is not known."""

    step: str
    model: str
    calls: int
    retries: int
    repairs: int
    failed: int
    tokens_in: int
    tokens_out: int
    usd: float | None
    seconds: float


class Content:
    """A run's folder, read.  Raises DataError where there is no run."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.said = Folder(folder).describe()
        if not self.said:
            raise DataError(f"{folder} holds no run.", f"leaven augment DATA -o {shlex.quote(str(folder))}")
        self.dataset = datasets.load(folder / "input")
        self.label = self.dataset.columns.get(self.dataset.main("label"), "")
        fields = [name for kind in TEXTS for name, t in self.dataset.types.items() if t == kind]
        self.texts = {name: self.dataset.columns[name] for name in fields}
        """The fields that hold texts, and their columns."""

    # -- columns ------------------------------------------------------------------------------------------------------

    @cached_property
    def kinds(self) -> dict[str, str]:
        """The type of each column of train/ by its name: those of the data, and those that steps wrote."""
        data = self.dataset.typed()
        found = {self.dataset.columns[name]: column.type for name, column in data.items()}
        for step in self.recipe.steps() if self.recipe else ():
            for name, column in advance(step, {}, data).items():
                if column.written and name not in data:
                    found.setdefault(name, column.type)
        return found

    def columns_of(self, *kinds: str) -> list[str]:
        """The columns of some types, in the order of the data."""
        return [name for name, kind in self.kinds.items() if kind in kinds]

    @cached_property
    def media(self) -> list[str]:
        """The columns that hold images or sounds, those that steps made too; the first is what marks are on."""
        first = self.dataset.main("image") or self.dataset.main("audio")
        return sorted(self.columns_of(*MEDIA), key=lambda name: name != self.dataset.columns.get(first))

    @cached_property
    def light(self) -> list[str]:
        """The columns of train/ without the bytes of images and sounds."""
        heavy = {*self.columns_of(*MEDIA, "mask")}
        return [name for name in dict.fromkeys((*self.train.columns, *self.refused.columns)) if name not in heavy]

    @cached_property
    def said_of(self) -> list[str]:
        """The columns whose texts are shown beside a picture: those of the data, and those that steps wrote."""
        read = self.dataset.columns.values()
        noted = [name for name in self.columns_of(VALUE) if name not in read]  # a transcript, a hard negative
        here = dict.fromkeys((*self.texts.values(), *self.columns_of(*TEXTS), *noted))
        return list(here) if self.media else list(self.texts.values())

    # -- run.json -----------------------------------------------------------------------------------------------------

    def count(self, name: str) -> int:
        return int(self.said.get("counts", {}).get(name, 0))

    @property
    def finished(self) -> bool:
        return bool(self.said.get("finished"))

    @property
    def models(self) -> Mapping[str, str]:
        return {str(role): str(name) for role, name in (self.said.get("models") or {}).items()}

    @property
    def spent(self) -> Mapping[str, Any]:
        """Calls, tokens and USD, whether models were asked or not."""
        counts = self.said.get("counts", {})
        return self.said.get("spent") or {k: counts.get(k, 0) for k in ("calls", "tokens_in", "tokens_out", "usd")}

    @cached_property
    def date(self) -> time.struct_time:
        """When the run last wrote its folder, in universal time."""
        return time.gmtime((self.folder / "run.json").stat().st_mtime)

    @cached_property
    def recipe(self) -> Recipe | None:
        """The recipe as it ran; None where an operator of it is not at hand any more."""
        try:
            return recorded_recipe(Folder(self.folder))
        except (LeavenError, KeyError):
            return None

    # -- measure.json -------------------------------------------------------------------------------------------------

    @cached_property
    def measured(self) -> dict[str, Any]:
        """The last measurement; nothing where there is none, or a damaged one."""
        try:
            found = json.loads((self.folder / "measure.json").read_text("utf-8"))
            return found if isinstance(found, dict) and (found.get("rows") or found.get("described")) else {}
        except (OSError, ValueError):
            return {}

    @property
    def outdated(self) -> bool:
        """True where the run was written after it was measured."""
        measured, run = self.folder / "measure.json", self.folder / "run.json"
        return bool(self.measured) and measured.stat().st_mtime + OLDER < run.stat().st_mtime

    # -- rows ---------------------------------------------------------------------------------------------------------

    @cached_property
    def train(self) -> Rows:
        return self._rows("train")

    @cached_property
    def refused(self) -> Rows:
        return self._rows("refused")

    def _rows(self, name: str) -> Rows:
        rows = Rows(self.folder / name, self.label)
        rows.start_from(self._real, roots(self.folder / "parts"))
        return rows

    @cached_property
    def _real(self) -> set[str]:
        """The ids of the rows that were read."""
        dataset, found = self.dataset, set()
        for name in ("source", "pool", "given"):
            if dataset.counts.get(name) and dataset.path(name).is_file():
                found.update(dataset.table(name).column("_id").to_pylist())
        return found

    @cached_property
    def places(self) -> dict[str, tuple[str, int]]:
        """Where each row that was read stands: its set, and its number there."""
        found: dict[str, tuple[str, int]] = {}
        for name in ("source", "pool", "given", "test"):
            if self.dataset.counts.get(name) and self.dataset.path(name).is_file():
                for i, own in enumerate(self.dataset.table(name).column("_id").to_pylist()):
                    found.setdefault(own, (name, i))
        return found

    def as_read(self, ids: Iterable[str]) -> Iterator[dict[str, Any]]:
        """The rows that were read under these ids, in the user's columns, one at a time."""
        at = sorted(self.places[own] for own in set(ids) & self.places.keys())
        for name, some in groupby(at, key=lambda place: place[0]):
            table = self.dataset.table(name)
            for _, i in some:
                row = table.slice(i, 1).to_pylist()[0]
                yield {self.dataset.columns.get(key, key): value for key, value in row.items()}

    @cached_property
    def failed(self) -> tuple[list[dict[str, Any]], int]:
        """The first records at which a step broke, and how many there are."""
        found: list[dict[str, Any]] = []
        total = 0
        try:
            with (self.folder / "failed" / "records.jsonl").open(encoding="utf-8") as file:
                for line in file:
                    total += 1
                    if len(found) < FAILED:
                        found.append(json.loads(line))
        except (OSError, ValueError):
            pass
        return found, total

    # -- ledger.sqlite ------------------------------------------------------------------------------------------------

    @cached_property
    def calls(self) -> list[Calls]:
        """What each step asked of each model, in the order of the first answers; nothing without a ledger."""
        path = self.folder / "ledger.sqlite"
        if not path.is_file():
            return []
        try:
            with closing(sqlite3.connect(f"{path.resolve().as_uri()}?mode=ro", uri=True)) as ledger:
                rows = ledger.execute(GROUPED).fetchall()
        except sqlite3.Error:
            return []
        return [
            Calls(
                step=str(step), model=str(model), calls=int(tries), retries=int(tries - answers), repairs=int(repairs),
                failed=int(failed), tokens_in=int(t_in), tokens_out=int(t_out),
                usd=None if unknown else float(usd), seconds=float(seconds),
            )
            for step, model, tries, answers, repairs, t_in, t_out, usd, unknown, seconds, failed in rows
        ]  # fmt: skip
