"""``train/`` as folders of images and sounds; what is exported is read again."""

from __future__ import annotations

import json
import tarfile
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from leaven.errors import DataError
from leaven.io.dataset import read
from leaven.io.export import FOLDERS, KINDS, export, shards
from leaven.media.image import Image
from leaven.storage import arrow_of
from small_media import opened, paths, picture, sound

TYPES = {"boxes": arrow_of("boxes"), "label_probs": arrow_of("label_probs"), "captions": pa.list_(pa.string())}
TYPES["_parents"] = TYPES["captions"]


def png(colour: int = 9, size: tuple[int, int] = (8, 6)) -> bytes:
    return Image.of(np.full((size[1], size[0], 3), colour, np.uint8)).encoded


def file(data: bytes | None, path: str = "") -> dict[str, Any]:
    return {"bytes": data, "path": path or None}


def run_of(folder: Path, rows: Sequence[dict[str, Any]]) -> Path:
    """A folder with a train/ like a run's."""
    names = [*dict.fromkeys(name for row in rows for name in row), "_id", "_synthetic", "_weight"]
    full = [{"_id": f"{n:032x}", "_synthetic": n > 0, "_weight": 1.0, **row} for n, row in enumerate(rows)]
    media = ("image", "mask", "audio", "depth")
    arrays = {
        name: pa.array(
            [row.get(name) for row in full], arrow_of("image") if name in media else TYPES.get(name)
        )
        for name in dict.fromkeys(names)
    }  # fmt: skip
    (folder / "train").mkdir(parents=True)
    kinds = {name: {"_type": "Audio" if name == "audio" else "Image"} for name in arrays if name in media}
    schema = {"huggingface": json.dumps({"info": {"features": kinds}})}
    pq.write_table(pa.table(arrays).replace_schema_metadata(schema), folder / "train" / "part-00000.parquet")
    return folder


def box(x: float, y: float, w: float, h: float, label: str = "cat", polygons: Any = None) -> dict[str, Any]:
    return {"x": x, "y": y, "w": w, "h": h, "label": label, "polygons": polygons}


def names_in(folder: Path) -> list[str]:
    return sorted(str(path.relative_to(folder)) for path in folder.rglob("*") if path.is_file())


# -- class folders -----------------------------------------------------------------------------------------------------


def test_class_folders(tmp_path: Path):
    run = run_of(tmp_path / "o", [
        {"image": file(png(1), "a/b.jpg"), "label": "cat"}, {"image": file(png(2)), "label": "dog"},
        {"image": file(None), "label": "dog"}, {"image": file(png(3)), "label": None},
    ])  # fmt: skip
    said: list[str] = []
    assert export(run, "imagefolder", tmp_path / "x", said.append) == 2
    assert names_in(tmp_path / "x") == [f"cat/{0:032x}.png", f"dog/{1:032x}.png", "metadata.jsonl"]
    assert (tmp_path / "x" / "cat" / f"{0:032x}.png").read_bytes() == png(1)
    assert said == ["1 row has no image: left out", "1 row has no label; left out"]
    rows, kinds, _ = opened(tmp_path / "x")
    assert [(row["label"], row["_id"], row["_synthetic"]) for row in rows] == [
        ("cat", f"{0:032x}", False),
        ("dog", f"{1:032x}", True),
    ]
    assert kinds == {"image": "image", "label": "label"}


def test_what_says_more_than_a_label_stands_in_metadata(tmp_path: Path):
    mask = Image.of_codes(np.ones((6, 8), np.uint8)).encoded
    run = run_of(tmp_path / "o", [
        {"image": file(png(1)), "label": "cat", "mask": file(mask), "boxes": [box(1, 2, 3, 4)], "n": 5,
         "captions": ["a", "b"], "file_name": "old.jpg"},
        {"image": file(png(2)), "label": "dog", "mask": None, "boxes": [], "n": 6, "captions": [], "file_name": None},
    ])  # fmt: skip
    assert export(run, "imagefolder", tmp_path / "x") == 2
    assert names_in(tmp_path / "x") == [
        f"cat/{0:032x}.png",
        f"dog/{1:032x}.png",
        f"mask/{0:032x}.png",
        "metadata.jsonl",
    ]
    rows, kinds, said = opened(tmp_path / "x")
    assert paths(rows) == [f"cat/{0:032x}.png", f"dog/{1:032x}.png"]
    assert paths(rows, "mask") == [f"mask/{0:032x}.png", None]
    assert [(row["label"], row["boxes"], row["n"], row["captions"], row["_synthetic"]) for row in rows] == [
        ("cat", [box(1, 2, 3, 4)], 5, ["a", "b"], False), ("dog", [], 6, [], True),
    ]  # fmt: skip
    assert kinds == {"image": "image", "mask": "mask", "label": "label", "boxes": "boxes", "captions": "caption"}
    assert said == []


@pytest.mark.parametrize(
    ("label", "folder"),
    [
        ("a/b", "a%2Fb"), ("..", "%2E%2E"), ("", "%5F"), ("test", "%74est"), ("Test drive", "%54est drive"),
        ("contest", "contest"), (".git", "%2Egit"), ("mask", "mask~"), ("Löwe", "Löwe"), ("100%", "100%25"),
        ("images", "images"),
    ],
)  # fmt: skip
def test_labels_that_no_folder_may_be_called(tmp_path: Path, label: str, folder: str):
    mask = file(png())
    run = run_of(tmp_path / "o", [{"image": file(png()), "label": label, "mask": mask}] * 2)
    export(run, "imagefolder", tmp_path / "x")
    assert [path.name for path in (tmp_path / "x").iterdir() if path.name not in ("mask", "metadata.jsonl")] == [folder]
    assert [row["label"] for row in opened(tmp_path / "x")[0]] == [label, label]


@settings(max_examples=30)
@given(st.lists(st.text(st.characters(exclude_categories=["Cs"]), max_size=12), min_size=1, max_size=4))
def test_every_label_comes_back(tmp_path_factory: pytest.TempPathFactory, labels: list[str]):
    folder = tmp_path_factory.mktemp("labels")
    run = run_of(folder / "o", [{"image": file(png()), "label": label} for label in labels])
    export(run, "imagefolder", folder / "x")
    assert all((folder / "x") in path.parents for path in (folder / "x").rglob("*"))
    assert sorted(row.get("label") or "" for row in opened(folder / "x")[0]) == sorted(labels)


def test_labels_that_differ_in_case_alone(tmp_path: Path):
    run = run_of(tmp_path / "o", [{"image": file(png()), "label": label} for label in ("a", "A", "b")])
    export(run, "imagefolder", tmp_path / "x")
    assert sorted(path.name for path in (tmp_path / "x").iterdir()) == ["A~", "a", "b", "metadata.jsonl"]
    assert sorted(row["label"] for row in opened(tmp_path / "x")[0]) == ["A", "a", "b"]


def test_shares_of_labels_and_weights_are_not_lost(tmp_path: Path):
    shares = [{"label": "cat", "prob": 0.3}, {"label": "dog", "prob": 0.7}]
    run = run_of(tmp_path / "o", [{"image": file(png()), "label": None, "label_probs": shares}])
    export(run, "imagefolder", tmp_path / "x")
    [row], kinds, _ = opened(tmp_path / "x")
    assert row["image"]["path"].startswith("dog/")
    assert (row["label_probs"], kinds["label_probs"]) == (shares, "label_probs")
    run = run_of(tmp_path / "p", [{"image": file(png()), "label": "cat", "_weight": 0.5}])
    export(run, "imagefolder", tmp_path / "y")
    assert opened(tmp_path / "y")[0][0]["_weight"] == 0.5


def test_names_of_files_come_from_ids(tmp_path: Path):
    ids = ["../../x", "test-1", "A", "a", "0" * 32, "0" * 32, None]
    run = run_of(tmp_path / "o", [{"image": file(png(n)), "label": "cat", "_id": i} for n, i in enumerate(ids)])
    assert export(run, "imagefolder", tmp_path / "x") == 7
    names = names_in(tmp_path / "x")
    assert len(names) == 7 + 1
    assert f"cat/{'0' * 32}-2.png" in names
    assert all("test" not in name and ".." not in name for name in names)


def test_datasets_opens_image_folders(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    import datasets

    monkeypatch.setattr(datasets.config, "HF_DATASETS_OFFLINE", True)
    rows = [{"image": file(png(n)), "label": label} for n, label in enumerate(("cat", "dog", "cat"))]
    export(run_of(tmp_path / "o", rows), "imagefolder", tmp_path / "x")
    found = datasets.load_dataset("imagefolder", data_dir=str(tmp_path / "x"), cache_dir=str(tmp_path / "cache"))
    assert list(found) == ["train"]
    assert [(row["label"], row["_synthetic"]) for row in found["train"]] == [
        ("cat", False), ("dog", True), ("cat", True)
    ]  # fmt: skip
    assert found["train"].class_encode_column("label").features["label"].names == ["cat", "dog"]
    mask = Image.of_codes(np.ones((6, 8), np.uint8)).encoded
    rows = [{**row, "mask": file(mask), "boxes": [box(1, 2, 3, 4)] * n} for n, row in enumerate(rows)]
    rows[1]["label"] = "test drive"
    export(run_of(tmp_path / "p", rows), "imagefolder", tmp_path / "y")
    found = datasets.load_dataset("imagefolder", data_dir=str(tmp_path / "y"), cache_dir=str(tmp_path / "cache"))
    assert list(found) == ["train"]
    assert [row["label"] for row in found["train"]] == ["cat", "test drive", "cat"]
    assert found["train"][0]["image"].size == found["train"][2]["mask"].size == (8, 6)
    assert found["train"][2]["boxes"][1]["w"] == 3


def test_audio_folders(tmp_path: Path):
    wav = sound(tmp_path / "a.wav").read_bytes()
    run = run_of(tmp_path / "o", [{"audio": file(wav), "label": label, "text": "hi"} for label in ("up", "down")])
    assert export(run, "audiofolder", tmp_path / "x") == 2
    rows, kinds, _ = opened(tmp_path / "x")
    assert [(row["audio"]["path"], row["label"], row["text"]) for row in rows] == [
        (f"down/{1:032x}.wav", "down", "hi"), (f"up/{0:032x}.wav", "up", "hi"),
    ]  # fmt: skip
    assert kinds == {"audio": "audio", "label": "label"}


# -- boxes -------------------------------------------------------------------------------------------------------------

NOTED = [
    {"image": file(png(1)), "boxes": [box(1, 2, 3, 4), box(0.25, 0, 2.5, 6, "dog", [[0.25, 0, 2.75, 0, 1, 6]])]},
    {"image": file(png(2)), "boxes": [box(0, 0, 8, 6, "dog", [[0, 0, 8, 0, 8, 6], [1, 1, 2, 1, 2, 2]])]},
    {"image": file(png(3)), "boxes": []},
    {"image": file(png(4)), "boxes": None},
]


def boxes_of(folder: Path) -> list[Any]:
    return [row["boxes"] for row in opened(folder)[0]]


def test_coco_keeps_boxes_polygons_and_captions(tmp_path: Path):
    captions = [["a", "b"], ["c", "d"], None, ["e", "f"]]
    rows = [{**row, "captions": told, "n": 1} for row, told in zip(NOTED, captions, strict=True)]
    said: list[str] = []
    assert export(run_of(tmp_path / "o", rows), "coco", tmp_path / "x", said.append) == 4
    assert names_in(tmp_path / "x")[:2] == ["annotations.json", "captions.json"]
    found, kinds, told = opened(tmp_path / "x")
    assert [row["boxes"] for row in found] == [row["boxes"] for row in NOTED]
    assert [row["captions"] for row in found] == captions
    assert kinds == {"image": "image", "boxes": "boxes", "captions": "caption"}
    assert (told, said) == ([], ["n has no place in coco: left out; --as webdataset holds every column"])
    data = json.loads((tmp_path / "x" / "annotations.json").read_text())
    assert data["categories"] == [{"id": 1, "name": "cat"}, {"id": 2, "name": "dog"}]
    assert [round(note["area"], 3) for note in data["annotations"]] == [12.0, 7.5, 24.5]
    coco = pytest.importorskip("pycocotools.coco")
    opened_by_tool = coco.COCO(str(tmp_path / "x" / "annotations.json"))
    assert len(opened_by_tool.getImgIds()) == 3


def test_voc_rounds_to_pixels(tmp_path: Path):
    said: list[str] = []
    assert export(run_of(tmp_path / "o", NOTED), "voc", tmp_path / "x", said.append) == 3
    assert boxes_of(tmp_path / "x") == [[box(1, 2, 3, 4), box(0, 0, 3, 6, "dog")], [box(0, 0, 8, 6, "dog")], []]
    assert {row["split"] for row in opened(tmp_path / "x")[0]} == {"train"}
    assert said == [
        "1 row has no word about boxes; left out",
        "1 boxes are rounded to whole pixels, as voc has them; --as coco keeps them",
        "2 boxes have polygons, for which voc has no place; --as coco keeps them",
    ]
    run = run_of(
        tmp_path / "p", [{"image": file(png()), "boxes": [box(1, 2, 3, 4, 'a<b>&"\x01'), box(1, 1, 0.1, 0.1)]}]
    )
    export(run, "voc", tmp_path / "y")
    assert boxes_of(tmp_path / "y") == [[box(1, 2, 3, 4, 'a<b>&"\ufffd'), box(1, 1, 1, 1)]]


def near(found: Any, expected: Any) -> bool:
    same = [a["label"] == b["label"] for a, b in zip(found, expected, strict=True)]
    return all(same) and all(
        a[k] == pytest.approx(b[k], abs=1e-6) for a, b in zip(found, expected, strict=True) for k in "xywh"
    )


def test_yolo_writes_boxes_or_outlines(tmp_path: Path):
    said: list[str] = []
    assert export(run_of(tmp_path / "o", NOTED), "yolo", tmp_path / "x", said.append) == 3
    found = boxes_of(tmp_path / "x")
    assert all(near(a, row["boxes"]) for a, row in zip(found, NOTED[:3], strict=True))
    assert said[1] == "2 of 3 boxes have polygons, not one each: the boxes alone are written; --as coco"
    outline = [1.0, 1.0, 5.0, 1.0, 5.0, 4.0]
    run = run_of(tmp_path / "p", [{"image": file(png()), "boxes": [box(1, 1, 4, 3, "yes", [outline])]}])
    export(run, "yolo", tmp_path / "y")
    [[one]] = boxes_of(tmp_path / "y")
    assert near([one], [box(1, 1, 4, 3, "yes")])
    assert one["polygons"][0] == pytest.approx(outline, abs=1e-6)
    assert names_in(tmp_path / "y") == [
        "data.yaml", f"images/train/{0:032x}.png", f"labels/train/{0:032x}.txt", "rows.jsonl",
    ]  # fmt: skip


@pytest.mark.parametrize("kind", ["imagefolder", "coco", "voc", "yolo", "webdataset"])
def test_every_export_says_which_rows_were_made(tmp_path: Path, kind: str):
    rows = [{**row, "_id": own} for row, own in zip(NOTED[:3], ["a/b", "=1+1", "<c>&"], strict=True)]
    said: list[str] = []
    export(run_of(tmp_path / "o", rows), kind, tmp_path / "x", said.append)
    assert not any("_synthetic" in line or "_id" in line for line in said)
    found, kinds, told = opened(tmp_path / "x")
    assert sorted((row["_id"], row["_synthetic"]) for row in found) == [("<c>&", True), ("=1+1", True), ("a/b", False)]
    assert not {"_id", "_synthetic"} & kinds.keys()
    assert told == []
    sets = read(str(tmp_path / "x"), tmp_path / "in", fields={"image": "image", "boxes": "boxes"})
    assert sets.counts == {"source": 1, "given": 2}
    assert sets.types["boxes"] == "boxes"
    assert sets.warnings == []
    assert not {"_id", "_synthetic"} & {*sets.columns, *sets.labels}


def test_an_image_that_says_nothing_of_itself_is_a_real_one(tmp_path: Path):
    export(run_of(tmp_path / "o", NOTED[:2]), "yolo", tmp_path / "x")
    with (tmp_path / "x" / "rows.jsonl").open() as file:
        [_, last] = file
    picture(tmp_path / "x" / "images" / "train" / "mine.png")
    (tmp_path / "x" / "rows.jsonl").write_text(last)
    assert [row.get("_synthetic") for row in opened(tmp_path / "x")[0]] == [None, True, None]
    assert "_id" not in opened(tmp_path / "x")[0][0]  # ids are for all or none
    for damaged in ("{", "[1]", '{"file": ["x"]}', '{"name": "x"}', '"file"', "\xff"):
        (tmp_path / "x" / "rows.jsonl").write_text(damaged, "latin-1")
        assert "_synthetic" not in opened(tmp_path / "x")[0][0]


# -- shards ------------------------------------------------------------------------------------------------------------


def test_webdataset_holds_every_column(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(shards, "ROWS", 2)
    mask = Image.of_codes(np.ones((6, 8), np.uint8)).encoded
    labels = ["dog", "cat", None]
    rows = [
        {
            "image": file(png(n)),
            "mask": file(mask),
            "boxes": [box(1, 2, 3, 4)],
            "label": label,
            "caption": f"c{n}",
            "n": n,
        }
        for n, label in enumerate(labels)
    ]
    run = run_of(tmp_path / "o", rows)
    for name in ("x", "y"):
        assert export(run, "webdataset", tmp_path / name / "pets") == 3
    one, two = tmp_path / "x" / "pets", tmp_path / "y" / "pets"
    assert names_in(one) == ["classes.yaml", "pets-000000.tar", "pets-000001.tar"]
    assert [(one / name).read_bytes() for name in names_in(one)] == [
        (two / name).read_bytes() for name in names_in(two)
    ]
    assert (one / "classes.yaml").read_text() == 'names:\n  0: "cat"\n  1: "dog"\n'
    with tarfile.open(one / "pets-000000.tar") as tar:
        stem = f"{0:032x}"
        ends = [member.name.removeprefix(stem) for member in tar][:5]
        assert ends == [".png", ".mask.png", ".cls", ".txt", ".json"]
        assert tar.extractfile(f"{stem}.cls").read() == b"1"  # type: ignore[union-attr]
    found, kinds, said = opened(one)
    assert [row["image"]["bytes"] for row in found] == [png(n) for n in range(3)]
    assert [(row["label"], row["caption"], row["n"], row["boxes"]) for row in found] == [
        (label, f"c{n}", n, [box(1, 2, 3, 4)]) for n, label in enumerate(labels)
    ]
    assert {**kinds, "boxes": "boxes"} == {
        "image": "image", "mask": "mask", "label": "label", "caption": "caption", "boxes": "boxes",
    }  # fmt: skip
    assert said == []


HALF = [{"label": "cat", "prob": 0.5}, {"label": "dog", "prob": 0.5}]
SEVEN: list[dict[str, Any]] = [{"image": file(png(n)), "label": ("dog", "cat")[n % 2]} for n in range(7)]
OUTLINED = [box(1, 2, 3, 4, polygons=[[1.0, 2.0, 4.0, 2.0, 4.0, 6.0]])]


@pytest.mark.parametrize(
    "more",
    [
        {},
        {"boxes": [[]] * 5 + [[box(0, 0, 1, 1)], OUTLINED]},
        {"label_probs": [None] * 6 + [HALF], "note": [None, "x"] * 3 + [None], "nothing": [None] * 7},
        {"captions": [[]] * 5 + [["a", "b"], None], "_parents": [[]] * 6 + [["p"]]},
        {"caption": [None, "a"] * 3 + [None], "mask": [None, None, *[file(png())] * 5], "x": [None] * 5 + [0.5, None]},
        {"label": [None, "cat", None, "dog", None, None, None], "mask": [None] * 3 + [file(png())] + [None] * 3},
    ],
    ids=["labels", "boxes", "label_probs", "captions", "masks", "few whole"],
)  # fmt: skip
def test_datasets_opens_shards(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, more: dict[str, list[Any]]):
    import datasets

    monkeypatch.setattr(datasets.config, "HF_DATASETS_OFFLINE", True)
    rows = [{**row, **{key: values[n] for key, values in more.items()}} for n, row in enumerate(SEVEN)]
    said: list[str] = []
    assert export(run_of(tmp_path / "o", rows), "webdataset", tmp_path / "pets", said.append) == 7
    assert said == []
    found = datasets.load_dataset(str(tmp_path / "pets"), cache_dir=str(tmp_path / "cache"))["train"]
    by_stem = {row["__key__"]: row for row in found}
    read_back = {Path(row["image"]["path"]).name.partition(".")[0]: row for row in opened(tmp_path / "pets")[0]}
    for n, row in enumerate(rows):
        one, own = by_stem[f"{n:032x}"], read_back[f"{n:032x}"]
        assert one["png"].size == (8, 6)
        assert (one["json"]["label"], one["cls"]) == {
            "cat": ("cat", 0), "dog": ("dog", 1), None: (None, None)
        }[row["label"]]  # fmt: skip
        assert (own["label"], own["_synthetic"]) == (row["label"], n > 0)
        for key in more.keys() - {"mask", "label"}:
            assert one["json"][key] == row[key], key
            if key in ("boxes", "label_probs", "captions", "caption", "x"):
                assert own[key] == row[key]


def test_datasets_opens_shards_by_the_names_of_the_files(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    import datasets

    monkeypatch.setattr(datasets.config, "HF_DATASETS_OFFLINE", True)
    monkeypatch.setattr(shards, "ROWS", 3)
    rows = [{"image": file(png(n)), "label": str(n)} for n in (7, 3, 9, 2)]
    export(run_of(tmp_path / "o", rows), "webdataset", tmp_path / "pets")
    assert names_in(tmp_path / "pets") == ["pets-000000.tar", "pets-000001.tar"]  # numbers need no names
    found = datasets.load_dataset(
        "webdataset", data_files=str(tmp_path / "pets" / "*.tar"), cache_dir=str(tmp_path / "cache")
    )
    assert [row["cls"] for row in found["train"]] == [7, 3, 9, 2]


def test_one_ending_for_all_files_of_a_column(tmp_path: Path):
    from io import BytesIO

    from PIL import Image as pillow

    out = BytesIO()
    pillow.new("RGB", (8, 6)).save(out, "JPEG")
    rows = [{"image": file(data)} for data in (png(), out.getvalue(), png())]
    said: list[str] = []
    export(run_of(tmp_path / "o", rows), "webdataset", tmp_path / "x", said.append)
    assert said == [
        "1 file of image that are no .png bear that ending too: one name in all records, as datasets wants it; every"
        " decoder goes by the bytes"
    ]
    found = opened(tmp_path / "x")[0]
    assert [Path(row["image"]["path"]).suffix for row in found] == [".png"] * 3
    assert found[1]["image"]["bytes"] == out.getvalue()


def test_what_no_five_records_can_show_is_said(tmp_path: Path):
    said: list[str] = []
    rows = [
        {"image": file(png()), **{f"k{i}": [n] if i == n else [] for i in range(6)}, "a": None, "b": None}
        for n in range(6)
    ]
    export(run_of(tmp_path / "o", rows), "webdataset", tmp_path / "x", said.append)
    assert said == [
        "no five records have every file and hold something in k5: datasets cannot tell their types; give it features=,"
        " or read the shards with webdataset or leaven"
    ]
    said.clear()
    files = [{"mask": file(png())}, {"depth": file(png())}]
    export(
        run_of(tmp_path / "p", [{"image": file(png()), **more} for more in files]),
        "webdataset", tmp_path / "y", said.append,
    )  # fmt: skip
    assert "hold something in depth.png, mask.png, png:" in said[0]


# -- what cannot be written --------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("kind", "row", "said"),
    [
        ("imagefolder", {"text": "x"}, "imagefolder is written from a column of type image"),
        ("imagefolder", {"audio": file(b"RIFF")}, "--as audiofolder"),
        ("audiofolder", {"image": file(png())}, "--as imagefolder"),
        ("imagefolder", {"image": file(None), "label": "x"}, "no row of .* has a"),
        ("imagefolder", {"image": file(png()), "label": None, "n": 1}, "no row of .* has a"),
        ("coco", {"image": file(png()), "label": "x"}, "coco is written from boxes or captions"),
        ("coco", {"image": file(png()), "boxes": None}, "no row of .* has boxes or a caption"),
        ("coco", {"image": file(b"no image"), "boxes": []}, "an image cannot be read"),
        ("voc", {"image": file(png())}, "voc is written from a column of type boxes"),
        ("voc", {"image": file(png()), "boxes": None}, "no row of .* has boxes"),
        ("yolo", {"image": file(png())}, "yolo is written from a column of type boxes"),
        ("yolo", {"image": file(png()), "boxes": None}, "no row of .* has boxes"),
        ("webdataset", {"text": "x"}, "webdataset is written from images or sounds"),
        ("csv", {"image": file(png())}, "--as parquet, or --as webdataset"),
    ],
)
def test_what_is_missing_is_said_and_nothing_is_left(tmp_path: Path, kind: str, row: dict[str, Any], said: str):
    run = run_of(tmp_path / "o", [row])
    with pytest.raises(DataError, match=said):
        export(run, kind, tmp_path / "x")
    assert [path.name for path in tmp_path.iterdir()] == ["o"]


@pytest.mark.parametrize("kind", FOLDERS)
def test_nothing_is_overwritten(tmp_path: Path, kind: str):
    (tmp_path / "x").mkdir()
    run = run_of(tmp_path / "o", [{"image": file(png()), "label": "a"}])
    with pytest.raises(DataError, match="exists already"):
        export(run, kind, tmp_path / "x")
    with pytest.raises(DataError, match="a folder is written"):
        export(run, kind, tmp_path / "x.gz")
    assert kind in KINDS


def test_files_are_called_after_their_bytes(tmp_path: Path):
    from io import BytesIO

    from PIL import Image as pillow

    written = {}
    for kind in ("JPEG", "PNG", "GIF", "BMP", "TIFF", "WEBP"):
        out = BytesIO()
        pillow.new("RGB", (4, 4)).save(out, kind)
        written[kind] = {"image": file(out.getvalue(), "wrong.txt"), "label": "a"}
    other = {"image": file(b"P6 1 1 255 abc", "x.ppm"), "label": "a"}
    export(run_of(tmp_path / "o", [*written.values(), other]), "imagefolder", tmp_path / "x")
    assert [Path(name).suffix for name in names_in(tmp_path / "x")] == [
        ".jpg", ".png", ".gif", ".bmp", ".tiff", ".webp", ".ppm", ".jsonl",
    ]  # fmt: skip
