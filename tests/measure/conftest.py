"""A run over a folder, and what its measurement says."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from leaven.cli import run

Shown = Callable[..., dict[str, Any]]


@pytest.fixture
def augment(tmp_path: Path) -> Callable[..., Path]:
    """Run a recipe of these steps over a folder; the run's folder."""

    def made(data: Path, steps: list[Any], *more: str) -> Path:
        number = len(list(tmp_path.glob("out*")))
        recipe, out = tmp_path / f"own{number}.yaml", tmp_path / f"out{number}"
        recipe.write_text(json.dumps({"steps": steps}), "utf-8")
        command = ["augment", str(data), "-o", str(out), "-r", str(recipe), "--workers", "1", "-q", *more]
        assert run(command) == 0
        return out

    return made


@pytest.fixture
def shown(capsys: pytest.CaptureFixture[str]) -> Shown:
    """What ``leaven measure --json`` says."""

    def measured(*command: str) -> dict[str, Any]:
        capsys.readouterr()
        assert run(["measure", *command, "-q", "--json", "--workers", "1", "--seeds", "2"]) == 0
        found: dict[str, Any] = json.loads(capsys.readouterr().out)
        return found

    return measured
