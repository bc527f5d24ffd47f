"""Rows that hold images and sounds, wherever the Python API gives rows."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pytest

import leaven as lv
from leaven.api.rows import Rows
from leaven.media.audio import Audio
from leaven.media.image import Image
from leaven.storage import arrow_of


@pytest.fixture(scope="module")
def run(tmp_path_factory: pytest.TempPathFactory) -> lv.Run:
    """Four gray pictures, two of which have a mask; half of what was made of them is refused."""
    photos: list[dict[str, Any]] = [
        {"image": np.full((6, 8, 3), 40 * i, np.uint8), "label": "ab"[i % 2], "mask": None} for i in range(4)
    ]
    for row in photos[:2]:
        row["mask"] = np.ones((6, 8), np.uint8)
    data = lv.read(photos, fields=["image", "label", "mask"])
    made = data | lv.Shade(n=1) | lv.keep("label == 'a'", reason="not_a")
    return made.run(tmp_path_factory.mktemp("run") / "out", progress=False)


def test_kept_refused_and_train_give_images(run: lv.Run):
    assert (len(run.kept), len(run.refused), len(run.train)) == (2, 2, 6)
    for rows in (run.kept, run.refused, run.train):
        for row in (*rows, rows[0], rows[-1], *rows[:2]):
            assert isinstance(row["image"], Image)
            assert row["image"].pixels.shape == (6, 8, 3)
            assert row["mask"] is None or row["mask"].codes.tolist() == [[1] * 8] * 6
    assert {row["mask"] is None for row in run.train} == {True, False}
    assert run.kept[0] == next(iter(run.kept))
    assert run.kept[0] in list(run.kept)
    assert {type(row["image"]) for row in run.blend()} == {Image}


def test_the_rows_that_were_read_give_images(run: lv.Run):
    again = lv.read(list(run.train), fields=["image", "label"])
    assert {type(row["image"]) for row in again} == {Image}
    assert sorted(int(row["image"].pixels[0, 0, 0]) for row in again) == [0, 40, 80, 120]


def test_tables_and_frames_stay_as_datasets_writes_them(run: lv.Run):
    assert run.kept.table.schema.field("image").type == arrow_of("image")
    assert set(run.to_pandas()["image"][0]) == {"bytes", "path"}
    assert lv.read(run.train, fields=["image", "label"]).dataset.counts == {"source": 4, "given": 2}


def test_a_cell_is_told_by_its_bytes_else_by_its_name(tmp_path: Path):
    sound = Audio.of(np.zeros(80, np.float32), 8000).encoded
    cells = [
        {"bytes": sound, "path": None},
        {"bytes": b"?", "path": "a.m4a"},
        {"bytes": b"%PDF", "path": "a.pdf"},
        None,
    ]
    rows = Rows.of_table("Files", pa.table({"file": pa.array(cells, arrow_of("image"))}))
    found = [row["file"] for row in rows]
    assert [type(value) for value in found[:2]] == [Audio, Audio]
    assert (found[0].rate, found[1].path) == (8000, "a.m4a")
    assert found[2:] == [{"bytes": b"%PDF", "path": "a.pdf"}, None]
