"""From outlines to pixels and back."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp

from leaven.image.outlines import filled, outlines


def test_a_polygon_covers_the_pixels_whose_centres_it_covers():
    assert np.argwhere(filled([[1, 1, 3, 1, 3, 2, 1, 2]], 4, 5)).tolist() == [[1, 1], [1, 2]]
    assert not filled([[1.6, 1.6, 2.4, 1.6, 2.4, 2.4, 1.6, 2.4]], 4, 5).any(), "it holds no centre"


def test_a_triangle_by_hand():
    assert filled([[0, 0, 3.5, 0, 0, 3.5]], 4, 4).astype(int).tolist() == [
        [1, 1, 1, 0],
        [1, 1, 0, 0],
        [1, 0, 0, 0],
        [0, 0, 0, 0],
    ]


def test_what_lies_outside_of_the_image_is_cut_off():
    assert filled([[-5, -5, 2, -5, 2, 1, -5, 1]], 3, 3).sum() == 2
    assert filled([[7, 7, 9, 7, 9, 9]], 3, 3).sum() == 0


def test_several_polygons_are_a_union():
    one, other = [0, 0, 3, 0, 3, 1, 0, 1], [2, 0, 4, 0, 4, 1, 2, 1]
    assert filled([one, other], 1, 5).tolist() == [[True, True, True, True, False]]


def test_one_polygon_about_one_pixel():
    pixels = np.zeros((3, 3), bool)
    pixels[1, 2] = True
    [polygon] = outlines(pixels)
    assert sorted(zip(polygon[::2], polygon[1::2], strict=True)) == [(2, 1), (2, 2), (3, 1), (3, 2)]


def test_a_hole_stays_a_hole():
    pixels = np.ones((5, 5), bool)
    pixels[2, 2] = False
    polygons = outlines(pixels)
    assert len(polygons) == 2
    assert (filled(polygons, 5, 5) == pixels).all()


@settings(deadline=None)
@given(hnp.arrays(bool, st.tuples(st.integers(1, 9), st.integers(1, 9))))
def test_there_and_back(pixels: np.ndarray):
    assert (filled(outlines(pixels), *pixels.shape) == pixels).all()


def test_large_ones_are_fast_enough():
    yy, xx = np.mgrid[:600, :800]
    disc = (yy - 300) ** 2 + (xx - 400) ** 2 < 250**2
    assert (filled(outlines(disc), 600, 800) == disc).all()


def test_nothing_has_no_outline():
    assert outlines(np.zeros((4, 4), bool)) == []
    assert filled([], 2, 2).sum() == 0


@pytest.mark.parametrize("cut", [[0, 0, 1, 0], [0, 0]])
def test_a_line_covers_nothing(cut: list[float]):
    assert filled([cut], 3, 3).sum() == 0
