"""augment-drop-swap: each caption that names a term, with a negative beside it that names another."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest

from leaven.media.audio import Audio

CAPTIONS = ["a flute solo", "people talk", "violin and flute", "Flutes"]


def test_a_negative_beside_each_caption(ran: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.chdir(tmp_path)
    Path("terms.csv").write_text(
        "term,category\nflute,instrument\nviolin,instrument\nguitar,instrument\ncello,instrument\n"
    )
    rows = []
    for i, caption in enumerate(CAPTIONS * 2):
        tone = np.sin(np.arange(1600) * (i + 1) * 0.02).astype(np.float32)[:, None] * 0.3
        Path(f"{i}.wav").write_bytes(Audio.of(tone, 16000).encoded)
        rows.append({"audio": f"{i}.wav", "caption": caption, "tags": ["cello"]})
    found = ran("augment-drop-swap", rows, "--set", "swap_terms.table=terms.csv")
    assert sorted(row["caption"] for row in found.train) == sorted(CAPTIONS[0::2] * 2)
    ways = {
        "a flute solo": {"a violin solo", "a guitar solo"},
        "violin and flute": {"guitar and flute", "violin and guitar"},
    }
    for row in found.train:
        assert row["negative"] in ways[row["caption"]], "another term, and none of the piece's own"
        assert row["audio"]["bytes"]
    assert [row["_reason"] for row in found.refused] == ["no_term"] * 4
