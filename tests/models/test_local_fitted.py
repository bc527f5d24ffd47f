"""Who paints with what was fitted here: ``fitted:FOLDER``, and the adapter of a call."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from leaven.errors import ModelError
from leaven.media.image import Image
from leaven.models.backends.local import small_diffusion
from leaven.models.calls import About, Adapter, Answer, Ask, CallFailed
from leaven.models.config import Config
from leaven.models.players import Players
from leaven.plain_yaml import load
from leaven.recipe.build import build
from leaven.records import digest

pytest.importorskip("torch")
pytest.importorskip("diffusers")

PHOTO = Image.of(np.full((8, 8), 200, np.uint8))
NAME = digest(PHOTO.encoded).hex()


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    found = tmp_path_factory.mktemp("fitted")
    images = [np.full((8, 8), 25 * i, np.uint8) for i in range(10)]
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(small_diffusion, "CHECKED", 9)
        model = small_diffusion.SmallDiffusion.fit(images, ["a", "b"] * 5, steps=2, width=8)
    model.save(found)
    return found


def answers(uri: str, asks: Sequence[Mapping[str, Any]], adapter: Adapter | None = None) -> list[Any]:
    """What comes of calls that are all made at once; each has a seed of its own."""

    async def work() -> list[Any]:
        players = Players({"paint": uri}, Config(), recording=lambda _: [])
        _, player = players.player("paint")
        calls = [
            Ask("paint", {"steps": 2, **asked}, {"seed": i}, media={NAME: PHOTO}, adapter=adapter)
            for i, asked in enumerate(asks)
        ]
        try:
            made = [player.play(call, About("step", 0, f"{i}")) for i, call in enumerate(calls)]
            return await asyncio.gather(*made, return_exceptions=True)
        finally:
            await players.close()

    return asyncio.run(work())


def test_a_folder_is_named_for_the_role(folder: Path):
    asked = [{"prompt": "a"}, {"prompt": "b"}, {"prompt": ""}, {"prompt": "a", "image": NAME, "strength": 0.5}]
    found = answers(f"fitted:{folder}", asked)
    assert all(isinstance(one, Answer) and one.media.size == (8, 8) for one in found)
    assert len({one.media.encoded for one in found}) == 4
    alone = [answers(f"fitted:{folder}", asked[:i] + asked[i:][:1])[-1].media.encoded for i in range(2)]
    assert alone == [found[0].media.encoded, found[1].media.encoded]
    of_a_call = answers("fitted", asked, Adapter("own", folder))
    assert [one.media.encoded for one in of_a_call] == [one.media.encoded for one in found]


def test_what_it_cannot_paint(folder: Path):
    [unknown, masked] = answers(f"fitted:{folder}", [{"prompt": "a photo of a"}, {"prompt": "a", "mask": NAME}])
    assert isinstance(unknown, CallFailed)
    assert str(unknown) == "no_such_label: the generator was fitted without the label `a photo of a`"
    assert isinstance(masked, ModelError)
    assert "it cannot be given mask" in str(masked)
    [nothing] = answers("fitted", [{"prompt": "a"}])
    assert isinstance(nothing, ModelError)
    assert "names nothing that was fitted" in str(nothing)


def test_a_folder_that_is_none(tmp_path: Path):
    with pytest.raises(ModelError, match="there is no folder nowhere"):
        answers("fitted:nowhere", [{"prompt": "a"}])
    [found] = answers(f"fitted:{tmp_path}", [{"prompt": "a"}])
    assert isinstance(found, ModelError)
    assert "holds no generator that was fitted here" in str(found)


def test_who_is_asked_follows_from_the_recipe():
    """In forks and rounds too; a step that names no adapter asks whom the user names."""
    text = """
steps:
  - adapter as own: {role: paint}
  - any:
      one: [{repeat: {times: 2, steps: [{paint: {prompt: "{{ label }}", adapter: own}}]}}]
      two: [{paint as other: {prompt: "{{ label }}"}}]
"""
    recipe = build(load(text, "mine"), text=text, where="mine", name="mine")
    assert {step.name: getattr(step.op, "model", None) for step in recipe.steps()} == {
        "own": None, "paint": "fitted", "other": None,
    }  # fmt: skip
