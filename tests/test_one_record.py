"""``op(record)`` in Python: what is taken for an image or a sound, and what is said where something is wrong."""

from __future__ import annotations

import io
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import soundfile
from PIL import Image as pillow

import leaven as lv
from leaven.errors import DataError, LeavenError, RecipeError

PIXELS = np.random.default_rng(1).integers(0, 256, (6, 8, 3), np.uint8)
WAVE = (0.3 * np.sin(np.arange(800) / 9)).astype(np.float32)
BOX = {"x": 1.0, "y": 1.0, "w": 5.0, "h": 3.0, "label": "cup"}


def png(pixels: np.ndarray) -> bytes:
    out = io.BytesIO()
    pillow.fromarray(pixels).save(out, "PNG")
    return out.getvalue()


def still(value: Any, field: str = "image") -> np.ndarray:
    """The pixels of a value that nothing is done to."""
    [row] = lv.Shade(brightness=0, contrast=0, on=field)({field: value})
    found: np.ndarray = row[field].pixels
    return found


@pytest.mark.parametrize("field", ["image", "photo"])
def test_what_is_taken_for_an_image(field: str, tmp_path: Path):
    (tmp_path / "a.png").write_bytes(png(PIXELS))
    path = str(tmp_path / "a.png")
    files = [{"bytes": png(PIXELS), "path": None}, {"bytes": png(PIXELS), "path": path}, {"bytes": None, "path": path}]
    for value in [PIXELS, pillow.fromarray(PIXELS), png(PIXELS), path, tmp_path / "a.png", *files, {"path": path}]:
        assert (still(value, field) == PIXELS).all(), type(value)


def heard(value: Any, field: str = "audio") -> Any:
    [row] = lv.AlterSound(shift=(0, 0), on=field)({field: value})
    return row[field]


@pytest.mark.parametrize("field", ["audio", "clip"])
def test_what_is_taken_for_a_sound(field: str, tmp_path: Path):
    soundfile.write(tmp_path / "a.wav", WAVE, 8000, "FLOAT")
    decoded = {"array": WAVE, "sampling_rate": 8000, "path": "a.wav"}  # as `datasets` does
    file = {"bytes": (tmp_path / "a.wav").read_bytes(), "path": "a.wav"}
    for value in [(WAVE, 8000), (WAVE[:, None], np.int64(8000)), decoded, {**decoded, "array": WAVE.tolist()}, file]:
        sound = heard(value, field)
        assert (sound.rate, sound.channels, len(sound.samples)) == (8000, 1, 800)
        assert np.allclose(sound.samples[:, 0], WAVE, atol=1e-4)


def test_rows_to_draw_from_are_taken_too():
    [row] = lv.MixImages(lam=0.5, on="photo")({"photo": PIXELS}, source=[{"photo": {"bytes": png(PIXELS)}}])
    assert np.abs(row["photo"].pixels.astype(int) - PIXELS).max() <= 1


def test_a_field_that_no_operator_is_told_to_work_on_stays_what_it_is():
    [row] = lv.Shade()({"image": PIXELS, "photo": PIXELS, "path": "a.png"})
    assert row["photo"] is PIXELS
    assert row["path"] == "a.png"


def test_of_a_field_that_may_hold_several_things_its_value_shows_which():
    assert len(lv.CutSwitch(on=["left", "right"], p=1.0)({"left": PIXELS, "right": pillow.fromarray(PIXELS)})) == 1
    [row] = lv.MaskSpectrum(on="features")({"features": np.ones((30, 8), np.float32)})
    assert row["features"].shape == (30, 8)


def said(op: Any, record: Any, **sets: Any) -> str:
    with pytest.raises(LeavenError) as error:
        op(record, **sets)
    return f"{type(error.value).__name__}: {error.value}"


EACH = "Fix: each is as {'x': 0.0, 'y': 0.0, 'w': 8.0, 'h': 8.0, 'label': 'cup'}"
SOUNDS = "Fix: give a path, bytes, (samples, rate), {'array': ..., 'sampling_rate': ...} or an Audio."


@pytest.mark.parametrize(
    ("record", "words"),
    [
        ({"audio": WAVE}, f"DataError: audio: it is samples without their rate.\n  {SOUNDS}"),
        ({"audio": (8000, WAVE)}, f"DataError: audio: it is of type tuple.\n  {SOUNDS}"),
        ({"audio": (WAVE, 0)}, "DataError: audio: its rate is 0; it is the number of samples a second."),
        ({"audio": (np.stack([WAVE, WAVE]), 8000)}, "DataError: audio: it has 2 frames of 800 channels each."),
        ({"audio": (WAVE * np.nan, 8000)}, "DataError: audio: samples are finite"),
        ({"audio": {"bytes": None, "path": "no.wav"}}, "DataError: audio: no.wav cannot be read (No such file"),
        ({"audio": None}, "DataError: add_noise works on `audio`, and the record's is None."),
        ({"clip": {"array": WAVE, "sampling_rate": 1}}, "RecipeError: add_noise needs audio; the record has clip.\n"
         "  Fix: name the field: on='clip'"),
        ({}, "RecipeError: add_noise needs audio; the record is empty.\n  Fix: give its fields: {'audio': ...}"),
        ("a.wav", "DataError: a record is a mapping of fields, not of type str."),
        ({"audio": (WAVE, 8000), "segments": [{"start": 0.0}]}, "DataError: segments[0] has no `end`; it has start.\n"
         "  Fix: each is as {'start': 0.0, 'end': 1.5, 'label': 'cup'}."),
    ],
)  # fmt: skip
def test_what_is_said_of_sounds(record: Any, words: str):
    assert said(lv.AddNoise(), record).startswith(words)


@pytest.mark.parametrize(
    ("boxes", "words"),
    [
        ([BOX, {"x": 1, "y": 2, "label": "b"}], f"DataError: boxes[1] has no `w`; it has x, y, label.\n  {EACH}."),
        ([{**BOX, "w": "5"}], f"DataError: `w` of boxes[0] is '5', not a number.\n  {EACH}."),
        ([{**BOX, "h": float("nan")}], f"DataError: `h` of boxes[0] is nan, not a number.\n  {EACH}."),
        ([[1, 1, 5, 3]], f"DataError: boxes[0] is of type list, not a mapping.\n  {EACH}."),
        (BOX, f"DataError: `boxes` is of type dict, not a list.\n  {EACH}, in a list."),
    ],
)
def test_what_is_said_of_boxes(boxes: Any, words: str):
    assert said(lv.Warp(), {"image": PIXELS, "boxes": boxes}) == words
    source = [{"image": PIXELS, "boxes": [BOX]}, {"image": PIXELS, "boxes": boxes}]
    assert said(lv.CopyPaste(), source[0], source=source) == words.replace("DataError: ", "DataError: source[1]: ", 1)


def test_what_is_said_of_what_lacks():
    plain, marked = {"image": PIXELS}, {"image": PIXELS, "boxes": [BOX]}
    assert said(lv.CopyPaste(), plain, source=[marked]) == (
        "RecipeError: copy_paste needs boxes or mask; the record has image.\n  Fix: give the record a field `boxes`."
    )
    assert lv.CopyPaste()(marked, source=[plain])[0]["_reason"] == "no_boxes"
    assert said(lv.MixImages(), plain, source=[{"text": "a"}]).startswith(
        "RecipeError: mix_images needs image in the source rows too; they have text.\n"
    )
    assert said(lv.MixImages(), plain, sorce=[]) == (
        "RecipeError: `sorce` is no set of rows and no role of a model.\n  Fix: the nearest is `source`."
    )


def test_a_source_without_rows_is_nothing_to_draw_from():
    assert lv.MixImages()({"image": PIXELS}, source=[])[0]["_reason"] == "no_partner"
    assert len(lv.Warp()({"image": PIXELS}, source=[])) == 1


TAKES = "it takes n, p, brightness, contrast, saturation, hue, gamma, blur, noise, jpeg, on, holds."


@pytest.mark.parametrize(
    ("name", "by_place", "named", "words"),
    [
        ("Shade", (), {"nois": 1}, f"shade has no parameter `nois`.\n  Fix: the nearest is `noise`; {TAKES}"),
        ("Shade", (), {"n": 0}, "n is 0; shade allows 1 to 50.\n  Fix: n: 1"),
        ("Shade", (), {"n": "two"}, f"n is 'two'; shade allows a whole number.\n  Fix: correct `n`; {TAKES}"),
        ("Shade", (), {"jpeg": (90, 10)}, "jpeg is [90, 10]; it goes from 1 to 100, the lower first."),
        ("Warp", (), {"fill": "blue"}, "fill is 'blue'; warp allows 'reflect' or a whole number."),
        ("Top", (1, 2), {}, "top takes one parameter by position, `n`.\n  Fix: Top(n=...)"),
        ("keep", (), {}, "keep needs the parameter `that`.\n  Fix: keep: {that: ...}"),
        ("Paraphrase", (), {"draw": {}}, "`draw` of paraphrase needs `k`.\n  Fix: draw: {k: ...}"),
        ("Paraphrase", (), {"draw": {"k": 1, "bye": 2}}, "`draw` of paraphrase has no parameter `bye`."),
        ("Match", (["a"],), {}, "match needs two fields, or one and `to` or `centre`."),
    ],
)  # fmt: skip
def test_wrong_parameters_are_said_as_in_a_recipe(
    name: str, by_place: tuple[Any, ...], named: dict[str, Any], words: str
):
    with pytest.raises(RecipeError) as error:
        getattr(lv, name)(*by_place, **named)
    assert str(error.value).startswith(words)
    assert error.value.__suppress_context__ or error.value.__context__ is None, "pydantic's own words are not shown"


def test_a_sound_that_is_none():
    with pytest.raises(DataError, match="a path, bytes"):
        lv.AddNoise()({"audio": 3})
