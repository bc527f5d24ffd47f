"""How the gain goes with the real rows, with what made a row, and over the test set."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from leaven.measure.bench import POOL, Rows
from leaven.measure.curve import Point, a_doubling, part, worth
from leaven.measure.gain import Measurement, measure
from leaven.measure.interval import nothing
from leaven.measure.show import parts, sizes, worth_of
from leaven.measure.slices import slices

WORDS = {0: ["sun", "sky", "light", "noon"], 1: ["rain", "cloud", "storm", "wet"], 2: ["ice", "snow", "frost", "cold"]}
SIZE = 12


def embed(items: list[str]) -> np.ndarray:
    """A direction for each word: what shares words is near."""
    every = [word for words in WORDS.values() for word in words]
    found = np.array([[item.split().count(word) for word in every] for item in items], np.float32) + 0.01
    return found / np.linalg.norm(found, axis=1, keepdims=True)


def drawn(number: int, seed: int, name: str, noise: float = 0.0) -> Rows:
    """Texts of four words, three of their own label and one of any; a share of the labels is turned."""
    rng = np.random.default_rng(seed)
    labels = np.arange(number) % 3
    texts = []
    for label in labels:
        own, other = WORDS[int(label)], WORDS[int(rng.integers(3))]
        texts.append(" ".join([*rng.choice(own, 2), *rng.choice(other, 2)]))
    turned = np.where(rng.random(number) < noise, (labels + 1) % 3, labels)
    return Rows(texts, turned.astype(np.int64), np.full(number, -1), [f"{name}{i}" for i in range(number)])


REAL, TEST = drawn(SIZE, 0, "r"), drawn(300, 1, "t")


def found(made: Rows, **more: object) -> Measurement:
    none = Rows([], np.zeros(0, np.int64))
    return measure(REAL, made, none, TEST, ["fair", "rain", "ice"], embed, seeds=3, ratios=(1,), **more)


@given(st.lists(st.integers(0, 4), min_size=1, max_size=60), st.floats(0.05, 1), st.integers(0, 9))
def test_a_part_holds_its_share_of_every_label(labels: list[int], share: float, seed: int):
    of = np.array(labels)
    chosen = part(of, share, seed)
    assert set(chosen.tolist()) <= {0, 1}
    for label in set(labels):
        mine = of == label
        assert chosen[mine].sum() == max(1, round(share * mine.sum()))
    assert (part(of, share, seed) == chosen).all()
    if share < 1:
        larger = part(of, min(1.0, share * 1.5), seed)
        assert (larger >= chosen).all(), "a smaller set stands in the larger one"


def test_how_many_real_rows_a_gain_is_worth():
    def points(*alone: float) -> list[Point]:
        return [Point(25 * 2**i, score, nothing(100, 3)) for i, score in enumerate(alone)]

    rising = points(0.5, 0.6, 0.7)
    assert a_doubling(rising) == pytest.approx(0.1)
    assert worth(rising, 0.1) == 100  # as much as twice the rows
    assert worth(rising, 0.05) == 41  # 100 x (2^0.5 - 1)
    assert worth(rising, 0.2) == 300
    assert worth(rising, 0.21) is None  # further than anyone looked
    assert worth(rising, 0.0) is None
    assert worth(points(0.5, 0.7, 0.701), 0.01) is None  # the curve is flat
    assert worth(points(0.7), 0.01) is None


def test_the_curve_has_smaller_sets_and_only_what_came_from_them():
    made = drawn(24, 2, "m")
    child_of = np.arange(24) % SIZE
    whole = found(Rows(made.items, REAL.labels[child_of], child_of, made.ids))
    assert [p.rows for p in whole.curve] == [6, 12]  # a quarter would be one row a label
    assert whole.curve[-1].gain == whole.chosen.gain
    assert whole.curve[0].alone < whole.curve[1].alone
    pool = found(Rows(made.items, REAL.labels[child_of], np.full(24, POOL), made.ids))
    assert [p.rows for p in pool.curve] == [12]


def test_families_of_made_rows_are_told_apart():
    good, bad = drawn(60, 3, "g"), drawn(60, 4, "b", noise=1.0)
    both = Rows(
        good.items + bad.items,
        np.concatenate([good.labels, bad.labels]),
        np.full(120, -1),
        good.ids + bad.ids,
        families=["good"] * 60 + ["bad"] * 60,
    )
    measured = found(both, weights=(1,))
    shares = {family.name: family.share for family in measured.families}
    assert shares["good"].low > 0.02
    assert shares["bad"].high < -0.01
    assert {family.rows for family in measured.families} == {60}
    said = parts(measured)
    assert said[0].startswith("Made by  good: +")
    assert said[1].startswith("         bad: -")
    assert not found(good).families  # one family is all of them


def test_the_gain_on_slices_of_the_test_set():
    truth = np.zeros(60, np.int64)
    base = np.zeros((1, 60), np.int64)
    base[0, :20] = 1  # wrong on the first third
    best = np.zeros((2, 60), np.int64)
    found = slices({"who": ["a"] * 20 + ["b"] * 30 + ["c"] * 10, "n": list(range(60))}, truth, base, best, None)
    assert [(s.column, s.value, s.rows, s.gain.mean) for s in found] == [
        ("who", "b", 30, 0.0),
        ("who", "a", 20, 1.0),  # ten rows of c are too few to say anything
        ("n", "up to 19.67", 20, 1.0),
        ("n", "above 19.67 to 39.33", 20, 0.0),
        ("n", "above 39.33", 20, 0.0),
    ]


def test_what_is_said_of_a_gain_that_helps_and_of_one_that_does_not():
    points = [Point(6, 0.5, nothing(300, 3)), Point(12, 0.6, nothing(300, 3))]
    paid = replace(found(drawn(300, 3, "g")), verdict="use", curve=points, usd=0.5, knee=1.0)
    assert "Collect" not in "".join(sizes(paid))
    share = paid.chosen.gain.mean * 100
    rows, usd = worth(points, share / 100), f"{0.5 / share:.2g}"
    assert worth_of(paid) == [
        f"         Worth about {rows} more real rows; {usd} USD a point; out of fold, more than ratio 1 adds nothing."
    ]
    useless = replace(found(drawn(24, 9, "b", noise=1.0)), verdict="no_gain", curve=points)
    weakest = useless.recalls[0]
    assert sizes(useless)[:2] == ["Real     6 rows 50.0 alone, +0.0 [+0.0, +0.0] with made rows",
                                  "         12 rows 60.0 alone, +0.0 [+0.0, +0.0]"]  # fmt: skip
    assert sizes(useless)[2] == "Collect  about 1 more real rows would gain a point, by the curve."
    assert sizes(useless)[3].startswith(f"         First of {weakest[0]} (")
