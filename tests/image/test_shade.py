"""Light, colour, blur, noise and compression: what each number does, and that nothing moves."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from leaven.image.light import blurred, curve, jpeg, noisy, tint
from leaven.image.shade import Shade, shaded
from leaven.media.image import Image

RAMP = np.repeat(np.array([[0, 50, 100, 200, 255]], np.uint8)[..., None], 3, axis=2)
COLOURS = np.array([[[255, 0, 0], [0, 255, 0], [10, 20, 200], [90, 90, 90]]], np.uint8)
EVERY = {
    "brightness": 0.5, "contrast": 0.5, "saturation": 0.5, "hue": 0.2, "gamma": 0.5, "blur": 2, "noise": 20,
    "jpeg": (20, 60),
}  # fmt: skip


def grays(pixels: Any) -> list[int]:
    return [int(v) for v in pixels[0, :, 0]]


@pytest.mark.parametrize(
    ("how", "shown"),
    [
        ({"brightness": 0.2}, [0, 60, 120, 240, 255]),
        ({"brightness": -0.5}, [0, 25, 50, 100, 128]),
        ({"contrast": -1.0}, [121] * 5),  # the mean gray
        ({"contrast": 0.5}, [0, 14, 90, 240, 255]),
        ({"gamma": 1.0}, [0, 10, 39, 157, 255]),
        ({"gamma": -0.5}, [0, 113, 160, 226, 255]),
        ({"brightness": 1.0, "gamma": 1.0}, [0, 39, 157, 255, 255]),
    ],
)
def test_one_table_for_light(how: dict[str, float], shown: list[int]):
    assert grays(curve(RAMP, **how)) == shown
    assert grays(shaded(RAMP, how)) == shown


def test_no_colour_and_twice_the_colour():
    gray = tint(COLOURS, saturation=-1.0)
    assert (gray == gray[..., :1]).all()
    assert np.abs(gray[0, :, 0].astype(int) - [76, 150, 38, 90]).max() <= 1
    twice = tint(np.array([[[100, 120, 140]]], np.uint8), saturation=1.0)
    assert np.abs(twice[0, 0].astype(int) - [83, 123, 163]).max() <= 1


def test_colours_turn_about_gray_and_keep_their_luma():
    for hue in (-0.5, -0.1, 0.25, 0.5):
        turned = tint(COLOURS, hue=hue)
        assert np.abs(turned[0, 3].astype(int) - 90).max() <= 1
    red = np.array([[[150, 100, 100]]], np.uint8)
    whole = tint(tint(red, hue=0.25), hue=-0.25)
    assert np.abs(whole.astype(int) - red).max() <= 2
    weights = np.array([0.299, 0.587, 0.114])
    assert abs(float((tint(red, hue=0.3) @ weights - red @ weights)[0, 0])) <= 1.5


def test_grays_stay_gray():
    gray = np.repeat(np.arange(256, dtype=np.uint8)[None, :, None], 3, axis=2)
    for seed in range(30):
        rng = np.random.default_rng(seed)
        found = tint(gray, rng.uniform(-1, 1), rng.uniform(-0.5, 0.5))
        assert (found == gray).all()


def test_blur_keeps_the_mean_and_noise_its_spread():
    rng = np.random.default_rng(0)
    pixels = rng.integers(60, 200, (64, 64, 3), dtype=np.uint8)
    soft = blurred(pixels, 2.0)
    assert float(soft.mean()) == pytest.approx(float(pixels.mean()), abs=0.7)
    assert soft.std() < pixels.std() / 4
    assert blurred(pixels, 0.1) is pixels
    flat = np.full((200, 200, 3), 128, np.uint8)
    grainy = noisy(flat, 10.0, rng.standard_normal(flat.shape, np.float32)).astype(int)
    assert grainy.std() == pytest.approx(10, abs=0.1)
    assert grainy.mean() == pytest.approx(128, abs=0.1)
    one = np.full((1, 1, 1), 2.0, np.float32)
    assert noisy(np.array([[[250, 3, 100]]], np.uint8), 5.0, one).tolist() == [[[255, 13, 110]]]


def test_compression_is_the_worse_the_lower():
    rng = np.random.default_rng(0)
    pixels = blurred(rng.integers(0, 256, (64, 64, 3), dtype=np.uint8), 2.0)
    errors = [np.abs(jpeg(pixels, quality).astype(int) - pixels).mean() for quality in (5, 30, 95)]
    assert errors[0] > errors[1] > errors[2]
    assert errors[2] < 2
    assert np.abs(jpeg(COLOURS.repeat(16, 0).repeat(16, 1), 95).astype(int)[8, 8] - [255, 0, 0]).max() < 12


def test_annotations_and_labels_stay():
    record = {
        "image": Image.of(np.full((6, 6, 3), 90, np.uint8)),
        "mask": Image.of_codes(np.full((6, 6), 4, np.uint8)),
        "boxes": [{"x": 1.0, "y": 1.0, "w": 2.0, "h": 2.0, "label": "a", "polygons": None}],
        "points": [{"x": 1.0, "y": 1.0, "label": "a"}],
        "label": "left",
        "caption": "a sign on the left",
    }
    for row in Shade(n=3, **EVERY)(record):
        assert {name: row[name] for name in record if name != "image"} == {
            name: value for name, value in record.items() if name != "image"
        }
        assert not np.array_equal(row["image"].pixels, record["image"].pixels)


def test_draws_stay_in_their_ranges():
    op = Shade(**EVERY)
    drawn = [op.draw(np.random.default_rng(seed)) for seed in range(500)]
    for name in ("brightness", "contrast", "saturation", "hue", "gamma"):
        values = [d[name] for d in drawn]
        assert max(values) <= EVERY[name]
        assert min(values) >= -EVERY[name]
        assert max(values) > 0.9 * EVERY[name]
        assert min(values) < -0.9 * EVERY[name]
    assert all(0 <= d["blur"] <= 2 and 0 <= d["noise"] <= 20 and 20 <= d["jpeg"] <= 60 for d in drawn)
    assert {type(d["jpeg"]) for d in drawn} == {int}
    assert set(Shade().draw(np.random.default_rng(0))) == {"brightness", "contrast"}
    few = Shade(brightness=0.5, contrast=0).draw(np.random.default_rng(3))
    assert few == {"brightness": drawn[3]["brightness"]}


def test_p_is_the_chance_of_each_change():
    op = Shade(p=0.3)
    drawn = [op.draw(np.random.default_rng(seed)) for seed in range(2000)]
    assert sum("contrast" in d for d in drawn) / 2000 == pytest.approx(0.3, abs=0.04)
    assert sum(not d for d in drawn) / 2000 == pytest.approx(0.49, abs=0.04)


def test_colours_that_a_text_names_are_left():
    photo = Image.of(COLOURS)
    op = Shade(brightness=0, contrast=0, hue=0.5)
    [row] = op({"image": photo, "caption": "a red car"})
    assert np.array_equal(row["image"].pixels, COLOURS)
    [row] = op({"image": photo, "caption": "a car"})
    assert not np.array_equal(row["image"].pixels, COLOURS)
    [row] = op.model_copy(update={"holds": ["caption"]})({"image": photo, "caption": "a red car"})
    assert not np.array_equal(row["image"].pixels, COLOURS)


@pytest.mark.parametrize("size", [(1, 1), (2, 1), (1, 2), (2, 2)])
def test_tiny_images(size: tuple[int, int]):
    photo = Image.of(np.full((*size, 3), 77, np.uint8))
    assert {row["image"].size for row in Shade(n=10, **EVERY)({"image": photo})} == {photo.size}


def test_gray_images_stay_gray():
    photo = Image.of(np.random.default_rng(0).integers(0, 256, (20, 20), np.uint8))
    for row in Shade(n=10, **EVERY)({"image": photo}):
        pixels = row["image"].pixels
        assert (pixels == pixels[..., :1]).all()
        assert np.array_equal(Image(row["image"].encoded).pixels, pixels)


def test_the_same_record_gives_the_same_children():
    photo = Image.of(np.random.default_rng(0).integers(0, 256, (20, 20, 3), np.uint8))
    one, other = (Shade(n=2, **EVERY)({"image": photo}, seed=3) for _ in range(2))
    assert [row["image"].encoded for row in one] == [row["image"].encoded for row in other]
    assert one[0]["image"].encoded != one[1]["image"].encoded
