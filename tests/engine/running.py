"""Small datasets from a fixed seed, and runs of the command line in processes of their own."""

from __future__ import annotations

import csv
import json
import random
import subprocess
import sys
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq

LABELS = ["refund", "delivery", "password", "invoice", "opening hours", "complaint"]
COMMON = ["the", "a", "my", "your", "is", "was", "please", "not", "still", "again", "today", "for", "on", "with"]
OWN = {
    label: [f"{a}{b}" for a in ("ka", "mo", "ti", "re", "lu") for b in ("na", "so", "ri", "vel", "dun")][
        i * 4 : i * 4 + 5
    ]
    for i, label in enumerate(LABELS)
}


def rows(n: int, seed: int = 0) -> list[tuple[str, str]]:
    """Texts of 4 to 12 words, of which some speak for the label."""
    draw = random.Random(seed)
    found = []
    for _ in range(n):
        label = draw.choice(LABELS)
        words = draw.choices(COMMON, k=draw.randint(2, 8)) + draw.choices(OWN[label], k=draw.randint(2, 4))
        draw.shuffle(words)
        found.append((" ".join(words), label))
    return found


def write_csv(path: Path, data: list[tuple[str, str]], columns: tuple[str, str] = ("text", "label")) -> Path:
    with path.open("w", newline="", encoding="utf-8") as file:
        writer = csv.writer(file)
        writer.writerow(columns)
        writer.writerows(data)
    return path


def command(*arguments: object) -> list[str]:
    """``leaven augment`` as it is, but for the report, which takes most of the time of a small run."""
    code = "import leaven.cli; leaven.cli.write_report = lambda *_: None; leaven.cli.main()"
    return [sys.executable, "-c", code, "augment", *map(str, arguments), "--json", "-q"]


def leaven(*arguments: object, code: int = 0) -> dict[str, Any]:
    """Run ``leaven augment``; what it said."""
    done = subprocess.run(command(*arguments), capture_output=True, text=True)
    assert done.returncode == code, done.stderr
    said: dict[str, Any] = json.loads(done.stdout) if done.stdout else {}
    return said


def output(out: Path) -> dict[str, bytes]:
    """What a run leaves for people, byte by byte."""
    files = [f for name in ("train", "refused", "failed") for f in sorted((out / name).glob("*"))]
    return {str(file.relative_to(out)): file.read_bytes() for file in files}


def table(out: Path, name: str = "train") -> list[dict[str, Any]]:
    """The rows of train/ or refused/."""
    files = sorted((out / name).glob("*.parquet"))
    return pa.concat_tables([pq.read_table(file) for file in files]).to_pylist() if files else []


def made(found: list[dict[str, Any]]) -> dict[str, dict[str, Any]]:
    """The made rows, by id."""
    return {row["_id"]: row for row in found if row["_parents"]}
