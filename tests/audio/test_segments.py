"""Segments when time moves under them."""

from __future__ import annotations

from leaven.audio.segments import covered, moved

DOG = {"start": 1.0, "end": 2.0, "label": "dog"}


def test_cut_to_the_sound_and_dropped_by_half():
    later = [moved([DOG], 2.0, lambda t, by=by: t + by) for by in (0.0, 0.5, 0.51, 1.5)]
    assert later[0] == ([DOG], 0)
    assert later[1] == ([{"start": 1.5, "end": 2.0, "label": "dog"}], 0)
    assert later[2] == ([], 1)
    assert later[3] == ([], 1)


def test_before_the_beginning():
    assert moved([DOG], 5.0, lambda t: t - 1.5) == ([{"start": 0.0, "end": 0.5, "label": "dog"}], 0)
    assert moved([DOG], 5.0, lambda t: t - 3.0) == ([], 1)


def test_a_moment_stays_where_it_is_inside():
    moment = {"start": 1.0, "end": 1.0, "label": "click"}
    assert moved([moment], 3.0, lambda t: t * 2) == ([{"start": 2.0, "end": 2.0, "label": "click"}], 0)
    assert moved([moment], 1.0, lambda t: t * 2) == ([], 1)


def test_covered():
    assert covered(DOG, []) == 0.0
    assert covered(DOG, [(0.0, 1.25), (1.0, 1.5), (5.0, 6.0)]) == 0.5
    assert covered(DOG, [(0.0, 9.0)]) == 1.0
    assert covered({"start": 1.0, "end": 1.0}, [(0.0, 9.0)]) == 0.0
