"""Room for models that do not fit together: the one that is idle gives its memory back, and is loaded again."""

from __future__ import annotations

import asyncio
from pathlib import Path

import pytest

pytest.importorskip("transformers")

from leaven.media.image import Image
from leaven.models.backends.local import room
from leaven.models.backends.local.captions import Captions
from leaven.models.backends.local.weights import find
from leaven.models.calls import About, Ask
from tiny import writers


def test_an_idle_model_makes_room_and_comes_back(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    import numpy as np

    folder = tmp_path / "blip"
    folder.mkdir()
    writers.blip(folder)
    red = Image.of(np.full((16, 16, 3), (200, 10, 10), np.uint8))
    ask = Ask("caption", {"item": "red", "prompt": ""}, {"max_tokens": 5}, media={"red": red})
    about = About("caption", 0, "r")
    uri = f"transformers:{folder}"
    one, other = Captions(find(uri, str(folder))), Captions(find(uri, str(folder)))
    assert room.size(one.weights) > 100_000

    async def work() -> None:
        first = await one.play(ask, about)
        assert (await other.play(ask, about)).text == first.text
        assert one.where == other.where != ""  # both fit
        await other.close()
        monkeypatch.setattr(room, "free", lambda device: 0)
        await other.play(ask, about)
        assert one.where == ""
        assert other.where
        assert (await one.play(ask, about)).text == first.text
        assert other.where == ""
        await asyncio.gather(one.close(), other.close())

    asyncio.run(work())
    assert not [holder for holder, _ in room._holders if holder in (one, other)]
