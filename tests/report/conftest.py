"""Runs to report on, made once by the command line; each test gets a copy of its own."""

from __future__ import annotations

import csv
import random
import shutil
from pathlib import Path

import pytest
from reading import Copy

import worlds
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


RECIPES = {
    "pictures": """
steps:
  - any:
      - [{warp: {flip: horizontal, rotate: [-15, 15], scale: [0.9, 1.1]}}]
      - [{erase: {area: [0.02, 0.2]}}]
      - [{mix_images: {lam: "0.7", draw: {k: 1}, soft: true, holds: [caption, mask]}}]
  - sample: {share: 0.9}
""",
    "sounds": """
steps:
  - any:
      - [{alter_sound: {speed: [0.8, 1.2], volume: [-6, 6], holds: [caption]}}]
      - [{mix_sounds: {draw: {k: 1}, snr: [-5, 5], holds: [label, caption]}}]
""",
    "pairs": """
steps:
  - shade: {brightness: 0.3, on: image_left}
""",
}


@pytest.fixture(scope="session")
def media_runs(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with runs on pictures with all that can be marked on them, on sounds, and on pairs of pictures."""
    folder = tmp_path_factory.mktemp("media")
    rows_of = {"pictures": [worlds.square(i) for i in range(48)], "sounds": worlds.sounds().source,
               "pairs": worlds.pairs().source}  # fmt: skip
    for name, world in (("pictures", worlds.images()), ("sounds", worlds.sounds()), ("pairs", worlds.pairs())):
        fields = ", ".join(f"{field}: {kind}" for field, kind in world.fields.items())
        recipe = folder / f"{name}.yaml"
        recipe.write_text(f"fields: {{{fields}}}{RECIPES[name]}")
        data, test = world.table(folder / f"{name}.data", rows_of[name]), world.table(folder / "test.data", world.test)
        asked = [data, "-o", str(folder / name), "-r", str(recipe), "--test", test, "--workers", "1", "-q"]
        assert run(["augment", *asked]) == 0
    return folder


@pytest.fixture
def media(media_runs: Path, tmp_path: Path) -> Copy:
    """A copy of a run on pictures, sounds or pairs, to write into."""

    def copy(name: str) -> Path:
        return Path(shutil.copytree(media_runs / name, tmp_path / name))

    return copy
