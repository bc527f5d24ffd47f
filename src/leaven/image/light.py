"""Light, colour and sharpness of an image: plain functions on height x width x 3 pixels (RGB, uint8)."""

from __future__ import annotations

from math import cos, pi, sin
from typing import TYPE_CHECKING

from leaven.media.opencv import opencv

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

    Pixels = NDArray[np.uint8]
    Table = NDArray[np.uint8]

LUMA = (0.299, 0.587, 0.114)


def curve(pixels: Pixels, brightness: float = 0.0, contrast: float = 0.0, gamma: float = 0.0) -> Pixels:
    """Each value by one table: 1 + contrast times as far from the mean gray, 1 + brightness times as bright, to the
    power of 1 + gamma."""
    import numpy as np

    cv2 = opencv()
    values = np.arange(256, dtype=np.float64)
    if contrast:
        mean = sum(share * channel for share, channel in zip(LUMA, cv2.mean(pixels)))
        values = mean + (1 + contrast) * (values - mean)
    values = np.clip(values * (1 + brightness), 0, 255)
    if gamma:
        values = 255 * (values / 255) ** (1 + gamma)
    found: Pixels = cv2.LUT(pixels, np.rint(values).astype(np.uint8))
    return found


def tint(pixels: Pixels, saturation: float = 0.0, hue: float = 0.0) -> Pixels:
    """1 + saturation times as colourful, the colours turned by a share of their circle; grays stay, and so does luma.

    The circle is that of YIQ, where a turn is one matrix.
    """
    import numpy as np

    yiq = np.array([LUMA, (0.596, -0.274, -0.322), (0.211, -0.523, 0.312)])
    along, across = (1 + saturation) * cos(2 * pi * hue), (1 + saturation) * sin(2 * pi * hue)
    turn = np.array([[1, 0, 0], [0, along, -across], [0, across, along]])
    found: Pixels = opencv().transform(pixels, np.linalg.inv(yiq) @ turn @ yiq)
    return found


def blurred(pixels: Pixels, sigma: float) -> Pixels:
    """Gaussian blur; a sigma below 0.2 pixels changes nothing."""
    if sigma < 0.2:
        return pixels
    cv2 = opencv()
    found: Pixels = cv2.GaussianBlur(pixels, (0, 0), sigma, borderType=cv2.BORDER_REFLECT)
    return found


def noisy(pixels: Pixels, sd: float, noise: NDArray[np.float32]) -> Pixels:
    """With ``sd`` times the noise added: height x width x 3 standard normal numbers, or x 1 for gray noise."""
    cv2 = opencv()
    layers = cv2.merge([noise] * 3) if noise.shape[2] == 1 else noise
    found: Pixels = cv2.add(pixels, layers * layers.dtype.type(sd), dtype=cv2.CV_8U)
    return found


def jpeg(pixels: Pixels, quality: int, gray: bool = False) -> Pixels:
    """As a JPEG of this quality would show it."""
    cv2 = opencv()
    shown = pixels[..., 0] if gray else cv2.cvtColor(pixels, cv2.COLOR_RGB2BGR)
    done, data = cv2.imencode(".jpg", shown, [cv2.IMWRITE_JPEG_QUALITY, quality])
    assert done, "8-bit pixels can be a JPEG"
    again = cv2.imdecode(data, cv2.IMREAD_GRAYSCALE if gray else cv2.IMREAD_COLOR)
    found: Pixels = cv2.cvtColor(again, cv2.COLOR_GRAY2RGB if gray else cv2.COLOR_BGR2RGB)
    return found
