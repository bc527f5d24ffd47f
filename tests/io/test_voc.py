"""Pascal VOC files become boxes."""

from __future__ import annotations

from collections import Counter
from pathlib import Path

import pytest

from leaven.errors import DataError
from leaven.io.tables import open_table
from small_media import IMAGES, opened, paths, picture, text

OBJECT = "<object><name>{}</name><bndbox><xmin>{}</xmin><ymin>{}</ymin><xmax>{}</xmax><ymax>{}</ymax></bndbox></object>"


def xml(path: Path, *objects: str, size: str = "<size><width>8</width><height>6</height></size>") -> None:
    text(path, f"<annotation><filename>other.jpg</filename>{size}{''.join(objects)}</annotation>")


def test_pixels_are_counted_from_one_and_the_last_is_included(tmp_path: Path):
    for name in ("a", "b", "c"):
        picture(tmp_path / "JPEGImages" / f"{name}.jpg")
    xml(tmp_path / "Annotations" / "a.xml", OBJECT.format(" cat ", 1, 1, 8, 6), OBJECT.format("dog", 2, 3, 2.5, 3))
    xml(tmp_path / "Annotations" / "b.xml")
    xml(tmp_path / "Annotations" / "z.xml")
    rows, kinds, said = opened(tmp_path)
    assert paths(rows) == ["JPEGImages/a.jpg", "JPEGImages/b.jpg", "JPEGImages/c.jpg"]
    assert [row["boxes"] for row in rows] == [
        [
            {"x": 0.0, "y": 0.0, "w": 8.0, "h": 6.0, "label": "cat", "polygons": None},
            {"x": 1.0, "y": 2.0, "w": 1.5, "h": 1.0, "label": "dog", "polygons": None},
        ],
        [],
        None,
    ]
    assert kinds == {"image": "image", "boxes": "boxes"}
    assert said == ["1 xml files are there without an image (Annotations/z.xml): left out"]


def test_lists_say_the_splits(tmp_path: Path):
    for name in ("a", "b", "c d", "e"):
        picture(tmp_path / "JPEGImages" / f"{name}.jpg")
        xml(tmp_path / "Annotations" / f"{name}.xml", OBJECT.format("cat", 1, 1, 2, 2))
    lists = tmp_path / "ImageSets" / "Main"
    text(lists / "train.txt", "a\n\nb  1\n")
    text(lists / "val.txt", "c d\n")
    text(lists / "cat_train.txt", "e 1\n")
    text(lists / "trainval.txt", "a\nb\ne\n")
    rows, _, said = opened(tmp_path)
    assert [(row["image"]["path"], row["split"]) for row in rows] == [
        ("JPEGImages/a.jpg", "train"), ("JPEGImages/b.jpg", "train"), ("JPEGImages/c d.jpg", "dev"),
    ]  # fmt: skip
    assert said == ["1 images are in no file of ImageSets/Main: left out"]


def test_xml_beside_the_images_of_a_split(tmp_path: Path):
    for split in ("train", "valid"):
        picture(tmp_path / split / "a.jpg")
        xml(tmp_path / split / "a.xml", OBJECT.format("cat", 1, 1, 2, 2))
    assert [(row["split"], len(row["boxes"])) for row in opened(tmp_path)[0]] == [("train", 1), ("dev", 1)]


def test_the_image_says_how_large_it_is(tmp_path: Path):
    picture(tmp_path / "images" / "a.jpg")
    xml(tmp_path / "annotations" / "a.xml", OBJECT.format("cat", 5, 5, 90, 90), "<object><name>x</name></object>",
        OBJECT.format("cat", 7, 1, 3, 3), size="<size><width>0</width><height>0</height></size>")  # fmt: skip
    [row], _, said = opened(tmp_path)
    assert row["boxes"] == [{"x": 4.0, "y": 4.0, "w": 4.0, "h": 2.0, "label": "cat", "polygons": None}]
    assert said == [
        f"{tmp_path.name}: 1 box is empty or lies outside the image: left out",
        f"{tmp_path.name}: 1 box leaves the image: cut at its edge",
        f"{tmp_path.name}: 1 object has no box: left out",
    ]


BOMB = (
    '<!DOCTYPE lolz [<!ENTITY a "ha"><!ENTITY b "&a;&a;">]><annotation><object><name>&b;</name></object></annotation>'
)
OUTSIDE = '<!DOCTYPE x [<!ENTITY p SYSTEM "file:///etc/passwd">]><annotation><folder>&p;</folder></annotation>'


@pytest.mark.parametrize(
    ("data", "said"),
    [
        (BOMB.encode(), "document type or entities"),
        (OUTSIDE.encode(), "document type or entities"),
        (BOMB.replace("!DOCTYPE", "!doctype").encode(), "document type or entities"),
        (f'<?xml version="1.0" encoding="UTF-16"?>{BOMB}'.encode("utf-16"), "no UTF-8|document type"),
        (f'<?xml version="1.0" encoding="utf-7"?>{BOMB}'.encode("utf-7"), "document type|no xml"),
        (b"<annotation><object></annotation>", "it is no xml"),
        (b"<annotation><object><bndbox/></object></annotation>", "an object has no name"),
        (OBJECT.format("cat", 1, 1, "x", 2).join(["<annotation>", "</annotation>"]).encode(), "the box of a `cat`"),
        (b"", "it is no xml"),
    ],
)
def test_hostile_and_damaged_files(tmp_path: Path, data: bytes, said: str):
    picture(tmp_path / "JPEGImages" / "a.jpg")
    text(tmp_path / "Annotations" / "a.xml", "")
    (tmp_path / "Annotations" / "a.xml").write_bytes(data)
    with pytest.raises(DataError, match=said) as caught:
        open_table(tmp_path)
    assert "root:" not in str(caught.value)


def test_deep_nesting_and_other_encodings(tmp_path: Path):
    picture(tmp_path / "JPEGImages" / "a.jpg")
    deep = "<a>" * 100_000 + "</a>" * 100_000
    text(tmp_path / "Annotations" / "a.xml", f"<annotation>{deep}</annotation>")
    assert opened(tmp_path)[0][0]["boxes"] == []
    latin = f'<?xml version="1.0" encoding="ISO-8859-1"?><annotation>{OBJECT.format("Löwe", 1, 1, 2, 2)}</annotation>'
    (tmp_path / "Annotations" / "a.xml").write_bytes(latin.encode("latin-1"))
    assert opened(tmp_path)[0][0]["boxes"][0]["label"] == "Löwe"


@pytest.mark.skipif(not IMAGES.is_dir(), reason="needs the shared data beside the repository")
def test_bccd():
    rows, kinds, said = opened(IMAGES / "bccd-blood-cells")
    assert len(rows) == len(list((IMAGES / "bccd-blood-cells" / "JPEGImages").iterdir()))
    assert Counter(b["label"] for row in rows for b in row["boxes"]).keys() == {"RBC", "WBC", "Platelets"}
    assert rows[0]["boxes"][0] == {"x": 259.0, "y": 176.0, "w": 232.0, "h": 200.0, "label": "WBC", "polygons": None}
    assert (kinds, said) == ({"image": "image", "boxes": "boxes"}, [])
