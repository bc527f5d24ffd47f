"""The contents of one box handed round among several images of a scene; its arithmetic is tested with the mixing."""

from __future__ import annotations

from collections import Counter
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from leaven.errors import RecipeError
from leaven.media.image import Image
from leaven.mixing import cut_switch, cutmix_box, unlike
from leaven.pair.cut_switch import CutSwitch

NAMES = ["colour", "depth", "heat"]
PIXELS = np.random.default_rng(0).integers(0, 256, (3, 12, 16, 3), np.uint8)


def scene(pixels: Any = PIXELS, **fields: Any) -> dict[str, Any]:
    return {**{name: Image.of(array) for name, array in zip(NAMES, pixels, strict=True)}, **fields}


def stacked(row: dict[str, Any]) -> np.ndarray:
    return np.stack([row[name].pixels for name in NAMES])


@settings(deadline=None, max_examples=40)
@given(st.integers(0, 99_999))
def test_no_value_is_lost_and_the_inverse_brings_them_back(seed: int):
    [row] = CutSwitch(on=NAMES, p=1)(scene(label="smile"), seed=seed)
    new = stacked(row)
    assert (np.sort(new, axis=0) == np.sort(PIXELS, axis=0)).all(), "at each pixel the same values, in other images"
    assert row["label"] == "smile"
    changed = (new != PIXELS).any((0, 3))
    if not changed.any():
        return
    ys, xs = np.flatnonzero(changed.any(1)), np.flatnonzero(changed.any(0))
    box = (int(ys[0]), int(ys[-1]) + 1, int(xs[0]), int(xs[-1]) + 1)
    orders = [
        order
        for order in [(1, 2, 0), (2, 0, 1), (0, 2, 1), (2, 1, 0), (1, 0, 2)]
        if (np.stack(cut_switch(list(PIXELS), box, order)) == new).all()
    ]
    assert len(orders) == 1, "it is one box, and no pixel outside of it has changed"
    inverse = [orders[0].index(i) for i in range(3)]
    assert (np.stack(cut_switch(list(new), box, inverse)) == PIXELS).all()


def test_every_permutation_but_the_first_is_as_likely():
    rng = np.random.default_rng(0)
    found = Counter(tuple(unlike(3, rng)) for _ in range(5000))
    assert sorted(found) == [(0, 2, 1), (1, 0, 2), (1, 2, 0), (2, 0, 1), (2, 1, 0)]
    assert max(found.values()) < 1.15 * 1000
    assert (unlike(2, rng), unlike(1, rng)) == ([1, 0], [0])


def test_half_of_the_children_are_switched():
    rows = CutSwitch(on=NAMES, n=50)(scene())
    assert len(rows) == 50
    same = [bool((stacked(row) == PIXELS).all()) for row in rows]
    assert 12 < sum(same) < 38
    assert all((stacked(row) == PIXELS).all() for row in CutSwitch(on=NAMES, n=5, p=0)(scene()))


def test_the_area_is_cutmix_s():
    """lam is drawn evenly: the mean of the area that CutMix's box takes of the image, edges cut off."""
    rows = CutSwitch(on=NAMES, n=50, p=1)(scene())
    rows += CutSwitch(on=NAMES, n=50, p=1)(scene(), seed=1)
    taken = np.mean([(stacked(row) != PIXELS).any((0, 3)).mean() for row in rows])
    rng = np.random.default_rng(0)
    wanted = [
        1 - cutmix_box(12, 16, rng.random(), int(rng.integers(12)), int(rng.integers(16)))[4] for _ in range(4000)
    ]
    assert taken == pytest.approx(np.mean(wanted), abs=0.08)


def test_what_says_where_things_are_stays():
    box = {"x": 1.0, "y": 2.0, "w": 3.0, "h": 4.0, "label": "mouth", "polygons": None}
    record = {"image": Image.of(PIXELS[0]), "depth": Image.of(PIXELS[1]), "boxes": [box]}
    [row] = CutSwitch(on=["image", "depth"], p=1)(record)
    assert row["boxes"] == [box]


def test_a_gray_image_takes_colours_on():
    gray = np.full((12, 16), 77, np.uint8)
    [row] = CutSwitch(on=["left", "right"], p=1)({"left": Image.of(gray), "right": Image.of(PIXELS[0])}, seed=3)
    left, right = Image(row["left"].encoded).pixels, Image(row["right"].encoded).pixels
    moved = (left != 77).any(-1)
    assert moved.any()
    assert (left[moved] == PIXELS[0][moved]).all()
    assert (right[moved] == 77).all()


def test_what_does_not_fit_is_refused():
    small = scene(PIXELS, heat=Image.of(PIXELS[0][:5]))
    assert [row["_reason"] for row in CutSwitch(on=NAMES, n=2)(small)] == ["sizes_differ"] * 2
    assert CutSwitch(on=NAMES)(scene(heat=None))[0]["_reason"] == "no_image"


def test_what_is_no_image_is_an_error():
    with pytest.raises(RecipeError, match="`label` is no image"):
        CutSwitch(on=["colour", "label"])(scene(label="smile"))
    with pytest.raises(RecipeError, match="names a field twice"):
        CutSwitch(on=["colour", "colour"])(scene())
    with pytest.raises(RecipeError, match="at least 2"):
        CutSwitch(on=["colour"])
