"""Room for models that do not fit together: the one that is idle gives its memory back, and is loaded again."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pytest

pytest.importorskip("transformers")

from leaven.errors import ModelError
from leaven.media.image import Image
from leaven.models.backends.local import room
from leaven.models.backends.local.captions import Captions
from leaven.models.backends.local.speaks import Speaks
from leaven.models.backends.local.weights import Weights, find
from leaven.models.backends.of_diffusers import of_diffusers
from leaven.models.calls import About, Answer, Ask, CallFailed
from tiny import writers
from tiny.batches import as_on_a_gpu


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


def test_what_stands_beside_a_model_needs_room_too(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    pytest.importorskip("diffusers")
    from tiny import painters

    sd, net = painters.plain(tmp_path / "sd"), painters.control(tmp_path / "net")
    player = of_diffusers("paint", "diffusers:here", f"{sd}?controlnet={net}")
    asked: list[float] = []

    class Known:
        idle = True

        def release(self) -> bool:
            asked.append(1)
            return True

    both = sum(path.stat().st_size for folder in (sd, net) for path in folder.rglob("*.safetensors"))
    other = Known()
    monkeypatch.setattr(room, "_holders", [(other, "cpu")])
    monkeypatch.setattr(room, "free", lambda device: room.SPARE * both - 1)
    player._open()  # type: ignore[attr-defined]
    assert asked == [1], "one byte is lacking"
    asyncio.run(player.close())


def test_the_size_of_what_lies_on_a_hub_is_that_of_what_is_here(tmp_path: Path):
    folder = tmp_path / "snapshots" / "1f" / "unet"
    folder.mkdir(parents=True)
    (folder / "model.safetensors").write_bytes(b"x" * 100)
    described = folder.parent / "model_index.json"
    assert room.size(Weights("diffusers:a/b", "a/b", "a/b@1f", "1f", described)) == 100
    assert room.size(Weights("fitted:", "", "fitted:", "", tmp_path)) == 0


@pytest.fixture
def llama(tmp_path: Path) -> Path:
    return writers.llama(tmp_path / "llama")


def asks(number: int) -> list[Ask]:
    return [Ask("complete", {"prompt": "book a room"}, {"max_tokens": 3, "seed": i}) for i in range(number)]


def opened(folder: Path) -> Speaks:
    return Speaks(find(f"transformers:{folder}", str(folder)))


def test_a_model_at_work_keeps_its_room(llama: Path):
    player = opened(llama)

    async def work() -> None:
        call = asyncio.create_task(player.play(asks(1)[0], About("s", 0, "r")))
        while not player.where:
            await asyncio.sleep(0)
        assert not player.idle
        assert not player.release()
        assert player.where
        await call
        assert player.release()
        assert player.where == ""
        assert player.release(), "nothing is left to give"

    asyncio.run(work())
    asyncio.run(player.close())


def test_where_loading_finds_no_room_the_idle_ones_go(llama: Path, monkeypatch: pytest.MonkeyPatch):
    import torch

    idle, player = opened(llama), opened(llama)
    idle._open()
    load, tried = player.load, []

    def short_of_memory() -> None:
        tried.append(idle.where)
        if idle.where or always:
            raise torch.OutOfMemoryError("CUDA out of memory")
        load()

    monkeypatch.setattr(player, "load", short_of_memory)
    always = False
    player._open()
    assert tried == ["cpu in float32", ""]
    assert player.where == "cpu in float32"
    player.release()
    always = True
    with pytest.raises(ModelError, match="finds no room on cpu"):
        player._open()
    assert player.where == ""
    asyncio.run(player.close())
    asyncio.run(idle.close())


def test_a_batch_without_room_is_answered_one_by_one(llama: Path):
    import torch

    player = opened(llama)
    sizes: list[int] = []
    with as_on_a_gpu(player):
        player._open()
        answers = player.answers

        def small(some: Sequence[Ask]) -> list[Any]:
            sizes.append(len(some))
            if len(some) > 1 or some[0].sampling["seed"] == 2:
                raise torch.OutOfMemoryError("CUDA out of memory")
            return answers(some)

        vars(player)["answers"] = small
        found = player._answered(asks(3))
    asyncio.run(player.close())
    assert sizes == [3, 1, 1, 1]
    assert [type(one) for one in found] == [Answer, Answer, CallFailed]
    assert isinstance(found[2], CallFailed)
    assert found[2].reason == "no_memory"
