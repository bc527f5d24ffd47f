"""Features changed under their label: what is changed, by how much, and where gradients go."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from leaven.errors import DataError
from leaven.train import (
    change_selected,
    drop_features,
    drop_modalities,
    extrapolate_features,
    interpolate_features,
    noise_features,
)

PAIR = np.array([[0.0, 4.0], [9.0, 9.0], [2.0, 0.0]])
LABELS = np.array([7, 8, 7])


def rng(seed: int = 0) -> np.random.Generator:
    return np.random.default_rng(seed)


def test_between_two_rows_of_a_label():
    half = interpolate_features(PAIR, LABELS, generator=rng())
    assert half.tolist() == [[1, 2], [9, 9], [1, 2]]  # the second is alone
    quarter = interpolate_features(PAIR, LABELS, generator=rng(), lam=0.25)
    assert quarter.tolist() == [[0.5, 3], [9, 9], [1.5, 1]]


def test_beyond_a_row_away_from_another_of_its_label():
    out = extrapolate_features(PAIR, LABELS, generator=rng())
    assert out.tolist() == [[-1, 6], [9, 9], [3, -2]]
    assert PAIR.tolist() == [[0, 4], [9, 9], [2, 0]]


@settings(max_examples=25)
@given(st.lists(st.integers(0, 3), min_size=1, max_size=12), st.integers(0, 999))
def test_partners_are_other_rows_of_the_label(labels, seed):
    own = np.array(labels)
    x = np.eye(len(own))
    moved = interpolate_features(x, own, generator=rng(seed), lam=1)  # all the way: the partner itself
    partner = moved.argmax(1)
    assert (own[partner] == own).all()
    alone = np.bincount(own)[own] == 1
    assert ((partner == np.arange(len(own))) == alone).all()


def test_every_other_row_of_a_label_is_as_likely():
    x, labels, draws = np.eye(4), np.zeros(4, int), rng()
    counts = sum(interpolate_features(x, labels, generator=draws, lam=1) for _ in range(900))
    assert np.diag(counts).tolist() == [0, 0, 0, 0]
    assert (np.abs(counts[~np.eye(4, dtype=bool)] - 300) < 60).all()


def test_noise_has_the_spread_of_each_feature():
    x = np.stack([np.arange(20_000) % 2, 10.0 * (np.arange(20_000) % 2), np.full(20_000, 3.0)], axis=1)
    added = noise_features(x, generator=rng()) - x
    assert added.std(0) == pytest.approx([0.25, 2.5, 0], rel=0.03)
    assert added.mean(0) == pytest.approx([0, 0, 0], abs=0.06)
    known = noise_features(x, generator=rng(), strength=2, spread=np.array([1.0, 0, 4])) - x
    assert known.std(0) == pytest.approx([2, 0, 8], rel=0.03)


def test_dropped_features_are_zero_and_the_others_keep_their_mean():
    out = drop_features(np.ones((400, 50)), p=0.2, generator=rng())
    assert set(np.unique(out)) == {0, 1.25}
    assert out.mean() == pytest.approx(1, abs=0.02)
    maps = drop_features(np.ones((8, 6, 3, 3)), p=0.5, generator=rng())
    assert (maps.std(axis=(2, 3)) == 0).all()  # a channel as a whole
    assert set(np.unique(maps)) == {0, 2}
    assert drop_features(np.ones((2, 3)), p=0, generator=rng()).tolist() == [[1] * 3] * 2


@settings(max_examples=25)
@given(st.integers(1, 20), st.integers(1, 4), st.floats(0, 1), st.integers(0, 999))
def test_one_modality_stays_always(rows, modalities, p, seed):
    out = drop_modalities(np.ones((rows, modalities, 3)), p=p, generator=rng(seed))
    there = out[:, :, 0]
    assert (out == there[:, :, None]).all()  # as a whole, and not rescaled
    assert set(np.unique(out)) <= {0, 1}
    assert there.any(axis=1).all()
    if p == 1:
        assert there.sum(axis=1).tolist() == [1] * rows


def test_modalities_are_dropped_by_the_chance():
    out = drop_modalities(np.ones((3000, 3, 1)), p=0.2, generator=rng())[:, :, 0]
    assert 1 - out.mean(axis=0) == pytest.approx([0.2 - 0.008 / 3] * 3, abs=0.02)


def test_the_useful_features_stay_or_are_all_that_changes():
    x, changed = np.array([[1.0, 2, 3, 4]]), np.array([[10.0, 20, 30, 40]])
    importance = np.array([[0.1, 0.9, 0.2, 0.8]])
    assert change_selected(x, changed, importance).tolist() == [[10, 2, 30, 4]]
    assert change_selected(x, changed, importance, change="useful").tolist() == [[1, 20, 3, 40]]
    assert change_selected(x, changed, importance, share=0.25).tolist() == [[10, 2, 30, 40]]
    assert change_selected(x, changed, importance, share=0).tolist() == changed.tolist()
    assert change_selected(x, changed, importance, share=1).tolist() == x.tolist()
    same = np.zeros((1, 4))  # of equal ones the first
    assert change_selected(x, changed, same).tolist() == [[1, 2, 30, 40]]
    maps = change_selected(np.zeros((1, 2, 2, 2)), np.ones((1, 2, 2, 2)), np.array([[3.0, 4]]))
    assert maps.tolist() == [[[[1, 1], [1, 1]], [[0, 0], [0, 0]]]]


@pytest.mark.parametrize(
    "call",
    [
        lambda x: interpolate_features(x.astype(int), LABELS, generator=rng()),
        lambda x: interpolate_features(x, LABELS[:2], generator=rng()),
        lambda x: interpolate_features(x, np.eye(3), generator=rng()),
        lambda x: interpolate_features(x, LABELS, generator=rng(), lam=1.5),
        lambda x: interpolate_features(x, LABELS, generator=7),
        lambda x: noise_features(x, generator=rng(), strength=-1),
        lambda x: noise_features(x, generator=rng(), spread=np.ones(3)),
        lambda x: drop_features(x, p=1, generator=rng()),
        lambda x: drop_features(x[0], p=0.1, generator=rng()),
        lambda x: drop_modalities(x, p=0.1, generator=rng()),
        lambda x: drop_modalities(x[:, None], p=1.1, generator=rng()),
        lambda x: change_selected(x, x[:2], x),
        lambda x: change_selected(x, x, x, share=2),
        lambda x: change_selected(x, x, x, change="some"),
    ],
)
def test_what_is_wrong_is_said(call):
    with pytest.raises(DataError):
        call(PAIR)


def test_tensors_are_changed_as_arrays_are():
    torch = pytest.importorskip("torch")
    x, labels = rng(1).normal(size=(6, 3, 4)).astype(np.float32), np.array([0, 0, 0, 1, 1, 2])
    t, importance = torch.from_numpy(x), rng(2).random((6, 3))
    calls = [
        lambda x, y, i: interpolate_features(x, y, generator=rng()),
        lambda x, y, i: extrapolate_features(x, y, generator=rng()),
        lambda x, y, i: noise_features(x, generator=rng()),
        lambda x, y, i: drop_features(x, p=0.3, generator=rng()),
        lambda x, y, i: drop_modalities(x, p=0.3, generator=rng()),
        lambda x, y, i: change_selected(x, 2 * x, i),
    ]
    for call in calls:
        ours, theirs = call(x, labels, importance), call(t, torch.from_numpy(labels), torch.from_numpy(importance))
        assert theirs.dtype == torch.float32
        np.testing.assert_allclose(ours, theirs.numpy(), rtol=1e-5, atol=1e-6)
        halves = call(t.bfloat16(), torch.from_numpy(labels), torch.from_numpy(importance))
        assert halves.dtype == torch.bfloat16
    seed = torch.Generator().manual_seed(3)
    again = torch.Generator().manual_seed(3)
    assert torch.equal(drop_features(t, p=0.5, generator=seed), drop_features(t, p=0.5, generator=again))
    assert not torch.equal(drop_features(t, p=0.5, generator=seed), drop_features(t, p=0.5, generator=rng()))


def test_noise_by_a_finer_spread_keeps_the_type():
    torch = pytest.importorskip("torch")
    x = torch.ones(3, 2, dtype=torch.bfloat16)
    assert noise_features(x, generator=rng(), spread=torch.ones(2)).dtype == torch.bfloat16
    assert noise_features(PAIR.astype(np.float32), generator=rng(), spread=np.ones(2)).dtype == np.float32


def test_numbers_of_ones_own_choose_features_of_tensors():
    torch = pytest.importorskip("torch")
    x, own = torch.ones(2, 2), np.array([[1.0, 2.0], [3.0, 1.0]])
    assert change_selected(x, 0 * x, own).tolist() == [[0, 1], [1, 0]]


@pytest.mark.parametrize("change", [interpolate_features, extrapolate_features])
def test_a_share_below_nothing_is_refused(change):
    with pytest.raises(DataError, match=r"lam is -0\.5"):
        change(PAIR, LABELS, generator=rng(), lam=-0.5)


def test_gradients_reach_what_went_in():
    torch = pytest.importorskip("torch")
    x = torch.tensor(PAIR, requires_grad=True)
    labels = torch.tensor(LABELS)
    interpolate_features(x, labels, generator=rng(), lam=0.25)[0].sum().backward()
    assert x.grad.tolist() == [[0.75, 0.75], [0, 0], [0.25, 0.25]]
    x.grad = None
    noise_features(x, generator=rng()).sum().backward()
    assert x.grad.tolist() == [[1, 1]] * 3  # none through the spread
    x.grad = None
    out = drop_features(x, p=0.5, generator=rng())
    out.sum().backward()
    assert x.grad.tolist() == np.where(out.detach() == 0, 0, 2).tolist() or (PAIR == 0).any()
    assert set(x.grad.unique().tolist()) == {0, 2}
    x.grad = None
    change_selected(x, (3 * x).detach(), torch.tensor(PAIR)).sum().backward()
    assert x.grad.tolist() == [[0, 1], [1, 0], [1, 0]]  # where the own features stay
