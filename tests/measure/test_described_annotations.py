"""What is said of boxes, masks and captions without a student."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from leaven.cli import run
from leaven.measure.notes import Noted, noted
from leaven.measure.traits import compare
from leaven.media.image import Image, png


def box(x: float, y: float, w: float, h: float, label: str = "cell") -> dict[str, Any]:
    return {"x": x, "y": y, "w": w, "h": h, "label": label, "polygons": None}


def test_what_is_counted_of_boxes():
    found = noted({"boxes": ("boxes", [box(0, 10, 50, 20), box(60, 20, 20, 20, "dot")])}, (100, 50))
    assert found.labels == ["cell", "dot"]
    assert found.boxes.tolist() == [[0, 0.2, 0.5, 0.4], [0.6, 0.4, 0.2, 0.4]]
    assert found.things["boxes", "boxes an image"] == [2.0]
    assert found.things["boxes", "area, share of the image"] == pytest.approx([0.2, 0.08])
    assert found.things["boxes", "width to height"] == pytest.approx([2.5, 1.0])
    assert found.things["boxes", "centre, from the top"] == pytest.approx([0.4, 0.6])
    assert found.things["boxes", "at an edge, share"] == [1.0, 0.0]


def test_what_is_counted_of_masks_and_captions():
    codes = np.zeros((10, 20), np.uint8)
    codes[:5, :4], codes[5:, :2] = 1, 7
    found = noted({"m": ("mask", Image.of_codes(codes)), "c": ("caption", ["A dog runs", "The dog"])}, (20, 10))
    assert found.things["mask", "masked, share of the image"] == pytest.approx([0.15])
    assert found.things["mask", "code"] == ["1", "7"]
    assert found.things["caption", "captions"] == [2.0]
    assert found.things["caption", "word"] == ["a", "dog", "runs", "the", "dog"]
    assert found.mask is not None
    assert sorted(np.unique(found.mask).tolist()) == [0, 1, 7]


def rows(values: list[list[float]]) -> list[Noted]:
    return [Noted(things={("boxes", "size"): list(some)}) for some in values]


def test_the_distance_of_two_sets():
    [trait], _ = compare(rows([[1, 2], [3, 4]]), rows([[3, 4], [5, 6]]))
    assert (trait.real, trait.made, trait.distance, trait.null) == (2.5, 4.5, 0.5, None)
    names = [[Noted(things={("boxes", "label"): list(some)}) for some in pair] for pair in (["aab", "b"], ["bbbb"])]
    [trait], [counted] = compare(*names)
    assert (trait.distance, trait.real, trait.things) == (0.5, None, (4, 4))
    assert counted.counts == {"a": (2, 0), "b": (2, 4)}


@given(st.integers(0, 50))
def test_other_rows_of_the_same_kind_are_within_the_null_mostly_and_shifted_ones_are_not(seed: int):
    rng = np.random.default_rng(seed)
    real, more = (rows(rng.normal(size=(60, 5)).tolist()) for _ in range(2))
    shifted = rows((rng.normal(size=(60, 5)) + 1.0).tolist())
    [same], _ = compare(real, more)
    [other], _ = compare(real, shifted)
    assert other.apart
    assert same.null is not None
    assert same.distance < 2 * same.null


def test_rows_with_nothing_on_them_say_nothing():
    assert compare(rows([[]] * 10), rows([[1.0]])) == ([], [])


@pytest.fixture
def boxed(tmp_path: Path) -> Path:
    """Ten images with two boxes each, as COCO lays them out."""
    rng = np.random.default_rng(0)
    folder = tmp_path / "boxed"
    (folder / "images").mkdir(parents=True)
    images, boxes = [], []
    for number in range(10):
        (folder / "images" / f"{number}.png").write_bytes(png(rng.integers(0, 255, (40, 60, 3), dtype=np.uint8)))
        images.append({"id": number, "file_name": f"{number}.png", "width": 60, "height": 40})
        for k in range(2):
            x, y, w, h = (int(v) for v in (*rng.integers(0, 25, 2), *rng.integers(5, 15, 2)))
            boxes.append({"id": 2 * number + k, "image_id": number, "category_id": 1 + k, "bbox": [x, y, w, h],
                          "area": w * h, "iscrowd": 0})  # fmt: skip
    categories = [{"id": 1, "name": "cell"}, {"id": 2, "name": "dot"}]
    said = {"images": images, "annotations": boxes, "categories": categories}
    (folder / "images" / "instances.json").write_text(json.dumps(said))
    return folder / "images"


def test_boxes_of_a_run_beside_those_of_its_real_rows(
    augment: Callable[..., Path], boxed: Path, capsys: pytest.CaptureFixture[str]
):
    out = augment(boxed, [{"warp": {"flip": "horizontal", "n": 2}}])
    capsys.readouterr()
    assert run(["measure", str(out), "-q"]) == 0
    lines = capsys.readouterr().out.splitlines()
    assert lines[0] == "Test     none"
    assert any(line.startswith("boxes: area, share of the image") for line in lines)
    assert "Boxes    label: cell 50% and 50%, dot 50% and 50% (of real, of made)" in lines
    assert any("made rows hold 40, their real rows 40: 100%" in line for line in lines)
    assert lines[-1].startswith("Verdict  NONE")
    said = json.loads((out / "measure.json").read_text())
    assert (said["rows"], said["verdict"]) == ([], None)
    sizes = next(x for x in said["described"]["traits"] if x["what"] == "area, share of the image")
    assert sizes["distance"] < 0.01
    assert sizes["real"] == pytest.approx(sizes["made"])
    assert said["described"]["boxes"] == {"made": 40, "of_their_roots": 40}


def test_images_with_nothing_said_of_them_cannot_be_measured(
    augment: Callable[..., Path], tmp_path: Path, capsys: pytest.CaptureFixture[str]
):
    (tmp_path / "bare").mkdir()
    for number in range(6):
        (tmp_path / "bare" / f"{number}.png").write_bytes(png(np.full((8, 8, 3), 9 * number, np.uint8)))
    out = augment(tmp_path / "bare", [{"shade": {"brightness": 0.2}}])
    assert run(["measure", str(out), "-q"]) == 1
    assert "bare has no label, no boxes, no captions" in capsys.readouterr().err
