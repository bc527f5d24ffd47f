"""audio-mixup and audio-mixup-joined: no child whose caption leaves a sound out, and no call about one."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest

from leaven.media.audio import Audio


@pytest.mark.parametrize("recipe", ["audio-mixup-joined", "audio-mixup"])
def test_sounds_of_which_nothing_is_said(ran: Any, tmp_path: Path, recipe: str):
    rows = []
    for i in range(6):
        wave = np.sin(np.arange(800) / (3 + i)).astype(np.float32) / 4
        (tmp_path / f"{i}.wav").write_bytes(Audio.of(wave, 8000).encoded)
        rows.append({"audio": f"{i}.wav", "caption": f"Tone {i} hums." if i < 4 else None})
    models = {"chat": "fake:shape", "classify": "fake:shape"} if recipe == "audio-mixup" else {}
    found = ran(recipe, rows, "--set", "mix_sounds.n=4", **models)
    assert len(found.real) == 6
    assert found.made
    assert all(row["caption"] for row in found.made)
    untold = [row for row in found.refused if row["_reason"] == "no_caption"]
    assert len(found.made) + len(found.refused) == 4 * 4
    assert {row["caption"] for row in untold} == {None}
    assert {len(row["_parents"]) for row in untold} == {2}
