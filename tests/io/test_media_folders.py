"""Folders of images and sounds, and tables of paths, become tables with kinds."""

from __future__ import annotations

import json
import os
import shutil
from collections import Counter
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from PIL import Image as pillow

from leaven.errors import DataError
from leaven.io.class_folders import labelled
from leaven.io.dataset import read
from leaven.io.media_files import look, shape_of, split_in_name, split_of_path
from leaven.io.tables import open_table
from leaven.media.audio import Audio
from leaven.media.image import Image
from leaven.storage import arrow_of
from small_media import IMAGES, SOUNDS, codes, opened, paths, picture, sound, text

# -- class folders ----------------------------------------------------------------------------------------------------


def test_class_folders_below_splits(tmp_path: Path):
    for name in ("train/cat/b.jpg", "train/dog/a.PNG", "val/cat/c.jpeg", "test/dog/d.webp"):
        picture(tmp_path / name)
    text(tmp_path / "train" / "cat" / ".hidden.jpg", "x")
    text(tmp_path / "train" / "cat" / "Thumbs.db", "x")
    text(tmp_path / "__MACOSX" / "cat" / "b.jpg", "x")
    rows, kinds, said = opened(tmp_path)
    assert rows == [
        {"image": {"bytes": None, "path": "test/dog/d.webp"}, "label": "dog", "split": "test"},
        {"image": {"bytes": None, "path": "train/cat/b.jpg"}, "label": "cat", "split": "train"},
        {"image": {"bytes": None, "path": "train/dog/a.PNG"}, "label": "dog", "split": "train"},
        {"image": {"bytes": None, "path": "val/cat/c.jpeg"}, "label": "cat", "split": "dev"},
    ]
    assert kinds == {"image": "image", "label": "label"}
    assert said == []
    assert open_table(tmp_path).base == tmp_path


def test_audio_class_folders(tmp_path: Path):
    for name in ("up/1.wav", "down/2.flac"):
        sound(tmp_path / name)
    rows, kinds, _ = opened(tmp_path)
    assert [(row["audio"]["path"], row["label"]) for row in rows] == [("down/2.flac", "down"), ("up/1.wav", "up")]
    assert kinds == {"audio": "audio", "label": "label"}


@pytest.mark.parametrize(
    ("files", "labels", "splits"),
    [
        (["a.jpg", "b.jpg"], [None, None], [None, None]),
        (["images/a.jpg", "images/b.jpg"], [None, None], [None, None]),
        (["cat/a.jpg", "cat/b.jpg"], ["cat", "cat"], [None, None]),
        (["zip/cat/a.jpg", "zip/dog/b.jpg"], ["cat", "dog"], [None, None]),
        (["zip/train/cat/a.jpg", "zip/valid/dog/b.jpg"], ["cat", "dog"], ["train", "dev"]),
        (["train/a.jpg", "test/b.jpg"], [None, None], ["train", "test"]),
        (["train/images/a.jpg", "test/images/b.jpg"], [None, None], ["train", "test"]),
        (["cat/train/a.jpg", "dog/test/b.jpg"], ["cat", "dog"], ["train", "test"]),
        (["dog/poodle/a.jpg", "dog/husky/b.jpg", "cat/x/c.jpg"], ["dog/poodle", "dog/husky", "cat/x"], [None] * 3),
        (["train/a.jpg", "bus/b.jpg", "car/c.jpg"], ["train", "bus", "car"], [None] * 3),  # a train is a vehicle too
        (["cat/a.jpg", "dog/b.jpg", "over.jpg"], ["cat", "dog", None], [None] * 3),
    ],
)
def test_what_folders_say(files: list[str], labels: list[str | None], splits: list[str | None]):
    assert labelled(files) == (labels, splits)


@pytest.mark.parametrize(
    "files",
    [
        ["train/cat/a.jpg", "test/cat/b.jpg", "extra/cat/c.jpg"],
        ["train/a.jpg", "test/b.jpg", "c.jpg"],
        ["train/cat/a.jpg", "extra/b.jpg"],
        ["train/cat/a.jpg", "b.jpg"],
    ],
)
def test_folders_beside_splits_are_not_guessed(files: list[str]):
    with pytest.raises(DataError, match="which split are they"):
        labelled(files)


def test_splits_by_names():
    assert [split_of_path(p) for p in ("a/train2017/x.jpg", "VAL/x.jpg", "trainer/x.jpg", "train.jpg")] == [
        "train", "dev", "", "",
    ]  # fmt: skip
    assert split_in_name("instances_val2017.json") == "dev"
    assert split_in_name("train-000001.tar") == "train"
    assert split_in_name("restrained.json") == ""
    assert shape_of("train/labels/a.txt", ("labels",)) == shape_of("train/images/a.jpg", ("images",)) == "train/*/a"


def test_files_beside_class_folders_have_no_label(tmp_path: Path):
    for name in ("cat/a.jpg", "dog/b.jpg", "overview.jpg"):
        picture(tmp_path / name)
    rows, _, said = opened(tmp_path)
    assert [row["label"] for row in rows] == ["cat", "dog", None]
    assert said == ["1 files lie beside the folders of labels (overview.jpg): they have none"]


def test_a_flat_folder_has_no_labels(tmp_path: Path):
    picture(tmp_path / "b.jpg")
    picture(tmp_path / "a.jpg")
    rows, kinds, _ = opened(tmp_path)
    assert rows == [{"image": {"bytes": None, "path": name}, "file_name": name} for name in ("a.jpg", "b.jpg")]
    assert kinds == {"image": "image"}


def test_both_kinds(tmp_path: Path):
    for name in ("cat/a.jpg", "dog/b.jpg", "dog/c.jpg"):
        picture(tmp_path / name)
    sound(tmp_path / "sounds" / "a.wav")
    rows, _, said = opened(tmp_path)
    assert len(rows) == 3
    assert said == ["1 sounds (sounds/a.wav) are left out"]
    sound(tmp_path / "cat" / "a.wav")
    with pytest.raises(DataError, match="cat holds images and sounds"):
        open_table(tmp_path)


def test_a_folder_without_media(tmp_path: Path):
    text(tmp_path / "a.csv", "text,label\nx,y\n")
    with pytest.raises(DataError, match="holds no table"):
        open_table(tmp_path)


def test_links(tmp_path: Path):
    outside = picture(tmp_path / "outside" / "x.jpg")
    for name in ("in/cat/a.jpg", "in/dog/b.jpg"):
        picture(tmp_path / name)
    (tmp_path / "in" / "cat" / "again").symlink_to(tmp_path / "outside")
    (tmp_path / "in" / "dog" / "c.jpg").symlink_to("b.jpg")
    rows, _, said = opened(tmp_path / "in")
    assert paths(rows) == ["cat/a.jpg", "dog/b.jpg", "dog/c.jpg"]
    assert said == ["cat/again is a link to a folder: not followed; put the folder itself there"]
    (tmp_path / "in" / "dog" / "passwd.jpg").symlink_to(outside)
    with pytest.raises(DataError, match=r"dog/passwd.jpg is a link to a file outside"):
        open_table(tmp_path / "in")


def test_a_name_that_is_no_text(tmp_path: Path):
    try:
        os.close(os.open(os.fsencode(tmp_path) + b"/\xff.jpg", os.O_CREAT | os.O_WRONLY))
    except OSError:
        pytest.skip("the disk takes no such name")
    with pytest.raises(DataError, match="no UTF-8"):
        look(tmp_path)


# -- masks ------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("folder", ["masks", "labels", "annotations"])
def test_masks_in_a_folder_beside(tmp_path: Path, folder: str):
    for split in ("train", "val"):
        picture(tmp_path / "images" / split / "a.jpg")
        codes(tmp_path / folder / split / "a.png")
    picture(tmp_path / "images" / "train" / "b.jpg")
    codes(tmp_path / folder / "train" / "z.png")
    rows, kinds, said = opened(tmp_path)
    assert kinds == {"image": "image", "mask": "mask"}
    assert paths(rows) == ["images/train/a.jpg", "images/train/b.jpg", "images/val/a.jpg"]
    assert paths(rows, "mask") == [f"{folder}/train/a.png", None, f"{folder}/val/a.png"]
    assert [row["split"] for row in rows] == ["train", "train", "dev"]
    assert said == [f"1 masks are of no image, or of one that has a mask ({folder}/train/z.png): left out"]


def test_masks_beside_images_in_class_folders(tmp_path: Path):
    for name in ("benign/a", "benign/b (2)", "normal/c"):
        picture(tmp_path / f"{name}.jpg")
        codes(tmp_path / f"{name}_mask.png")
    codes(tmp_path / "benign" / "a_mask_1.png")
    rows, kinds, said = opened(tmp_path)
    assert [(row["label"], row["mask"]["path"]) for row in rows] == [
        ("benign", "benign/a_mask.png"), ("benign", "benign/b (2)_mask.png"), ("normal", "normal/c_mask.png"),
    ]  # fmt: skip
    assert kinds["mask"] == "mask"
    assert len(said) == 1


# -- metadata ---------------------------------------------------------------------------------------------------------


def test_metadata_as_datasets_reads_it(tmp_path: Path):
    for name in ("train/a.jpg", "train/b.jpg", "test/c.jpg"):
        picture(tmp_path / name)
    codes(tmp_path / "train" / "m" / "a.png")
    text(
        tmp_path / "train" / "metadata.jsonl",
        json.dumps({"file_name": "b.jpg", "captions": ["one", "two"], "n": 2, "mask_file_name": None,
                    "boxes": [{"x": 1, "y": 2, "w": 3, "h": 4, "label": "cat"}]}) + "\n"
        + json.dumps({"file_name": "a.jpg", "captions": ["three"], "n": 1, "boxes": [], "mask_file_name": "m/a.png"})
        + "\n",
    )  # fmt: skip
    text(tmp_path / "test" / "metadata.jsonl",
         json.dumps({"file_name": "c.jpg", "captions": [], "n": 3, "boxes": None, "mask_file_name": None}))  # fmt: skip
    rows, kinds, said = opened(tmp_path)
    assert paths(rows) == ["test/c.jpg", "train/a.jpg", "train/b.jpg"]
    assert paths(rows, "mask") == [None, "train/m/a.png", None]
    box = {"x": 1.0, "y": 2.0, "w": 3.0, "h": 4.0, "label": "cat", "polygons": None}
    assert [(row["captions"], row["n"], row["boxes"], row["file_name"], row["split"]) for row in rows] == [
        ([], 3, None, "test/c.jpg", "test"),
        (["three"], 1, [], "train/a.jpg", "train"),
        (["one", "two"], 2, [box], "train/b.jpg", "train"),
    ]
    assert kinds == {"image": "image", "mask": "mask", "captions": "caption", "boxes": "boxes"}
    assert said == []


def test_metadata_csv_for_sounds_and_what_is_not_there(tmp_path: Path):
    for name in ("up/a.wav", "b.wav", "c.wav"):
        sound(tmp_path / name)
    text(tmp_path / "metadata.csv", "file_name,label\nup/a.wav,up\nb.wav,down\ngone.wav,up\n../../etc/passwd,x\n")
    rows, kinds, said = opened(tmp_path)
    assert [(row["audio"]["path"], row["label"]) for row in rows] == [("b.wav", "down"), ("up/a.wav", "up")]
    assert kinds == {"audio": "audio", "label": "label"}
    assert said == [
        "2 of 4 files in metadata.csv are not there (gone.wav, ../../etc/passwd): left out",
        "1 files are not in metadata.csv (c.wav): left out",
    ]
    text(tmp_path / "metadata.csv", "file_name,label\ngone.wav,up\n")
    with pytest.raises(DataError, match=r"no file that metadata.csv names is there; the first: 'gone.wav'"):
        open_table(tmp_path)
    text(tmp_path / "metadata.csv", "file,label\ngone.wav,up\n")
    with pytest.raises(DataError, match="has no column `file_name`"):
        open_table(tmp_path)


# -- tables of paths --------------------------------------------------------------------------------------------------


def test_a_csv_of_paths_and_captions(tmp_path: Path):
    picture(tmp_path / "pics" / "a.jpg")
    text(tmp_path / "a.csv", "where,caption\npics/a.jpg,a cat\npics/a.jpg,the same cat\npics/gone.jpg,a dog\n")
    rows, kinds, _ = opened(tmp_path / "a.csv")
    assert kinds == {"where": "image", "caption": "caption"}
    assert rows[1] == {"where": "pics/a.jpg", "caption": "the same cat"}
    assert open_table(tmp_path / "a.csv").base == tmp_path


def test_paths_from_a_folder_below_the_table(tmp_path: Path):
    picture(tmp_path / "Images" / "a.jpg")
    text(tmp_path / "captions.txt", "image,caption\na.jpg,a cat\na.jpg,that cat\n")
    table = open_table(tmp_path / "captions.txt")
    assert (table.kinds, table.base) == ({"image": "image", "caption": "caption"}, tmp_path / "Images")


def test_a_jsonl_of_sounds_with_what_is_said_about_them(tmp_path: Path):
    sound(tmp_path / "a.wav")
    row = {
        "clip": "a.wav",
        "segments": [{"start": 0, "end": 0.5, "label": "word"}],
        "label_probs": {"a": 1},
        "tags": [],
    }
    text(tmp_path / "a.jsonl", json.dumps(row) + "\n" + json.dumps({"clip": "a.wav"}))
    rows, kinds, _ = opened(tmp_path / "a.jsonl")
    assert kinds == {"clip": "audio", "segments": "segments", "label_probs": "label_probs"}
    assert rows[0] == {
        "clip": "a.wav", "segments": [{"start": 0.0, "end": 0.5, "label": "word"}],
        "label_probs": [{"label": "a", "prob": 1.0}], "tags": "[]",
    }  # fmt: skip
    assert rows[1]["segments"] is None
    text(tmp_path / "b.jsonl", (json.dumps(row) + "\n") * 64 + json.dumps({**row, "segments": [{"start": "x"}]}))
    with pytest.raises(DataError, match="row 65: `segments` is not as in the first rows"):
        opened(tmp_path / "b.jsonl")


@pytest.mark.parametrize("value", ["gone.jpg", "https://a.org/b.jpg", "/etc/a.jpg", "see a.jpg for more"])
def test_texts_that_end_like_files_stay_texts(tmp_path: Path, value: str):
    text(tmp_path / "a.csv", f"text,label\n{value},x\n{value},y\n")
    assert open_table(tmp_path / "a.csv").kinds == {}


def test_an_address_among_paths_is_a_broken_row(tmp_path: Path):
    picture(tmp_path / "a.jpg")
    picture(tmp_path / "b.jpg", colour=9)
    text(tmp_path / "t.csv", "photo,label\na.jpg,x\nb.jpg,y\nhttps://a.org/c.jpg?size=2,x\n")
    assert open_table(tmp_path / "t.csv").kinds == {"photo": "image", "label": "label"}
    found = read(str(tmp_path / "t.csv"), tmp_path / "input", fields={})
    assert found.counts == {"source": 2}
    [broken] = found.broken
    assert (broken["path"], broken["reason"]) == ("https://a.org/c.jpg?size=2", "not_fetched")


@pytest.mark.parametrize(
    ("cell", "said", "fix"),
    [
        (
            "pics/{}.wav",
            "the column `file` names sounds, such as pics/0.wav in row 1; none of the first 4 lies under",
            "put the files under",
        ),
        (
            "https://a.org/{}.png",
            "names images, such as https://a.org/0.png in row 1; leaven fetches no address",
            "download",
        ),
    ],
)
def test_names_of_files_that_are_not_there_are_no_texts(tmp_path: Path, cell: str, said: str, fix: str):
    text(tmp_path / "t.csv", "file,kind\n" + "".join(f"{cell.format(i)},{'ab'[i % 2]}\n" for i in range(4)))
    with pytest.raises(DataError) as caught:
        read(str(tmp_path / "t.csv"), tmp_path / "input", fields={})
    assert said in caught.value.what
    assert caught.value.fix.startswith(fix)
    named = read(str(tmp_path / "t.csv"), tmp_path / "input", fields={}, named={"text": "file"})
    assert named.columns == {"text": "file", "label": "kind"}


@pytest.mark.parametrize(
    ("cell", "said", "fix"),
    [
        ("pics/{}.png", "pics/0.png: there is no such file under {}/deep/er",
         "put t.csv into {}: pics/0.png is there."),
        ("../../pics/{}.png", "../../pics/0.png lies outside {}/deep/er",
         "put t.csv into {}, and write the paths from there: pics/0.png."),
        ("{root}/pics/{}.png", "{}/pics/0.png lies outside {}/deep/er",
         "put t.csv into {}, and write the paths from there: pics/0.png."),
        ("gone/{}.png", "gone/0.png: there is no such file under {}/deep/er",
         "put the files under {}/deep/er, or t.csv into the folder that the paths begin at."),
        ("a\0{}.png", "embedded null byte", "put the files under {}/deep/er"),
    ],
)  # fmt: skip
def test_captions_of_images_that_lie_elsewhere(tmp_path: Path, cell: str, said: str, fix: str):
    rows = [cell.format(i, root=tmp_path) for i in range(3)]
    for i in range(3):
        picture(tmp_path / "pics" / f"{i}.png", colour=i)
    lines = "".join(json.dumps({"image": path, "caption": f"a picture {i}"}) + "\n" for i, path in enumerate(rows))
    text(tmp_path / "deep" / "er" / "t.csv", "image,caption\n" + "".join(f"{path},words\n" for path in rows))
    table: Path = tmp_path / "deep" / "er" / "t.csv"
    if "\0" in cell:
        table = text(tmp_path / "deep" / "er" / "t.jsonl", lines)
    said, fix = (words.replace("{}", str(tmp_path)).replace("t.csv", table.name) for words in (said, fix))
    with pytest.raises(DataError) as caught:
        read(str(table), tmp_path / "input", fields={"image": "image", "caption": "caption"})
    start = f"{table.name}: none of its 3 files can be read; the first, row 1, column `image`: "
    assert caught.value.what.startswith(start)
    assert said in caught.value.what
    assert caught.value.fix.startswith(fix)


def test_some_captions_without_their_images(tmp_path: Path):
    for i in range(3):
        picture(tmp_path / f"{i}.png", colour=i)
    text(tmp_path / "t.csv", "image,caption\n8.png,lost\n0.png,a\n1.png,b\n9.png,lost too\n2.png,c\n")
    found = read(str(tmp_path / "t.csv"), tmp_path / "input", fields={"image": "image", "caption": "caption"})
    assert found.counts == {"source": 3}
    assert [(broken["path"], broken["reason"], broken["fields"]["caption"]) for broken in found.broken] == [
        ("8.png", "no_file", "lost"), ("9.png", "no_file", "lost too"),
    ]  # fmt: skip


def test_the_file_that_is_lacking_is_the_one_that_is_named(tmp_path: Path):
    for i in range(3):
        picture(tmp_path / f"{i}.png", colour=i)
        codes(tmp_path / f"{i % 2}-mask.png")
    text(tmp_path / "t.csv", "image,mask,label\n" + "".join(f"{i}.png,{i}-mask.png,{'xyx'[i]}\n" for i in range(3)))
    [broken] = read(str(tmp_path / "t.csv"), tmp_path / "input", fields={}).broken
    assert broken["path"] == "2-mask.png"


def test_a_column_of_images_that_is_read_as_text_is_told(tmp_path: Path):
    lines = "".join(f"pics/{i}.png,some words {i},{'ab'[i % 2]}\n" for i in range(4))
    text(tmp_path / "t.csv", "image,caption,label\n" + lines)
    found = read(str(tmp_path / "t.csv"), tmp_path / "input", fields={})
    assert found.columns == {"text": "caption", "label": "label", "image": "image"}
    assert found.types == {"text": "text", "label": "label", "image": "value"}
    assert found.warnings == [
        "t.csv: the column `image` names images, such as pics/0.png in row 1; none of the first 4 lies under"
        f" {tmp_path}: they are read as texts"
    ]
    text(tmp_path / "t.csv", "image,caption,label\n" + lines.replace("pics/", "https://a.org/"))
    assert read(str(tmp_path / "t.csv"), tmp_path / "input", fields={}).warnings == []
    pq.write_table(pa.table({"image": ["0.png", "1.png"], "text": ["a", "b"]}), tmp_path / "t.parquet")
    for i in range(2):
        picture(tmp_path / f"{i}.png", colour=i)
    assert read(str(tmp_path / "t.parquet"), tmp_path / "input", fields={"text": "text"}).warnings == []


def test_names_of_images_beside_the_images_are_no_lack(tmp_path: Path):
    for i in range(4):
        picture(tmp_path / "d" / "images" / f"{i}.png", colour=i)
        text(tmp_path / "d" / "labels" / f"{i}.txt", "0 0.5 0.5 0.5 0.5\n")
    text(tmp_path / "d" / "data.yaml", "names: [cat]\n")
    found = read(str(tmp_path / "d"), tmp_path / "input", fields={"image": "image", "boxes": "boxes"})
    assert (found.columns["file_name"], found.warnings) == ("file_name", [])
    with pytest.raises(DataError, match="d holds images and no texts"):
        read(str(tmp_path / "d"), tmp_path / "input", fields={"text": "text", "label": "label"})


def test_a_recipe_for_other_data_names_one_for_these(tmp_path: Path):
    for name in ("up/1.wav", "down/2.wav"):
        sound(tmp_path / name)
    for kind in ("image", "text"):
        with pytest.raises(DataError, match=f"holds sounds and no {kind}s; its columns are audio, label") as caught:
            read(str(tmp_path), tmp_path / "input", fields={kind: kind, "label": "label"})
        assert "-r classic-audio" in caught.value.fix


# -- Parquet and datasets ---------------------------------------------------------------------------------------------


def pixels(value: int = 7) -> np.ndarray:
    return np.full((4, 5, 3), value, np.uint8)


def test_parquet_with_files_inside(tmp_path: Path):
    from datasets import Audio as Sound
    from datasets import Dataset, Features, Value
    from datasets import Image as Picture

    path, clip = picture(tmp_path / "a.png"), sound(tmp_path / "a.wav")
    features = Features({"image": Picture(), "mask": Picture(), "clip": Sound(), "caption": Value("string")})
    row = {"image": str(path), "mask": str(path), "clip": str(clip), "caption": "c"}
    held = Dataset.from_list([row] * 70).cast(features)
    held.save_to_disk(tmp_path / "saved")
    inside = [{"bytes": path.read_bytes(), "path": "a.png"}] * 70
    said = [{"bytes": clip.read_bytes(), "path": "a.wav"}] * 70
    table = pa.table({"image": inside, "mask": inside, "clip": said, "caption": ["c"] * 70})
    pq.write_table(table.replace_schema_metadata(features.arrow_schema.metadata), tmp_path / "a.parquet")
    for what in (tmp_path / "a.parquet", tmp_path / "saved", held):
        rows, kinds, _ = opened(what)
        assert kinds == {"image": "image", "mask": "mask", "clip": "audio", "caption": "caption"}
        assert len(rows) == 70
        assert rows[0]["image"]["path"].endswith("a.png")
        if what != tmp_path / "saved":  # there `datasets` writes paths alone
            assert rows[0]["image"]["bytes"] == path.read_bytes()
            assert rows[69]["clip"]["bytes"] == clip.read_bytes()
            assert max(map(len, open_table(what).batches())) <= 64


def test_bytes_tell_what_they_are(tmp_path: Path):
    data = {
        "picture": [picture(tmp_path / "a.png").read_bytes()],
        "voice": [{"bytes": sound(tmp_path / "a.wav").read_bytes(), "path": None}],
        "text": [b"BM and other words"],
        "boxes": pa.array([[{"x": 0, "y": 0, "w": 1, "h": 1, "label": "a", "polygons": None}]], arrow_of("boxes")),
    }
    pq.write_table(pa.table(data), tmp_path / "a.parquet")
    assert opened(tmp_path / "a.parquet")[1] == {"picture": "image", "voice": "audio", "boxes": "boxes"}


def test_a_path_in_a_hub_dataset_reads_nothing_outside_its_cache(tmp_path: Path):
    from datasets import Dataset, Features
    from datasets import Image as Picture

    from leaven.io.memory import of_datasets

    path = picture(tmp_path / "secret" / "a.png")
    held = Dataset.from_dict({"image": [str(path)]}, Features({"image": Picture()}))
    [batch] = of_datasets("x", {"": held}, tmp_path / "cache").batches()
    assert batch.to_pylist() == [{"image": {"bytes": None, "path": str(path)}}]
    [batch] = of_datasets("x", {"": held}, tmp_path / "secret").batches()
    assert batch.to_pylist()[0]["image"]["bytes"] == path.read_bytes()


# -- objects in memory ------------------------------------------------------------------------------------------------


def test_objects_in_lists_of_dicts():
    made = [
        {
            "image": pillow.fromarray(pixels()),
            "mask": pillow.fromarray(np.array([[0, 9]], np.uint8)),
            "audio": {"array": [0.0, 0.5], "sampling_rate": 8000},
            "boxes": [{"x": 1, "y": 1, "w": 2, "h": 2, "label": 3}],
            "label": "a",
        },
        {"image": pixels(), "mask": np.array([[300, 1]], np.uint16), "audio": Audio.of(np.zeros(4, np.float32), 8000)},
        {"image": Image.of(pixels()), "mask": None, "audio": None, "boxes": None, "label": "b"},
    ]
    rows, kinds, _ = opened(made)
    assert kinds == {"image": "image", "mask": "mask", "audio": "audio", "boxes": "boxes", "label": "label"}
    for row in rows:
        assert (Image(row["image"]["bytes"]).pixels == pixels()).all()
    assert Image(rows[0]["mask"]["bytes"]).codes.tolist() == [[0, 9]]
    assert Image(rows[1]["mask"]["bytes"]).codes.tolist() == [[300, 1]]
    assert rows[2]["mask"] is None
    assert Audio(rows[0]["audio"]["bytes"]).samples.ravel().tolist() == [0.0, 0.5]
    assert rows[0]["boxes"] == [{"x": 1.0, "y": 1.0, "w": 2.0, "h": 2.0, "label": "3", "polygons": None}]


def test_arrays_that_are_no_pixels_stay_numbers():
    rows, kinds, _ = opened([{"v": np.zeros(3, np.float32), "text": "x"}, {"v": np.ones(3, np.float32), "text": "y"}])
    assert kinds == {}
    assert rows[0]["text"] == "x"


def test_frames_of_pandas_and_arrow(tmp_path: Path):
    import pandas as pd

    frame = pd.DataFrame({"image": [pillow.fromarray(pixels())] * 2, "label": ["a", "b"]})
    rows, kinds, _ = opened(frame)
    assert kinds == {"image": "image", "label": "label"}
    assert (Image(rows[1]["image"]["bytes"]).pixels == pixels()).all()
    data = picture(tmp_path / "a.png").read_bytes()
    assert opened(pa.table({"image": [{"bytes": data, "path": "a.png"}]}))[1] == {"image": "image"}


# -- real data --------------------------------------------------------------------------------------------------------


@pytest.mark.skipif(not IMAGES.is_dir(), reason="needs the shared data beside the repository")
def test_cifar10():
    rows, kinds, said = opened(IMAGES / "cifar10")
    assert Counter(row["split"] for row in rows) == {"train": 750, "test": 300}
    assert set(Counter(row["label"] for row in rows).values()) == {210}
    assert (kinds, said) == ({"image": "image", "label": "label"}, [])


@pytest.mark.skipif(not SOUNDS.is_dir(), reason="needs the shared data beside the repository")
def test_spoken_digits():
    rows, kinds, said = opened(SOUNDS / "spoken-digits")
    assert Counter(row["split"] for row in rows) == {"train": 420, "test": 180}
    assert set(Counter(row["label"] for row in rows).values()) == {60}
    assert (kinds, said) == ({"audio": "audio", "label": "label"}, [])


def test_the_same_folder_elsewhere_gives_the_same_rows(tmp_path: Path):
    for name in ("b/2.jpg", "a/10.jpg", "a/9.jpg", "B/1.jpg"):
        picture(tmp_path / "one" / name)
    shutil.copytree(tmp_path / "one", tmp_path / "two")
    assert opened(tmp_path / "one")[0] == opened(tmp_path / "two")[0]
    assert paths(opened(tmp_path / "one")[0]) == ["B/1.jpg", "a/10.jpg", "a/9.jpg", "b/2.jpg"]
