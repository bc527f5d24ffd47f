"""classic-image: moved and relit, erased, cut together, blended; what needs labels is left out where there are none."""

from __future__ import annotations

from collections import Counter
from pathlib import Path
from typing import Any

import numpy as np

from leaven.media.image import Image


def photographs(folder: Path, n: int) -> list[str]:
    rng = np.random.default_rng(0)
    names = []
    for i in range(n):
        (folder / f"{i}.png").write_bytes(Image.of(rng.integers(0, 256, (24, 32, 3), np.uint8)).encoded)
        names.append(f"{i}.png")
    return names


def last_steps(rows: list[dict[str, Any]]) -> Counter[str]:
    return Counter(row["_steps"][-1]["step"] for row in rows)


def test_five_children_of_each_row(ran: Any, tmp_path: Path):
    rows = [{"image": name, "label": "cat" if i % 2 else "dog"} for i, name in enumerate(photographs(tmp_path, 12))]
    found = ran("classic-image", rows)
    assert last_steps(found.made) == {"shade": 24, "erase": 12, "collage": 12, "mix_images": 12}
    assert found.refused == []
    assert Counter(row["label"] for row in found.made if last_steps([row]) == {"shade": 1}) == {"cat": 12, "dog": 12}
    for row in found.made:
        assert Image(row["image"]["bytes"]).size == (32, 24)
        if last_steps([row]) == {"erase": 1}:
            root = found.real[row["_parents"][0]]
            assert row["label"] == root["label"]
            assert row["image"]["bytes"] != root["image"]["bytes"]


def test_boxes_move_along(ran: Any, tmp_path: Path):
    boxes = [{"x": 4, "y": 4, "w": 12, "h": 10, "label": "cat"}]
    rows = [{"image": name, "boxes": boxes} for name in photographs(tmp_path, 6)]
    found = ran("classic-image", rows)
    steps = last_steps(found.made + found.refused)
    assert steps["shade"] == 12
    assert steps["erase"] == 6
    assert "mix_images" not in steps
    for row in found.made:
        for box in row["boxes"]:
            assert 0 <= box["x"] <= box["x"] + box["w"] <= 32.0001
            assert 0 <= box["y"] <= box["y"] + box["h"] <= 24.0001
