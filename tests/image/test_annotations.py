"""Boxes and points when images are put together."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from leaven.image.annotations import (
    inside,
    placed,
    placed_points,
    points_on,
    points_within,
    points_without,
    within,
    without,
)
from leaven.image.outlines import filled


def box(x: float, y: float, w: float, h: float, polygons: Any = None) -> dict[str, Any]:
    return {"x": x, "y": y, "w": w, "h": h, "label": "cup", "polygons": polygons}


SQUARE = [2, 2, 6, 2, 6, 6, 2, 6]


def test_scaled_then_shifted():
    assert placed([box(1, 2, 3, 4, [[1, 2, 4, 2, 4, 6]])], (2, 10), (100, 0)) == [
        box(102, 20, 6, 40, [[102, 20, 108, 20, 108, 60]])
    ]
    assert placed_points([{"x": 1, "y": 2, "label": "eye"}], (2, 10), (100, 0)) == [{"x": 102, "y": 20, "label": "eye"}]


def test_a_window_cuts_a_box_off():
    assert within([box(2, 2, 4, 4)], (0, 0, 4, 10)) == [box(2, 2, 2, 4)]
    assert within([box(2, 2, 4, 4)], (0, 0, 10, 10)) == [box(2, 2, 4, 4)]
    assert within([box(2, 2, 4, 4)], (6, 0, 10, 10)) == []


def test_a_tenth_must_be_seen():
    assert within([box(0, 0, 10, 1)], (0, 0, 1, 1)) == [box(0, 0, 1, 1)]
    assert within([box(0, 0, 11, 1)], (0, 0, 1, 1)) == []


def test_a_window_cuts_an_outline_off_and_the_box_goes_by_it():
    [seen] = within([box(0, 0, 4, 4, [[0, 0, 4, 4, 0, 4]])], (0, 0, 4, 2), least=0)
    assert filled(seen["polygons"], 4, 4).sum() == filled([[0, 0, 2, 2, 0, 2]], 4, 4).sum()
    assert (seen["x"], seen["y"], seen["w"], seen["h"]) == (0, 0, 2, 2)


@settings(deadline=None)
@given(st.lists(st.tuples(*[st.integers(-4, 16)] * 2), min_size=3, max_size=6), st.integers(0, 6), st.integers(7, 12))
def test_an_outline_cut_at_whole_pixels_covers_what_lies_inside(corners: list[tuple[int, int]], low: int, high: int):
    from hypothesis import assume

    flat = [v + 0.25 for corner in corners for v in corner]
    whole = filled([flat], 20, 20)
    xs, ys = flat[::2], flat[1::2]
    assume(max(xs) > min(xs) and max(ys) > min(ys))
    given_box = box(min(xs), min(ys), max(xs) - min(xs), max(ys) - min(ys), [flat])
    seen = within([given_box], (low, low, high, high), least=0)
    window = inside([(low, low, high, high)], (20, 20))
    cut = filled(seen[0]["polygons"], 20, 20) if seen else np.zeros((20, 20), bool)
    assert (cut == whole & window).all()


def test_points_in_the_window_stay():
    points = [{"x": x, "y": 1.0, "label": "eye"} for x in (0.0, 3.9, 4.0)]
    assert [p["x"] for p in points_within(points, (0, 0, 4, 4))] == [0.0, 3.9]


def covered(x0: int, y0: int, x1: int, y1: int) -> np.ndarray:
    return inside([(x0, y0, x1, y1)], (10, 10))


def test_what_is_covered_trims_a_box():
    assert without([box(2, 2, 4, 4)], covered(0, 0, 4, 10)) == [box(4, 2, 2, 4)]
    assert without([box(2, 2, 4, 4)], covered(0, 4, 10, 10)) == [box(2, 2, 4, 2)]
    assert without([box(2, 2, 4, 4)], covered(0, 0, 4, 4)) == [box(2, 2, 4, 4)], "a corner leaves its extent"
    assert without([box(2.5, 2, 4, 4)], covered(8, 8, 9, 9)) == [box(2.5, 2, 4, 4)]
    assert without([box(2, 2, 4, 4)], covered(0, 0, 9, 9)) == []


def test_less_than_a_tenth_left_is_dropped():
    assert without([box(0, 0, 10, 1)], covered(1, 0, 10, 1)) == [box(0, 0, 1, 1)]
    assert without([box(0, 0, 10, 1)], covered(1, 0, 10, 1), least=0.11) == []


def test_an_outline_loses_what_is_covered():
    [left] = without([box(2, 2, 4, 4, [SQUARE])], covered(0, 0, 4, 4))
    seen = filled(left["polygons"], 10, 10)
    assert (seen == filled([SQUARE], 10, 10) & ~covered(0, 0, 4, 4)).all()
    [left] = without([box(2, 2, 4, 4, [SQUARE])], covered(0, 0, 4, 10))
    assert (left["x"], left["y"], left["w"], left["h"]) == (4, 2, 2, 4)


def test_covered_points_go():
    points = [{"x": x, "y": 1.0, "label": "eye"} for x in (0.5, 3.99, 4.0, -1.0, 10.0)]
    assert [p["x"] for p in points_without(points, covered(0, 0, 4, 4))] == [4.0, -1.0, 10.0]
    assert [p["x"] for p in points_on(points, covered(0, 0, 4, 4))] == [0.5, 3.99]


def test_windows_are_width_first_and_pixels_height_first():
    found = inside([(0, 0, 1, 1), (2, 1, 9, 2)], (4, 2))
    assert found.astype(int).tolist() == [[1, 0, 0, 0], [0, 0, 1, 1]]


@pytest.mark.parametrize("function", [within, without])
def test_what_is_given_is_not_changed(function: Any):
    given_boxes = [box(2, 2, 4, 4, [list(SQUARE)])]
    function(given_boxes, (0, 0, 4, 10) if function is within else covered(0, 0, 4, 10))
    assert given_boxes == [box(2, 2, 4, 4, [SQUARE])]
