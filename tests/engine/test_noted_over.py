"""What a note writes over a column that a step wrote."""

from __future__ import annotations

import json
from pathlib import Path

import pyarrow.parquet as pq

from asked import cli
from small_media import picture


def test_a_caption_that_is_noted_over_stays_a_text(tmp_path: Path):
    for i in range(4):
        picture(tmp_path / "photos" / "ab"[i % 2] / f"{i}.png", colour=20 * i)
    recipe = tmp_path / "r.yaml"
    steps = ["caption", {"note": {"caption": "caption|upper"}}, {"copy": {"n": 1}}, {"ask": "Go on: {{ caption }}"}]
    recipe.write_text(json.dumps({"fields": {"image": "image", "label": "label"}, "steps": steps}), "utf-8")
    played = ["--model", "caption=fake:shape", "--model", "chat=fake:shape"]
    done = cli("augment", tmp_path / "photos", "-o", tmp_path / "o", "-r", recipe, "-q", *played)
    assert done.code == 0, done.err
    rows = pq.read_table(tmp_path / "o" / "train").to_pylist()
    assert len(rows) == 8
    assert all(row["caption"].isupper() and row["ask"] for row in rows if row["_synthetic"])
