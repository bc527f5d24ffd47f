"""The embedder of images without weights: its blocks, what changes nothing, and what a linear student makes of it."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as arrays

from leaven.media.broken import Broken
from leaven.media.image import Image
from leaven.models.backends.image_features import DIMENSIONS, ImageFeatures, colours, edges, features, layout, texture
from leaven.models.backends.linear import fit_linear, predict
from small_media import IMAGES

CIFAR = IMAGES / "cifar10"


def plain(colour: tuple[int, int, int], size: tuple[int, int] = (64, 64)) -> np.ndarray:
    return np.full((*size, 3), colour, np.uint8)


def test_an_edge_points_one_way():
    """Dark left, bright right: gradient to the right alone (direction 0 of 18), in the columns of cells beside it."""
    pixels = plain((10, 10, 10))
    pixels[:, 32:] = 200
    found = edges(pixels).reshape(4, 4, 18)
    assert (found[..., 1:] == 0).all()
    assert (found[:, [1, 2], 0] > 0).all()
    assert (found[:, [0, 3], 0] == 0).all()
    turned = edges(np.ascontiguousarray(pixels[:, ::-1])).reshape(4, 4, 18)
    assert (turned[..., 9] == found[:, ::-1, 0]).all()


def test_texture_of_a_plain_image_is_one_pattern():
    found = texture(plain((7, 200, 30))).reshape(5, 59)
    assert (found[:, 0] == 1).all()
    assert (found[:, 1:] == 0).all()


def test_colours_are_shares_of_the_whole_and_of_quarters():
    pixels = plain((255, 0, 0))
    pixels[:32, :32] = (0, 0, 255)
    found = np.square(colours(pixels)).reshape(5, 8, 3, 3)
    red, blue = (0, 2, 2), (5, 2, 2)  # hue 0 and 120 of 180
    assert found[0][red] == pytest.approx(0.75)
    assert found[0][blue] == pytest.approx(0.25)
    assert found[1][blue] == found[2][red] == found[3][red] == found[4][red] == pytest.approx(1)


def test_layout_is_mean_and_spread_of_a_cell():
    found = layout(plain((255, 255, 255)))
    assert found[:3] == pytest.approx([0.5, 128 / 255 - 0.5, 128 / 255 - 0.5])
    assert found[48:] == pytest.approx(np.zeros(48), abs=1e-9)


@settings(max_examples=15)
@given(arrays.arrays(np.uint8, st.tuples(st.integers(1, 90), st.integers(1, 90), st.just(3))))
def test_any_image_has_a_vector_of_unit_length_that_its_bytes_decide(pixels: np.ndarray):
    image = Image.of(pixels)
    [vector] = ImageFeatures().embed([image])
    assert vector.shape == (DIMENSIONS,)
    assert vector.dtype == np.float32
    assert np.linalg.norm(vector) == pytest.approx(1, abs=1e-5)
    other = Image.of(plain((1, 2, 3)))
    assert ImageFeatures().embed([other, Image(image.encoded)])[1].tobytes() == vector.tobytes()
    assert vector.tobytes() == features(pixels).tobytes()


def test_a_smaller_copy_is_near_and_another_picture_is_not():
    rng = np.random.default_rng(0)
    big = np.kron(rng.integers(0, 256, (8, 8, 3), np.uint8), np.ones((32, 32, 1), np.uint8))
    other = np.kron(rng.integers(0, 256, (8, 8, 3), np.uint8), np.ones((32, 32, 1), np.uint8))
    one, small, another = (features(p) for p in (big, np.ascontiguousarray(big[::4, ::4]), other))
    assert one @ small > 0.95 > 0.8 > one @ another


def test_none_and_a_broken_one():
    assert ImageFeatures().embed([]).shape == (0, DIMENSIONS)
    with pytest.raises(Broken):
        ImageFeatures().embed([Image(b"no image", "x.png")])


@pytest.mark.skipif(not CIFAR.is_dir(), reason="the real data is not here")
def test_a_linear_student_tells_photographs_apart():
    found = {}
    for split in ("train", "test"):
        paths = sorted((CIFAR / split).glob("*/*.jpg"))
        names = sorted({path.parent.name for path in paths})
        vectors = ImageFeatures().embed([Image.read(path) for path in paths])
        found[split] = vectors, np.array([names.index(path.parent.name) for path in paths])
    state = fit_linear(*found["train"], C=10.0)
    assert np.mean(predict(state, found["test"][0]) == found["test"][1]) >= 0.60
