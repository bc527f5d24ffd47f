"""Small images and sounds of a few kinds, as class folders."""

from __future__ import annotations

from pathlib import Path

import numpy as np

from leaven.media.audio import Audio
from leaven.media.image import png

KINDS = ("disc", "cross", "frame")


def picture(kind: str, rng: np.random.Generator, side: int = 24) -> np.ndarray:
    """A bright shape somewhere on a dark ground of noise."""
    pixels = rng.integers(0, 60, (side, side, 3), dtype=np.uint8)
    at, size = rng.integers(8, side - 8, 2), int(rng.integers(5, 8))
    y, x = np.abs(np.mgrid[:side, :side] - at[:, None, None])
    inside = {"disc": y**2 + x**2 < size**2, "cross": np.minimum(x, y) < 2, "frame": np.maximum(x, y) == size}[kind]
    pixels[inside] = rng.integers(120, 255, 3)
    return pixels


def pictures(folder: Path, each: int, seed: int, kinds: tuple[str, ...] = KINDS) -> Path:
    """A folder of so many images of each kind, in folders called after them."""
    rng = np.random.default_rng(seed)
    for kind in kinds:
        (folder / kind).mkdir(parents=True)
        for number in range(each):
            (folder / kind / f"{number}.png").write_bytes(png(picture(kind, rng)))
    return folder


def sound(high: bool, rng: np.random.Generator, rate: int = 8000) -> Audio:
    """A tone of a third of a second, in noise."""
    time = np.arange(rate // 3) / rate
    hertz = rng.uniform(1500, 2500) if high else rng.uniform(250, 400)
    samples = 0.5 * np.sin(2 * np.pi * hertz * time) + rng.normal(0, 0.05, len(time))
    return Audio.of(samples.astype(np.float32), rate)


def sounds(folder: Path, each: int, seed: int) -> Path:
    rng = np.random.default_rng(seed)
    for name, high in (("high", True), ("low", False)):
        (folder / name).mkdir(parents=True)
        for number in range(each):
            (folder / name / f"{number}.wav").write_bytes(sound(high, rng).encoded)
    return folder
