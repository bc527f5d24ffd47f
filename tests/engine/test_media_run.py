"""Runs over images and sounds: what breaks is one record, the bytes are the same however the work is dealt out."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow.parquet as pq
import pytest
from PIL import Image as Pillow

from leaven import cli
from leaven.engine import part
from leaven.media.audio import Audio
from leaven.media.image import Image
from media.files import animated, bomb, lying, not_numbers, photo, saved, sound, turned
from worlds import World, images, pairs, sounds

GOOD_IMAGES = {
    "plain.jpg": saved(photo(), "JPEG"),
    "one.png": saved(photo(1, 1), "PNG"),
    "wide.png": saved(Pillow.fromarray(np.arange(96, dtype=np.uint16).reshape(8, 12) * 600), "PNG"),
    "palette.png": saved(photo().convert("P"), "PNG"),
    "cmyk.jpg": saved(photo().convert("CMYK"), "JPEG"),
    "turned.jpg": turned(),
    "moving.gif": animated(),
    "clear.png": saved(photo().convert("RGBA"), "PNG"),
    "gray.png": saved(photo().convert("L"), "PNG"),
}
BAD_IMAGES = {
    "cut.jpg": (saved(photo(64, 64), "JPEG")[:-60], "broken_image"),
    "nothing.jpg": (b"", "broken_image"),
    "text.png": (b"<html>404</html>", "broken_image"),
    "bomb.png": (bomb(), "too_large"),
}
GOOD_SOUNDS = {
    "plain.wav": sound(),
    "deep.wav": sound("WAV", "PCM_24", 8000, 2),
    "small.mp3": sound("MP3", None, 16000),
    "whole.flac": sound("FLAC"),
    "lying.wav": lying(),
}
BAD_SOUNDS = {
    "nothing.wav": (b"", "broken_audio"),
    "nan.wav": (not_numbers(), "not_a_number"),
    "text.wav": (b"RIFF of no kind", "broken_audio"),
}


@pytest.mark.parametrize(
    ("kind", "good", "bad", "step"),
    [
        ("image", GOOD_IMAGES, BAD_IMAGES, {"warp": {"n": 2, "rotate": [-20, 20]}}),
        ("audio", GOOD_SOUNDS, BAD_SOUNDS, {"alter_sound": {"n": 2, "volume": [-6, 6]}}),
    ],
)
def test_odd_files_are_handled_or_one_failed_record_each(
    kind: str,
    good: dict[str, bytes],
    bad: dict[str, tuple[bytes, str]],
    step: dict[str, Any],
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
):
    for i, (name, data) in enumerate([*good.items(), *((name, data) for name, (data, _) in bad.items())]):
        folder = tmp_path / "files" / ("odd", "even")[i % 2]
        folder.mkdir(parents=True, exist_ok=True)
        (folder / name).write_bytes(data)
    recipe = tmp_path / "recipe.yaml"
    recipe.write_text(json.dumps({"fields": [kind, "label?"], "steps": [step]}))
    out = tmp_path / "out"
    code = cli.run(["augment", str(tmp_path / "files"), "-o", str(out), "-r", str(recipe), "--workers", "1"])
    said = capsys.readouterr()
    assert code == 3
    assert f"warning: {len(bad)} files cannot be used, and are in failed/" in said.err
    failed = [json.loads(line) for line in (out / "failed" / "records.jsonl").read_text().splitlines()]
    assert {Path(row[kind]).name: row["_reason"] for row in failed} == {name: why for name, (_, why) in bad.items()}
    assert all(Path(row[kind]).name in row["_error"] for row in failed)
    rows = read(out / "train")
    assert sum(not row["_synthetic"] for row in rows) == len(good)
    assert sum(row["_synthetic"] for row in rows) == 2 * len(good)
    for row in rows:
        value: Any = {"image": Image, "audio": Audio}[kind](row[kind]["bytes"])
        assert value.pixels.size if kind == "image" else value.samples.size
    assert cli.run(["verify", str(out), "-q"]) == 0


def test_a_box_outside_and_a_mask_of_another_size(tmp_path: Path):
    world = images()
    rows = [dict(row) for row in world.source[:3]]
    box = rows[0]["boxes"][0]
    far = {**box, "x": 500.0, "polygons": None}
    edge = {**box, "x": 30.0, "y": 2.0, "w": 10.0000006, "h": 8.0, "polygons": None}
    rows[0]["boxes"] = [box, far, edge]
    rows[1]["mask"] = Image.of_codes(np.zeros((5, 5), np.uint8))
    out = run(tmp_path, world, rows, [{"warp": {"rotate": [-0.001, 0.001], "scale": [1, 1]}}])
    made = {row["shelf"]: row for row in read(out / "train") if row["_synthetic"]}
    assert set(made) == {0, 2}
    assert len(made[0]["boxes"]) == 2
    assert all(b["x"] + b["w"] <= 40 for b in made[0]["boxes"])
    assert json.loads(made[0]["_steps"][-1]["drawn"])["boxes_dropped"] == 1
    [refused] = read(out / "refused")
    assert (refused["shelf"], refused["_reason"]) == (1, "mask_size")


def test_boxes_that_a_step_cannot_move_refuse_the_child_unless_they_hold(tmp_path: Path):
    world = images()
    own = tmp_path / "own"
    own.mkdir()
    (own / "negative.py").write_text(NEGATIVE)
    for holds, kept in (([], 0), (["boxes", "mask", "points"], 3)):
        step = {"negative": {"holds": holds}}
        out = run(tmp_path / f"{kept}", world, world.source[:3], [step], "--operators", str(own))
        assert sum(row["_synthetic"] for row in read(out / "train")) == kept
        assert {row["_reason"] for row in (read(out / "refused") if not kept else [])} <= {"boxes_lost", "mask_lost"}


NEGATIVE = """
from leaven import Make
from leaven.media.image import Image

class Negative(Make):
    takes = "image"
    on: str | None = None

    def make(self, record, ctx):
        yield record.child({self.on: Image.of(255 - record[self.on].pixels)})
"""
OF_IMAGES: list[list[Any]] = [
    [{"warp": {"n": 2, "flip": "horizontal", "rotate": [-9, 9], "elastic": 2}}, "shade"],
    [{"erase": {"n": 2}}],
    [{"policy": {"n": 2}}],
    [{"collage": {"how": "mosaic", "holds": ["mask", "points", "caption"]}}],
    [{"mix_images": {"holds": ["mask", "points"]}}],
    ["copy_paste"],
    [{"warp as turned": {"n": 1}}, "prediction", {"keep": "confidence > 0"}],
]
OF_SOUNDS: list[list[Any]] = [
    [{"alter_sound": {"n": 2}}, "add_noise"],
    [{"mix_sounds": {"n": 2, "soft": True}}],
    ["filter_sound", {"mix_sounds as joined": {"how": "join", "soft": True, "draw": {"k": 1, "of": "stream"}}}],
    ["recode"],
    ["mask_spectrum", "prediction"],
]
OF_PAIRS: list[list[Any]] = [
    [{"cut_switch": {"on": ["image_left", "image_right"], "p": 1, "holds": ["boxes"]}}],
    [{"warp": {"on": "image_left"}}, {"edit_words": {"on": "sentence"}}],
]


@pytest.mark.parametrize(
    ("world", "branches"), [(images, OF_IMAGES), (sounds, OF_SOUNDS), (pairs, OF_PAIRS)], ids=["image", "audio", "pair"]
)
def test_one_and_two_workers_write_the_same_bytes(
    world: Any, branches: list[list[Any]], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    monkeypatch.setattr("leaven.io.sets.MEDIA_PER_PART", 3)
    found = []
    for workers, at_once in ((1, part.AT_ONCE), (2, part.AT_ONCE), (1, 1)):
        monkeypatch.setattr(part, "AT_ONCE", at_once)
        here = tmp_path / f"{workers}-{at_once}"
        if found:
            monkeypatch.setattr(cli, "write_report", lambda *_: None)  # it has been written once
        data = world()
        out = run(here, data, data.source, [{"any": branches}, "unique"], "--workers", str(workers))
        found.append([file.read_bytes() for name in ("train", "refused") for file in files(out / name)])
        rows = read(out / "train")
        assert {row["_steps"][-1]["step"] for row in rows if row["_synthetic"]} >= ends(branches)
    assert found[0] == found[1]
    assert found[0] == found[2]


def ends(branches: list[list[Any]]) -> set[str]:
    """The names of the last steps that make something."""
    names = [[name for step in steps for name in ([step] if isinstance(step, str) else step)] for steps in branches]
    made = [[name for name in some if name not in ("prediction", "keep")] for some in names]
    return {some[-1].rpartition(" as ")[2] for some in made}


def run(folder: Path, world: World, rows: list[dict[str, Any]], steps: list[Any], *more: str) -> Path:
    folder.mkdir(parents=True, exist_ok=True)
    recipe = folder / "recipe.yaml"
    recipe.write_text(json.dumps({"fields": world.fields, "steps": steps}))
    out = folder / "out"
    given = ["augment", world.table(folder / "rows", rows), "-o", str(out), "-r", str(recipe), "-q", *more]
    assert cli.run(given if "--workers" in more else [*given, "--workers", "1"]) == 0
    return out


def files(folder: Path) -> list[Path]:
    return sorted(folder.glob("*.parquet"))


def read(folder: Path) -> list[dict[str, Any]]:
    return [row for file in files(folder) for row in pq.read_table(file).to_pylist()]
