"""paint, repaint and inpaint: what is asked, what stays, and whole runs with a Stable Diffusion in a folder."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow.parquet as pq
import pytest

from leaven import cli
from leaven.engine.part import Changes
from leaven.errors import ModelError, RecipeError
from leaven.fields import Column
from leaven.image._painting import as_its_parent
from leaven.image.inpaint import Inpaint
from leaven.image.paint import Paint
from leaven.image.repaint import Repaint
from leaven.media.image import Image
from leaven.models.calls import Answer, Ask
from leaven.records import Record
from tiny import painters
from worlds import images, texts

PHOTO = Image.of(np.random.default_rng(0).integers(0, 256, (20, 24, 3)).astype(np.uint8))
CODES = np.zeros((20, 24), np.uint8)
CODES[5:10, 4:12] = 3
MASK = Image.of_codes(CODES)
BOXES = [{"x": 4, "y": 5, "w": 8, "h": 5, "label": "car", "polygons": None}]
ABOUT = {
    "image": Column("image"),
    "label": Column("label"),
    "caption": Column("caption", frozenset({"image"})),
    "mask": Column("mask", frozenset({"image"})),
    "edges": Column("image", frozenset({"mask"})),
    "boxes": Column("boxes", frozenset({"image"})),
    "match": Column("score", frozenset({"image", "caption"})),
}


@pytest.fixture
def asked(monkeypatch: pytest.MonkeyPatch) -> list[Ask]:
    """What is asked of a painter that answers a red image of the size that is wanted."""
    found: list[Ask] = []

    async def play(self: Any, ask: Ask, about: Any) -> Answer:
        found.append(ask)
        first = next((ask.media[ask.content[key]] for key in ("image", "control") if key in ask.content), None)
        width, height = first.size if first else (ask.content.get("width", 16), ask.content.get("height", 16))
        return Answer("", media=Image.of(np.full((height, width, 3), (200, 10, 10), np.uint8)))

    monkeypatch.setattr("leaven.models.backends.fake.Fake.play", play)
    return found


def said(ask: Ask) -> dict[str, Any]:
    """The content of a call, hashes of images as their sizes."""
    return {key: ask.media[value].size if key in ("image", "mask", "control", "like") else value
            for key, value in ask.content.items()}  # fmt: skip


def test_paint_asks(asked: list[Ask]):
    row = {"label": "car", "image": PHOTO, "boxes": BOXES, "edges": MASK}
    [child] = Paint("a {{ label }}", steps=20, guidance=5, negative="blue")(row, paint="fake:shape")
    assert said(asked[-1]) == {"prompt": "a car", "steps": 20, "guidance": 5.0, "negative": "blue"}
    assert child["label"] == "car"
    assert child["image"].size == (16, 16)
    Paint("a car", control="edges", like="image", scale=0.7)(row, paint="fake:shape")
    assert said(asked[-1]) == {
        "prompt": "a car", "steps": 30, "guidance": 7.5, "control": (24, 20), "like": (24, 20), "scale": 0.7,
    }  # fmt: skip
    Paint("a car", layout="boxes")(row, paint="fake:shape")
    box = {key: value for key, value in BOXES[0].items() if key != "polygons"}
    assert said(asked[-1]) == {
        "prompt": "a car", "steps": 30, "guidance": 7.5, "width": 24, "height": 20, "boxes": [box],
    }  # fmt: skip
    rows = Paint("{{ choice(['a', 'b', 'c', 'd']) }} car", n=5, into="other")(row, paint="fake:shape")
    assert len({ask.content["prompt"] for ask in asked[-5:]}) > 1, "each child draws its own"
    assert all(child["image"] is PHOTO and child["other"].size == (16, 16) for child in rows)


@pytest.mark.parametrize(
    ("op", "reason"),
    [
        (Paint("{{ caption }}"), "empty"),
        (Paint("a car", layout="boxes"), "no_layout"),
        (Paint("a car", control="edges"), "no_control"),
        (Paint("a car", like="edges"), "no_like"),
        (Repaint("{{ caption }}"), "empty"),
        (Repaint("a car", control="edges"), "no_control"),
        (Inpaint("{{ caption }}"), "empty"),
        (Inpaint("a car", area="boxes"), "no_area"),
        (Inpaint("a car", area="edges or mask", outside=True, grow=90), "no_area"),
        (Inpaint("a car", area="small"), "area_size"),
    ],
)
def test_refused(asked: list[Ask], op: Any, reason: str):
    small = Image.of_codes(np.ones((4, 4), np.uint8))
    row = {"caption": " ", "image": PHOTO, "boxes": [], "edges": None, "mask": MASK, "small": small}
    [child] = op(row, paint="fake:shape")
    assert child["_reason"] == reason
    assert asked == []


def test_repaint_asks(asked: list[Ask]):
    row = {"label": "car", "image": PHOTO}
    [child] = Repaint("a {{ label }}", strength=0.5)(row, paint="fake:shape")
    assert said(asked[-1]) == {
        "prompt": "a car", "steps": 30, "guidance": 7.5, "strength": 0.5, "image": (24, 20),
    }  # fmt: skip
    assert child["image"].size == (24, 20)
    Repaint("make it snow", instruct=True, image_guidance=1.2)(row, paint="fake:shape")
    assert said(asked[-1]) == {
        "prompt": "make it snow", "steps": 30, "guidance": 7.5, "instruct": True, "image_guidance": 1.2,
        "image": (24, 20),
    }  # fmt: skip
    Repaint("a car", strength=(0.2, 0.9), n=20)(row, paint="fake:shape")
    drawn = [ask.content["strength"] for ask in asked[-20:]]
    assert len(set(drawn)) > 15
    assert all(0.2 <= strength <= 0.9 for strength in drawn)


@pytest.mark.parametrize("op", [Repaint, Inpaint])
def test_a_strength_that_leaves_no_step(op: Any):
    with pytest.raises(RecipeError, match=r"10 steps at a strength of 0\.05 are none"):
        op("a car", strength=0.05, steps=10)
    op("a car", strength=0.1, steps=10)


def test_inpaint_changes_the_area_alone(asked: list[Ask]):
    def changed(**how: Any) -> np.ndarray:
        [child] = Inpaint("a car", **how)({"image": PHOTO, "mask": MASK, "boxes": BOXES}, paint="fake:shape")
        same = (child["image"].pixels == PHOTO.pixels).all(axis=2)
        red = (child["image"].pixels == (200, 10, 10)).all(axis=2)
        assert (same | red).all()
        shown = asked[-1].media[asked[-1].content["mask"]]
        assert isinstance(shown, Image)
        assert ((shown.codes == 255) == red).all()
        return red

    inside = CODES != 0
    assert (changed() == inside).all()
    assert (changed(area="boxes") == inside).all()
    assert (changed(area="boxes[0]") == inside).all()
    assert (changed(outside=True) == ~inside).all()
    grown = changed(grow=2)
    assert grown[3:12, 6:10].all()
    assert grown.sum() > inside.sum()
    assert not grown[:3].any()
    assert changed(area="{'x': -5, 'y': 18.5, 'w': 8, 'h': 90}").sum() == 3 * 2


def test_a_child_is_encoded_as_its_parent():
    gray = Image.of(np.full((6, 8), 99, np.uint8))
    painted = Image.of(np.full((12, 16, 3), (200, 10, 10), np.uint8))
    found = as_its_parent(painted, gray)
    assert found.kind == "pnggray"
    assert found.size == (8, 6)
    assert Image(found.encoded).pixels[0, 0].tolist() == [67, 67, 67], "the lightness, not the red"
    assert as_its_parent(painted, None) is painted


def kept(op: Any) -> set[str]:
    """What a child still carries of what was said of its parent."""
    op = op.bind(ABOUT)
    fields = {**dict.fromkeys(ABOUT, "x"), "image": PHOTO, "mask": None, "boxes": None, "edges": None}
    record = Record("r", fields)
    return {*Changes(op, ABOUT).drop(record, record.child(image=MASK)).fields} - {"image", "label"}


def test_what_an_image_was_painted_from_stays_true():
    assert kept(Paint("a {{ label }}")) == set()
    assert kept(Paint("{{ caption }}")) == {"caption"}
    assert kept(Paint("a {{ label }}", control="edges")) == {"edges", "mask"}
    assert kept(Paint("a {{ label }}", layout="boxes")) == {"boxes"}
    assert kept(Repaint("a car", on="image")) == set()
    assert kept(Repaint("a car", on="image", holds=["boxes"])) == {"boxes"}
    assert kept(Repaint("{{ caption }}", on="image", control="edges")) == {"caption", "edges", "mask"}
    assert kept(Inpaint("a car", on="image")) == set()
    assert kept(Inpaint("a car", on="image", outside=True)) == {"mask", "edges"}, "the edges are of the mask"


STEPS = [
    {"any": {
        "new": [{"paint": {"prompt": "a {{ label }} square", "steps": 2}}],
        "over": [{"repaint": {"prompt": "a {{ label }} car", "strength": "choice([0.5, 1.0])", "steps": 2, "n": 2}}],
        "part": [{"inpaint": {"prompt": "a {{ label }} dog", "area": "boxes", "steps": 2, "holds": ["boxes"]}}],
    }}
]  # fmt: skip


@pytest.fixture(scope="module")
def painter(tmp_path_factory: pytest.TempPathFactory) -> Path:
    pytest.importorskip("diffusers")
    return painters.plain(tmp_path_factory.mktemp("painter"))


def run(folder: Path, painter: Path, *more: str) -> dict[str, list[dict[str, Any]]]:
    folder.mkdir()
    world = images()
    fields = {name: kind for name, kind in world.fields.items() if name in ("image", "label", "boxes")}
    rows = [{name: row[name] for name in fields} for row in world.source[:3]]
    rows[0]["boxes"] = []
    recipe = folder / "recipe.yaml"
    recipe.write_text(json.dumps({"fields": fields, "steps": STEPS}))
    table = type(world)(fields, rows, []).table(folder / "rows", rows)
    command = ["augment", table, "-o", str(folder / "out"), "-r", str(recipe), "-q", *more]
    assert cli.run([*command, "--model", f"paint=diffusers:{painter}"]) == 0
    return {name: read(folder / "out" / name) for name in ("train", "refused")}


def read(folder: Path) -> list[dict[str, Any]]:
    return [row for file in sorted(folder.glob("*.parquet")) for row in pq.read_table(file).to_pylist()]


def test_a_run_with_a_real_pipeline(painter: Path, tmp_path: Path, no_report: None):
    found = run(tmp_path / "one", painter, "--workers", "1")
    made = [row for row in found["train"] if row["_synthetic"]]
    sizes = sorted((row["_steps"][-1]["step"], Image(row["image"]["bytes"]).size) for row in made)
    assert sizes == [("inpaint", (40, 32))] * 2 + [("paint", (32, 32))] + [("repaint", (40, 32))] * 2
    assert sorted(row["_reason"] for row in found["refused"]) == ["boxes_lost"] * 6 + ["no_area"]
    assert len({row["image"]["bytes"] for row in made}) == len(made)
    drawn = [json.loads(row["_steps"][-1]["drawn"]) for row in made if row["_steps"][-1]["step"] == "repaint"]
    assert {note["strength"] for note in drawn} <= {0.5, 1.0}
    assert {note["prompt"] for note in drawn} == {"a red car"}
    again = run(tmp_path / "two", painter, "--workers", "2")
    assert again == found


def test_a_pipeline_that_cannot(painter: Path, tmp_path: Path, no_report: None, capsys: pytest.CaptureFixture[str]):
    rows, recipe = tmp_path / "rows.jsonl", tmp_path / "recipe.yaml"
    rows.write_text("".join(json.dumps(row) + "\n" for row in texts().source[:4]))
    recipe.write_text(json.dumps({"fields": ["text"], "steps": [
        {"note": {"boxes": "[{'x': 0, 'y': 0, 'w': 8, 'h': 8, 'label': 'a'}]"}},
        {"paint": {"prompt": "{{ text }}", "layout": "boxes", "width": 32, "height": 32}},
    ]}))  # fmt: skip
    command = ["augment", str(rows), "-o", str(tmp_path / "out"), "-r", str(recipe), "-q"]
    assert cli.run([*command, "--model", f"paint=diffusers:{painter}"]) != 0
    heard = capsys.readouterr().err
    assert "takes no boxes" in heard
    assert "GLIGEN" in heard


def test_nobody_paints():
    with pytest.raises(ModelError, match="role paint"):
        Paint("a car")({"label": "car"})
