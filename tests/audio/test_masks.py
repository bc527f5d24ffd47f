"""SpecAugment's law of drawing, and its masks on arrays: the fact sheet's checks."""

from __future__ import annotations

import numpy as np
import pytest

from leaven.audio.masks import POLICIES, Fill, Masks, Policy, drawn_masks, masked, warped_frames

LOG_MEL = np.random.default_rng(1).standard_normal((300, 80)).astype(np.float32)


def augmented(features: np.ndarray, policy: Policy, seed: int, fill: Fill = "mean") -> np.ndarray:
    return masked(features, drawn_masks(*features.shape, policy, np.random.default_rng(seed)), fill)


@pytest.mark.parametrize(
    ("name", "numbers"),
    [
        ("LB", (80, 27, 1, 100, 1, 1.0)),
        ("LD", (80, 27, 2, 100, 2, 1.0)),
        ("SM", (40, 15, 2, 70, 2, 0.2)),
        ("SS", (40, 27, 2, 70, 2, 0.2)),
        ("none", (0, 0, 0, 0, 0, 1.0)),
    ],
)
def test_policies(name: str, numbers: tuple[float, ...]):
    policy = POLICIES[name]
    said = (policy.warp, policy.freq, policy.freq_masks, policy.time, policy.time_masks, policy.cap)
    assert said == numbers


def test_no_policy_is_the_identity():
    for seed in range(20):
        assert augmented(LOG_MEL, POLICIES["none"], seed) is not LOG_MEL
        assert (augmented(LOG_MEL, POLICIES["none"], seed) == LOG_MEL).all()


def test_widths_are_even_with_both_ends():
    """100,000 draws of t for T = 100: the paper's law has mean 50, ESPnet's, without the end, 49.5."""
    rng = np.random.default_rng(0)
    policy = Policy(time=100, time_masks=1)
    drawn = np.array([drawn_masks(1000, 80, policy, rng).time[0] for _ in range(100_000)])
    widths = drawn[:, 1] - drawn[:, 0]
    assert widths.mean() == pytest.approx(50, abs=0.3)
    assert np.bincount(widths, minlength=101).min() > 800
    assert widths.max() == 100
    starts = drawn[widths == 100, 0]
    assert starts.min() < 20
    assert 880 < starts.max() < 900


def test_frequency_masks():
    rng = np.random.default_rng(0)
    spans = [drawn_masks(300, 80, POLICIES["LD"], rng).freq for _ in range(2000)]
    assert {len(pair) for pair in spans} == {2}
    widths = {high - low for pair in spans for low, high in pair}
    assert widths == set(range(28))
    assert all(0 <= low <= high <= 80 for pair in spans for low, high in pair)
    hidden = [np.flatnonzero((masked(LOG_MEL, Masks(None, pair, []), "zero") == 0).all(0)).size for pair in spans[:50]]
    assert max(hidden) <= 2 * 27


@pytest.mark.parametrize("name", ["SM", "SS"])
def test_a_fifth_of_a_short_one_at_most(name: str):
    rng = np.random.default_rng(0)
    widths = [high - low for _ in range(2000) for low, high in drawn_masks(100, 80, POLICIES[name], rng).time]
    assert max(widths) == 20
    assert min(widths) == 0


@pytest.mark.parametrize(("frames", "bins"), [(1, 1), (1, 80), (3, 5), (100, 10)])
@pytest.mark.parametrize("name", ["LB", "LD", "SM", "SS"])
def test_small_ones(name: str, frames: int, bins: int):
    features = np.ones((frames, bins), np.float32)
    for seed in range(30):
        found = augmented(features, POLICIES[name], seed, fill="zero")
        assert found.shape == (frames, bins)
        assert set(np.unique(found)) <= {0.0, 1.0}


@pytest.mark.parametrize("fill", ["mean", "zero"])
def test_what_is_not_masked_is_the_same_bits(fill: Fill):
    policy = Policy(freq=27, freq_masks=2, time=100, time_masks=2)
    before = LOG_MEL.copy()
    for seed in range(20):
        masks = drawn_masks(300, 80, policy, np.random.default_rng(seed))
        found = augmented(LOG_MEL, policy, seed, fill)
        hidden = np.zeros((300, 80), bool)
        for low, high in masks.freq:
            hidden[:, low:high] = True
        for low, high in masks.time:
            hidden[low:high] = True
        assert found[~hidden].tobytes() == LOG_MEL[~hidden].tobytes()
        value = np.float32(LOG_MEL.mean(dtype=np.float64)) if fill == "mean" else 0
        assert (found[hidden] == value).all()
    assert (before == LOG_MEL).all()


def test_silence_filled_with_its_mean_stays():
    silence = np.full((300, 80), -23.02585, np.float32)
    for seed in range(20):
        assert (augmented(silence, POLICIES["LD"], seed) == silence).all()


def test_warp_is_drawn_within_the_window_and_never_where_there_is_no_room():
    rng = np.random.default_rng(0)
    drawn = [drawn_masks(200, 80, POLICIES["LB"], rng).warp for _ in range(5000)]
    centres, moves = np.array([(at, to - at) for at, to in drawn if at is not None]).T
    assert (centres.min(), centres.max()) == (81, 119)
    assert (moves.min(), moves.max()) == (-80, 80)
    assert {drawn_masks(frames, 80, POLICIES["LB"], rng).warp for frames in (1, 100, 160, 161)} == {None}
    assert drawn_masks(162, 80, POLICIES["LB"], rng).warp is not None


def test_warp_moves_a_frame_and_keeps_the_ends():
    ramp = np.arange(101, dtype=np.float64)[:, None].repeat(3, 1)
    found = warped_frames(ramp, 40, 60)
    assert found[[0, 30, 60, 80, 100], 0].tolist() == [0, 20, 40, 70, 100]
    assert (warped_frames(ramp, 40, 40) == ramp).all()
    assert (np.diff(found[:, 0]) > 0).all()
