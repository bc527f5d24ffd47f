"""How a pasted rectangle meets what is around it."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from leaven.image.seams import feathered, poisson


def noise(seed: int, height: int = 9, width: int = 7) -> np.ndarray:
    return np.random.default_rng(seed).integers(60, 200, (height, width, 3), np.uint8)


def test_a_feathered_edge_rises_to_the_patch():
    under, patch = np.zeros((32, 64, 3), np.uint8), np.full((32, 64, 3), 90, np.uint8)
    assert feathered(under, patch)[16, :4, 0].tolist() == [30, 60, 90, 90]
    assert feathered(under, patch)[16, -3:, 0].tolist() == [90, 60, 30]
    assert feathered(under, patch)[0, 0, 0] == 30
    assert (feathered(patch, patch) == patch).all()


def test_poisson_keeps_the_rim_and_shifts_a_patch_to_its_colours():
    under, patch = np.full((6, 5, 3), 100, np.uint8), np.full((6, 5, 3), 30, np.uint8)
    assert (poisson(under, patch) == 100).all()
    patch[2:4, 2:3] += 5  # what differs within the patch goes on to differ
    expected = np.full((6, 5), 100)
    expected[2:4, 2] = 105
    assert poisson(under, patch)[..., 0].tolist() == expected.tolist()


@settings(deadline=None, max_examples=30)
@given(st.integers(0, 999), st.integers(3, 12), st.integers(3, 12))
def test_poisson_solves_the_equation(seed: int, height: int, width: int):
    """Where nothing is clipped, neighbours differ as the patch's do, but for half a level of rounding each."""
    rng = np.random.default_rng(seed)
    patch = rng.integers(120, 130, (height, width, 3)).astype(np.uint8)
    under = rng.integers(120, 130, (height, width, 3)).astype(np.uint8)
    out = poisson(under, patch)
    rim = np.ones((height, width), bool)
    rim[1:-1, 1:-1] = False
    assert (out[rim] == under[rim]).all()

    def laplace(pixels: np.ndarray) -> np.ndarray:
        p = pixels.astype(float)
        return p[:-2, 1:-1] + p[2:, 1:-1] + p[1:-1, :-2] + p[1:-1, 2:] - 4 * p[1:-1, 1:-1]

    assert np.abs(laplace(out) - laplace(patch)).max() <= 4.001


def test_a_patch_without_an_inside_is_laid_as_it_is():
    assert (poisson(noise(0, 2, 9), noise(1, 2, 9)) == noise(1, 2, 9)).all()


@pytest.mark.parametrize("seam", [feathered, poisson])
def test_neither_is_changed(seam: object):
    under, patch = noise(0), noise(1)
    assert callable(seam)
    seam(under, patch)
    assert (under == noise(0)).all()
    assert (patch == noise(1)).all()
