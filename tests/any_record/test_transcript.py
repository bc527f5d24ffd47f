"""What a recogniser hears, as a column about the sound."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from leaven.any_record.transcript import Transcript
from leaven.errors import ModelError, RecipeError
from leaven.fields import VALUE, Column
from leaven.media.audio import Audio
from leaven.models.backends.fake import hum
from recordings import recording


def test_it_is_about_the_sound():
    assert Transcript(on="clip").writes() == {"transcript": Column(VALUE, frozenset({"clip"}))}


def test_what_was_recorded(tmp_path: Path):
    said = recording(tmp_path, [("my card", "my  cart\n")])
    [row] = Transcript()({"text": "my card", "audio": hum(1), "label": "x"}, transcribe=said)
    assert row["transcript"] == "my cart"
    assert row["audio"] == hum(1)


def test_a_sound_is_needed_and_a_model_that_hears():
    with pytest.raises(RecipeError, match="transcript needs audio"):
        Transcript()({"text": "my card"}, transcribe="fake:shape")
    with pytest.raises(ModelError, match="espeak does not play transcribe, but speak"):
        Transcript()({"audio": hum(1)}, transcribe="espeak")


def test_the_same_sound_is_heard_alike():
    sound = Audio.of(np.zeros(800, np.float32), 8000)
    one, other = (Transcript()({"audio": a}, transcribe="fake:shape")[0]["transcript"] for a in (sound, hum(3)))
    again = Transcript()({"audio": sound}, transcribe="fake:shape")[0]["transcript"]
    assert one == again != other
