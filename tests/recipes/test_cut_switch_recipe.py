"""cut-switch: a child of each scene; at every pixel the same values, in other images."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np

from leaven.media.image import Image

NAMES = ("colour", "depth")


def pixels(row: dict[str, Any]) -> np.ndarray:
    return np.stack([Image(row[name]["bytes"]).pixels for name in NAMES])


def test_no_pixel_is_lost(ran: Any, tmp_path: Path):
    rng = np.random.default_rng(0)
    rows = []
    for i in range(6):
        for name in NAMES:
            array = rng.integers(0, 256, (6, 8, 3), np.uint8)
            (tmp_path / f"{name}{i}.png").write_bytes(Image.of(array).encoded)
        rows.append({**{name: f"{name}{i}.png" for name in NAMES}, "label": "ab"[i % 2]})
    found = ran("cut-switch", rows)
    assert len(found.made) == 6
    changed = 0
    for row in found.made:
        real = found.real[row["_parents"][0]]
        assert (np.sort(pixels(row), axis=0) == np.sort(pixels(real), axis=0)).all()
        assert row["label"] == real["label"]
        changed += bool((pixels(row) != pixels(real)).any())
    assert changed >= 4
