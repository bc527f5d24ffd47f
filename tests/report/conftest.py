"""Runs to report on, made once by the command line; each test gets a copy of its own."""

from __future__ import annotations

import csv
import random
import shutil
from pathlib import Path

import pytest
from reading import Copy

from leaven.cli import run

OWN = {
    "card": ["card", "chip", "pin", "swallowed", "blocked", "plastic"],
    "rate": ["rate", "dollars", "euros", "exchange", "pounds", "convert"],
    "hours": ["open", "close", "sunday", "hours", "morning", "evening"],
    "loan": ["loan", "borrow", "interest", "repay", "credit", "term"],
}
COMMON = ["is", "my", "the", "for", "today", "please", "still", "when", "can", "I", "not", "with", "you", "again"]


def rows(n: int, seed: int) -> list[tuple[str, str]]:
    """Short questions, of which some words speak for the label."""
    draw = random.Random(seed)
    found = []
    for i in range(n):
        label = list(OWN)[i % len(OWN)]
        words = draw.choices(COMMON, k=draw.randint(3, 7)) + draw.choices(OWN[label], k=draw.randint(2, 3))
        draw.shuffle(words)
        found.append((" ".join(words), label))
    return found


def write_csv(path: Path, data: list[tuple[str, str]]) -> Path:
    with path.open("w", newline="", encoding="utf-8") as file:
        csv.writer(file).writerows([("utterance", "intent"), *data])
    return path


@pytest.fixture(scope="session")
def runs(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with two runs on the same rows: `recombine`, measured, and `classic`, not measured."""
    folder = tmp_path_factory.mktemp("runs")
    data = write_csv(folder / "bank.csv", rows(64, 0))
    test = write_csv(folder / "test.csv", rows(80, 1))
    for name, recipe in (("recombine", "recombine"), ("classic", "classic-text")):
        asked = [str(data), "-o", str(folder / name), "-r", recipe, "--test", str(test), "--workers", "1", "-q"]
        assert run(["augment", *asked]) == 0
    measured = ["measure", str(folder / "recombine"), "--seeds", "2", "--ratios", "0,0.5,1", "--workers", "1", "-q"]
    assert run(measured) == 0
    return folder


@pytest.fixture
def copied(runs: Path, tmp_path: Path) -> Copy:
    """A copy of a run, to write into."""

    def copy(name: str) -> Path:
        return Path(shutil.copytree(runs / name, tmp_path / name))

    return copy
