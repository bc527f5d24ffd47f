"""One question about a group: asked once, of rows that come in, its answer on each of its records."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pyarrow.parquet as pq
import pytest

from asked import cli
from leaven.any_record._groups import Shown, drawn, grouped, shared
from leaven.any_record.ask import Ask
from leaven.context import Rows
from leaven.errors import RecipeError
from loopback.process import Server

WANTS = ["lost a card", "lost a card", "card is gone", "rate is high", "what is the rate", "rate today", "refund me"]
LABELS = ["card", "card", "card", "rate", "rate", "rate", "refund"]
STEPS: list[Any] = [
    {"note": {"first": "text|split|first"}},
    {
        "ask as lecture": {
            "per": "label",
            "rows": 2,
            "prompt": "About {{ label }}: {% for r in rows %}<{{ r.text }}|{{ r.first }}>{% endfor %}",
        }
    },
    {
        "ask as place": {
            "per": "all",
            "rows": {"n": 9, "unique": "text"},
            "prompt": "{{ rows|length }} differ",
            "into": ["where"],
        }
    },
]


def augment(tmp_path: Path, out: str, server: Server, *more: str) -> list[dict[str, Any]]:
    data, recipe = tmp_path / "a.csv", tmp_path / "r.yaml"
    rows = "".join(f"{text},{label}\n" for text, label in zip(WANTS, LABELS, strict=True))
    data.write_text("text,label\n" + rows, "utf-8")
    recipe.write_text(json.dumps({"steps": STEPS}), "utf-8")
    done = cli(
        "augment", data, "-o", tmp_path / out, "-r", recipe, "-q", "--model", f"chat=openai:m@{server.url}", *more
    )
    assert done.code == 0, done.err
    found: list[dict[str, Any]] = pq.read_table(tmp_path / out / "train").to_pylist()
    return found


def test_each_group_is_asked_once_and_each_record_gets_its_answer(tmp_path: Path, server: Server):
    rows = augment(tmp_path, "one", server, "--workers", "1")
    assert len(server.bodies()) == 4  # three labels and all
    by_label = {label: {row["lecture"] for row in rows if row["label"] == label} for label in LABELS}
    assert all(len(answers) == 1 for answers in by_label.values())
    assert len({row["where"] for row in rows}) == 1
    again = augment(tmp_path, "two", server, "--workers", "2")
    assert again == rows
    augment(tmp_path, "one", server, "--workers", "1")
    assert len(server.bodies()) == 8  # the second folder's, and none for the run that was there


def test_a_group_shows_what_its_rows_share():
    import pyarrow as pa

    ids = [f"{i}" for i in range(7)]
    rows = Rows(pa.table({"_id": ids, "_root": ids, "text": WANTS, "label": LABELS}))
    groups = grouped("label", rows)
    assert {name: len(members) for name, members in groups.items()} == {"card": 3, "rate": 3, "refund": 1}
    assert shared(rows, groups["card"], "card").fields == {"label": "card"}
    assert shared(rows, groups["refund"], "refund").fields == {"text": "refund me", "label": "refund"}
    assert list(grouped(["label", "text"], rows)) == [
        json.dumps([a, b], separators=(",", ":")) for a, b in dict.fromkeys(zip(LABELS, WANTS, strict=True))
    ]
    assert list(grouped("all", rows)) == [""]


def test_the_rows_that_are_shown_differ_where_asked():
    import numpy as np
    import pyarrow as pa

    ids = [f"{i}" for i in range(7)]
    rows = Rows(pa.table({"_id": ids, "_root": ids, "text": WANTS, "label": LABELS}))
    every = drawn(rows, range(7), Shown(n=20, unique="text"), np.random.default_rng(0))
    assert sorted(row["text"] for row in every) == sorted(set(WANTS))
    assert len(drawn(rows, range(7), Shown(n=3), np.random.default_rng(0))) == 3


def test_what_cannot_be():
    with pytest.raises(RecipeError, match="`rows` are those of a group"):
        Ask("Why? {{ text }}", rows=3)


def test_a_group_without_an_answer_stops_the_run_and_is_asked_again(tmp_path: Path, server: Server):
    server.set(hostile=1.0, hostile_kinds=["invalid"])
    data, recipe = tmp_path / "a.csv", tmp_path / "r.yaml"
    data.write_text("text,label\n" + "".join(f"{t},{n}\n" for t, n in zip(WANTS, LABELS, strict=True)), "utf-8")
    recipe.write_text(
        json.dumps({"steps": [{"ask": {"per": "label", "prompt": "{{ label }}", "into": ["where"]}}]}), "utf-8"
    )
    arguments = ["augment", data, "-o", tmp_path / "o", "-r", recipe, "-q", "--model", f"chat=openai:m@{server.url}"]
    done = cli(*arguments)
    assert done.code == 1
    said, way = done.error
    assert said.startswith("ModelError: step ask: no answer about ")
    assert way == "Next: the same command asks again."
    server.set(hostile=0.0)
    assert cli(*arguments).code == 0
    rows = pq.read_table(tmp_path / "o" / "train").to_pylist()
    assert all(row["where"] for row in rows)
