"""mask: the union of what stands in boxes, by class, grown; and a run with SAM."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow.parquet as pq
import pytest

from asked import cli
from leaven.image.mask import Mask, grown
from leaven.media.image import Image
from tiny import lookers

IMAGE = np.zeros((6, 8, 3), np.uint8)


def box(x: float, y: float, w: float, h: float, label: str = "cup") -> dict[str, Any]:
    return {"x": x, "y": y, "w": w, "h": h, "label": label, "polygons": None}


def codes(boxes: Any, **how: Any) -> np.ndarray:
    [row] = Mask(**how)({"image": IMAGE, "boxes": boxes}, segment="fake:shape")
    found: np.ndarray = row["mask"].codes
    return found


def test_all_boxes_make_one_mask():
    found = codes([box(0, 0, 2, 2), box(5, 4, 3, 2)])
    expected = np.zeros((6, 8), int)
    expected[:2, :2] = expected[4:, 5:] = 1
    assert found.tolist() == expected.tolist()
    assert codes([]).tolist() == np.zeros((6, 8), int).tolist()


def test_classes_have_numbers_and_the_smaller_is_on_top():
    boxes = [box(1, 1, 2, 2, "cup"), box(0, 0, 6, 5, "table"), box(6, 0, 2, 2, "cat")]
    found = codes(boxes, classes=["table", "cup"])
    assert found[1, 1] == found[2, 2] == 2
    assert found[0, 0] == found[4, 5] == 1
    assert found[0, 6] == 0, "a cat is no class"
    assert set(np.unique(codes(boxes))) == {0, 1}


def test_grown():
    """By one pixel on all sides, by more as a disk."""
    dot = np.zeros((9, 9), bool)
    dot[4, 4] = True
    assert grown(dot, 0).sum() == 1
    assert grown(dot, 1)[4, 3:6].all()
    assert grown(dot, 3)[4, 1:8].all()
    assert not grown(dot, 3)[1, 1]
    found = codes([box(3, 3, 1, 1)], grow=1)
    assert found[3].tolist() == [0, 0, 1, 1, 1, 0, 0, 0]


def test_no_boxes_known():
    assert Mask()({"image": IMAGE, "boxes": None}, segment="fake:shape")[0]["_reason"] == "no_boxes"


def test_in_a_run(tmp_path: Path, no_report: None):
    """Masks by SAM of the data's own boxes; one worker and two write the same."""
    pytest.importorskip("transformers")
    model = lookers.sam(tmp_path / "sam")
    rows = []
    for i in range(4):
        pixels = np.random.default_rng(i).integers(0, 256, (30, 40, 3)).astype(np.uint8)
        (tmp_path / f"{i}.png").write_bytes(Image.of(pixels).encoded)
        rows.append({"image": f"{i}.png", "label": "ab"[i % 2], "boxes": [box(2, 3, 20, 18), box(20, 10, 15, 15)]})
    source, recipe = tmp_path / "rows.jsonl", tmp_path / "r.yaml"
    source.write_text("".join(json.dumps(row) + "\n" for row in rows))
    recipe.write_text(json.dumps({"fields": {"boxes": "boxes"}, "steps": [{"warp": {"flip": "horizontal"}}, "mask"]}))
    written = []
    for workers in ("1", "2"):
        out = tmp_path / workers
        more = ("--model", f"segment=transformers:{model}", "--workers", workers, "-q")
        ran = cli("augment", str(source), "-o", str(out), "-r", str(recipe), *more)
        assert ran.code == 0, ran.err
        written.append([file.read_bytes() for file in sorted((out / "train").glob("*.parquet"))])
    assert written[0] == written[1]
    made = [row for row in pq.read_table(tmp_path / "1" / "train").to_pylist() if row["_synthetic"]]
    assert len(made) == 4
    for row in made:
        assert Image(row["mask"]["bytes"]).codes.shape == (30, 40)
    assert len({row["mask"]["bytes"] for row in made}) == 4
