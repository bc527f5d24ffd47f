"""Property tests draw the same examples everywhere (HYPOTHESIS_PROFILE=search draws new ones); a run in one call, and a
server of models on this machine."""

from __future__ import annotations

import json
import os
import sys
from collections.abc import Callable, Iterator
from dataclasses import asdict
from pathlib import Path
from typing import Any

import pyarrow.parquet as pq
import pytest
from hypothesis import settings

from leaven.cli import run
from loopback.options import Options
from loopback.process import Server

Augmented = Callable[[str, list[dict[str, Any]]], list[dict[str, Any]]]

# Compiled once and kept, also where Python is told otherwise: each of many processes would compile leaven anew.
sys.dont_write_bytecode = False
os.environ.pop("PYTHONDONTWRITEBYTECODE", None)

settings.register_profile("same", derandomize=True, deadline=None)
settings.register_profile("search", deadline=None, max_examples=500)
settings.load_profile(os.environ.get("HYPOTHESIS_PROFILE", "same"))


@pytest.fixture
def no_report(monkeypatch: pytest.MonkeyPatch) -> None:
    """Commands in this process write no report, which takes most of the time of a small run."""
    monkeypatch.setattr("leaven.cli.write_report", lambda *_: None)


@pytest.fixture
def augmented(tmp_path: Path, no_report: None) -> Augmented:
    """Rows of train/ after a recipe of these steps, run on this csv by the command line."""

    def rows(data: str, steps: list[dict[str, Any]]) -> list[dict[str, Any]]:
        source, recipe, out = tmp_path / "a.csv", tmp_path / "r.yaml", tmp_path / "o"
        source.write_text(data, "utf-8")
        recipe.write_text(json.dumps({"steps": steps}), "utf-8")
        assert run(["augment", str(source), "-o", str(out), "-r", str(recipe), "--workers", "1"]) == 0
        found: list[dict[str, Any]] = pq.read_table(out / "train").to_pylist()
        return found

    return rows


@pytest.fixture(scope="module")
def running() -> Iterator[Server]:
    with Server() as server:
        yield server


@pytest.fixture
def server(running: Server) -> Server:
    """One server for all tests of a file, each time as if newly started."""
    running.set(**asdict(Options()))
    running.reset()
    return running
