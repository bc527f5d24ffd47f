"""A built-in recipe run on rows, by the command line."""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pyarrow.parquet as pq
import pytest

from leaven.cli import run

Row = dict[str, Any]


@dataclass
class Ran:
    """The rows of train/ and of refused/; what the command said is in ``out/run.json``."""

    train: list[Row]
    refused: list[Row]
    out: Path

    @property
    def made(self) -> list[Row]:
        return [row for row in self.train if row["_synthetic"]]

    @property
    def real(self) -> dict[str, Row]:
        return {row["_id"]: row for row in self.train if not row["_synthetic"]}


Runs = Callable[..., Ran]


@pytest.fixture
def ran(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Runs:
    """``ran("auggpt", rows, chat=URI)``: a run of the recipe; options of the command follow the rows.

    Without its report, which takes half of the time: tests/report has its own.
    """
    monkeypatch.setattr("leaven.cli.write_report", lambda *_: None)

    def augmented(recipe: str, rows: list[Row], *options: str, **models: str) -> Ran:
        source, out = tmp_path / "rows.jsonl", tmp_path / "out"
        source.write_text("".join(json.dumps(row) + "\n" for row in rows), "utf-8")
        named = [f"--model={role}={uri}" for role, uri in models.items()]
        code = run(["augment", str(source), "-o", str(out), "-r", recipe, "-q", "--workers", "1", *named, *options])
        assert code == 0
        return Ran(table(out / "train"), table(out / "refused"), out)

    return augmented


def table(folder: Path) -> list[Row]:
    return [row for file in sorted(folder.glob("*.parquet")) for row in pq.read_table(file).to_pylist()]
