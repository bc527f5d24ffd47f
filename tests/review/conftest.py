"""Runs to review, a browser, and servers that end with their test."""

from __future__ import annotations

import random
import shutil
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from browser import CHROMIUM, Browser
from serving import Serving

from leaven.cli import run

RECIPE = """steps:
  - edit_words: {n: 4}
  - match as sim: {on: text, to: "{{ parent.text }}"}
  - keep: {that: "sim < 0.9 and text|length > 3", reason: near_copy}   # far enough from its parent
"""
WORDS = ["card", "rate", "hours", "loan", "open", "close", "still", "again", "today", "please", "with", "not"]
LABELS = ("card", "rate", "hours")


def sentences(n: int) -> list[tuple[str, str]]:
    draw = random.Random(7)
    return [(" ".join(draw.choices(WORDS, k=draw.randint(4, 8))), LABELS[i % 3]) for i in range(n)]


@pytest.fixture(scope="session")
def made(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with the run ``out``, its data ``bank.csv`` and its recipe."""
    folder = tmp_path_factory.mktemp("reviewed")
    rows = "".join(f"{text},{label}\n" for text, label in sentences(48))
    (folder / "bank.csv").write_text(f"utterance,intent\n{rows}")
    (folder / "recipe.yaml").write_text(RECIPE)
    augment(folder, folder / "out", folder / "recipe.yaml")
    return folder


def augment(folder: Path, out: Path, recipe: Path) -> None:
    asked = [str(folder / "bank.csv"), "-o", str(out), "-r", str(recipe), "--text", "utterance", "--label", "intent"]
    assert run(["augment", *asked, "-q", "--workers", "1"]) == 0


@pytest.fixture
def out(made: Path, tmp_path: Path) -> Path:
    return Path(shutil.copytree(made / "out", tmp_path / "out"))


@pytest.fixture
def serve() -> Iterator[Callable[..., Serving]]:
    """Start the command; it ends with the test."""
    started: list[Serving] = []

    def start(folder: Path, *asked: str) -> Serving:
        started.append(Serving(folder, *asked))
        return started[-1]

    yield start
    for one in started:
        if one.process.poll() is None:
            one.kill()


@pytest.fixture(scope="session")
def browser(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Browser]:
    if CHROMIUM is None:
        pytest.skip("no chromium here")
    found = Browser(tmp_path_factory.mktemp("profile"))
    yield found
    found.close()
