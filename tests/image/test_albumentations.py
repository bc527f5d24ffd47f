"""The bridge to albumentations: which one is used, and, where it is there, what moves."""

from __future__ import annotations

import os
import subprocess
import sys
from importlib import metadata
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from leaven.errors import RecipeError
from leaven.image.albumentations import MIT, Albumentations
from leaven.media.image import Image

RUN = (
    "import numpy as np\nfrom leaven.image.albumentations import Albumentations\nfrom leaven.media.image import Image\n"
    "Albumentations('HorizontalFlip')({'image': Image.of(np.zeros((2, 2, 3), np.uint8))})"
)


def there() -> bool:
    for name in MIT:
        try:
            return metadata.version(name).startswith("2.")
        except metadata.PackageNotFoundError:
            continue
    return False


def installed(tmp_path: Path, name: str, version: str) -> str:
    """What a new process says in which a distribution of this name is installed (its package holds nothing)."""
    info = tmp_path / f"{name.replace('-', '_')}-{version}.dist-info"
    info.mkdir()
    (info / "METADATA").write_text(f"Metadata-Version: 2.1\nName: {name}\nVersion: {version}\n")
    package = tmp_path / "albumentations"
    package.mkdir(exist_ok=True)
    (package / "__init__.py").write_text("raise SystemExit('it was imported')\n")
    path = os.pathsep.join([str(tmp_path), *filter(None, [os.environ.get("PYTHONPATH")])])
    done = subprocess.run(
        [sys.executable, "-c", RUN], capture_output=True, text=True, env={**os.environ, "PYTHONPATH": path}
    )
    assert done.returncode == 1
    return done.stderr


def test_the_agpl_one_is_refused_by_name(tmp_path: Path):
    said = installed(tmp_path, "albumentationsx", "2.1.0")
    assert "AlbumentationsX 2.1.0 is installed; it is under the AGPL-3.0, which leaven does not use." in said
    assert "pip uninstall albumentationsx" in said
    assert "it was imported" not in said


@pytest.mark.skipif(there(), reason="albumentations is installed")
def test_another_version_or_none(tmp_path: Path):
    said = installed(tmp_path, "albumentations", "1.4.0")
    assert "MissingExtra: this step needs albumentations 2.x (MIT); albumentations 1.4.0 is installed." in said
    done = subprocess.run([sys.executable, "-c", RUN], capture_output=True, text=True)
    assert "MissingExtra: this step needs albumentations 2.x (MIT); it is not installed." in done.stderr
    assert 'Fix: pip install "albumentations>=2,<3"' in done.stderr


@pytest.mark.skipif(there(), reason="albumentations is installed")
def test_the_fork_under_mit_is_taken(tmp_path: Path):
    assert "it was imported" in installed(tmp_path, "nrtk-albumentations", "2.3.0")


needs = pytest.mark.skipif(not there(), reason="albumentations 2.x is not installed")


def record() -> dict[str, Any]:
    pixels = np.zeros((60, 80, 3), np.uint8)
    pixels[10:30, 20:50] = 255
    corners = [20, 10, 50, 10, 50, 30, 20, 30]
    return {
        "image": Image.of(pixels),
        "mask": Image.of_codes((pixels[..., 0] > 0).astype(np.uint8)),
        "boxes": [
            {"x": 20, "y": 10, "w": 30, "h": 20, "label": "left_hand", "polygons": [corners]},
            {"x": 20, "y": 10, "w": 30, "h": 20.0000001, "label": "right_hand", "polygons": None},
            {"x": -9, "y": 10, "w": 5, "h": 20, "label": "right_hand", "polygons": None},
        ],
        "points": [{"x": 20, "y": 10, "label": "left_eye"}],
        "caption": "a dog on the left",
    }


@needs
def test_a_mirror():
    [row] = Albumentations("HorizontalFlip")(record())
    assert row["boxes"] == [
        {
            "x": 30.0, "y": 10.0, "w": 30.0, "h": 20.0, "label": "right_hand",
            "polygons": [[60.0, 10.0, 30.0, 10.0, 30.0, 30.0, 60.0, 30.0]],
        },
        {"x": 30.0, "y": 10.0, "w": 30.0, "h": 20.0, "label": "left_hand", "polygons": None},
    ]  # fmt: skip
    assert row["points"] == [{"x": 60.0, "y": 10.0, "label": "right_eye"}]
    assert row["caption"] == "a dog on the right"
    assert row["mask"].codes[:, 30:60].any()
    assert not row["mask"].codes[:, :30].any()


@needs
@pytest.mark.parametrize(
    ("transform", "params"),
    [
        ("Affine", {"rotate": [-30, 30], "scale": [0.8, 1.2]}),
        ("Perspective", {}),
        ("RandomCrop", {"height": 40, "width": 60}),
        ("MotionBlur", {"blur_limit": [3, 5]}),
        ("CoarseDropout", {}),
    ],
)
def test_boxes_bound_what_the_mask_shows(transform: str, params: dict[str, Any]):
    rows = Albumentations(transform, params=params, n=5, smallest=0)(record())
    for row in rows:
        rows_in, columns_in = (np.flatnonzero(row["mask"].codes.any(axis)) for axis in (1, 0))
        if not len(rows_in):
            continue
        assert len(row["boxes"]) == 2
        for box in row["boxes"]:
            assert box["x"] <= columns_in[0] + 1
            assert box["y"] <= rows_in[0] + 1
            assert box["x"] + box["w"] >= columns_in[-1]
            assert box["y"] + box["h"] >= rows_in[-1]
    again = Albumentations(transform, params=params, n=5, smallest=0)(record())
    assert [row["image"].encoded for row in rows] == [row["image"].encoded for row in again]


@needs
def test_what_would_be_false_is_refused():
    assert Albumentations("Transpose")(record())[0]["_reason"] == "text_untrue"
    assert Albumentations("VerticalFlip")(record())[0]["_reason"] == "text_untrue"
    plain = {name: value for name, value in record().items() if name in ("image", "mask")}
    assert Albumentations("Transpose")({**plain, "caption": "a dog"})[0]["image"].size == (60, 80)
    small = {**plain, "mask": Image.of_codes(np.zeros((2, 2), np.uint8))}
    assert Albumentations("Transpose")(small)[0]["_reason"] == "mask_size"


@needs
@pytest.mark.parametrize(
    ("transform", "params", "said"),
    [
        ("GaussianBlurr", {}, "albumentations has no transform `GaussianBlurr`"),
        ("Compose", {}, "albumentations has no transform `Compose`"),
        ("HorizontalFlip", {"px": 3}, "'px' are not valid"),
        ("Rotate", {"limit": "far"}, "Rotate"),
        ("Normalize", {}, "Normalize makes float32 values"),
    ],
)
def test_errors(transform: str, params: dict[str, Any], said: str):
    with pytest.raises(RecipeError, match=said):
        Albumentations(transform, params=params)(record())
