"""What is said while models are fitted: how far, how fast, how long still."""

from __future__ import annotations

from leaven.measure.pace import Pace


class Clock:
    def __init__(self) -> None:
        self.at = 0.0

    def __call__(self) -> float:
        return self.at


def test_a_slow_student_after_quick_ones():
    clock = Clock()
    pace = Pace(clock)
    pace.begin([0, 0, 1, 1])
    said = []
    for student, seconds in ((0, 0.25), (0, 0.25), (1, 30.0), (1, 30.0)):
        clock.at += seconds
        pace.ended(student)
        said.append(pace.said())
    assert said[:2] == ["1 of 4   4.0/s", "2 of 4   4.0/s"]  # of the other nothing is known yet
    assert said[2:] == ["3 of 4   10 s each   30 s left", "4 of 4   15 s each"]


def test_what_a_student_took_before_counts_later():
    clock = Clock()
    pace = Pace(clock)
    pace.begin([1])
    clock.at = 20.0
    pace.ended(1)
    pace.begin([0] * 100 + [1] * 3)
    clock.at += 0.01
    pace.ended(0)
    assert pace.said() == "1 of 103   100/s   61 s left"
    assert Pace(clock).left() == 0
