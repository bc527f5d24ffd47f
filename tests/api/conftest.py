"""A small csv, and the rows of it."""

from __future__ import annotations

import csv
import random
from pathlib import Path

import pytest

COMMON = ["the", "my", "your", "is", "was", "still", "again", "today", "on", "with", "could", "you", "for"]
OWN = {
    "card": ["card", "lost", "stolen", "block", "chip", "pin"],
    "rate": ["rate", "dollar", "euro", "change", "fee", "pound"],
    "hours": ["open", "close", "hour", "monday", "evening", "weekend"],
}


def rows(n: int = 45, seed: int = 1) -> list[dict[str, str]]:
    """Texts of 5 to 10 words, of which some speak for the intent."""
    draw = random.Random(seed)
    found = []
    for i in range(n):
        intent = list(OWN)[i % 3]
        words = draw.choices(COMMON, k=draw.randint(3, 7)) + draw.sample(OWN[intent], 2)
        draw.shuffle(words)
        found.append({"utterance": " ".join(words), "intent": intent})
    return found


def write_csv(path: Path, content: list[dict[str, str]]) -> Path:
    with path.open("w", newline="", encoding="utf-8") as file:
        writer = csv.DictWriter(file, list(content[0]))
        writer.writeheader()
        writer.writerows(content)
    return path


@pytest.fixture
def bank(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A folder with ``bank.csv`` that is the current one."""
    monkeypatch.chdir(tmp_path)
    write_csv(tmp_path / "bank.csv", rows())
    return tmp_path
