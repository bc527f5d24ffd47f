"""A caption, as a column about what it is of."""

from __future__ import annotations

import asyncio
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from asked import cli, ledger, recipe
from leaven.any_record.caption import Caption
from leaven.context import Context
from leaven.errors import RecipeError
from leaven.fields import Column
from leaven.media.image import Image
from leaven.models.backends.fake import Fake, hum
from leaven.models.calls import About, Answer, Ask
from leaven.records import Record, Refuse
from worlds import images

RED = Image.of(np.full((8, 8, 3), (200, 20, 20), np.uint8))


def test_it_is_about_what_it_is_of():
    assert Caption(on="photo").writes() == {"caption": Column("caption", frozenset({"photo"}))}
    assert Caption("a {{ label }} thing", on="photo").reads() == {"photo", "label"}


def test_an_image_and_a_sound():
    for field, item in (("image", RED), ("audio", hum(1))):
        [row] = Caption()({field: item, "label": "x"}, caption="fake:shape")
        assert row["caption"]
        assert set(row) == {field, "label", "caption"}


def test_over_a_chat_model_that_sees():
    [row] = Caption("what is it")({"image": RED}, chat="fake:shape")
    assert row["caption"]


def test_text_alone_has_no_caption():
    with pytest.raises(RecipeError, match="caption needs image or audio; the record has text"):
        Caption()({"text": "a card"}, caption="fake:shape")


@pytest.mark.parametrize("parameters", [{"top_k": 0}, {"repetition_penalty": 0}, {"min_tokens": 0}])
def test_what_is_out_of_range(parameters: dict[str, Any]):
    with pytest.raises(RecipeError, match=next(iter(parameters))):
        Caption(**parameters)


def test_a_record_without_the_image_is_refused():
    record = Record("1", {"image": None, "label": "x"})
    with pytest.raises(Refuse, match="nothing_to_show"):
        asyncio.run(Caption(on="image").note(record, Context()))


def test_what_is_asked_in_a_run(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    """The prompt is a template, and what is said of sampling is asked for."""
    world = images()
    data = world.table(tmp_path / "rows", [{"image": r["image"], "label": r["label"]} for r in world.source[:6]])
    how = "top_k: 50, top_p: 0.9, repetition_penalty: 1.1, min_tokens: 5, max_tokens: 40"
    step = f'caption: {{prompt: "Question of {{{{ label }}}}:", {how}}}'
    made = recipe(tmp_path, step, fields={"image": "image", "label": "label"})
    asked: list[Ask] = []
    play = Fake.play

    async def heard(self: Fake, ask: Ask, about: About) -> Answer:
        asked.append(ask)
        return await play(self, ask, about)

    monkeypatch.setattr(Fake, "play", heard)
    done = cli("augment", data, "-o", tmp_path / "out", "-r", made, "--model", "caption=fake:shape", "-q")
    assert done.code == 0, done.err
    assert len(ledger(tmp_path / "out")) == len(asked) == 6
    said = {"top_p": 0.9, "max_tokens": 40, "top_k": 50, "repetition_penalty": 1.1, "min_tokens": 5}
    assert all(ask.role == "caption" and ask.sampling == said for ask in asked)
    assert {ask.content["prompt"] for ask in asked} == {f"Question of {colour}:" for colour in ("red", "green", "blue")}
