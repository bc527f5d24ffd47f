"""What pages show of images and sounds: small pictures, drawings over them, spectrograms, clips, what was drawn."""

from __future__ import annotations

import base64
from io import BytesIO
from typing import Any

import numpy as np
import pytest
import soundfile
from hypothesis import given
from hypothesis import strategies as st
from PIL import Image as pillow

from leaven.media.audio import Audio
from leaven.media.broken import Broken
from leaven.media.image import Image
from leaven.report.drawn import in_words, moved
from leaven.report.overlay import Colours, boxes, counted, points, segments
from leaven.report.spectrogram import clip, hear, heights, spectrogram
from leaven.report.thumbnail import thumbnail, veil


def opened(uri: str) -> Any:
    """The picture behind a data URI."""
    return pillow.open(BytesIO(base64.b64decode(uri.partition("base64,")[2])))


def photo(width: int, height: int, **options: Any) -> Image:
    across, down = np.meshgrid(np.linspace(0, 255, width), np.linspace(0, 255, height))
    pixels = np.stack([across, down, np.full_like(across, 90)], axis=-1).astype(np.uint8)
    out = BytesIO()
    pillow.fromarray(pixels).save(out, "JPEG", quality=95, **options)
    return Image(out.getvalue())


# -- thumbnails ------------------------------------------------------------------------------------------------------


def test_a_thumbnail_is_small_and_like_its_image():
    found = thumbnail(photo(1200, 800))  # large enough for the decoder to leave out pixels
    assert (found.width, found.height) == (1200, 800)
    small = opened(found.uri)
    assert small.format == "JPEG"
    assert small.size == (160, 107)
    across, down = np.meshgrid(np.linspace(0, 255, 160), np.linspace(0, 255, 107))
    seen = np.asarray(small, float)
    assert np.abs(seen[..., 0] - across).mean() < 4
    assert np.abs(seen[..., 1] - down).mean() < 4


def test_a_tiny_image_is_shown_pixel_by_pixel():
    pixels = np.random.Generator(np.random.Philox(key=1)).integers(0, 256, (20, 32, 3), np.uint8)
    small = opened(thumbnail(Image.of(pixels)).uri)
    assert small.format == "PNG"
    assert (np.asarray(small) == pixels).all()


def test_what_a_file_says_of_its_camera_does_not_get_into_the_page():
    exif = pillow.Exif()
    exif[0x0110], exif[0x0112] = "SecretCamera", 6  # the model, and a quarter turn
    turned = photo(400, 200, exif=exif.tobytes())
    assert b"SecretCamera" in turned.encoded
    found = thumbnail(turned)
    assert (found.width, found.height) == (200, 400)
    assert opened(found.uri).size == (80, 160)
    assert b"SecretCamera" not in base64.b64decode(found.uri.partition("base64,")[2])


@pytest.mark.parametrize("data", [b"", b"nope", photo(600, 500).encoded[:900]])
def test_a_broken_image_has_no_thumbnail(data: bytes):
    with pytest.raises(Broken):
        thumbnail(Image(data))


def test_a_mask_can_be_seen_through_and_its_background_is_nothing():
    codes = np.zeros((10, 20), np.uint8)
    codes[:, 5:10], codes[:, 10:15], codes[:, 15:] = 1, 2, 8
    shown = np.asarray(opened(veil(Image.of_codes(codes))).convert("RGBA"))
    assert shown.shape == (10, 20, 4)
    assert shown[0, 0, 3] == 0
    assert shown[0, 7].tolist() == [230, 159, 0, 140]
    assert shown[0, 12].tolist() == [86, 180, 233, 140]
    assert shown[0, 17].tolist() == [230, 159, 0, 140]  # the eighth colour is the first again


# -- drawings over them ----------------------------------------------------------------------------------------------

CAT = {"x": 10.0, "y": 20.0, "w": 100.0, "h": 50.0, "label": "cat", "polygons": None}


def test_boxes_are_scaled_and_named():
    drawn = boxes([CAT], 0.5, Colours(["cat"]))
    assert '<rect x="5.0" y="10.0" width="50.0" height="25.0" class="box"/>' in drawn
    assert '<g class="c0"><title>cat</title>' in drawn
    assert '<text class="name" x="7.5" y="19.5">cat</text>' in drawn
    assert "<text" not in boxes([{**CAT, "w": 8.0}], 0.5, Colours([]))  # no room for the name


def test_a_polygon_keeps_its_corners_and_leaves_out_what_cannot_be_seen():
    flat = [10.0, 20.0, 110.0, 20.0, 110.2, 20.1, 110.0, 70.0]
    drawn = boxes([{**CAT, "polygons": [flat]}], 1.0, Colours([]))
    assert 'd="M10.0 20.0L110.0 20.0L110.0 70.0z"' in drawn


def test_each_label_has_one_colour_and_is_counted():
    colours = Colours(["dog", "cat", "cat"])
    dogs = [{"x": 1.0, "y": 2.0, "label": "dog"}] * 3
    assert points(dogs, 1.0, colours).count('<g class="c1"><title>dog</title>') == 3
    assert counted([*dogs, CAT], colours) == '<span class="k c1">dog 3</span><span class="k c0">cat 1</span>'


def test_segments_lie_where_they_are_heard_and_end_with_what_is_shown():
    drawn = segments(
        [{"start": 0.5, "end": 1.0, "label": "word"}, {"start": 1.5, "end": 9.0, "label": None},
         {"start": 3.0, "end": 4.0, "label": "later"}],
        2.0, 300, 16, Colours([]),
    )  # fmt: skip
    assert 'x="75.0" y="12.0" width="75.0"' in drawn
    assert 'x="225.0" y="12.0" width="75.0"' in drawn
    assert "<title>word, 0.50 to 1.00 s</title>" in drawn
    assert "later" not in drawn


@given(st.text(st.characters(codec=None), max_size=30))
def test_a_label_is_text(label: str):
    marks = [{**CAT, "start": 0.0, "end": 1.0, "label": label}]
    colours = Colours([label])
    for drawn in (boxes(marks, 1.0, colours), points(marks, 1.0, colours), segments(marks, 1.0, 300, 16, colours)):
        drawn.encode("utf-8")
        plain = drawn.replace("<g", "").replace("<title", "").replace("<rect", "").replace("<circle", "")
        assert plain.replace("<text", "").replace("</", "").count("<") == 0


# -- sounds ----------------------------------------------------------------------------------------------------------


def tone(hertz: float, rate: int, seconds: float, level: float = 0.5) -> Audio:
    t = np.arange(round(rate * seconds)) / rate
    return Audio(Audio.of((level * np.sin(2 * np.pi * hertz * t)).astype(np.float32), rate).encoded)


def test_a_tone_stands_at_its_height():
    heard = hear(tone(1000, 16_000, 0.5), 16_000)
    assert heard.power.shape == (64, 51)
    [(_, share)] = heights((1000.0,), 16_000)
    loudest = int(heard.power.mean(axis=1).argmax())  # the lowest band comes last
    assert abs((63 - loudest + 0.5) / 64 - share) < 1.5 / 64
    shown = np.asarray(opened(spectrogram(heard, float(heard.power.max()))))
    assert shown.shape == (64, 51)
    assert shown[loudest].mean() < 10  # black
    assert shown[5].mean() > 245  # white


def test_half_as_loud_is_drawn_lighter_by_six_decibels_of_seventy():
    loud, soft = (hear(tone(1000, 16_000, 0.5, level), 16_000) for level in (0.5, 0.25))
    top = float(loud.power.max())
    both = [np.asarray(opened(spectrogram(heard, top)), float)[:, 20].min() for heard in (loud, soft)]
    assert both[1] - both[0] == pytest.approx(255 * 6.02 / 70, abs=255 / 63)


def test_above_its_own_highest_tone_a_sound_is_silent():
    heard = hear(tone(1000, 8000, 0.4), 16_000)
    [(_, share)] = heights((4500.0,), 16_000)
    above = heard.power[: round(64 * (1 - share))]
    assert above[:, 5:-5].max() < heard.power.max() - 55  # not at its ends, where it begins and breaks off


def test_a_clip_is_the_sound_itself_cut_and_mono():
    sound = tone(300, 8000, 0.25)
    samples, rate = soundfile.read(BytesIO(base64.b64decode(clip(sound).partition("base64,")[2])), always_2d=True)
    assert rate == 8000
    assert samples.shape == (2000, 1)
    assert np.abs(samples[:, 0] - sound.samples[:, 0]).max() <= 1 / 32768
    long = Audio.of(np.zeros((44_100 * 7, 2), np.float32), 44_100)
    uri = clip(Audio(long.encoded))
    assert uri.startswith("data:audio/flac;base64,")
    samples, rate = soundfile.read(BytesIO(base64.b64decode(uri.partition("base64,")[2])), always_2d=True)
    assert (rate, samples.shape) == (16_000, (80_000, 1))
    assert hear(Audio(long.encoded), 16_000).whole == 7.0
    assert hear(Audio(long.encoded), 16_000).seconds == 5.0


# -- what was drawn --------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("drawn", "said"),
    [
        ('{"rotate": 11.2049, "scale": 0.93}', "warp: rotate 11.2, scale 0.93"),
        ('{"flip": "horizontal", "boxes_dropped": 1}', "warp: flip horizontal; 1 box dropped"),
        ('{"boxes": [[7, 0, 7, 6]], "points_dropped": 3}', "warp: boxes (7, 0, 7, 6); 3 points dropped"),
        ('{"freq": [[33, 5], [2, 13]], "loud": true, "room": {}}', "warp: freq (33, 5), (2, 13), loud"),
        (None, "warp"),
        ("{}", "warp"),
        ("no json <b>", "warp: no json &lt;b&gt;"),
        ('["a", 2]', "warp: (a, 2)"),
    ],
)
def test_what_was_drawn_reads_as_a_line(drawn: str | None, said: str):
    assert in_words([{"step": "warp", "drawn": drawn}]) == said


def test_steps_follow_each_other_and_marks_come_last():
    steps = [{"step": "warp", "drawn": '{"rotate": 2, "boxes_dropped": 1}'}, {"step": "shade", "drawn": None}]
    assert in_words(steps, "2 boxes moved") == "warp: rotate 2 &gt; shade; 2 boxes moved, 1 box dropped"


def test_boxes_that_moved_are_counted():
    other = {**CAT, "x": 11.0}
    assert moved([CAT, other], [CAT, other], "boxes") == ""
    assert moved([CAT, other], [{**CAT, "y": 0.0}], "boxes") == "1 box moved"
    assert moved([CAT, other], [{**CAT, "y": 0.0}, {**CAT, "y": 1.0}], "boxes") == "2 boxes moved"
    assert moved([], [CAT], "boxes") == ""
    assert moved([{"start": 0.0, "end": 1.0}], [{"start": 0.1, "end": 1.1}], "segments") == "1 segment moved"
