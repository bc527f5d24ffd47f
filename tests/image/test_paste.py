"""A drawn picture in the place of what a box holds."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from leaven.image.outlines import filled
from leaven.image.paste import Paste, pasted, window_of
from leaven.image.resized import resized

RNG = np.random.default_rng(0)
SCENE = RNG.integers(0, 256, (20, 30, 3), np.uint8)
PICTURE = RNG.integers(0, 256, (11, 13, 3), np.uint8)


def box(x: float, y: float, w: float, h: float, label: str = "lute", polygons: Any = None) -> dict[str, Any]:
    return {"x": x, "y": y, "w": w, "h": h, "label": label, "polygons": polygons}


def scene(*boxes: dict[str, Any], **fields: Any) -> dict[str, Any]:
    return {"image": SCENE, "boxes": list(boxes), **fields}


def outside(x0: int, y0: int, x1: int, y1: int) -> np.ndarray:
    pixels = np.ones((20, 30), bool)
    pixels[y0:y1, x0:x1] = False
    return pixels


def test_without_a_seam_the_box_holds_the_picture():
    [row] = Paste(seam="none")(scene(box(4, 5, 10, 8)), source=[{"image": PICTURE}])
    assert (row["image"].pixels[5:13, 4:14] == resized(PICTURE, 10, 8)).all()
    assert (row["image"].pixels[outside(4, 5, 14, 13)] == SCENE[outside(4, 5, 14, 13)]).all()
    assert row["boxes"] == [box(4, 5, 10, 8)]


@pytest.mark.parametrize("seam", ["feather", "poisson", "none"])
def test_outside_of_the_box_nothing_changes(seam: str):
    for window in ((4, 5, 14, 13), (0, 0, 30, 20), (29, 19, 30, 20), (0, 3, 2, 20)):
        x0, y0, x1, y1 = window
        [row] = Paste(seam=seam)(scene(box(x0, y0, x1 - x0, y1 - y0)), source=[{"image": PICTURE}])
        assert (row["image"].pixels[outside(*window)] == SCENE[outside(*window)]).all()


def test_a_feathered_picture_is_whole_in_the_middle():
    [row] = Paste()(scene(box(4, 5, 10, 8)), source=[{"image": PICTURE}])
    patch = resized(PICTURE, 10, 8)
    assert (row["image"].pixels[6:12, 5:13] == patch[1:-1, 1:-1]).all()
    assert (row["image"].pixels[5, 4:14] != patch[0]).any()


def test_which_boxes_and_what_they_are_called():
    record = scene(
        box(0, 0, 10, 10, "violin", [[0, 0, 9, 0, 9, 9]]),
        box(0, 5, 10, 10, "cup", [[0, 5, 10, 5, 10, 15, 0, 15]]),
        box(20, 10, 5, 5, "violin"),
        old="violin",
        new="erhu",
    )
    [row] = Paste(where="box.label == old", label="new", seam="none")(record, source=[{"image": PICTURE}])
    assert row["boxes"][:2] == [box(0, 0, 10, 10, "erhu"), box(20, 10, 5, 5, "erhu")]
    [cup] = row["boxes"][2:]
    assert {**cup, "polygons": None} == box(0, 10, 10, 5, "cup")
    assert (filled(cup["polygons"], 20, 30) == ~outside(0, 10, 10, 15)).all()
    for x0, y0, x1, y1 in ((0, 0, 10, 10), (20, 10, 25, 15)):
        assert (row["image"].pixels[y0:y1, x0:x1] == resized(PICTURE, x1 - x0, y1 - y0)).all()
    assert Paste(where="box.label == old").reads() == {"boxes", "old"}


def test_points_under_the_picture_go():
    record = scene(box(4, 5, 10, 8), points=[{"x": x, "y": 6.0, "label": "tip"} for x in (3.5, 4.0, 13.9, 14.0)])
    [row] = Paste()(record, source=[{"image": PICTURE}])
    assert [point["x"] for point in row["points"]] == [3.5, 14.0]


def test_the_partner_is_drawn_by_a_field():
    source = [{"image": np.full((3, 3, 3), i, np.uint8), "concept": name} for i, name in enumerate(["oud", "erhu"])]
    record = scene(box(4, 5, 10, 8), concept=None, new="erhu")
    [row] = Paste(seam="none", draw={"k": 1, "same": {"concept": "new"}})(record, source=source)
    assert (row["image"].pixels[5:13, 4:14] == 1).all()
    [row] = Paste(seam="none", draw={"k": 1, "same": {"concept": "'koto'"}})(record, source=source)
    assert row["_reason"] == "no_partner"


def test_no_box():
    assert (
        Paste(where="box.label == 'cup'")(scene(box(0, 0, 1, 1)), source=[{"image": PICTURE}])[0]["_reason"] == "no_box"
    )
    assert Paste()({"image": SCENE, "boxes": None}, source=[{"image": PICTURE}])[0]["_reason"] == "no_box"


def test_boxes_in_whole_pixels_within_the_image():
    assert window_of(box(3.6, 2.4, 4.2, 1.0), (30, 20)) == (4, 2, 8, 3)
    assert window_of(box(-5, -5, 100, 100), (30, 20)) == (0, 0, 30, 20)
    assert window_of(box(29.9, 19.9, 0.1, 0.05), (30, 20)) == (29, 19, 30, 20)


def test_the_image_given_is_not_changed():
    before = SCENE.copy()
    pasted(SCENE, PICTURE, [(4, 5, 14, 13)], "poisson")
    assert (before == SCENE).all()
