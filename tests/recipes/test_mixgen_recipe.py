"""mixgen: half of each of two images, both captions, about one for three real rows."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np

from leaven.media.image import Image


def flat(path: Path, value: int) -> str:
    path.write_bytes(Image.of(np.full((6, 8, 3), value, np.uint8)).encoded)
    return path.name


def test_images_and_captions_of_two(ran: Any, tmp_path: Path):
    rows = [{"image": flat(tmp_path / f"{i}.png", 6 * i), "caption": f"caption {i}"} for i in range(40)]
    found = ran("mixgen", rows)
    assert 5 <= len(found.made) <= 22
    for row in found.made:
        ids = [found.real[parent]["caption"] for parent in row["_parents"]]
        first, second = (int(caption.split()[1]) for caption in ids)
        assert row["caption"] == f"caption {first} caption {second}"
        pixels = Image(row["image"]["bytes"]).pixels
        assert (pixels == 3 * (first + second)).all()
