"""Augmented View Dropout."""

from __future__ import annotations

from collections import Counter

import pytest
from hypothesis import given
from hypothesis import strategies as st

from leaven.pair.views import views

TEXTS = ["a calm flute", "folk", "slow", "a woman sings"]


def test_with_every_view_kept_only_the_order_is_drawn():
    orders = {tuple(views(TEXTS, seed=0, epoch=epoch, record="song", keep=1)) for epoch in range(60)}
    assert {tuple(sorted(order)) for order in orders} == {tuple(sorted(TEXTS))}
    assert len(orders) > 10


def test_with_none_kept_exactly_one_is_shown():
    shown = [views(TEXTS, seed=0, epoch=epoch, record="song", keep=0) for epoch in range(100)]
    assert {len(some) for some in shown} == {1}
    assert {some[0] for some in shown} == set(TEXTS)


def test_half_of_them_on_the_whole():
    """At least one of four: the mean is 2 and a sixteenth."""
    shown = Counter(len(views(TEXTS, seed=0, epoch=0, record=str(i))) for i in range(4000))
    assert set(shown) == {1, 2, 3, 4}
    assert sum(n * times for n, times in shown.items()) / 4000 == pytest.approx(2 + 1 / 16, abs=0.06)


def test_the_draw_hangs_on_seed_epoch_and_record():
    one = views(TEXTS, seed=0, epoch=0, record="song")
    assert one == views(TEXTS, seed=0, epoch=0, record="song")
    epochs = {tuple(views(TEXTS, seed=0, epoch=epoch, record="song")) for epoch in range(20)}
    records = {tuple(views(TEXTS, seed=0, epoch=0, record=str(i))) for i in range(20)}
    seeds = {tuple(views(TEXTS, seed=seed, epoch=0, record="song")) for seed in range(20)}
    assert min(len(epochs), len(records), len(seeds)) > 5


@given(st.lists(st.text(max_size=3), max_size=6), st.integers(0, 99), st.floats(0, 1))
def test_every_view_at_most_once(texts: list[str], epoch: int, keep: float):
    shown = views(texts, seed=1, epoch=epoch, record="r", keep=keep)
    assert bool(shown) == bool(texts)
    assert not Counter(shown) - Counter(texts)
