"""boxes: what is looked for, what a detector's answer becomes, and a run with a detector of the real kind."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow.parquet as pq
import pytest

from asked import cli
from leaven.errors import RecipeError
from leaven.image.boxes import Boxes, phrases_of
from leaven.media.image import Image
from tiny import lookers

PIXELS = np.random.default_rng(0).integers(0, 256, (30, 40, 3)).astype(np.uint8)


def test_a_box_of_each_phrase_and_how_sure():
    [row] = Boxes("objects")({"image": PIXELS, "objects": ["cup", "a red car", "cup", " "]}, detect="fake:shape")
    assert [box["label"] for box in row["boxes"]] == ["cup", "a red car"]
    assert row["boxes_scores"] == [0.99, 0.98]
    for box in row["boxes"]:
        assert list(box) == ["x", "y", "w", "h", "label", "polygons"]
        assert box["x"] + box["w"] <= 40
        assert box["y"] + box["h"] <= 30
    [row] = Boxes()({"image": PIXELS, "label": "dog"}, detect="fake:shape")
    assert [box["label"] for box in row["boxes"]] == ["dog"], "the label, where nothing is named"


def test_no_phrase_no_question():
    """A record of which a step before noted nothing costs no call."""
    for nothing in ([], None, "", [" "]):
        [row] = Boxes("objects")({"image": PIXELS, "objects": nothing}, detect="fake:shape")
        assert row["boxes"] == row["boxes_scores"] == []


@pytest.mark.parametrize(("value", "phrases"), [("a dog", ["a dog"]), (["b", "a", "b"], ["b", "a"]), (None, [])])
def test_phrases(value: Any, phrases: list[str]):
    assert phrases_of(value) == phrases


def test_what_is_no_phrase():
    with pytest.raises(RecipeError, match=r"no text and no list of texts: \[\{'a': 1\}\]"):
        phrases_of([{"a": 1}])
    with pytest.raises(RecipeError, match=r"needs phrases to look for; the data has no label"):
        Boxes()({"image": PIXELS}, detect="fake:shape")


def test_in_a_run(tmp_path: Path, no_report: None):
    """Boxes noted by OWL-ViT, a copy for each, kept by its share of the image; one worker and two write the same."""
    pytest.importorskip("transformers")
    model = lookers.owlvit(tmp_path / "owlvit")
    for i in range(4):
        pixels = np.random.default_rng(i).integers(0, 256, (40, 60, 3)).astype(np.uint8)
        (tmp_path / f"{i}.png").write_bytes(Image.of(pixels).encoded)
    source, recipe = tmp_path / "rows.jsonl", tmp_path / "r.yaml"
    source.write_text("".join(json.dumps({"image": f"{i}.png", "label": "ab"[i % 2]}) + "\n" for i in range(4)))
    steps = [
        {"boxes": {"phrases": ["a dog", "car"], "at_least": 0.6}},
        {"copy": {"each": "boxes", "into": "box"}},
        {"keep": {"that": "0.08 <= box.share <= 0.8", "reason": "size"}},
        {"note": {"area": "box.w * box.h"}},
    ]
    recipe.write_text(json.dumps({"steps": steps}))
    written = []
    for workers in ("1", "2"):
        out = tmp_path / workers
        more = ("--model", f"detect=transformers:{model}", "--workers", workers, "-q")
        ran = cli("augment", str(source), "-o", str(out), "-r", str(recipe), *more)
        assert ran.code == 0, ran.err
        written.append([file.read_bytes() for file in sorted((out / "train").glob("*.parquet"))])
    assert written[0] == written[1]
    made = [row for row in pq.read_table(tmp_path / "1" / "train").to_pylist() if row["_synthetic"]]
    refused = pq.read_table(tmp_path / "1" / "refused").to_pylist()
    assert made
    assert {row["_reason"] for row in refused} <= {"size", "no_item"}
    assert any(row["_reason"] == "size" for row in refused)
    for row in made:
        box = json.loads(row["box"])
        assert box["label"] in ("a dog", "car")
        assert box["share"] == pytest.approx(box["w"] * box["h"] / 2400, abs=1e-6)
        assert {key: box[key] for key in ("x", "y", "w", "h")} in [
            {key: one[key] for key in ("x", "y", "w", "h")} for one in row["boxes"]
        ]
