"""An image whatever its file holds: 8-bit RGB the right way up, or one clear reason why not."""

from __future__ import annotations

import pickle
import tracemalloc
from contextlib import suppress
from io import BytesIO

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from PIL import Image as Pillow

from leaven.media.broken import Broken
from leaven.media.image import Image
from media.files import animated, bomb, photo, saved, turned

PIXELS = np.asarray(photo())


def test_a_png_is_what_it_was():
    image = Image(saved(photo(), "PNG"), "a.png")
    assert image.size == (12, 8)
    assert (image.pixels == PIXELS).all()
    assert not image.pixels.flags.writeable
    assert repr(image) == "Image(12 x 8, a.png)"


@pytest.mark.parametrize(
    ("image", "options"),
    [
        (photo().convert("P", palette=Pillow.Palette.ADAPTIVE, colors=96), {}),
        (photo().convert("RGBA"), {}),
        (photo().convert("CMYK"), {"format": "TIFF"}),
    ],
    ids=["palette", "alpha", "cmyk"],
)
def test_other_ways_to_hold_colours(image: Pillow.Image, options: dict[str, str]):
    found = Image(saved(image, options.get("format", "PNG"))).pixels
    assert found.shape == (8, 12, 3)
    assert found.dtype == np.uint8
    assert np.abs(found.astype(int) - PIXELS).max() <= 24


def test_what_is_transparent_is_white():
    clear = Pillow.new("RGBA", (2, 1), (10, 20, 30, 0))
    clear.putpixel((1, 0), (10, 20, 30, 255))
    assert Image(saved(clear, "PNG")).pixels.tolist() == [[[255, 255, 255], [10, 20, 30]]]


def test_sixteen_bits_become_eight_for_an_image_and_stay_for_a_mask():
    wide = Pillow.fromarray(np.array([[0, 257, 65535]], np.uint16))
    data = saved(wide, "PNG")
    assert Image(data).pixels[0, :, 0].tolist() == [0, 1, 255]
    assert Image(data).codes.tolist() == [[0, 257, 65535]]


def test_an_exif_turn_is_done():
    image = Image(turned())
    assert image.size == (8, 12)
    assert image.pixels.shape == (12, 8, 3)
    assert image.size == (8, 12)
    red = image.pixels[:, 0, 0].astype(int)
    assert (np.diff(red) > 10).all(), "what fell from left to right falls from top to bottom"


def test_the_first_frame_of_an_animation():
    assert np.abs(Image(animated()).pixels.astype(int) - PIXELS).max() < 60
    assert Image(animated()).pixels[0, -1, 0] > 200


@pytest.mark.parametrize(
    ("data", "reason", "said"),
    [
        (b"", "broken_image", "x.jpg is empty (0 bytes)"),
        (b"no image at all", "broken_image", "x.jpg: no image format is recognised"),
        (saved(photo(64, 64), "JPEG")[:500], "broken_image", "x.jpg: Truncated File Read"),
        (saved(photo(64, 64), "JPEG")[:-60], "broken_image", "x.jpg: image file is truncated"),
        (saved(photo(64, 64), "PNG")[:120], "broken_image", "x.jpg: "),
        (bomb(), "too_large", "x.jpg claims too many pixels; the limit is 64,000,000 in all"),
        (bomb(10_000, 10_000), "too_large", "x.jpg is 10,000 x 10,000 pixels; the limit is 64,000,000 in all"),
    ],
    ids=["empty", "text", "head only", "end lost", "png cut", "bomb", "large"],
)
def test_what_cannot_be_used_says_so_once_checked(data: bytes, reason: str, said: str):
    tracemalloc.start()
    for use in (Image.check, lambda image: image.pixels):
        with pytest.raises(Broken) as broken:
            use(Image(data, "x.jpg"))
        assert broken.value.reason == reason
        assert broken.value.detail.startswith(said)
    assert tracemalloc.get_traced_memory()[1] < 20_000_000
    tracemalloc.stop()


def test_a_good_file_passes_the_check():
    for data in (saved(photo(), "JPEG"), saved(photo(), "PNG"), saved(photo(1, 1), "PNG"), turned(), animated()):
        Image(data).check()


@given(st.binary(max_size=200), st.integers(0, 400))
def test_any_bytes_are_an_image_or_broken(junk: bytes, cut: int):
    for data in (junk, saved(photo(), "PNG")[:cut] + junk, saved(photo(), "JPEG")[:cut] + junk):
        with suppress(Broken):
            assert Image(data).pixels.ndim == 3


def test_a_child_is_encoded_as_its_parent():
    dark = PIXELS // 2
    for kind, found in (("JPEG", "JPEG"), ("PNG", "PNG"), ("GIF", "PNG"), ("WEBP", "PNG")):
        parent = Image(saved(photo(), kind))
        child = Image.of(dark, parent)
        with Pillow.open(BytesIO(child.encoded)) as opened:
            assert opened.format == found
        assert child.encoded == Image.of(dark, parent).encoded
    assert (Image(Image.of(dark).encoded).pixels == dark).all()


def test_gray_stays_gray():
    parent = Image(saved(photo().convert("L"), "PNG"))
    child = Image.of(parent.pixels // 2, parent)
    with Pillow.open(BytesIO(child.encoded)) as opened:
        assert opened.mode == "L"
    assert (Image(child.encoded).pixels == child.pixels).all()


def test_settled_it_holds_bytes_alone():
    image = Image.of(PIXELS)
    image.settle()
    assert image._pixels is None
    assert (image.pixels == PIXELS).all()


def test_masks_hold_numbers():
    codes = np.array([[0, 1, 2], [3, 300, 5]])
    mask = Image.of_codes(codes)
    assert Image(mask.encoded).codes.tolist() == codes.tolist()
    palette = Pillow.fromarray(np.array([[0, 1], [2, 1]], np.uint8), "L").convert("P")
    palette.putdata([0, 1, 2, 1])
    assert Image(saved(palette, "PNG")).codes.tolist() == [[0, 1], [2, 1]]
    one = Pillow.fromarray(np.array([[True, False]]))
    assert Image(saved(one, "PNG")).codes.tolist() == [[1, 0]]
    gray = Pillow.fromarray(np.array([[7, 9]], np.uint8)).convert("RGB")
    assert Image(saved(gray, "PNG")).codes.tolist() == [[7, 9]]
    with pytest.raises(Broken, match="holds colours"):
        Image(saved(photo(), "PNG"), "mask.png").codes  # noqa: B018


def test_equal_are_those_of_equal_bytes():
    data = saved(photo(), "PNG")
    assert Image(data, "a") == Image(data, "b")
    assert Image(data) != Image(saved(photo(3, 3), "PNG"))
    carried = pickle.loads(pickle.dumps(Image.of(PIXELS)))  # noqa: S301
    assert (carried.pixels == PIXELS).all()


@pytest.mark.parametrize("pixels", [np.zeros((2, 2)), np.zeros((0, 2, 3), np.uint8), np.zeros(4, np.uint8)])
def test_pixels_of_another_kind_are_refused(pixels: np.ndarray):
    with pytest.raises(ValueError, match="pixels are uint8"):
        Image.of(pixels)
