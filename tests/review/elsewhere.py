"""A run whose records people decide about in another tool."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pyarrow.parquet as pq

from leaven.cli import run
from leaven.review.asked import Asked, Form

FORM = Form(
    name="my run",
    texts={"Text, said": "text_said"},
    editable=["Text, said"],
    media={"photo": "photo"},
    sounds=frozenset(),
    options={"card": "card", "loan": "loan"},
    scores={"label_prob": "score_label_prob"},
)
ASKED = Asked(
    id="aa",
    content="cc",
    kept=False,
    step="keep",
    reason="near_copy",
    detail="",
    label="loan",
    row={"Text, said": "<b>a</b> text", "photo": "photo/aa.png"},
    parent={"Text, said": "the text", "photo": "photo/bb.png"},
    scores={"label_prob": 0.25},
)
Row = dict[str, Any]


def table(out: Path, name: str) -> dict[str, Row]:
    return {
        row["_id"]: row for path in sorted((out / name).glob("*.parquet")) for row in pq.read_table(path).to_pylist()
    }


def both(out: Path) -> tuple[list[Row], list[Row]]:
    """The made rows that were kept, and those that were refused."""
    return [row for row in table(out, "train").values() if row["_synthetic"]], [*table(out, "refused").values()]


def again(folder: Path, out: Path) -> Row:
    """The same command once more; what it says of the review."""
    asked = [str(folder / "bank.csv"), "-o", str(out), "-r", str(folder / "recipe.yaml")]
    assert run(["augment", *asked, "--text", "utterance", "--label", "intent", "-q", "--workers", "1"]) == 0
    said: Row = json.loads((out / "run.json").read_text())["review"]
    return {name: n for name, n in said.items() if name not in ("lines", "bytes", "print")}


def decisions(out: Path) -> list[tuple[str, str, Any]]:
    path = out / "review" / "decisions.jsonl"
    lines = [json.loads(line) for line in path.read_text().splitlines()] if path.exists() else []
    return [(line["id"], line["action"], line["new"]) for line in lines]
