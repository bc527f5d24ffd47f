"""Prints of images and sounds: what they hold, and which are near."""

from __future__ import annotations

import cv2
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from leaven.keep.prints import (
    ALIKE_SOUNDS,
    KnownImages,
    KnownSounds,
    difference_hash,
    image_print,
    shrunk,
    sound_print,
    units,
)
from leaven.media.audio import Audio


def scene(seed: int, width: int = 180, height: int = 140) -> np.ndarray:
    """Something with edges and shades, as photographs have."""
    coarse = np.random.default_rng(seed).integers(0, 255, (7, 9, 3), dtype=np.uint8)
    return cv2.resize(coarse, (width, height), interpolation=cv2.INTER_CUBIC)


def known(*pictures: np.ndarray) -> KnownImages:
    bits, small = zip(*map(image_print, pictures), strict=True)
    return KnownImages(np.array(bits), np.stack(small))


def test_the_hash_of_a_slope_and_of_its_mirror():
    slope = np.repeat(np.linspace(0, 255, 90, dtype=np.uint8)[None, :, None], 40, axis=0).repeat(3, axis=2)
    assert difference_hash(slope) == np.uint64(2**64 - 1)
    assert difference_hash(slope[:, ::-1]) == 0


@pytest.mark.parametrize(("width", "height"), [(65, 47), (257, 259), (640, 480), (1023, 2050)])
def test_a_large_image_is_near_to_itself_in_any_size(width: int, height: int):
    """It is halved first, odd sides and all."""
    large = known(scene(0, width, height), scene(1, width, height))
    for share in (1.0, 0.71, 0.5, 0.37):
        smaller = cv2.resize(scene(0, width, height), None, fx=share, fy=share, interpolation=cv2.INTER_AREA)
        assert large.near(image_print(smaller))
    assert not large.near(image_print(scene(2, width, height)))


def test_the_same_shapes_in_other_colours_are_not_near():
    """Their hashes are one, since grays fall and rise alike: the thumbnails tell them apart."""
    red, blue = (np.zeros((40, 90, 3), np.uint8) for _ in range(2))
    red[..., 0], blue[..., 2] = (np.linspace(0, 255, 90).astype(np.uint8) for _ in range(2))
    assert difference_hash(red) == difference_hash(blue)
    assert not known(red).near(image_print(blue))
    assert known(red).near(image_print(red))


def test_an_axis_in_another_length_keeps_its_mean():
    spectrum = np.array([[1.0, 2.0], [3.0, 4.0], [5.0, 6.0], [7.0, 8.0]], np.float32)
    assert shrunk(spectrum, 2, 2).T.tolist() == [[2.0, 3.0], [6.0, 7.0]]
    assert shrunk(spectrum, 4, 4).T.tolist() == [[1, 1, 2, 2], [3, 3, 4, 4], [5, 5, 6, 6], [7, 7, 8, 8]]
    assert np.allclose(shrunk(spectrum, 3, 2).T.mean(axis=0), spectrum.mean(axis=0))


@settings(deadline=None, max_examples=40)
@given(st.integers(0, 2**32 - 1), st.floats(0, 0.3))
def test_means_of_blocks_rule_out_nothing_that_correlates(seed: int, noise: float):
    rng = np.random.default_rng(seed)
    prints = rng.random((6, 1024)).astype(np.float32)
    found = (prints[0] + noise * rng.normal(0, 1, 1024)).astype(np.float32)
    correlation = np.corrcoef(prints, found[None])[-1, :-1]
    if abs(correlation.max() - ALIKE_SOUNDS) > 1e-4:
        assert KnownSounds(prints).near(found) == (correlation.max() >= ALIKE_SOUNDS)


def test_without_spread_nothing_is_near():
    assert units(np.full((1, 8), 3.0)).tolist() == [[0.0] * 8]
    silence = sound_print(Audio.of(np.zeros(4000, np.float32), 8000), 8000)
    assert not KnownSounds(silence[None]).near(silence)
    gray = np.full((20, 20, 3), 90, np.uint8)
    assert not known(gray).near(image_print(gray))
