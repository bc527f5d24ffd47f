"""Nothing that stands in the test set, or nearly does."""

from __future__ import annotations

from leaven.keep.near_test import NearTest

TEST = [{"text": "my card was stolen on the train to town"}, {"text": "opening hours"}]


def near(text: str, **parameters: float) -> bool:
    [row] = NearTest(**parameters)({"text": text}, test=TEST)
    assert row["text"] == text
    assert row.get("_reason") in (None, "near_test")
    return "_reason" in row


def test_equal_near_and_far():
    assert near("Opening   HOURS")
    assert near("my card was stolen on the train to town!")
    assert not near("the train to town was late")
    assert not near("")


def test_at():
    """The overlap is of sets of 5-character pieces, counted here by hand."""
    text = "my card was stolen on the train to Rome"
    a = {TEST[0]["text"][i : i + 5] for i in range(35)}
    b = {text.lower()[i : i + 5] for i in range(35)}
    overlap = len(a & b) / len(a | b)
    assert near(text, at=overlap - 0.01)
    assert not near(text, at=overlap + 0.01)


def test_two_test_sets_in_one_process():
    """What was learned of one is not held against another."""
    op = NearTest()
    for _ in range(3):
        for held, other in ((TEST[0], TEST[1]), (TEST[1], TEST[0])):
            assert "_reason" in op(held, test=[held])[0]
            assert "_reason" not in op(other, test=[held])[0]


def test_no_test_row():
    assert NearTest()({"text": "x"}, test=[{"text": None}]) == [{"text": "x"}]
