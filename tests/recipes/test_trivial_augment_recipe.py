"""trivial-augment: four children of each image, one change each, told in the history; n is the only knob."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np

from leaven.image.tables import OPS
from leaven.media.image import Image


def test_one_change_each(ran: Any, tmp_path: Path):
    rng = np.random.default_rng(0)
    rows = []
    for i in range(8):
        (tmp_path / f"{i}.png").write_bytes(Image.of(rng.integers(0, 256, (20, 20, 3), np.uint8)).encoded)
        rows.append({"image": f"{i}.png", "label": "cat" if i % 2 else "dog"})
    found = ran("trivial-augment", rows, "--set", "policy.n=6")
    assert len(found.made) == 48
    for row in found.made:
        assert row["label"] == found.real[row["_parents"][0]]["label"]
        [step] = row["_steps"]
        drawn = json.loads(step["drawn"])
        assert drawn["table"] == "torchvision trivial"
        [[op, _]] = drawn["ops"]
        assert op in OPS
