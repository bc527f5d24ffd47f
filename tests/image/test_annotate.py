"""annotate: a number for every pixel, from a model; which field it is, and what the record says of who gave it."""

from __future__ import annotations

import asyncio
import json
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow.parquet as pq
import pytest

from asked import cli
from leaven.context import Context
from leaven.errors import RecipeError
from leaven.fields import Column
from leaven.image.annotate import Annotate
from leaven.media.image import Image
from leaven.records import Record, Refuse
from tiny import mappers

PHOTO = np.repeat(np.array([[0, 50, 250]], np.uint8), 2, axis=0)


def columns(op: Annotate, **types: str) -> dict[str, Column]:
    return op.bind({name: Column(kind) for name, kind in types.items()}).writes()


def test_a_map_beside_the_image():
    [row] = Annotate()({"image": Image.of(PHOTO), "label": "a"}, map="fake:shape")
    assert row["map"].codes.tolist() == [[0, 13107, 65535]] * 2
    assert Image(row["map"].encoded).codes.dtype == np.uint16
    assert row["map_by"] == "fake"
    [row] = Annotate("depth", on="photo", top=10)({"photo": Image.of(PHOTO)}, map="fake:shape")
    assert row["depth"].codes.tolist() == [[0, 2, 10]] * 2
    [flat] = Annotate()({"image": np.full((2, 2, 3), 9, np.uint8)}, map="fake:shape")
    assert flat["map"].codes.tolist() == [[0, 0], [0, 0]]


def test_what_it_writes():
    assert columns(Annotate(), image="image") == {
        "map": Column("map", frozenset({"image"})),
        "map_by": Column("group"),
    }
    assert columns(Annotate("y"), image="image", y="mask")["y"].type == "mask"
    assert columns(Annotate("y", type="mask"), image="image")["y"].type == "mask"
    with pytest.raises(RecipeError, match=r"annotate writes a number for every pixel, and `y` is a field of type text"):
        columns(Annotate("y"), image="image", y="text")


def test_no_image():
    with pytest.raises(Refuse, match="no_image"):
        asyncio.run(Annotate(on="photo").note(Record("a", {"photo": None}), Context()))


def test_in_a_run(tmp_path: Path, no_report: None):
    """Classes by SegFormer as masks that a warp moves after them; one worker and two write the same."""
    pytest.importorskip("transformers")
    model = mappers.segformer(tmp_path / "segformer")
    for i in range(3):
        pixels = np.random.default_rng(i).integers(0, 256, (30, 40, 3)).astype(np.uint8)
        (tmp_path / f"{i}.png").write_bytes(Image.of(pixels).encoded)
    source, recipe = tmp_path / "rows.jsonl", tmp_path / "r.yaml"
    source.write_text("".join(json.dumps({"image": f"{i}.png", "label": "ab"[i % 2]}) + "\n" for i in range(3)))
    steps: list[Any] = [{"annotate": {"into": "classes", "type": "mask"}}, {"warp": {"n": 1, "flip": "both"}}]
    recipe.write_text(json.dumps({"steps": steps}))
    written = []
    for workers in ("1", "2"):
        out = tmp_path / workers
        more = ("--model", f"map=transformers:{model}", "--workers", workers, "-q")
        ran = cli("augment", str(source), "-o", str(out), "-r", str(recipe), *more)
        assert ran.code == 0, ran.err
        written.append([file.read_bytes() for file in sorted((out / "train").glob("*.parquet"))])
    assert written[0] == written[1]
    rows = pq.read_table(tmp_path / "1" / "train").to_pylist()
    made = [row for row in rows if row["_synthetic"]]
    assert len(made) == 3
    for row in made:
        assert row["classes_by"].startswith("segformer ")
        assert Image(row["classes"]["bytes"]).codes.shape == (30, 40)
    assert {row["classes_by"] for row in rows if not row["_synthetic"]} == {None}
