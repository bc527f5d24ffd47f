"""trivial-augment: children of each image, one change each, told in the history; no copy of a real row stays."""

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
    assert len(found.made) + len(found.refused) == 48
    assert {row["_reason"] for row in found.refused} == {"duplicate"}
    changes = [json.loads(row["_steps"][0]["drawn"])["ops"][0][0] for row in found.refused]
    assert "identity" in changes
    real = {row["image"]["bytes"] for row in found.real.values()}
    assert not real & {row["image"]["bytes"] for row in found.made}
    for row in found.made:
        assert row["label"] == found.real[row["_parents"][0]]["label"]
        [step] = row["_steps"]
        drawn = json.loads(step["drawn"])
        assert drawn["table"] == "torchvision trivial"
        [[op, _]] = drawn["ops"]
        assert op in set(OPS) - {"identity"}


def test_rand_augment_of_no_change_is_refused(ran: Any, tmp_path: Path):
    """Two changes of 14 are both none in one image of 196, and here in all but few."""
    (tmp_path / "0.png").write_bytes(Image.of(np.full((20, 20, 3), 90, np.uint8)).encoded)
    rows = [{"image": "0.png", "label": "cat"}, {"image": "0.png", "label": "dog"}]
    found = ran("rand-augment", rows, "--set", "policy.magnitude=0")
    assert len(found.made) + len(found.refused) == 4
    assert {row["_reason"] for row in found.refused} == {"duplicate"}
