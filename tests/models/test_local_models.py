"""The embedders of this process: who has which kind of item."""

from __future__ import annotations

import numpy as np
import pytest

from leaven.media.audio import Audio
from leaven.media.image import Image
from leaven.models.backends.hashed import Hashed
from leaven.models.embedders import LocalModels, kind_of

IMAGE = Image.of(np.zeros((4, 4, 3), np.uint8))
SOUND = Audio.of(np.zeros(99, np.float32), 8000)


def test_each_kind_has_its_own_embedder():
    models = LocalModels({"name": "wordllama"})
    assert models.embed(["a text"]).shape == (1, 256)
    assert models.embed([IMAGE, IMAGE]).shape == (2, 1039)
    assert models.embed([SOUND]).shape == (1, 360)
    assert models.embed([]).shape == (0, 1)


def test_texts_have_the_one_that_was_chosen():
    hashed = Hashed.fit(["a card", "b money"])
    models = LocalModels({"name": "hashed", **hashed.arrays()})
    assert models.embed(["a card"]).tobytes() == hashed.embed(["a card"]).tobytes()
    assert models.embed([IMAGE]).shape == (1, 1039)


def test_a_call_is_of_one_kind():
    assert kind_of(["a", "b"]) == "text"
    with pytest.raises(TypeError, match="all of one kind; these are Audio, str"):
        LocalModels({"name": "wordllama"}).embed(["a", SOUND])
    with pytest.raises(TypeError, match="these are bytes"):
        kind_of([b"a"])
