"""Spectra there and back, and the mel scale."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import pytest

from leaven.media.audio import Audio
from leaven.media.spectrum import istft, log_mel, mel_edges, mel_filters, stft

Tone = Callable[..., Audio]


@pytest.mark.parametrize("frames", [1, 2, 159, 160, 161, 5000])
def test_there_and_back(frames: int):
    samples = np.random.default_rng(0).uniform(-1, 1, frames).astype(np.float32)
    spectra = stft(samples, 640, 160)
    assert spectra.shape == (1 + -(-frames // 160), 321)
    assert istft(spectra, 640, 160, frames) == pytest.approx(samples, abs=1e-6)


def test_edges_are_equally_far_apart_in_mel():
    edges = mel_edges(4, 16000)
    assert edges == pytest.approx([0, 614.3, 1767.8, 3933.6, 8000], abs=0.1)
    assert np.diff(2595 * np.log10(1 + edges / 700)) == pytest.approx(np.full(4, 710.006), abs=0.01)


def test_filters_are_triangles_that_sum_to_one():
    filters = mel_filters(40, 1024, 16000)
    assert filters.shape == (40, 513)
    assert filters.min() == 0
    assert filters.max() <= 1
    assert filters.sum(0)[10:460] == pytest.approx(np.ones(450), abs=1e-9)


def test_log_mel_of_a_tone(tone: Tone):
    features = log_mel(tone(1000, seconds=2).mono, 16000, 80)
    assert features.shape == (201, 80)
    assert features.dtype == np.float32
    edges = mel_edges(81, 16000)
    loudest = int(features[100].argmax())
    assert edges[loudest] < 1000 < edges[loudest + 2]


def test_log_mel_of_silence_is_the_floor():
    assert log_mel(np.zeros(1600, np.float32), 16000, 40) == pytest.approx(np.full((11, 40), -23.0259), abs=1e-3)
