"""YOLO files become boxes and polygons."""

from __future__ import annotations

from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from leaven.errors import DataError
from leaven.io.tables import open_table
from small_media import codes, opened, picture, text


def test_boxes_and_outlines_in_shares_of_the_image(tmp_path: Path):
    for split, names in (("train", "ab"), ("val", "c"), ("test", "d")):
        for name in names:
            picture(tmp_path / "images" / split / f"{name}.jpg", (8, 4))
    labels = tmp_path / "labels"
    text(labels / "train" / "a.txt", "1 0.5 0.5 0.25 0.5\n\n0 0 0 0.5 0 0.5 1.0\n")
    text(labels / "val" / "c.txt", "")
    text(labels / "train" / "lost.txt", "")
    text(tmp_path / "data.yaml", "train: images/train\nval: images/val\nnc: 2\nnames: ['cat', 'no']\n")
    rows, kinds, said = opened(tmp_path)
    outline = [[0.0, 0.0, 4.0, 0.0, 4.0, 4.0]]
    assert [(row["file_name"], row["boxes"], row["split"]) for row in rows] == [
        ("images/test/d.jpg", None, "test"),
        ("images/train/a.jpg", [
            {"x": 3.0, "y": 1.0, "w": 2.0, "h": 2.0, "label": "no", "polygons": None},
            {"x": 0.0, "y": 0.0, "w": 4.0, "h": 4.0, "label": "cat", "polygons": outline},
        ], "train"),
        ("images/train/b.jpg", [], "train"),
        ("images/val/c.jpg", [], "dev"),
    ]  # fmt: skip
    assert kinds == {"image": "image", "boxes": "boxes"}
    assert said == ["1 files of labels are there without an image (labels/train/lost.txt): left out"]


@pytest.mark.parametrize(
    ("file", "said", "label"),
    [
        ("data.yaml", "names:\n  0: a\n  3: true\n", "true"),
        ("my.yml", "names: [a, b, c, 1]\n", "1"),
        ("classes.txt", "a\nb\nc\nd e\n", "d e"),
        ("labels/classes.txt", "a\nb\nc\nd\n", "d"),
        ("obj.names", "a\nb\nc\nd\n", "d"),
        ("README.yaml", "what: else\n", "3"),
    ],
)
def test_names_of_classes(tmp_path: Path, file: str, said: str, label: str):
    picture(tmp_path / "train" / "images" / "a.jpg")
    text(tmp_path / "train" / "labels" / "a.txt", "3 .5 .5 1 1")
    text(tmp_path / file, said)
    rows, _, told = opened(tmp_path)
    assert [b["label"] for row in rows for b in row["boxes"]] == [label]
    assert rows[0]["split"] == "train"
    assert len(told) == (label == "3")


def test_keypoints_leave_the_box(tmp_path: Path):
    picture(tmp_path / "images" / "a.jpg", (8, 4))
    text(tmp_path / "labels" / "a.txt", "0 0.5 0.5 0.25 0.5 0.1 0.1 0.2 0.2")
    text(tmp_path / "data.yaml", "names: [a]\nkpt_shape: [2, 2]\n")
    [row], _, said = opened(tmp_path)
    assert row["boxes"] == [{"x": 3.0, "y": 1.0, "w": 2.0, "h": 2.0, "label": "a", "polygons": None}]
    assert said == [f"{tmp_path.name} has keypoints (kpt_shape): of them the boxes alone are read"]


@pytest.mark.parametrize(
    ("line", "said"),
    [
        ("0 0.5 0.5 0.25", "3 numbers after the class"),
        ("0 0.5 0.5 0.25 0.5 0.9", "a confidence"),
        ("0 0.1 0.1 0.2 0.2 0.3 0.3 0.4", "7 numbers after the class"),
        ("cat 0.5 0.5 0.25 0.5", "no class and numbers"),
        ("0 100 100 20 20", "no shares of the image"),
        ("0 nan 0.5 0.25 0.5", "no shares of the image"),
        ("5 0.5 0.5 0.25 0.5", "has the class 5; 1 have names"),
        ("-1 0.5 0.5 0.25 0.5", "has the class -1"),
    ],
)
def test_wrong_lines(tmp_path: Path, line: str, said: str):
    picture(tmp_path / "images" / "a.jpg")
    text(tmp_path / "labels" / "a.txt", f"0 0.5 0.5 1 1\n{line}\n")
    text(tmp_path / "classes.txt", "a\n")
    with pytest.raises(DataError, match=rf"labels/a.txt line 2.*{said}"):
        open_table(tmp_path)


def test_wrong_names(tmp_path: Path):
    picture(tmp_path / "images" / "a.jpg")
    text(tmp_path / "labels" / "a.txt", "0 0.5 0.5 1 1\n")
    text(tmp_path / "data.yaml", "names: cat\n")
    with pytest.raises(DataError, match="`names` is no list of names"):
        open_table(tmp_path)
    text(tmp_path / "data.yaml", "names: [&a x, *a]\n")
    with pytest.raises(DataError, match=r"data\.yaml"):
        open_table(tmp_path)


def test_an_image_that_cannot_be_opened_has_no_word_about_boxes(tmp_path: Path):
    text(tmp_path / "images" / "a.jpg", "no image")
    text(tmp_path / "labels" / "a.txt", "0 0.5 0.5 1 1\n")
    assert opened(tmp_path)[0][0].get("boxes") is None


def test_labels_that_are_pictures_are_masks(tmp_path: Path):
    picture(tmp_path / "images" / "a.jpg")
    codes(tmp_path / "labels" / "a.png")
    text(tmp_path / "classes.txt", "sky\nroad\n")
    assert opened(tmp_path)[1] == {"image": "image", "mask": "mask"}


@given(st.lists(st.tuples(*[st.floats(0, 1)] * 2, *[st.floats(0.01, 1.2)] * 2), min_size=1, max_size=5))
def test_boxes_lie_in_the_image(tmp_path_factory: pytest.TempPathFactory, boxes: list[tuple[float, ...]]):
    folder = tmp_path_factory.mktemp("yolo")
    picture(folder / "images" / "a.png", (17, 9))
    text(folder / "labels" / "a.txt", "".join(f"0 {' '.join(map(repr, box))}\n" for box in boxes))
    found = opened(folder)[0][0]["boxes"]
    assert len(found) == len(boxes)
    for box in found:
        assert min(box["x"], box["y"]) >= 0 < min(box["w"], box["h"])
        assert box["x"] + box["w"] <= 17 + 1e-9
        assert box["y"] + box["h"] <= 9 + 1e-9
