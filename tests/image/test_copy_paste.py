"""Simple copy-paste."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from leaven.errors import RecipeError
from leaven.image.copy_paste import CopyPaste, Overlay, parts
from leaven.image.outlines import filled


def rectangle(x0: float, y0: float, x1: float, y1: float, label: str = "cup") -> dict[str, Any]:
    polygon = [x0, y0, x1, y0, x1, y1, x0, y1]
    return {"x": x0, "y": y0, "w": x1 - x0, "h": y1 - y0, "label": label, "polygons": [polygon]}


def flat(value: int, width: int = 20, height: int = 10, **fields: Any) -> dict[str, Any]:
    return {"image": np.full((height, width, 3), value, np.uint8), **fields}


def seen(box: dict[str, Any], width: int = 20, height: int = 10) -> np.ndarray:
    return filled(box["polygons"], height, width)


PLAIN = CopyPaste(scale=[1, 1])


def mirrored(row: dict[str, Any], box: dict[str, Any]) -> bool:
    return bool(row["boxes"][-1]["x"] != box["x"])


def test_the_object_is_pasted_along_its_outline():
    hat = {"x": 0, "y": 0, "w": 4, "h": 4, "label": "hat", "polygons": [[0, 0, 3.5, 0, 0, 3.5]]}
    [row] = PLAIN(flat(0, boxes=[]), source=[flat(9, boxes=[hat])])
    pixels = row["image"].pixels[..., 0]
    flipped = row["boxes"][0]["x"] > 4
    expected = filled([[0, 0, 3.5, 0, 0, 3.5]], 10, 20)
    assert ((pixels == 9) == (expected[:, ::-1] if flipped else expected)).all()
    assert (seen(row["boxes"][0]) == (pixels == 9)).all()


def test_half_of_them_are_mirrored():
    corner = rectangle(0, 0, 4, 4, "hat")
    source = [flat(9, boxes=[corner])]
    flips = [mirrored(PLAIN(flat(0, boxes=[]), seed=seed, source=source)[0], corner) for seed in range(60)]
    assert 15 < sum(flips) < 45


def test_old_outlines_lose_what_is_covered():
    middle = rectangle(8, 0, 12, 10, "hat")  # mirrored it is the same
    record = flat(
        0,
        boxes=[rectangle(0, 0, 10, 10), rectangle(8, 2, 12, 6, "hidden"), rectangle(0, 0, 4, 4, "far")],
        points=[{"x": x, "y": 5.0, "label": "eye"} for x in (7.9, 8.0)],
    )
    [row] = PLAIN(record, source=[flat(9, boxes=[middle], points=[{"x": 10.0, "y": 5.0, "label": "tip"}])])
    assert [(b["label"], b["x"], b["y"], b["w"], b["h"]) for b in row["boxes"]] == [
        ("cup", 0, 0, 8, 10),
        ("far", 0, 0, 4, 4),
        ("hat", 8, 0, 4, 10),
    ]
    assert (row["image"].pixels[:, 8:12] == 9).all()
    assert (row["image"].pixels[:, :8] == 0).all()
    assert [(p["label"], p["x"]) for p in row["points"]] == [("eye", 7.9), ("tip", 10.0)]


def test_boxes_without_an_outline_are_not_pasted_but_cut_off():
    plain = {**rectangle(0, 0, 10, 10), "polygons": None}
    [row] = PLAIN(flat(0, boxes=[plain]), source=[flat(9, boxes=[rectangle(8, 0, 12, 10, "hat")])])
    assert row["boxes"][0] == {**plain, "w": 8}
    [row] = PLAIN(flat(0, boxes=[plain]), source=[flat(9, boxes=[plain])])
    assert row["_reason"] == "no_instances"


def test_parts_of_a_mask_are_objects_where_there_are_no_boxes():
    codes = np.zeros((10, 20), np.uint8)
    codes[:, 8:12] = 7
    [row] = PLAIN(flat(0, mask=np.ones((10, 20), np.uint8)), source=[flat(9, mask=codes)])
    assert (row["image"].pixels[..., 0] == np.where(codes > 0, 9, 0)).all()
    assert (row["mask"].codes == np.where(codes > 0, 7, 1)).all()


def test_a_mask_comes_along_with_outlined_boxes():
    codes = np.full((10, 20), 3, np.uint8)
    record = flat(0, boxes=[], mask=np.ones((10, 20), np.uint8))
    [row] = PLAIN(record, source=[flat(9, boxes=[rectangle(8, 0, 12, 10)], mask=codes)])
    assert (row["mask"].codes == np.where(row["image"].pixels[..., 0] == 9, 3, 1)).all()
    [row] = PLAIN(record, source=[flat(9, boxes=[rectangle(8, 0, 12, 10)], mask=None)])
    assert row["_reason"] == "no_mask"
    for mask, other in ((codes[1:], codes), (codes, codes[1:])):
        [row] = PLAIN({**record, "mask": mask}, source=[flat(9, boxes=[rectangle(8, 0, 12, 10)], mask=other)])
        assert row["_reason"] == "mask_size"


def test_connected_parts_of_each_number():
    codes = np.array([[1, 1, 0, 2], [0, 0, 0, 2], [1, 0, 2, 0]])
    found = sorted(np.argwhere(part).tolist() for part in parts(codes))
    assert found == [[[0, 0], [0, 1]], [[0, 3], [1, 3], [2, 2]], [[2, 0]]]


def test_about_two_thirds_of_the_objects_are_put_in():
    """n draws of n with replacement: 1 - 1/e of many, 0.651 of ten."""
    many = [rectangle(2 * i, 0, 2 * i + 1, 10, str(i)) for i in range(10)]
    rows = CopyPaste(scale=[1, 1], n=40)(flat(0, boxes=[]), source=[flat(9, boxes=many)])
    assert 6.1 < np.mean([len(row["boxes"]) for row in rows]) < 6.9
    for row in rows:
        assert len({box["label"] for box in row["boxes"]}) == len(row["boxes"])


@settings(deadline=None, max_examples=40)
@given(st.integers(0, 99_999), st.integers(6, 30), st.integers(6, 30))
def test_pixels_and_boxes_agree(seed: int, width: int, height: int):
    source = [flat(9, width, height, boxes=[rectangle(1, 1, width - 1, height - 2, "hat")])]
    [row] = CopyPaste(scale=[0.5, 1.5])(flat(0, boxes=[rectangle(2, 2, 9, 9)]), seed=seed, source=source)
    if "_reason" in row:
        assert row["_reason"] == "no_instances"
        return
    hat = row["boxes"][-1]
    assert hat["label"] == "hat"
    assert 0 <= hat["x"] < hat["x"] + hat["w"] <= 20 + 1e-6
    assert 0 <= hat["y"] < hat["y"] + hat["h"] <= 10 + 1e-6
    assert (seen(hat) == (row["image"].pixels[..., 0] == 9)).all()
    for box in row["boxes"][:-1]:
        assert not (seen(box) & seen(hat)).any()


def test_an_overlay_lies_within_or_about_the_image():
    overlay = Overlay((20, 10), (40, 20), 0.5, True, (5, 3))
    assert overlay.new == (10, 5)
    laid = overlay.laid(np.repeat(np.arange(40, dtype=np.uint8)[None, :, None], 20, 0).repeat(3, -1))
    assert laid[0].max() == 0
    assert laid[5, :, 0].tolist()[:5] == [0] * 5
    assert laid[5, 5, 0] > laid[5, 14, 0] > 0, "mirrored"
    [box] = overlay.boxes([rectangle(0, 0, 8, 4)])
    assert box == {**rectangle(13, 3, 15, 4), "polygons": [[15, 3, 13, 3, 13, 4, 15, 4]]}
    assert overlay.points([{"x": 4, "y": 8, "label": "tip"}]) == [{"x": 14, "y": 5, "label": "tip"}]


@pytest.mark.parametrize("scale", [[1], [0, 1], [2, 1], [1, 11]])
def test_a_scale_is_two_numbers(scale: list[float]):
    with pytest.raises(RecipeError, match="scale is"):
        CopyPaste(scale=scale)


def test_nobody_to_take_from():
    assert PLAIN(flat(0, boxes=[]), source=[{"image": None, "boxes": []}])[0]["_reason"] == "no_partner"
