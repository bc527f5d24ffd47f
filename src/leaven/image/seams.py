"""How a pasted rectangle meets what is around it."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

    Pixels = NDArray[np.uint8]

SOFT = 16
"""A feathered edge is this part of the shorter side wide."""


def feathered(under: Pixels, patch: Pixels) -> Pixels:
    """The patch (height x width x 3) over what lies under it, from nearly nothing of it at its rim to all of it inside.

    >>> import numpy as np
    >>> feathered(np.zeros((1, 1, 3), np.uint8), np.full((1, 1, 3), 200, np.uint8)).tolist()
    [[[100, 100, 100]]]
    """
    import numpy as np

    height, width = patch.shape[:2]
    ramp = max(1, min(height, width) // SOFT)

    def rising(side: int) -> NDArray[np.float64]:
        far = np.minimum(np.arange(side), np.arange(side)[::-1]) + 1.0
        rise: NDArray[np.float64] = np.minimum(far / (ramp + 1), 1.0)
        return rise

    share = np.minimum(rising(height)[:, None], rising(width)[None, :])[..., None]
    return (share * patch + (1 - share) * under).round().astype(np.uint8)


def poisson(under: Pixels, patch: Pixels) -> Pixels:
    """The patch with its own differences between neighbours, in the colours of what lies around it.

    Its outermost pixels are those under it; inside, the patch and the smoothest field that leads there (Perez et al.
    2003).  On a rectangle that field has a solution in sines, exact and the same everywhere.
    """
    import numpy as np
    from scipy.fft import dstn, idstn

    height, width = patch.shape[:2]
    if min(height, width) < 3:  # there is no inside
        return patch.copy()
    out = under.astype(np.float64)
    rim = out - patch  # how far the patch is from what lies under it; only the rim's counts
    source = np.zeros((height - 2, width - 2, 3))
    source[0] -= rim[0, 1:-1]
    source[-1] -= rim[-1, 1:-1]
    source[:, 0] -= rim[1:-1, 0]
    source[:, -1] -= rim[1:-1, -1]
    waves = [2 * np.cos(np.pi * np.arange(1, side - 1) / (side - 1)) - 2 for side in (height, width)]
    field = idstn(dstn(source, 1, axes=(0, 1)) / (waves[0][:, None] + waves[1][None, :])[..., None], 1, axes=(0, 1))
    out[1:-1, 1:-1] = patch[1:-1, 1:-1] + field
    return np.clip(out, 0, 255).round().astype(np.uint8)
