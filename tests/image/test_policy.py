"""TrivialAugment and RandAugment: torchvision's tables, Pillow's pixels, even draws."""

from __future__ import annotations

from collections import Counter

import numpy as np
import pytest
from PIL import Image as Pillow
from PIL import ImageEnhance, ImageOps
from scipy.stats import chisquare

from leaven.image import enhanced
from leaven.image.moved import move_pixels
from leaven.image.policy import MOVING, Policy, lit, motion_of
from leaven.image.tables import OPS, SIGNED, strength
from leaven.media.image import Image

SIZE = (224, 112)


def test_tables():
    ra = {op: strength("randaugment", op, 9, SIZE) for op in OPS}
    assert ra == {
        "identity": None, "shear_x": 0.09, "shear_y": 0.09, "translate_x": 30, "translate_y": 15, "rotate": 9.0,
        "brightness": 0.27, "color": 0.27, "contrast": 0.27, "sharpness": 0.27, "posterize": 7, "solarize": 178.5,
        "auto_contrast": None, "equalize": None,
    }  # fmt: skip
    ta = {op: strength("trivial", op, 30, SIZE) for op in OPS}
    assert ta == {
        "identity": None, "shear_x": 0.99, "shear_y": 0.99, "translate_x": 32, "translate_y": 32, "rotate": 135.0,
        "brightness": 0.99, "color": 0.99, "contrast": 0.99, "sharpness": 0.99, "posterize": 2, "solarize": 0.0,
        "auto_contrast": None, "equalize": None,
    }  # fmt: skip
    assert [strength("randaugment", "posterize", i, SIZE) for i in (0, 9, 15, 30)] == [8, 7, 6, 4]
    assert [strength("trivial", "posterize", i, SIZE) for i in (0, 9, 15, 30)] == [8, 6, 5, 2]
    assert [strength("randaugment", "translate_x", i, (331, 1)) for i in (0, 15, 30)] == [0, 75, 150]
    assert [strength("trivial", "translate_x", i, SIZE) for i in (1, 14, 15)] == [1, 14, 16]
    assert strength("randaugment", "solarize", 0, SIZE) == 255
    assert len(OPS) == 14


def photographs() -> list[np.ndarray]:
    rng = np.random.default_rng(0)
    noise = rng.integers(0, 256, (33, 47, 3), dtype=np.uint8)
    smooth = np.array(Pillow.fromarray(noise[:5, :7]).resize((47, 33), Pillow.Resampling.BICUBIC))
    dull = (smooth // 8 + 40).astype(np.uint8)
    return [noise, smooth, dull, np.full((5, 6, 3), 77, np.uint8), noise[:1, :1], noise[:2, :9], noise[:3, :3]]


@pytest.mark.parametrize("factor", [0.01, 0.1, 0.73, 1.0, 1.27, 1.99])
@pytest.mark.parametrize("op", ["brightness", "color", "contrast", "sharpness"])
def test_factors_are_pillow_s(op: str, factor: float):
    for pixels in photographs():
        wanted = np.array(getattr(ImageEnhance, op.title())(Pillow.fromarray(pixels)).enhance(factor)).astype(int)
        found = getattr(enhanced, op)(pixels, factor).astype(int)
        assert np.abs(found - wanted).max() <= 1
        assert (found != wanted).mean() <= 0.002


def test_the_others_are_pillow_s():
    for pixels in photographs():
        image = Pillow.fromarray(pixels)
        assert np.array_equal(enhanced.auto_contrast(pixels), np.array(ImageOps.autocontrast(image)))
        assert np.array_equal(enhanced.equalize(pixels), np.array(ImageOps.equalize(image)))
        for bits in range(2, 9):
            assert np.array_equal(enhanced.posterize(pixels, bits), np.array(ImageOps.posterize(image, bits)))
        for threshold in (0, 1, 127.5, 178.5, 255):
            assert np.array_equal(enhanced.solarize(pixels, threshold), np.array(ImageOps.solarize(image, threshold)))


@pytest.mark.parametrize(
    ("op", "by", "inverse"),
    [
        ("shear_x", 0.31, (1, 0.31, 0, 0, 1, 0)),
        ("shear_y", -0.99, (1, 0, 0, -0.99, 1, 0)),
        ("translate_x", 7, (1, 0, -7, 0, 1, 0)),
        ("translate_y", -5, (1, 0, 0, 0, 1, 5)),
    ],
)
def test_moves_are_pillow_s(op: str, by: float, inverse: tuple[float, ...]):
    pixels = photographs()[0]
    moved = move_pixels(pixels, motion_of(op, by, (47, 33)), fill=0, nearest=True)
    wanted = Pillow.fromarray(pixels).transform(
        (47, 33), Pillow.Transform.AFFINE, inverse, resample=Pillow.Resampling.NEAREST
    )
    assert (moved != np.array(wanted)).any(-1).mean() < 0.005


@pytest.mark.parametrize("angle", [9.0, -117.0, 31.5])
def test_turns_are_pillow_s(angle: float):
    pixels = photographs()[0]
    moved = move_pixels(pixels, motion_of("rotate", angle, (47, 33)), fill=0, nearest=True)
    wanted = np.array(Pillow.fromarray(pixels).rotate(angle, Pillow.Resampling.NEAREST))
    assert (moved != wanted).any(-1).mean() < 0.005


def test_trivial_draws_are_even():
    op, kinds, steps, signs = Policy("trivial"), Counter(), Counter(), Counter()
    for seed in range(6000):
        [[name, by]] = op.draw(SIZE, np.random.default_rng([7, seed]))
        kinds[name] += 1
        if name in ("rotate", "brightness", "shear_x"):
            most = strength("trivial", name, 30, SIZE)
            assert most is not None
            steps[round(abs(by) / most * 30)] += 1
            if by:
                signs[by > 0] += 1
    assert set(kinds) == set(OPS)
    assert set(steps) == set(range(31))
    assert chisquare([kinds[name] for name in OPS]).pvalue > 0.01
    assert chisquare([steps[i] for i in range(31)]).pvalue > 0.01
    assert chisquare([signs[True], signs[False]]).pvalue > 0.01


def test_randaugment_draws():
    op, seen = Policy("randaugment", n_ops=3, magnitude=12), Counter()
    for seed in range(500):
        ops = op.draw(SIZE, np.random.default_rng(seed))
        assert len(ops) == 3
        for name, by in ops:
            seen[name] += 1
            wanted = strength("randaugment", name, 12, SIZE)
            assert by == wanted or (name in SIGNED and wanted is not None and by == -wanted)
    assert set(seen) == set(OPS)


def test_magnitude_0_changes_nothing_but_what_has_no_strength():
    for pixels in photographs():
        size = (pixels.shape[1], pixels.shape[0])
        for op in OPS:
            by = strength("randaugment", op, 0, size)
            if op in MOVING:
                assert by is not None
                assert np.array_equal(move_pixels(pixels, motion_of(op, by, size), nearest=True), pixels)
            elif op == "solarize":
                assert np.array_equal(lit(pixels, op, by), np.where(pixels == 255, 0, pixels))
            elif op not in ("identity", "auto_contrast", "equalize"):
                assert np.array_equal(lit(pixels, op, by), pixels)


def test_boxes_masks_and_points_move_along():
    codes = np.zeros((60, 60), np.uint8)
    codes[20:40, 15:45] = 255
    corners = [15, 20, 45, 20, 45, 40, 15, 40]
    record = {
        "image": Image.of(codes),
        "mask": Image.of_codes(codes),
        "boxes": [{"x": 15, "y": 20, "w": 30, "h": 20, "label": "a", "polygons": p} for p in (None, [corners])],
        "points": [{"x": 30.0, "y": 30.0, "label": "middle"}],
    }
    moved = 0
    for how in ("trivial", "randaugment"):
        for row in Policy(how, n=50, magnitude=20, smallest=0)(record):
            mask = row["mask"].codes
            rows, columns = np.flatnonzero(mask.any(1)), np.flatnonzero(mask.any(0))
            if not len(rows):
                continue
            moved += not np.array_equal(mask, codes)
            for box in row["boxes"]:
                assert box["x"] <= columns[0] + 1
                assert box["y"] <= rows[0] + 1
                assert box["x"] + box["w"] >= columns[-1]
                assert box["y"] + box["h"] >= rows[-1]
            for point in row["points"]:
                assert mask[min(59, int(point["y"])), min(59, int(point["x"]))] == 255
    assert moved > 30


def test_a_mask_of_another_size_is_refused():
    record = {"image": Image.of(np.zeros((4, 4, 3), np.uint8)), "mask": Image.of_codes(np.zeros((4, 5), np.uint8))}
    assert [row["_reason"] for row in Policy(n=2)(record)] == ["mask_size"] * 2


def test_far_turns_only_where_no_text_says_what_is_where(monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(Policy, "draw", lambda *_: [["rotate", 135.0]])
    photo = Image.of(photographs()[0])
    for record, turns in (({"label": "6"}, False), ({"caption": "a cup on top"}, False), ({"label": "cat"}, True)):
        [row] = Policy()({"image": photo, **record})
        assert np.array_equal(row["image"].pixels, photo.pixels) == (not turns)


@pytest.mark.parametrize("size", [(1, 1), (2, 1), (1, 2), (2, 2)])
def test_tiny_and_gray_images(size: tuple[int, int]):
    for pixels in (np.full((*size, 3), 90, np.uint8), np.full(size, 90, np.uint8)):
        photo = Image.of(pixels)
        for how in ("trivial", "randaugment"):
            for row in Policy(how, n=50, magnitude=30)({"image": photo}):
                found = row["image"].pixels
                assert row["image"].size == photo.size
                assert pixels.ndim == 3 or (found == found[..., :1]).all()


def test_the_same_record_gives_the_same_children():
    photo = Image.of(photographs()[1])
    one, other = ([row["image"].encoded for row in Policy(n=5)({"image": photo}, seed=2)] for _ in range(2))
    assert one == other
    assert len(set(one)) > 2
