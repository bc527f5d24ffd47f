"""Images mirrored, turned, cut and bent: pixels, masks, boxes and points move together, and texts stay true."""

from __future__ import annotations

import json
from collections import Counter
from typing import Any

import cv2
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from leaven.errors import RecipeError
from leaven.image.matrices import matrix_of
from leaven.image.mirrored import mirror, swap_sides, tinted, turned
from leaven.image.moved import Motion, area, bend_at, clip, move_boxes, move_pixels, move_places, move_points
from leaven.image.warp import Warp
from leaven.media.image import Image
from small_media import IMAGES

COCO = IMAGES / "coco-mini"
PIXELS = np.arange(24, dtype=np.uint8).reshape(2, 4, 3)
ALL = {"rotate": (-40, 40), "scale": (0.6, 1.6), "shift": (-0.2, 0.2), "shear": (-20, 20), "crop": (0.3, 1)}


def image(height: int = 20, width: int = 30, value: int = 0) -> Image:
    return Image.of(np.full((height, width, 3), value, np.uint8))


def box(x: float, y: float, w: float, h: float, label: str = "a", polygons: Any = None) -> dict[str, Any]:
    return {"x": x, "y": y, "w": w, "h": h, "label": label, "polygons": polygons}


def flipped(record: dict[str, Any], flip: str = "horizontal", **more: Any) -> dict[str, Any]:
    """The first child whose coins fell for the flip, or which was held back from it."""
    plain = record["image"].pixels
    for seed in range(40):
        [row] = Warp(flip=flip, **more)(record, seed=seed)
        if not np.array_equal(row["image"].pixels, plain):
            return row
    return {}


def steps(pixels: Any) -> list[list[int]]:
    return [[int(v) for v in row] for row in pixels[..., 0]]


# -- apply ------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("drawn", "shown"),
    [
        ({}, [[0, 3, 6, 9], [12, 15, 18, 21]]),
        ({"flip": "horizontal"}, [[9, 6, 3, 0], [21, 18, 15, 12]]),
        ({"flip": "vertical"}, [[12, 15, 18, 21], [0, 3, 6, 9]]),
        ({"flip": "both"}, [[21, 18, 15, 12], [9, 6, 3, 0]]),
        ({"rotate": 180}, [[21, 18, 15, 12], [9, 6, 3, 0]]),
        ({"shift": [0.25, 0]}, [[99, 0, 3, 6], [99, 12, 15, 18]]),
        ({"shift": [0, -0.5]}, [[12, 15, 18, 21], [99, 99, 99, 99]]),
        ({"crop": [2, 0, 2, 1]}, [[6, 7, 8, 9], [6, 7, 8, 9]]),
        ({"crop": [2, 0, 2, 1], "flip": "horizontal"}, [[9, 8, 7, 6], [9, 8, 7, 6]]),
    ],
)
def test_pixels(drawn: dict[str, Any], shown: list[list[int]]):
    motion = Motion(matrix_of(drawn, (4, 2)), (4, 2))
    assert steps(move_pixels(PIXELS, motion, fill=99)) == shown


def test_a_turn_against_the_clock():
    pixels = np.arange(9, dtype=np.uint8).reshape(3, 3)
    motion = Motion(matrix_of({"rotate": 90}, (3, 3)), (3, 3))
    assert move_pixels(pixels, motion).tolist() == [[2, 5, 8], [1, 4, 7], [0, 3, 6]]
    assert move_places(np.array([[0.0, 0.0], [3.0, 0.0]]), motion).round(6).tolist() == [[0, 3], [0, 0]]


def test_masks_are_never_blended():
    codes = np.array([[0, 900], [7, 0]], np.uint16)
    motion = Motion(matrix_of({"crop": [0, 0, 2, 1]}, (2, 2)), (2, 2))
    assert move_pixels(codes, motion, nearest=True).tolist() == [[0, 900], [0, 900]]
    for turn in range(-180, 181, 7):
        motion = Motion(matrix_of({"rotate": turn, "scale": 3.3}, (2, 2)), (2, 2))
        assert set(np.unique(move_pixels(codes, motion, nearest=True)).tolist()) <= {0, 7, 900}


def test_reflection_at_the_edge():
    motion = Motion(matrix_of({"shift": [0.5, 0]}, (4, 2)), (4, 2))
    assert steps(move_pixels(PIXELS, motion, fill=None)) == [[3, 0, 0, 3], [15, 12, 12, 15]]


def test_tilted_corners_go_inward():
    motion = Motion(matrix_of({"perspective": [0.1, 0.2, 0, 0, 0, 0, 0.3, 0]}, (10, 10)), (10, 10))
    corners = np.array([[0.0, 0], [10, 0], [10, 10], [0, 10]])
    assert move_places(corners, motion).round(6).tolist() == [[1, 2], [10, 0], [10, 10], [3, 10]]


def test_boxes_and_points_of_a_cut():
    motion = Motion(matrix_of({"crop": [10, 0, 20, 20]}, (40, 20)), (40, 20))  # twice as wide
    given = [box(5, 5, 10, 10), box(12, 2, 4, 4), box(0, 0, 9, 20), box(10, 0, 20, 20), box(0, 5, 10.9, 10)]
    found, gone = move_boxes(given, motion, smallest=0.1)
    assert [(b["x"], b["y"], b["w"], b["h"]) for b in found] == [(0, 5, 10, 10), (4, 2, 8, 4), (0, 0, 40, 20)]
    assert gone == 2  # one is outside, of the last 0.9 of 10.9 is left
    points, lost = move_points([{"x": 11, "y": 3, "label": "p"}, {"x": 5, "y": 3, "label": "q"}], motion)
    assert (points, lost) == ([{"x": 2.0, "y": 3.0, "label": "p"}], 1)


def test_polygons_are_cut_at_the_edge():
    motion = Motion(matrix_of({"shift": [-0.5, 0]}, (8, 8)), (8, 8))
    triangle = box(2, 2, 4, 4, polygons=[[2, 2, 6, 2, 6, 6]])
    [found], gone = move_boxes([triangle], motion)
    assert found["polygons"] == [[0, 4, 0, 2, 2, 2, 2, 6]]
    assert (found["x"], found["y"], found["w"], found["h"], gone) == (0, 2, 2, 4, 0)


@pytest.mark.parametrize(
    ("given", "found"),
    [
        (box(-5, 2, 15.0000006, 4), (0, 2, 10, 4)),
        (box(8, 8, 2.0000006, 2.0000006), (8, 8, 2, 2)),
        (box(20, 2, 5, 5), None),
        (box(-5, 2, 5, 5), None),
        (box(3, 3, 0, 5), None),
        (box(-10, -10, 40, 40), (0, 0, 10, 10)),
    ],
)
def test_boxes_over_the_edge(given: dict[str, Any], found: Any):
    boxes, gone = move_boxes([given], Motion(np.eye(3), (10, 10)), smallest=0.1)
    assert [(b["x"], b["y"], b["w"], b["h"]) for b in boxes] == ([found] if found else [])
    assert gone == (not found)


def test_clip():
    assert clip([(1.0, 1.0), (3.0, 1.0), (3.0, 3.0)], (4, 4)) == [(1, 1), (3, 1), (3, 3)]
    assert clip([(9.0, 9.0), (12.0, 9.0), (12.0, 12.0)], (4, 4)) == []
    assert clip([], (4, 4)) == []
    # A U whose two arms reach into the image: the cut keeps their area.
    u = [(0.0, -2.0), (1.0, -2.0), (1.0, 2.0), (3.0, 2.0), (3.0, -2.0), (4.0, -2.0), (4.0, 3.0), (0.0, 3.0)]
    assert area(clip(u, (4, 4))) == pytest.approx(8)


# -- what moves together ----------------------------------------------------------------------------------------------


@given(
    st.integers(8, 60), st.integers(8, 60), st.floats(0, 1), st.floats(0, 1), st.floats(0.2, 1), st.floats(0.2, 1),
    st.integers(0, 10_000), st.booleans(),
    st.sampled_from(["rotate", "scale", "shift", "shear", "crop", "perspective", "elastic", "all"]),
)  # fmt: skip
def test_a_box_still_bounds_what_it_bounded(
    width: int, height: int, fx: float, fy: float, fw: float, fh: float, seed: int, outlined: bool, what: str
):
    w, h = max(4, round(fw * width)), max(4, round(fh * height))
    x, y = round(fx * (width - w)), round(fy * (height - h))
    codes = np.zeros((height, width), np.uint8)
    codes[y : y + h, x : x + w] = 255
    record = {
        "image": Image.of(codes),
        "mask": Image.of_codes(codes),
        "boxes": [box(x, y, w, h, polygons=[[x, y, x + w, y, x + w, y + h, x, y + h]] if outlined else None)],
        "points": [{"x": x + w / 2, "y": y + h / 2, "label": "middle"}],
    }
    changes: dict[str, Any] = dict(ALL) if what == "all" else {what: ALL[what]} if what in ALL else {}
    if what in ("perspective", "all"):
        changes["perspective"] = 0.2
    if what in ("elastic", "all"):
        changes["elastic"] = 100
    [row] = Warp(flip="both", fill=0, smallest=0, **changes)(record, seed=seed)
    shown, mask = row["image"].pixels[..., 0] > 127, row["mask"].codes > 127
    assert (shown != mask).sum() <= 0.03 * mask.size + 8  # blended edges against nearest ones
    for seen in (shown, mask):
        if not seen.any():
            continue
        [found] = row["boxes"]
        rows, columns = np.flatnonzero(seen.any(1)), np.flatnonzero(seen.any(0))
        edges = (columns[0], rows[0], columns[-1] + 1, rows[-1] + 1)
        right, bottom = found["x"] + found["w"], found["y"] + found["h"]
        assert found["x"] <= edges[0] + 1
        assert found["y"] <= edges[1] + 1
        assert right >= edges[2] - 1
        assert bottom >= edges[3] - 1
        loose = (edges[0] - found["x"], edges[1] - found["y"], right - edges[2], bottom - edges[3])
        assert max(loose) <= 3  # pointed corners fade
        assert found["x"] >= 0
        assert found["y"] >= 0
        assert right <= width + 1e-6
        assert bottom <= height + 1e-6
        if outlined and seen is shown:
            drawn = np.zeros_like(codes)
            for flat in found["polygons"]:  # 1/16 pixels, from the middle of pixels
                places = np.array(flat).reshape(-1, 1, 2)
                cv2.fillPoly(drawn, [np.rint((places - 0.5) * 16).astype(np.int32)], 255, shift=4)
            thick = cv2.dilate(drawn, np.ones((3, 3), np.uint8)) > 0
            assert not (seen & ~thick).any()


@given(st.integers(1, 200), st.integers(1, 200), st.integers(0, 1000))
def test_a_bend_never_folds_and_has_an_inverse(width: int, height: int, seed: int):
    rng = np.random.default_rng(seed)
    most = min(width, height) / 20
    bend = most * np.sign(rng.uniform(-1, 1, (2, 7, 7)))  # as rough as it can be
    motion = Motion(np.eye(3), (width, height), bend)
    places = rng.uniform(0, 1, (40, 2)) * (width, height)
    moved = move_places(places, motion)
    assert np.abs(moved + bend_at(bend, motion.size, moved) - places).max() < 1e-3
    assert np.abs(moved - places).max() <= most + 1e-3
    step = np.array([1e-4, 0])
    slope = (bend_at(bend, motion.size, places + step) - bend_at(bend, motion.size, places)) / 1e-4
    assert np.abs(slope).max() < 0.85


@pytest.mark.parametrize("size", [(1, 1), (2, 1), (1, 2), (2, 2), (1, 40), (3, 3)])
@pytest.mark.parametrize("fill", [0, "reflect"])
def test_tiny_images(size: tuple[int, int], fill: Any):
    photo = Image.of(np.full((*size, 3), 7, np.uint8))
    rows = Warp(n=20, flip="both", elastic=3, perspective=0.2, fill=fill, **ALL)({"image": photo})
    assert [row["image"].size for row in rows] == [photo.size] * 20


def test_gray_images_stay_gray():
    gray = Image.of(np.random.default_rng(0).integers(0, 256, (20, 20), np.uint8))
    for row in Warp(n=10, **ALL)({"image": gray}):
        pixels = row["image"].pixels
        assert (pixels == pixels[..., :1]).all()
        assert row["image"].kind == "pnggray"


# -- draw -------------------------------------------------------------------------------------------------------------


def test_draws_stay_in_their_ranges_and_are_told():
    op = Warp(
        rotate=(5, 15), scale=(0.9, 1.1), shift=(-0.1, 0.1), shear=(0, 10), crop=(0.5, 0.8), elastic=2, flip="both"
    )
    flips: Counter[str] = Counter()
    for seed in range(400):
        drawn, bend = op.draw((100, 60), np.random.default_rng(seed))
        flips[drawn.pop("flip", "none")] += 1
        assert set(drawn) == {"rotate", "scale", "shift", "shear", "crop", "elastic"}
        assert 5 <= drawn["rotate"] <= 15
        assert 0.9 <= drawn["scale"] <= 1.1
        assert all(-0.1 <= v <= 0.1 for v in drawn["shift"])
        assert all(0 <= v <= 10 for v in drawn["shear"])
        x, y, w, h = drawn["crop"]
        assert 0 <= x <= 100 - w
        assert 0 <= y <= 60 - h
        assert 0.49 <= w * h / 6000 <= 0.81
        assert 0.74 <= (w / h) / (100 / 60) <= 1.36
        assert drawn["elastic"] == 2
        assert bend is not None
        assert np.abs(bend).max() <= 2
    assert all(70 <= flips[way] <= 130 for way in ("none", "horizontal", "vertical", "both"))


def test_one_change_more_leaves_the_others():
    few, more = Warp(rotate=(-9, 9), crop=(0.5, 1)), Warp(rotate=(-9, 9), crop=(0.5, 1), scale=(1, 2), elastic=1)
    for seed in range(5):
        one, other = (op.draw((50, 50), np.random.default_rng(seed))[0] for op in (few, more))
        assert {key: other[key] for key in one} == one


def test_three_mild_changes_where_nothing_is_named():
    drawn, bend = Warp().draw((50, 50), np.random.default_rng(0))
    assert set(drawn) == {"rotate", "scale", "shift"}
    assert bend is None
    assert Warp(flip="vertical").draw((50, 50), np.random.default_rng(1))[0] in ({}, {"flip": "vertical"})


def test_p_is_the_chance_of_each_change():
    op = Warp(rotate=(5, 5), scale=(2, 2), p=0.25)
    drawn = [op.draw((9, 9), np.random.default_rng(seed))[0] for seed in range(2000)]
    assert [sum(name in d for d in drawn) / 2000 for name in ("rotate", "scale")] == pytest.approx([0.25] * 2, abs=0.04)
    assert sum(d == {} for d in drawn) / 2000 == pytest.approx(0.75**2, abs=0.04)


def test_the_same_record_gives_the_same_children():
    photo = Image.of(np.random.default_rng(0).integers(0, 256, (30, 30, 3), np.uint8))
    op = Warp(n=3, elastic=1, **ALL)
    one, other = (op({"image": photo, "label": "a"}, seed=4) for _ in range(2))
    for a, b in zip(one, other, strict=True):
        assert np.array_equal(a["image"].pixels, b["image"].pixels)
    assert not np.array_equal(one[0]["image"].pixels, one[1]["image"].pixels)


@pytest.mark.parametrize(
    ("parameters", "said"),
    [
        ({"rotate": (10, -10)}, r"rotate is \[10, -10\]; it goes from -180 to 180, the lower first"),
        ({"crop": (0.5, 1.5)}, r"crop is \[0.5, 1.5\]"),
        ({"scale": (0, 1)}, r"scale is \[0, 1\]"),
        ({"fill": 300}, "255"),
        ({"flip": "left"}, "horizontal"),
    ],
)
def test_wrong_parameters(parameters: dict[str, Any], said: str):
    with pytest.raises(RecipeError, match=said):
        Warp(**parameters)


# -- what stands on the image -----------------------------------------------------------------------------------------


def test_a_mask_of_another_size_is_refused():
    rows = Warp(n=2)({"image": image(20, 30), "mask": Image.of_codes(np.zeros((20, 29), np.uint8))})
    assert [row["_reason"] for row in rows] == ["mask_size"] * 2


def test_what_comes_in_is_gray_and_zero_in_the_mask():
    record = {"image": image(20, 20, 200), "mask": Image.of_codes(np.full((20, 20), 3, np.uint8)), "boxes": []}
    [row] = Warp(shift=(0.5, 0.5))(record)
    assert row["image"].pixels[0, 0].tolist() == [114] * 3
    assert (row["mask"].codes[0, 0], row["mask"].codes[19, 19]) == (0, 3)
    [row] = Warp(shift=(0.5, 0.5), fill="reflect")(record)
    assert row["image"].pixels[0, 0].tolist() == [200] * 3
    assert row["mask"].codes.tolist() == [[3] * 20] * 20


def test_no_reflection_where_boxes_would_lack():
    [row] = Warp(shift=(0.5, 0.5), fill="reflect")({"image": image(20, 20, 200), "boxes": [box(1, 1, 5, 5)]})
    assert row["image"].pixels[0, 0].tolist() == [114] * 3


def test_missing_annotations_stay_missing():
    [row] = Warp()({"image": image(), "boxes": None, "mask": None, "points": []})
    assert (row.get("boxes"), row.get("mask"), row["points"]) == (None, None, [])


# -- what texts say ---------------------------------------------------------------------------------------------------

ASYMMETRIC = Image.of(np.arange(27, dtype=np.uint8).reshape(3, 3, 3))


@pytest.mark.parametrize(
    ("text", "other"),
    [
        ("a dog on the left", "a dog on the right"),
        ("Left of the RIGHT-hand door", "Right of the LEFT-hand door"),
        ("the leftmost cat looks right", "the rightmost cat looks left"),
        ("two men, left and right", "two men, right and left"),
        ("from left to right", "from right to left"),
        ("a bright, upright copyright leftover", "a bright, upright copyright leftover"),
        ("(right) a cup", "(left) a cup"),
    ],
)
def test_texts_are_mended(text: str, other: str):
    assert swap_sides(text) == other
    row = flipped({"image": ASYMMETRIC, "caption": text, "label": "pet"})
    assert row["caption"] == other
    assert row["label"] == "pet"


@pytest.mark.parametrize(
    "text",
    [
        "a stop sign", "the word LEFT", "it says hello", "a shirt with the number 7", "letters on a wall",
        "the cover reads Time", "a page of text", "he left the room", "the bus has left", "a cup right next to a plate",
        "written in ink", "the right choice", "there is no cake left.",
    ],
)  # fmt: skip
def test_texts_that_a_mirror_would_make_false(text: str):
    assert flipped({"image": ASYMMETRIC, "caption": text}) == {}
    assert mirror({"caption": ("caption", text)})[0] == {}
    assert mirror({"caption": ("caption", text)})[1]


def test_labels_change_only_into_known_ones():
    rows = [{"image": ASYMMETRIC, "label": label} for label in ("turn_left", "turn_right", "left_foot")]
    for seed in range(20):
        [row] = Warp(flip="horizontal")(rows[0], seed=seed, source=rows)
        mirrored = not np.array_equal(row["image"].pixels, ASYMMETRIC.pixels)
        assert row["label"] == ("turn_right" if mirrored else "turn_left")
        [row] = Warp(flip="horizontal")(rows[2], seed=seed, source=rows)
        assert row["label"] == "left_foot"
        assert np.array_equal(row["image"].pixels, ASYMMETRIC.pixels)
    assert mirror({"label": ("label", "left_foot")}, ["left_foot"]) == (
        {}, "label has no counterpart `right_foot` among the labels",
    )  # fmt: skip
    assert mirror({"p": ("label_probs", {"left": 0.3, "up": 0.7})}, ["left", "right", "up"])[0] == {
        "p": {"right": 0.3, "up": 0.7}
    }


@pytest.mark.parametrize("label", ["b", "R", "7", "42", "letter b", "digit_6"])
def test_characters_are_not_mirrored(label: str):
    assert flipped({"image": ASYMMETRIC, "label": label}) == {}
    assert flipped({"image": ASYMMETRIC, "label": label}, holds=["label"])["label"] == label


def test_upside_down_only_where_no_text_says_what_is_up():
    assert flipped({"image": ASYMMETRIC, "caption": "a cup on top of a book"}, "vertical") == {}
    assert flipped({"image": ASYMMETRIC, "caption": "a cup"}, "vertical")["caption"] == "a cup"
    assert turned({"label": ("label", "top_left")}) == "label says `left`"
    [row] = Warp(rotate=(90, 90))({"image": ASYMMETRIC, "caption": "a cup on the left"})
    assert np.array_equal(row["image"].pixels, ASYMMETRIC.pixels)
    [row] = Warp(rotate=(90, 90))({"image": ASYMMETRIC, "caption": "a cup"})
    assert not np.array_equal(row["image"].pixels, ASYMMETRIC.pixels)


def test_parts_of_a_body_change_sides():
    hands = [box(0, 0, 1, 1, "left_hand"), box(2, 2, 1, 1, "right_hand")]
    eyes = [{"x": 1, "y": 1, "label": "left_eye"}]
    row = flipped({"image": ASYMMETRIC, "boxes": hands, "points": eyes})
    assert [(b["x"], b["label"]) for b in row["boxes"]] == [(2, "right_hand"), (0, "left_hand")]
    assert row["points"] == [{"x": 2.0, "y": 1.0, "label": "right_eye"}]
    assert flipped({"image": ASYMMETRIC, "boxes": hands[:1]}) == {}


def test_colours():
    assert tinted({"caption": ("caption", "a Red car")}) == "caption says `Red`"
    assert tinted({"label": ("label", "blue_shirt")}) == "label says `blue`"
    assert tinted({"caption": ("caption", "a bored, scared hundred")}) == ""


@pytest.mark.skipif(not COCO.is_dir(), reason="the shared photographs are not there")
def test_real_boxes_and_outlines():
    found = json.loads((COCO / "annotations" / "instances_val2017.json").read_text("utf-8"))
    moved = 0
    for photo in found["images"]:
        marks = [a for a in found["annotations"] if a["image_id"] == photo["id"] and not a["iscrowd"]]
        boxes = [box(*a["bbox"], label=str(a["category_id"]), polygons=a["segmentation"]) for a in marks]
        size = (photo["width"], photo["height"])
        for op in (Warp(flip="both", **ALL), Warp(elastic=30), Warp(perspective=0.2)):
            drawn, bend = op.draw(size, np.random.default_rng(photo["id"]))
            kept, gone = move_boxes(boxes, Motion(matrix_of(drawn, size), size, bend), 0.1)
            assert len(kept) + gone == len(boxes)
            moved += len(kept)
            for b in kept:
                xs, ys = ([v for flat in b["polygons"] for v in flat[axis::2]] for axis in (0, 1))
                assert (min(xs), min(ys)) == (b["x"], b["y"])
                assert max(xs) == pytest.approx(b["x"] + b["w"], abs=1e-3)
                assert max(ys) == pytest.approx(b["y"] + b["h"], abs=1e-3)
                assert 0 <= b["x"] <= b["x"] + b["w"] <= size[0] + 1e-3
                assert 0 <= b["y"] <= b["y"] + b["h"] <= size[1] + 1e-3
    assert moved > 100
