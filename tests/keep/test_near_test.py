"""Nothing that stands in the test set, or nearly does."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import pyarrow.parquet as pq
import pytest

from leaven.cli import run
from leaven.keep.near_test import NearTest
from leaven.media.audio import Audio
from leaven.media.image import Image
from worlds import World

TEST = [{"text": "my card was stolen on the train to town"}, {"text": "opening hours"}]


def near(text: str, **parameters: float) -> bool:
    [row] = NearTest(**parameters)({"text": text}, test=TEST)
    assert row["text"] == text
    assert row.get("_reason") in (None, "near_test")
    return "_reason" in row


def test_equal_near_and_far():
    assert near("Opening   HOURS")
    assert near("my card was stolen on the train to town!")
    assert not near("the train to town was late")
    assert not near("")


def test_at():
    """The overlap is of sets of 5-character pieces, counted here by hand."""
    text = "my card was stolen on the train to Rome"
    a = {TEST[0]["text"][i : i + 5] for i in range(35)}
    b = {text.lower()[i : i + 5] for i in range(35)}
    overlap = len(a & b) / len(a | b)
    assert near(text, at=overlap - 0.01)
    assert not near(text, at=overlap + 0.01)


def test_two_test_sets_in_one_process():
    """What was learned of one is not held against another."""
    op = NearTest()
    for _ in range(3):
        for held, other in ((TEST[0], TEST[1]), (TEST[1], TEST[0])):
            assert "_reason" in op(held, test=[held])[0]
            assert "_reason" not in op(other, test=[held])[0]


def test_no_test_row():
    assert NearTest()({"text": "x"}, test=[{"text": None}]) == [{"text": "x"}]


# -- images and sounds -------------------------------------------------------------------------------------------------


def scene(seed: int) -> Image:
    """Something with edges and shades, as photographs have."""
    coarse = np.random.default_rng(seed).integers(0, 255, (7, 9, 3), dtype=np.uint8)
    return Image.of(cv2.resize(coarse, (72, 56), interpolation=cv2.INTER_CUBIC))


def again(image: Image) -> Image:
    """The same picture in another file."""
    return Image(cv2.imencode(".jpg", image.pixels[..., ::-1], [cv2.IMWRITE_JPEG_QUALITY, 70])[1].tobytes(), "again")


def melody(seed: int) -> Audio:
    rng = np.random.default_rng(seed)
    time = np.arange(800) / 8000
    notes = [np.sin(2 * np.pi * f * time) + 0.3 * np.sin(4 * np.pi * f * time) for f in rng.uniform(200, 1500, 5)]
    return Audio.of((0.3 * np.concatenate(notes) + rng.normal(0, 0.002, 4000)).astype(np.float32), 8000)


def test_an_image_or_a_sound_that_nearly_equals_a_test_row():
    broken: list[dict[str, Any]] = [{"image": Image(b"no image")}, {"image": None}]
    test = [*broken, {"image": scene(0)}]
    op = NearTest()
    assert op({"image": again(scene(0)), "caption": "a"}, test=test)[0]["_reason"] == "near_test"
    assert "_reason" not in op({"image": scene(1)}, test=test)[0]
    assert "_reason" not in op({"image": scene(1)}, test=broken)[0]
    heard = [{"audio": melody(0)}, {"audio": None}]
    quiet = Audio.of(melody(0).samples * 0.3, 8000)
    assert op({"audio": quiet}, test=heard)[0]["_reason"] == "near_test"
    assert "_reason" not in op({"audio": melody(1)}, test=heard)[0]


def test_what_the_source_holds_as_it_is_goes_through_where_that_is_asked():
    image, test = again(scene(0)), [{"image": scene(0)}]
    kept = NearTest(on="image", own=True)
    assert "_reason" not in kept({"image": image}, test=test, source=[{"image": image}])[0]
    assert "_reason" in kept({"image": image}, test=test, source=[{"image": again(scene(1))}])[0]
    assert "_reason" in NearTest(on="image")({"image": image}, test=test)[0]


FIELDS = {"image": "image", "caption": "caption"}
SHADE = {"shade": {"n": 2, "brightness": 0.05}}
REWORD = {"edit_words": {"n": 1, "ops": ["swap"], "on": "caption"}}


def run_of(
    folder: Path, fields: dict[str, str], rows: list[Any], test: list[Any], steps: list[Any], *more: str
) -> Path:
    """A run of these steps over rows of a Parquet file."""
    folder.mkdir(parents=True, exist_ok=True)
    world = World(fields, rows, test)
    (folder / "own.yaml").write_text(json.dumps({"fields": fields, "steps": steps}))
    source, held = (world.table(folder / name, some) for name, some in (("source", rows), ("test", test)))
    out = folder / "out"
    command = ["augment", source, "-o", str(out), "-r", str(folder / "own.yaml"), "--test", held, "-q", *more]
    assert run(command) == 0
    return out


def gone(out: Path) -> list[tuple[str, str]]:
    """The captions (labels) of refused rows, with the reasons."""
    found = [row for path in sorted((out / "refused").glob("*.parquet")) for row in pq.read_table(path).to_pylist()]
    return sorted((row.get("caption") or row["label"], row["_reason"]) for row in found)


def captioned(*images: Image) -> list[dict[str, Any]]:
    return [{"image": image, "caption": f"{number} a small dog runs"} for number, image in enumerate(images)]


@pytest.mark.usefixtures("no_report")
def test_made_images_near_to_a_test_image_are_refused(tmp_path: Path):
    rows = captioned(scene(1), again(scene(0)), *map(scene, range(2, 70)))
    test = [{"image": scene(0), "caption": "what one sees"}]
    found = {}
    for workers in ("1", "4"):
        out = run_of(tmp_path / workers, FIELDS, rows, test, [SHADE], "--workers", workers)
        assert gone(out) == [("1 a small dog runs", "near_test")] * 2
        files = [path for name in ("train", "refused") for path in sorted((out / name).iterdir())]
        found[workers] = {path.name: path.read_bytes() for path in files}
    assert found["1"] == found["4"]
    kept = sum(pq.read_table(path).column("_synthetic").to_pylist().count(True) for path in (out / "train").iterdir())
    assert kept == 2 * 69


def test_a_caption_anew_of_an_image_that_the_test_set_shows_too_is_no_leak(tmp_path: Path):
    """Many captions an image, split by rows.  Only the branch that changes the image can make what leaks."""
    rows = captioned(scene(1), scene(0))
    test = [{"image": scene(0), "caption": "a brown dog"}, {"image": scene(2), "caption": "0 a small dog runs"}]
    assert gone(run_of(tmp_path / "captions", FIELDS, rows, test, [REWORD])) == []
    both = run_of(tmp_path / "both", FIELDS, rows, test, [{"any": [[REWORD], [SHADE]]}])
    assert gone(both) == [("1 a small dog runs", "near_test")] * 2


def test_made_sounds_near_to_a_test_sound_are_refused_after_a_step_that_waits(tmp_path: Path):
    """`unique` waits for all, so that sounds are encoded before they are compared."""
    rows = [{"audio": melody(seed), "label": "ab"[seed % 2]} for seed in range(1, 5)]
    near = {"audio": Audio.of(melody(0).samples * 0.9, 8000), "label": "near"}
    test = [{"audio": melody(0), "label": "a"}]
    steps = [{"alter_sound": {"volume": [-3, 3]}}, "unique"]
    out = run_of(tmp_path, {"audio": "audio", "label": "label"}, [*rows, near], test, steps)
    assert gone(out) == [("near", "near_test")]


def test_a_row_of_the_pool_that_shows_a_test_image_does_not_get_in(tmp_path: Path):
    fields = {"image": "image", "label": "label"}
    rows = [{"image": scene(seed), "label": "ab"[seed % 2]} for seed in range(1, 7)]
    pool = World({"image": "image"}, [], []).table(
        tmp_path / "pool", [{"image": i} for i in (again(scene(0)), scene(8))]
    )
    steps = [{"from": "pool"}, {"note": {"label": "'a'"}}]
    more = ("--unlabelled", pool)
    out = run_of(tmp_path, fields, rows, [{"image": scene(0), "label": "a"}], steps, *more)
    trained = [row for path in (out / "train").glob("*.parquet") for row in pq.read_table(path).to_pylist()]
    assert sum(row["_synthetic"] for row in trained) == 1
    assert sum(not row["_synthetic"] for row in trained) == 6
