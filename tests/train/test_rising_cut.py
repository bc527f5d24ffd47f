"""A cut that rises with the student."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from leaven.errors import DataError
from leaven.train import Drawn, RisingCut

SHARE = st.floats(0.0, 1.0)


@given(st.lists(SHARE, min_size=1, max_size=30), st.floats(0.0, 0.999))
def test_the_average_is_the_published_closed_form(confidences: list[float], alpha: float):
    cut, t = RisingCut(4, alpha), len(confidences)
    for c in confidences:
        cut.update([c])
    closed = alpha**t / 4 + (1 - alpha) * sum(alpha ** (t - k) * c for k, c in enumerate(confidences, 1))
    assert cut.e == pytest.approx(closed)


@given(st.lists(SHARE, min_size=1, max_size=20), st.lists(st.floats(-5, 5), min_size=1, max_size=20))
def test_what_trains_shrinks_while_the_student_gets_surer(confidences: list[float], scores: list[float]):
    cut = RisingCut(100, 0.5)
    before = np.ones(len(scores), bool)
    for c in np.maximum.accumulate([cut.e, *confidences]):
        at = cut.e
        cut.update([c])
        assert cut.e >= at - 1e-12
        now = cut.left(scores)
        assert not (now & ~before).any()
        assert now[int(np.argmax(scores))]
        before = now


def test_everything_trains_at_first_and_only_the_best_at_last():
    cut = RisingCut(2, 0.0)
    scores = [0.0, 0.25, 0.5, 0.75, 1.0, np.nan]
    assert cut.left(scores).tolist() == [False, False, True, True, True, True]  # e = 1 / labels
    cut.e = 0.0
    assert cut.left(scores).all()
    assert cut.update(np.array([[0.9, 0.1], [0.4, 0.6]])) == pytest.approx(0.75)
    assert cut.left(scores).tolist() == [False, False, False, True, True, True]
    cut.update([1.0])
    assert cut.left(scores).tolist() == [False, False, False, False, True, True]
    other = RisingCut(9)
    other.load_state_dict(cut.state_dict())
    assert (other.e, other.alpha) == (1.0, 0.0)


def test_the_rows_of_an_epoch_above_the_cut():
    rows = [{"text": f"r{i}", "label": "a", "_id": f"r{i}"} for i in range(3)]
    rows += [
        {
            "text": f"m{i}",
            "label": "a",
            "_id": f"m{i}",
            "_synthetic": True,
            "_parents": ["r0"],
            "_scores": {"clip": i / 4},
        }
        for i in range(5)
    ]
    drawn, cut = Drawn(rows), RisingCut(2)
    assert sorted(drawn[i]["text"] for i in cut.rows(drawn, "clip")) == ["m2", "m3", "m4", "r0", "r1", "r2"]
    with pytest.raises(DataError, match="no number `nothing`"):
        cut.rows(drawn, "nothing")


@pytest.mark.parametrize("wrong", [[], [1.5], [-0.1], [float("nan")]])
def test_only_probabilities_are_taken_in(wrong: list[float]):
    with pytest.raises(ValueError, match="probabilities"):
        RisingCut(2).update(wrong)
    with pytest.raises(ValueError, match="alpha"):
        RisingCut(2, 1.0)
