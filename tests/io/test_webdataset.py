"""Shards of webdataset become records; nothing of them is unpacked."""

from __future__ import annotations

import io
import json
import tarfile
from pathlib import Path

import numpy as np
import pytest

from leaven.errors import DataError
from leaven.io import webdataset
from leaven.io.tables import open_table
from leaven.media.image import Image
from small_media import opened, picture, sound, text

PNG = Image.of(np.full((3, 4, 3), 9, np.uint8)).encoded
MASK = Image.of_codes(np.ones((3, 4), np.uint8)).encoded


def tar(path: Path, files: dict[str, bytes]) -> Path:
    with tarfile.open(path, "w") as made:
        for name, data in files.items():
            told = tarfile.TarInfo(name)
            told.size = len(data)
            made.addfile(told, io.BytesIO(data))
    return path


def test_files_of_one_stem_are_one_record(tmp_path: Path):
    box = {"x": 1, "y": 1, "w": 2, "h": 1, "label": "cat"}
    path = tar(tmp_path / "a.tar", {
        "d/1.png": PNG, "d/1.mask.png": MASK, "d/1.cls": b"3\n", "d/1.txt": b" a cat ",
        "d/1.json": json.dumps({"boxes": [box], "n": 1, "captions": ["x", "y"]}).encode(),
        "d/2.left.png": PNG, "d/2.png": PNG, "d/2.json": json.dumps({"label": "dog", "n": 2}).encode(), "d/2.cls": b"4",
        "d/3.txt": b"alone", "d/1.npy": b"x", "d/.hidden": b"x",
    })  # fmt: skip
    rows, kinds, said = opened(path)
    assert [row["image"] for row in rows] == [{"bytes": PNG, "path": "d/1.png"}, {"bytes": PNG, "path": "d/2.png"}]
    assert rows[0]["mask"] == {"bytes": MASK, "path": "d/1.mask.png"}
    assert rows[1]["left"] == {"bytes": PNG, "path": "d/2.left.png"}
    assert rows[0]["boxes"] == [{**box, "polygons": None}]
    assert [(row["label"], row["n"], row["caption"], row["captions"]) for row in rows] == [
        ("3", 1, "a cat", ["x", "y"]), ("dog", 2, None, None),
    ]  # fmt: skip
    assert kinds == {"image": "image", "mask": "mask", "left": "image", "label": "label", "caption": "caption",
                     "boxes": "boxes", "captions": "caption"}  # fmt: skip
    assert said == [
        "1 records of a.tar have no image and no sound (d/3): left out",
        "a.tar holds 1 files that are not read (.npy)",
    ]


def test_a_folder_of_shards_with_splits_in_batches(tmp_path: Path):
    folder = tmp_path / "shards"
    folder.mkdir()
    wav = sound(tmp_path / "a.wav").read_bytes()
    for shard, begin in (("train-000000.tar", 0), ("train-000001.tar", 50), ("test-000000.tar", 100)):
        files = {
            f"{n:04}.{end}": data for n in range(begin, begin + 50) for end, data in (("wav", wav), ("txt", b"hi"))
        }
        tar(folder / shard, files)
    rows, kinds, _ = opened(folder)
    assert [row["split"] for row in rows] == ["test"] * 50 + ["train"] * 100
    assert rows[0] == {"audio": {"bytes": wav, "path": "0100.wav"}, "text": "hi", "split": "test"}
    assert rows[149]["audio"]["path"] == "0099.wav"
    assert kinds == {"audio": "audio"}
    assert [len(batch) for batch in open_table(folder).batches()] == [64, 64, 22]


def test_a_folder_of_classes_packed(tmp_path: Path):
    path = tar(tmp_path / "a.tar", {"zip/cat/1.png": PNG, "zip/dog/1.png": PNG})
    assert [row["label"] for row in opened(path)[0]] == ["cat", "dog"]


def test_links_and_names_outside_are_left_out(tmp_path: Path):
    secret = picture(tmp_path / "secret.png")
    path = tmp_path / "a.tar"
    with tarfile.open(path, "w") as made:
        for name in ("1.png", "../2.png", "/abs/3.png", "a/../../4.png"):
            told = tarfile.TarInfo(name)
            told.size = len(PNG)
            made.addfile(told, io.BytesIO(PNG))
        for name, kind in (("5.png", tarfile.SYMTYPE), ("6.png", tarfile.LNKTYPE), ("7.png", tarfile.CHRTYPE)):
            told = tarfile.TarInfo(name)
            told.type, told.linkname = kind, str(secret)
            made.addfile(told)
    before = sorted(tmp_path.rglob("*"))
    rows, _, said = opened(path)
    assert [row["image"]["path"] for row in rows] == ["1.png"]
    assert said == ["a.tar holds 6 files that are not read (links and names outside)"]
    assert sorted(tmp_path.rglob("*")) == before


@pytest.mark.parametrize(
    ("files", "said"),
    [
        ({"1.png": PNG, "1.jpg": PNG}, "1.png and 1.jpg are of one record"),
        ({"1.txt": b"x"}, "holds no images and no sounds"),
        ({"1.png": PNG, "1.json": b"{"}, "1.json is no JSON"),
        ({"1.png": PNG, "1.json": b"[" * 100_000}, "1.json is no JSON"),
        ({"1.png": PNG, "1.txt": b"\xff"}, "1.txt is no UTF-8"),
        ({}, "holds no images and no sounds"),
    ],
)
def test_damaged_records(tmp_path: Path, files: dict[str, bytes], said: str):
    with pytest.raises(DataError, match=said):
        open_table(tar(tmp_path / "a.tar", files))


def test_damaged_shards(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    whole = tar(tmp_path / "a.tar", {"1.png": PNG * 40}).read_bytes()
    (tmp_path / "cut.tar").write_bytes(whole[:900])
    with pytest.raises(DataError, match=r"cut.tar: it (ends in the middle of 1.png|is no whole tar file)"):
        open_table(tmp_path / "cut.tar")
    text(tmp_path / "text.tar", "no tar" * 200)
    with pytest.raises(DataError, match="is no whole tar file"):
        open_table(tmp_path / "text.tar")
    tar(tmp_path / "b.tar", {"1.png": PNG, "1.txt": b"longer"})
    monkeypatch.setattr(webdataset, "MOST_TEXT", 3)
    with pytest.raises(DataError, match="more than 3 bytes"):
        open_table(tmp_path / "b.tar")
    monkeypatch.setattr(webdataset, "MOST_BYTES", 3)
    with pytest.raises(DataError, match=r"1.png has more than 3 bytes"):
        open_table(tmp_path / "b.tar")
    (tmp_path / "a.tar.gz").write_bytes(b"x")
    with pytest.raises(DataError, match="not read"):
        open_table(tmp_path / "a.tar.gz")
