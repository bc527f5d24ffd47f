"""Images in a measurement: keys, near copies, thumbnails; the whole way over a folder."""

from __future__ import annotations

import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import pytest
from shapes_and_tones import picture, pictures

from leaven.measure.images import Images
from leaven.measure.media import View
from leaven.media.image import Image, png

SHARED = Path(__file__).parents[2] / ".." / "shared" / "data" / "image"
NOTHING = [{"shade": {"brightness": 0.1}}]


def views(*values: Image) -> list[View]:
    return [Images().view(value) for value in values]


def jpeg(pixels: np.ndarray, quality: int = 60) -> Image:
    return Image(cv2.imencode(".jpg", pixels[..., ::-1], [cv2.IMWRITE_JPEG_QUALITY, quality])[1].tobytes())


def scene(seed: int) -> np.ndarray:
    """Something with edges and shades, as photographs have."""
    rng = np.random.default_rng(seed)
    coarse = rng.integers(0, 255, (7, 9, 3), dtype=np.uint8)
    return cv2.resize(coarse, (180, 140), interpolation=cv2.INTER_CUBIC)


def test_a_copy_that_was_written_anew_has_the_key_of_the_original():
    first, again = views(jpeg(scene(0)), Image(png(jpeg(scene(0)).pixels)))
    assert first.key == again.key
    assert first.size == (180, 140)


def test_near_is_what_was_only_encoded_scaled_or_lit_anew():
    test = views(*(Image.of(scene(seed)) for seed in range(20)))
    brighter = np.clip(scene(3) * 1.1, 0, 255).astype(np.uint8)
    near = views(jpeg(scene(0)), Image.of(cv2.resize(scene(1), (90, 70))), Image.of(brighter))
    others = views(*(Image.of(scene(seed)) for seed in range(20, 40)), Image.of(scene(0)[::-1]))
    assert Images().near(near, test).all()
    assert not Images().near(others, test).any()


def test_two_plain_images_are_not_near():
    """No edges, no spread: nothing says that they show the same."""
    gray, black = views(*(Image.of(np.full((20, 20, 3), value, np.uint8)) for value in (90, 0)))
    assert not Images().near([gray], [black]).any()


@pytest.mark.skipif(not SHARED.exists(), reason="shared data is absent")
@pytest.mark.parametrize(
    ("files", "near"),
    [("cifar10/test/*/*.jpg", []), ("bccd-blood-cells/JPEGImages/*.jpg", ["BloodImage_00038"])],  # as 37, sharper
)
def test_of_real_photographs_only_two_of_one_smear_are_near(files: str, near: list[str]):
    paths = sorted(SHARED.glob(files))
    every = views(*(Image.read(path) for path in paths))
    assert [paths[i].stem for i in range(1, len(every)) if Images().near([every[i]], every[:i])[0]] == near


def test_a_run_over_images_is_measured(augment: Callable[..., Path], shown: Callable[..., Any], tmp_path: Path):
    out = augment(pictures(tmp_path / "data", 12, 0), NOTHING, "--test", "0.5")
    found = shown(str(out), "--ratios", "0.5,1")
    assert found["test"]["rows"] == 18
    assert {row["student"] for row in found["rows"]} == {"image features + linear", "thumbnail + linear"}
    assert {row["arm"] for row in found["rows"]} == {"real", "repeat", "classic", "made", "both"}
    assert found["classic"] == "trivial-augment"
    repeated = [row["gain"] for row in found["rows"] if row["arm"] == "repeat"]
    assert all(gain == {"mean": 0.0, "low": 0.0, "high": 0.0} for gain in repeated)
    assert found["verdict"] in ("use", "no_gain", "harmful", "unclear")
    assert not found["warnings"]


def test_made_images_that_copy_a_test_image_are_left_out(shown: Callable[..., Any], tmp_path: Path):
    real, test = pictures(tmp_path / "real", 5, 0), pictures(tmp_path / "test", 5, 1)
    made = pictures(tmp_path / "made", 4, 2)
    pixels = Image.read(test / "disc" / "0.png").pixels
    (made / "disc" / "copy.bmp").write_bytes(cv2.imencode(".bmp", pixels[..., ::-1])[1].tobytes())
    (made / "disc" / "near.jpg").write_bytes(jpeg(Image.read(test / "disc" / "1.png").pixels, 95).encoded)
    found = shown(str(real), "--with", str(made), "--test", str(test), "--ratios", "0.5")
    assert found["leaks"] == {"copies": 1, "near": 1, "refused_earlier": 0}
    assert max(row["rows"] for row in found["rows"]) == 15 + 15


def test_copies_and_shuffled_labels_gain_nothing(shown: Callable[..., Any], tmp_path: Path):
    real, test = pictures(tmp_path / "real", 8, 0), pictures(tmp_path / "test", 12, 1)
    copies = str(shutil.copytree(real, tmp_path / "copies"))
    found = shown(str(real), "--with", copies, "--test", str(test), "--ratios", "1")
    assert all(row["gain"]["mean"] == 0 for row in found["rows"] if row["arm"] == "both" and row["ratio"] == 1)
    assert found["verdict"] == "no_gain"
    rng, noise = np.random.default_rng(3), tmp_path / "noise"
    for number, label in enumerate(rng.permutation(["disc", "cross", "frame"] * 8)):
        (noise / label).mkdir(parents=True, exist_ok=True)
        kind = ("disc", "cross", "frame")[number % 3]
        (noise / label / f"{number}.png").write_bytes(png(picture(kind, rng)))
    found = shown(str(real), "--with", str(noise), "--test", str(test), "--ratios", "1")
    assert found["verdict"] != "use"
    assert max(row["gain"]["mean"] for row in found["rows"] if row["arm"] == "both") < 0.05
