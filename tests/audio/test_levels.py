"""Energies and gains: Wu's law, its numbers, and nothing beyond full scale."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from leaven.audio.levels import SILENT, as_loud, fit_factor, frame_energy, in_decibels, mean_square, snr_gain


@pytest.mark.parametrize(("snr", "gain"), [(0, 2.0), (5, 1.124683), (-5, 3.556559)])
def test_gain_of_the_fact_sheet(snr: float, gain: float):
    assert snr_gain(0.04, 0.01, snr) == pytest.approx(gain, abs=1e-6)


@given(st.floats(1e-6, 1), st.floats(1e-6, 1), st.floats(-60, 60))
def test_gain_gives_the_level(a: float, b: float, snr: float):
    assert 10 * np.log10(a / (snr_gain(a, b, snr) ** 2 * b)) == pytest.approx(snr, abs=1e-9)


def slow_energy(samples: np.ndarray) -> float:
    """The definition, frame by frame."""
    padded = np.pad(samples.astype(np.float64), ((1024, 1024), (0, 0)))
    frames = [padded[at : at + 2048] for at in range(0, len(padded) - 2047, 512)]
    return float(np.mean([np.square(frame).mean() for frame in frames]))


@pytest.mark.parametrize("length", [1, 511, 512, 2048, 5000, 16000])
@pytest.mark.parametrize("channels", [1, 2])
def test_frame_energy(length: int, channels: int):
    samples = np.random.default_rng(length).standard_normal((length, channels)).astype(np.float32)
    assert frame_energy(samples) == pytest.approx(slow_energy(samples), rel=1e-9)


def test_frame_energy_counts_the_ends_less():
    ones = np.ones((16000, 1), np.float32)
    assert mean_square(ones) == 1.0
    assert frame_energy(ones) == 1 - (0.5 + 0.25 + 0.4375 + 0.1875) / 32  # what the first and last two frames lack


def test_nothing_beyond_full_scale():
    assert fit_factor(np.array([[0.5], [-1.0]])) == 1.0
    assert fit_factor(np.array([[0.5], [-1.25]])) == 0.8
    assert fit_factor(np.zeros((0, 1))) == 1.0


def test_as_loud():
    quiet, loud = np.full((10, 1), 0.1, np.float32), np.full((20, 1), 0.4, np.float32)
    assert as_loud(quiet, loud) == pytest.approx(np.full((10, 1), 0.4))
    assert not as_loud(np.zeros((5, 1), np.float32), loud).any()


def test_silence_is_below_the_last_bit_of_a_cd():
    one_bit = np.tile([[1 / 32768], [-1 / 32768]], (50, 1))
    assert SILENT < mean_square(one_bit) < 10 * SILENT
    assert in_decibels(0.5) == pytest.approx(-6.02, abs=0.01)
