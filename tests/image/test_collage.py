"""One image from parts of several."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from leaven.image.collage import Collage
from leaven.image.tiles import Tile, assembled, cropped, cropped_boxes, grid, mosaic, tiled
from leaven.mixing import cutmix_box


def box(x: float, y: float, w: float, h: float, label: str = "cup", polygons: Any = None) -> dict[str, Any]:
    return {"x": x, "y": y, "w": w, "h": h, "label": label, "polygons": polygons}


def flat(value: int, width: int = 32, height: int = 32, **fields: Any) -> dict[str, Any]:
    return {"image": np.full((height, width, 3), value, np.uint8), **fields}


OTHERS = [flat(value, label=str(value)) for value in (50, 100, 150)]


# -- CutMix -----------------------------------------------------------------------------------------------------------


def patch(row: dict[str, Any], value: int) -> tuple[int, int, int, int]:
    """The box (y0, y1, x0, x1) in which an image has a value; it must fill it."""
    where = row["image"].pixels[..., 0] == value
    ys, xs = np.flatnonzero(where.any(1)), np.flatnonzero(where.any(0))
    found = (int(ys[0]), int(ys[-1]) + 1, int(xs[0]), int(xs[-1]) + 1)
    assert where.sum() == (found[1] - found[0]) * (found[3] - found[2])
    return found


@pytest.mark.parametrize("seed", range(8))
def test_cutmix_is_the_papers(seed: int):
    [row] = Collage(lam=0.75)(flat(0, label="a"), seed=seed, source=[flat(255, 20, 40, label="b")])
    y0, y1, x0, x1 = patch(row, 255)
    for begin, end in ((y0, y1), (x0, x1)):
        assert end - begin == 16 or begin == 0 or end == 32
    centre = (y1 - 8 if y0 == 0 else y0 + 8, x1 - 8 if x0 == 0 else x0 + 8)
    assert cutmix_box(32, 32, 0.75, *centre) == (y0, y1, x0, x1, row["label_probs"]["a"])
    assert row["label_probs"]["a"] >= 0.75
    assert sum(row["label_probs"].values()) == 1
    assert row["label"] == "a"
    assert set(np.unique(row["image"].pixels)) == {0, 255}


def test_without_lam_the_area_is_drawn_anew_for_each_child():
    rows = Collage(n=40)(flat(0, label="a"), source=[flat(255, label="b")])
    shares = [row["label_probs"]["a"] for row in rows]
    assert min(shares) < 0.4
    assert max(shares) > 0.9
    for row in rows:
        assert (row["image"].pixels == 0).mean() == pytest.approx(row["label_probs"]["a"])
        assert row["label"] == max(row["label_probs"], key=row["label_probs"].get)


def test_cutmix_takes_boxes_masks_and_points_along():
    """With the box at 2 to 6 of an image of 8 x 8: the seed that draws its centre is searched for."""
    record = flat(
        0,
        8,
        8,
        boxes=[box(0, 0, 1, 1, "far"), box(3, 3, 1, 1, "hidden"), box(1, 2, 3, 4, "trimmed")],
        points=[{"x": 0.5, "y": 0.5, "label": "far"}, {"x": 3, "y": 3, "label": "hidden"}],
        mask=np.ones((8, 8), np.uint8),
    )
    other = flat(
        255,
        16,
        16,
        boxes=[box(0, 0, 2, 2, "out"), box(6, 6, 2, 2, "in"), box(0, 0, 16, 16, "cut")],
        points=[{"x": 8, "y": 8, "label": "in"}, {"x": 1, "y": 1, "label": "out"}],
        mask=np.full((16, 16), 7, np.uint8),
    )
    for seed in range(1000):
        [row] = Collage(lam=0.75)(record, seed=seed, source=[other])
        if patch(row, 255) == (2, 6, 2, 6):
            break
    else:
        pytest.fail("no seed draws the centre")
    assert [(b["label"], b["x"], b["y"], b["w"], b["h"]) for b in row["boxes"]] == [
        ("far", 0, 0, 1, 1),
        ("trimmed", 1, 2, 1, 4),
        ("in", 3, 3, 1, 1),
        ("cut", 2, 2, 4, 4),
    ]
    assert row["points"] == [{"x": 0.5, "y": 0.5, "label": "far"}, {"x": 4, "y": 4, "label": "in"}]
    expected = np.ones((8, 8), np.uint8)
    expected[2:6, 2:6] = 7
    assert (row["mask"].codes == expected).all()
    assert "label_probs" not in row


def test_of_a_box_little_of_which_is_seen_nothing_stays():
    record, other = flat(0, boxes=[box(0, 0, 32, 32)]), flat(255, boxes=[box(0, 0, 32, 32, "hat")])
    for seed in range(40):
        [row] = Collage(lam=0.05)(record, seed=seed, source=[other])
        y0, y1, x0, x1 = patch(row, 255)
        area = (y1 - y0) * (x1 - x0)
        assert ("cup" in [b["label"] for b in row["boxes"]]) == (1024 - area >= 102.4)
        assert ("hat" in [b["label"] for b in row["boxes"]]) == (area >= 102.4)


# -- mosaic -----------------------------------------------------------------------------------------------------------


def test_a_mosaics_tiles_touch_the_centre():
    tiles = mosaic([(100, 50), (50, 100), (100, 100), (40, 100)], 100, (70, 120))
    assert tiles == [
        Tile((100, 50), (-30, 70), (0, 70, 70, 120)),
        Tile((50, 100), (70, 20), (70, 20, 120, 120)),
        Tile((100, 100), (-30, 120), (0, 120, 70, 200)),
        Tile((40, 100), (70, 120), (70, 120, 110, 200)),
    ]


def test_each_tile_shows_the_part_of_its_image_at_the_centre():
    images = [np.arange(16, dtype=np.uint8).reshape(4, 4) + 16 * i for i in range(4)]
    tiles = mosaic([(4, 4)] * 4, 4, (3, 5))
    canvas = assembled(images, tiles, np.full((8, 8), 114, np.uint8))
    assert canvas.tolist() == [
        [114, 114, 114, 114, 114, 114, 114, 114],
        [1, 2, 3, 16, 17, 18, 19, 114],
        [5, 6, 7, 20, 21, 22, 23, 114],
        [9, 10, 11, 24, 25, 26, 27, 114],
        [13, 14, 15, 28, 29, 30, 31, 114],
        [33, 34, 35, 48, 49, 50, 51, 114],
        [37, 38, 39, 52, 53, 54, 55, 114],
        [41, 42, 43, 56, 57, 58, 59, 114],
    ]
    assert cropped(canvas, 4, 1.0, (2.0, 2.0), 114).tolist() == canvas[2:6, 2:6].tolist()
    assert cropped(canvas, 4, 1.0, (1.0, 2.0), 0).tolist() == canvas[2:6, 3:7].tolist()


def test_a_mosaics_boxes_move_with_their_tile_and_the_crop():
    tile = Tile((50, 100), (70, 20), (70, 20, 120, 120))
    boxes = tiled([box(10, 20, 20, 40)], (100, 200), tile)
    assert boxes == [box(75, 30, 10, 20)]
    assert cropped_boxes(boxes, 100, 1.0, (60, 80)) == [box(35, 10, 10, 20)]
    assert cropped_boxes(boxes, 100, 0.5, (50, 50)) == [box(37.5, 15, 5, 10)]
    assert cropped_boxes(boxes, 100, 1.0, (50, 50)) == []


@pytest.mark.parametrize(
    ("given_box", "seen"),
    [
        (box(60, 60, 20, 20), box(10, 10, 20, 20)),
        (box(40, 60, 20, 20), box(0, 10, 10, 20)),
        (box(32, 60, 20, 20), None),  # exactly a tenth
        (box(31, 60, 20.5, 20), None),
        (box(60, 60, 2, 20), None),  # not wider than 2
        (box(60, 60, 2.5, 20), box(10, 10, 2.5, 20)),
        (box(50, 60, 100, 0.9), None),
        (box(0, 0, 40, 40), None),
    ],
)
def test_which_boxes_stay_in_a_mosaic(given_box: dict[str, Any], seen: dict[str, Any] | None):
    assert cropped_boxes([given_box], 100, 1.0, (50, 50)) == ([seen] if seen else [])


def test_an_outline_may_be_seen_less():
    sides = [32, 60, 52, 60, 52, 80, 32, 80]
    [seen] = cropped_boxes([box(32, 60, 20, 20, "cup", [sides])], 100, 2.0, (100, 100))
    assert (seen["x"], seen["w"], seen["h"]) == (0, 4, 40)
    assert cropped_boxes([box(32, 60, 20, 20)], 100, 2.0, (100, 100)) == []


@settings(deadline=None, max_examples=30)
@given(st.integers(0, 10_000), st.integers(4, 24), st.integers(4, 24))
def test_a_mosaic_shows_four_images_and_gray_and_keeps_boxes_inside(seed: int, width: int, height: int):
    record = flat(0, width, height, label="0", boxes=[box(0, 0, width, height)])
    others = [{**row, "boxes": [box(0, 0, 32, 32, row["label"])]} for row in OTHERS]
    [row] = Collage("mosaic")(record, seed=seed, source=others)
    side = max(width, height)
    assert row["image"].size == (side, side)
    for seen in row["boxes"]:
        assert 0 <= seen["x"] < seen["x"] + seen["w"] <= side + 1e-4
        assert 0 <= seen["y"] < seen["y"] + seen["h"] <= side + 1e-4
        assert min(seen["w"], seen["h"]) > 2
    assert sum(row["label_probs"].values()) == pytest.approx(1)
    assert row["label"] == max(row["label_probs"], key=row["label_probs"].get)


def test_a_mosaics_pixels_are_of_its_sources():
    source = [flat(value, 16, 16, label=str(value), mask=np.full((16, 16), value)) for value in (50, 100, 150)]
    record = flat(200, 16, 16, label="200", mask=np.full((16, 16), 200))
    for seed in range(20):
        [row] = Collage("mosaic")(record, seed=seed, source=source)
        values, counts = np.unique(row["mask"].codes, return_counts=True)
        shown = {str(v): int(n) for v, n in zip(values, counts, strict=True) if v}
        assert set(shown) <= {"50", "100", "150", "200"}
        assert row["label_probs"] == pytest.approx({k: n / sum(shown.values()) for k, n in shown.items()})
        where = row["mask"].codes
        for value in (50, 100, 150, 200):
            inside = where == value
            inside[1:-1, 1:-1] &= (where[:-2, 1:-1] == value) & (where[2:, 1:-1] == value)
            inside[1:-1, 1:-1] &= (where[1:-1, :-2] == value) & (where[1:-1, 2:] == value)
            inside[[0, -1]] = inside[:, [0, -1]] = False
            assert (row["image"].pixels[inside] == value).all(), "away from seams no value is between two images'"


# -- grid -------------------------------------------------------------------------------------------------------------


def test_a_grid_of_four():
    record = flat(0, 6, 4, label="0", boxes=[box(0, 0, 6, 4)], points=[{"x": 6, "y": 4, "label": "end"}])
    [row] = Collage("grid")(record, source=[flat(90, 12, 8, label="9", boxes=[box(4, 4, 4, 4, "hat")], points=[])])
    assert row["image"].pixels[..., 0].tolist() == [[0] * 3 + [90] * 3] * 2 + [[90] * 6] * 2
    assert [(b["label"], b["x"], b["y"], b["w"], b["h"]) for b in row["boxes"]] == [
        ("cup", 0, 0, 3, 2),
        ("hat", 4, 1, 1, 1),
        ("hat", 1, 3, 1, 1),
        ("hat", 4, 3, 1, 1),
    ]
    assert row["label_probs"] == {"0": 0.25, "9": 0.75}
    assert row["label"] == "9"


def test_odd_sides_go_by_area():
    assert [tile.size for tile in grid(5, 3)] == [(2, 1), (3, 1), (2, 2), (3, 2)]
    [row] = Collage("grid")(flat(0, 5, 3, label="0"), source=OTHERS)
    assert row["image"].size == (5, 3)
    assert row["label_probs"]["0"] == pytest.approx(2 / 15)
    assert sum(row["label_probs"].values()) == pytest.approx(1)
    assert Collage("grid")(flat(0, 1, 3), source=OTHERS)[0]["_reason"] == "too_small"


# -- all of them ------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("how", ["cutmix", "mosaic", "grid"])
def test_what_stops_a_collage(how: str):
    record = flat(0, label="a")
    assert Collage(how)(record, source=[record])[0]["_reason"] == "no_partner"
    assert Collage(how)(record, source=[flat(9, label=None)])[0]["_reason"] == "no_label"
    masked = flat(0, mask=np.zeros((32, 32), np.uint8))
    assert Collage(how)(masked, source=[flat(9, mask=None)])[0]["_reason"] == "no_mask"
    other_size = flat(9, mask=np.zeros((31, 32), np.uint8))
    for one, other in ((masked, other_size), (other_size, masked)):
        assert Collage(how)(one, source=[other])[0]["_reason"] == "mask_size"
    for kind in ("boxes", "points"):
        assert Collage(how)(flat(0, **{kind: None}), source=[flat(9, **{kind: []})])[0]["_reason"] == f"no_{kind}"
        assert Collage(how)(flat(0, **{kind: []}), source=[flat(9, **{kind: None})])[0]["_reason"] == f"no_{kind}"
        assert "_reason" not in Collage(how)(flat(0, **{kind: None}), source=[flat(9, **{kind: None})])[0]


def test_hard_labels_are_those_of_the_largest_part():
    [row] = Collage("grid", soft=False)(flat(0, label="a"), source=[flat(9, label="b")])
    assert row["label"] == "b"
    assert "label_probs" not in row


def test_how_many_are_drawn():
    assert str(Collage("cutmix").draw.k.source) == "1"
    assert str(Collage("mosaic").draw.k.source) == "3"
    [row] = Collage("grid")(flat(0, label="a"), source=OTHERS)
    assert row["label_probs"] == {"a": 0.25, "50": 0.25, "100": 0.25, "150": 0.25}
