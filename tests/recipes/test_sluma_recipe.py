"""SLUMA: boxes drawn for the mentions of a text, an image painted from both, and how well it fits."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from small_media import picture
from tiny import encoders


@pytest.fixture(scope="module")
def clip(tmp_path_factory: pytest.TempPathFactory) -> str:
    return f"transformers:{encoders.clip(tmp_path_factory.mktemp('clip'))}"


def test_mentions_of_one_thing_share_a_box(ran: Any, clip: str, tmp_path: Path):
    for i in range(2):
        picture(tmp_path / f"{i}.png")
    span = {"start": 0, "end": 3, "text": "Ann", "chain": 1}
    box = {"x": 1, "y": 2, "w": 3, "h": 3, "label": "Ann"}
    rows = [{"image": f"{i}.png", "text": f"Ann {i}", "spans": [span], "boxes": [box]} for i in range(2)]
    mentions = [
        {"text": "Bob", "chain": 1},
        {"text": "a cat", "chain": 2},
        {"text": "he", "chain": 1},
        {"text": "rain"},
    ]
    pool = tmp_path / "pool.jsonl"
    pool.write_text(
        "".join(json.dumps({"text": f"Bob has a cat {i}, he says", "spans": mentions}) + "\n" for i in range(5)),
        "utf-8",
    )
    sizes = ["--set", "paint.width=64", "--set", "paint.height=48"]
    found = ran("sluma", rows, "--unlabelled", str(pool), *sizes, paint="fake:shape", embed=clip)
    assert len(found.made) == 5
    assert all(not row["_synthetic"] for row in found.real.values())
    places = set()
    for row in found.made:
        assert [box["label"] for box in row["boxes"]] == ["Bob", "a cat", "rain"]
        for box in row["boxes"]:
            assert box["x"] >= 0 <= box["y"]
            assert box["x"] + box["w"] <= 512 >= box["y"] + box["h"]
        places.add(json.dumps(row["boxes"]))
        assert row["image"]["bytes"][:4] == b"\x89PNG"
        assert -1 <= row["_scores"]["match"] <= 1
    assert len(places) == 5
