"""COCO files become boxes, polygons and captions."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from leaven.errors import DataError
from leaven.io import coco
from leaven.io.rle import outlines, polygons_of, unpacked
from leaven.io.tables import open_table
from small_media import IMAGES, opened, paths, picture, text


def file(path: Path, images: list[dict[str, Any]], notes: list[dict[str, Any]], names: dict[int, str] | None) -> None:
    data: dict[str, Any] = {"images": images, "annotations": notes}
    if names is not None:
        data["categories"] = [{"id": number, "name": name} for number, name in names.items()]
    text(path, json.dumps(data))


def image(number: Any, name: str, size: tuple[int, int] = (8, 6)) -> dict[str, Any]:
    return {"id": number, "file_name": name, "width": size[0], "height": size[1]}


def note(number: Any, bbox: Any, category: Any = 7, **more: Any) -> dict[str, Any]:
    return {"id": 1, "image_id": number, "bbox": bbox, "category_id": category, **more}


def box(x: float, y: float, w: float, h: float, label: str = "cat", polygons: Any = None) -> dict[str, Any]:
    return {"x": x, "y": y, "w": w, "h": h, "label": label, "polygons": polygons}


def test_instances_and_captions_of_the_same_images(tmp_path: Path):
    for name in ("train2017/b.jpg", "train2017/a.jpg", "val2017/c.jpg"):
        picture(tmp_path / name)
    at = tmp_path / "annotations"
    both = [image(1, "a.jpg"), image(2, "b.jpg")]
    lines = [[1, 1, 4, 1, 4, 4], [2, 2, 3, 3, 2, 3]]
    file(at / "instances_train2017.json", both,
         [note(2, [1.5, 1, 3, 3.25], segmentation=lines), note(2, [0, 0, 8, 6], 9)], {7: "cat", 9: "dog"})  # fmt: skip
    file(at / "captions_train2017.json", both, [{"image_id": 2, "id": n, "caption": f" c{n} "} for n in (5, 3)], None)
    file(at / "instances_val2017.json", [image(1, "c.jpg")], [], {7: "cat"})
    file(at / "person_keypoints_train2017.json", both, [note(1, [0, 0, 1, 1])], {7: "person"})
    text(at / "readme.json", '{"what": "else"}')
    rows, kinds, said = opened(tmp_path)
    first = [[1.0, 1.0, 4.0, 1.0, 4.0, 4.0], [2.0, 2.0, 3.0, 3.0, 2.0, 3.0]]
    assert [(row["image"]["path"], row["boxes"], row["captions"], row["split"]) for row in rows] == [
        ("train2017/a.jpg", [], [], "train"),
        ("train2017/b.jpg", [box(1.5, 1, 3, 3.25, polygons=first), box(0, 0, 8, 6, "dog")], ["c5", "c3"], "train"),
        ("val2017/c.jpg", [], None, "dev"),
    ]
    assert kinds == {"image": "image", "boxes": "boxes", "captions": "caption"}
    assert said == []


def test_one_caption_each_is_a_caption(tmp_path: Path):
    for name in ("a.jpg", "b.jpg"):
        picture(tmp_path / name)
    told = [{"image_id": n, "id": n, "caption": f"c{n}"} for n in (1, 2)]
    file(tmp_path / "captions.json", [image(1, "a.jpg"), image(2, "b.jpg")], told, None)
    rows, kinds, _ = opened(tmp_path)
    assert [row["caption"] for row in rows] == ["c1", "c2"]
    assert kinds == {"image": "image", "caption": "caption"}


@pytest.mark.parametrize(
    ("json_at", "image_at", "name", "split"),
    [
        ("a.json", "x.jpg", "x.jpg", None),
        ("a.json", "images/x.jpg", "x.jpg", None),
        ("a.json", "train/x.jpg", "train/x.jpg", "train"),
        ("annotations/instances_default.json", "images/x.jpg", "x.jpg", None),
        ("annotations/instances_train.json", "images/train/x.jpg", "x.jpg", "train"),
        ("valid/_annotations.coco.json", "valid/x.jpg", "x.jpg", "dev"),
        ("annotations.json", "deep/down/x.jpg", "x.jpg", None),
    ],
)
def test_where_images_lie(tmp_path: Path, json_at: str, image_at: str, name: str, split: str | None):
    picture(tmp_path / image_at)
    file(tmp_path / json_at, [image(1, name)], [note(1, [1, 1, 2, 2])], {7: "cat"})
    [row], _, said = opened(tmp_path)
    assert (row["image"]["path"], row["boxes"], row.get("split")) == (image_at, [box(1, 1, 2, 2)], split)
    assert said == []


def test_boxes_are_made_to_fit_and_counted(tmp_path: Path):
    picture(tmp_path / "a.jpg")
    bad = [[-3, -1, 5, 3], [7, 5, 1.0000006, 1], [9, 1, 2, 2], [1, 1, 0, 2], [1, 1, -2, 2], [1, 1, float("nan"), 2]]
    notes = [note(1, b) for b in bad] + [note(1, [0, 0, 2, 2], segmentation=[[-1, -1, 9, 0, 4, 9]])]
    notes += [note(1, [0, 0, 2, 2], iscrowd=1), note(99, [0, 0, 1, 1])]
    file(tmp_path / "a.json", [image(1, "a.jpg"), image(2, "gone.jpg"), image(3, "../../etc/passwd.jpg")], notes,
         {7: "cat"})  # fmt: skip
    picture(tmp_path / "free.jpg")
    [row], _, said = opened(tmp_path)
    assert row["boxes"] == [box(0, 0, 2, 2), box(7, 5, 1, 1), box(0, 0, 2, 2, polygons=[[0, 0, 8, 0, 4, 6]])]
    assert said == [
        "a.json: 4 boxes are empty or lie outside the image: left out",
        "a.json: 1 box leaves the image: cut at its edge",
        "a.json lists 2 of 3 images that are not there (gone.jpg, ../../etc/passwd.jpg): left out",
        "a.json has 1 box of crowds (iscrowd): left out",
        "a.json has 1 annotation of images that it does not list: left out",
        "1 images are in no COCO file: left out",
    ]


def test_an_image_of_another_size_than_the_file_says(tmp_path: Path):
    from PIL import Image

    turned = Image.Exif()
    turned[0x0112] = 6
    picture(tmp_path / "a.jpg", exif=turned)
    file(tmp_path / "a.json", [image(1, "a.jpg")], [note(1, [1, 5, 2, 2])], {7: "cat"})
    [row], _, said = opened(tmp_path)
    assert row["boxes"] == [box(1, 5, 2, 2)]  # the image is shown 6 wide and 8 high
    assert said == [
        "1 image is not of the size that a.json gives (a.jpg):"
        " boxes that were noted on a turned or scaled copy do not fit"
    ]


@pytest.mark.parametrize(
    ("data", "said"),
    [
        ({"images": [{"id": 1}], "annotations": []}, "image 1 has no `id` or no `file_name`"),
        ({"images": [image(1, "a.jpg"), image("1", "b.jpg")], "annotations": []}, "two images have the id 1"),
        ({"images": [image(1, "a.jpg")], "annotations": [{}]}, "annotation 1 has no `image_id`"),
        ({"images": [image(1, "a.jpg")], "annotations": [note(1, [0, 0, 1, 1])]}, "the category 7, which is not"),
        ({"images": [image(1, "a.jpg")], "annotations": [note(1, [0, 0, 1])], "categories": [{"id": 7, "name": "c"}]},
         "has no `bbox` of four numbers"),
        ({"images": [image(1, "a.jpg")], "annotations": [note(1, "box")], "categories": [{"id": 7, "name": "c"}]},
         "has no `bbox` of four numbers"),
        ({"images": [image(1, "a.jpg")], "annotations": [], "categories": "cat"}, "`categories` is no list"),
        ({"images": [image(1, "gone.jpg")], "annotations": []}, "no image that"),
        ('{"images": [', "is no JSON"),
        ("[" * 100_000, "is nested too deeply"),
    ],
)  # fmt: skip
def test_damaged_files(tmp_path: Path, data: Any, said: str):
    picture(tmp_path / "a.jpg")
    text(tmp_path / "annotations" / "a.json", data if isinstance(data, str) else json.dumps(data))
    with pytest.raises(DataError, match=said):
        open_table(tmp_path)


def test_a_file_beyond_the_limit(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    picture(tmp_path / "a.jpg")
    file(tmp_path / "a.json", [image(1, "a.jpg")], [], {})
    monkeypatch.setattr(coco, "MOST_BYTES", 10)
    with pytest.raises(DataError, match="the limit is 10"):
        open_table(tmp_path)


def test_two_files_about_one_image(tmp_path: Path):
    picture(tmp_path / "a.jpg")
    for name in ("a.json", "b.json"):
        file(tmp_path / name, [image(1, "a.jpg")], [note(1, [0, 0, 1, 1])], {7: "cat"})
    with pytest.raises(DataError, match=r"a.json and b.json both hold boxes of a.jpg"):
        open_table(tmp_path)


def test_other_json_at_the_top_is_none_of_ours(tmp_path: Path):
    picture(tmp_path / "cat" / "a.jpg")
    picture(tmp_path / "dog" / "b.jpg")
    text(tmp_path / "package.json", "{not json")
    text(tmp_path / "config.json", "{}")
    assert [row["label"] for row in opened(tmp_path)[0]] == ["cat", "dog"]


# -- masks as run lengths ----------------------------------------------------------------------------------------------


def test_run_lengths_become_polygons(tmp_path: Path):
    picture(tmp_path / "a.jpg")
    squares = {"size": [6, 8], "counts": [7, 2, 4, 2, 33]}  # down the columns: x 1 to 2, y 1 to 2
    damaged = {"size": [6, 8], "counts": [1, 2]}
    notes = [note(1, None, segmentation=squares), note(1, [1, 1, 2, 2], segmentation=damaged)]
    file(tmp_path / "a.json", [image(1, "a.jpg")], notes, {7: "cat"})
    [row], _, said = opened(tmp_path)
    assert row["boxes"] == [box(1, 1, 2, 2, polygons=[[1, 1, 3, 1, 3, 3, 1, 3]]), box(1, 1, 2, 2)]
    assert said == ["a.json has 1 outline that cannot be read: left out, the box stays"]


def test_a_hole_is_filled_and_regions_that_touch_at_a_corner_are_two():
    ring = np.ones((3, 3), bool)
    ring[1, 1] = False
    assert outlines(ring) == [[0, 0, 3, 0, 3, 3, 0, 3]]
    assert outlines(np.eye(2, dtype=bool)) == [[0, 0, 1, 0, 1, 1, 0, 1], [1, 1, 2, 1, 2, 2, 1, 2]]
    assert outlines(np.zeros((2, 2), bool)) == []


@pytest.mark.parametrize(
    "said",
    [None, {}, {"size": [2], "counts": [4]}, {"size": [2, 2], "counts": [-1, 5]}, {"size": [2, 2], "counts": "?"},
     {"size": [2, 2], "counts": "\x00"}, {"size": [10**6, 10**6], "counts": [10**12]},
     {"size": [2, 2], "counts": "ooooooooooo"}, {"size": ["x", 2], "counts": []}],
)  # fmt: skip
def test_damaged_run_lengths(said: Any):
    assert polygons_of(said) is None


@given(st.integers(1, 9), st.integers(1, 9), st.data())
def test_polygons_cover_what_the_mask_covers(height: int, width: int, data: st.DataObject):
    """Against COCO's own encoder; filled by the even-odd rule at the middles of the pixels."""
    tool = pytest.importorskip("pycocotools.mask")
    bits = data.draw(st.lists(st.booleans(), min_size=height * width, max_size=height * width))
    mask = np.array(bits, bool).reshape(height, width)
    packed = tool.encode(np.asfortranarray(mask.astype(np.uint8)))
    lines = polygons_of({"size": packed["size"], "counts": packed["counts"].decode()}) or []
    covered = np.zeros((height, width), bool)
    for line in lines:
        points = list(zip(line[::2], line[1::2], strict=True))
        for y in range(height):
            for x in range(width):
                ahead = points[1:] + points[:1]
                crossed = sum(
                    (b > y + 0.5) != (d > y + 0.5) and x + 0.5 < a for (a, b), (_, d) in zip(points, ahead, strict=True)
                )
                covered[y, x] |= crossed % 2 == 1
    assert (covered[mask]).all()
    if covered.sum() != mask.sum():  # more than the mask is covered where it has holes alone
        from scipy import ndimage

        labels, regions = ndimage.label(mask)
        filled = [ndimage.binary_fill_holes(labels == n + 1, np.ones((3, 3))) for n in range(regions)]
        assert (covered == np.any(filled, axis=0)).all()


@given(st.lists(st.integers(0, 3000), min_size=1, max_size=12))
def test_packed_run_lengths(runs: list[int]):
    tool = pytest.importorskip("pycocotools.mask")
    if sum(runs) == 0:
        return
    packed = tool.frPyObjects({"size": [sum(runs), 1], "counts": runs}, sum(runs), 1)
    assert unpacked(packed["counts"].decode()) == runs


# -- real data ---------------------------------------------------------------------------------------------------------


@pytest.mark.skipif(not IMAGES.is_dir(), reason="needs the shared data beside the repository")
def test_coco_mini():
    rows, kinds, said = opened(IMAGES / "coco-mini")
    assert [sum(row["split"] == split for row in rows) for split in ("train", "dev")] == [30, 15]
    assert {len(row["captions"]) for row in rows} == {5}
    assert sum(len(row["boxes"]) for row in rows if row["split"] == "train") == 296
    assert all(len(line) >= 6 for row in rows for b in row["boxes"] for line in b["polygons"])
    assert kinds == {"image": "image", "boxes": "boxes", "captions": "caption"}
    assert said == [
        "annotations/instances_train2017.json has 4 boxes of crowds (iscrowd): left out",
        "annotations/instances_val2017.json has 2 boxes of crowds (iscrowd): left out",
    ]
    assert paths(rows)[0] == "train2017/000000000790.jpg"
