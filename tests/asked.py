"""Commands that ask models, and what they leave: for tests of the ways in which that can go wrong."""

from __future__ import annotations

import contextlib
import io
import json
import sqlite3
import subprocess
import sys
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from unittest.mock import patch

import pyarrow.parquet as pq

from leaven.cli import run

LABELS = ("card", "rate", "refund", "branch")
TWO_LINES = ("RecipeError", "DataError", "ModelError", "BudgetReached", "MissingExtra", "UsageError")


@dataclass(frozen=True)
class Ran:
    code: int
    out: str
    err: str

    @property
    def said(self) -> dict[str, Any]:
        """The object of ``--json``."""
        found: dict[str, Any] = json.loads(self.out)
        return found

    @property
    def error(self) -> tuple[str, str]:
        """The two lines of an expected error: the last on stderr."""
        assert "Traceback" not in self.err, self.err
        lines = self.err.rstrip("\n").splitlines()
        first, second = lines[-2:]
        assert first.startswith(TWO_LINES), self.err
        assert second.startswith(("  Fix: ", "  Next: ")), self.err
        return first, second.strip()


def cli(*arguments: object, report: bool = False) -> Ran:
    """A command, in this process; ``augment`` writes no report, which takes most of the time of a small run, unless
    told to."""
    out, err = io.StringIO(), io.StringIO()
    with contextlib.ExitStack() as during:
        during.enter_context(contextlib.redirect_stdout(out))
        during.enter_context(contextlib.redirect_stderr(err))
        if arguments[0] == "augment" and not report:
            during.enter_context(patch("leaven.cli.write_report"))
        code = run([str(a) for a in arguments])
    return Ran(code, out.getvalue(), err.getvalue())


def process(*arguments: object, cwd: Path | None = None, env: Mapping[str, str] | None = None) -> Ran:
    """A command in a process of its own."""
    done = subprocess.run(
        [sys.executable, "-m", "leaven.cli", *map(str, arguments)], capture_output=True, text=True, cwd=cwd, env=env
    )
    return Ran(done.returncode, done.stdout, done.stderr)


def text(i: int) -> str:
    return f"question number {i} about {LABELS[i % 4]} and what else {i * 7 % 13} of them"


def rows(n: int) -> list[dict[str, str]]:
    return [{"text": text(i), "label": LABELS[i % 4]} for i in range(n)]


def source(folder: Path, data: Iterable[Mapping[str, Any]] | int = 20, name: str = "data.jsonl") -> Path:
    """A file of real rows."""
    file = folder / name
    data = rows(data) if isinstance(data, int) else data
    file.write_text("".join(json.dumps(row) + "\n" for row in data), "utf-8")
    return file


def recipe(folder: Path, *steps: str, name: str = "mine.yaml", **more: Any) -> Path:
    """A recipe file of these steps, each as a line of YAML."""
    file = folder / name
    head = "".join(f"{key}: {json.dumps(value)}\n" for key, value in {"fields": ["text", "label"], **more}.items())
    file.write_text(head + "steps:\n" + "".join(f"  - {step}\n" for step in steps), "utf-8")
    return file


def output(out: Path) -> dict[str, bytes]:
    """What a run leaves for people, byte by byte."""
    files = [f for name in ("train", "refused", "failed") for f in sorted((out / name).glob("*"))]
    return {str(file.relative_to(out)): file.read_bytes() for file in files}


def table(out: Path, name: str = "train") -> list[dict[str, Any]]:
    return [row for file in sorted((out / name).glob("*.parquet")) for row in pq.read_table(file).to_pylist()]


def failed(out: Path) -> list[dict[str, Any]]:
    file = out / "failed" / "records.jsonl"
    return [json.loads(line) for line in file.read_text("utf-8").splitlines()] if file.exists() else []


def ledger(out: Path) -> list[dict[str, Any]]:
    """The stored calls, in the order in which they came."""
    with contextlib.closing(sqlite3.connect(out / "ledger.sqlite")) as db:
        db.row_factory = sqlite3.Row
        return [dict(row) for row in db.execute("SELECT * FROM answers ORDER BY at, rowid")]


def described(out: Path) -> dict[str, Any]:
    found: dict[str, Any] = json.loads((out / "run.json").read_text("utf-8"))
    return found
