"""What the history tells of an image's children: what was drawn, dropped, mended, and what was not done, and why."""

from __future__ import annotations

import json
from typing import Any

import numpy as np

from leaven.context import Context
from leaven.fields import Column
from leaven.image.erase import Erase
from leaven.image.policy import Policy
from leaven.image.shade import Shade
from leaven.image.warp import Warp
from leaven.media.image import Image
from leaven.operators import Make
from leaven.records import Record

NOTED = ("boxes", "mask", "points")
PHOTO = Image.of(np.random.default_rng(0).integers(0, 256, (20, 30, 3), np.uint8))


def box(x: float, y: float, w: float, h: float, label: str = "a") -> dict[str, Any]:
    return {"x": x, "y": y, "w": w, "h": h, "label": label, "polygons": None}


def children(op: Make, fields: dict[str, Any], labels: tuple[str, ...] = ()) -> list[Record]:
    record = Record("r1", {"image": PHOTO, **fields}, root="r1")
    columns = {name: Column(name, frozenset({"image"} if name in NOTED else ())) for name in record.fields}
    ctx = Context(step=op.name, columns=columns, constants={"labels": dict.fromkeys(labels, "")})
    found: Any = op.model_copy(update={"on": "image"}).make(record, ctx.of(record))
    return list(found)


def test_warp_tells_what_was_drawn_and_dropped():
    boxes = [box(0, 0, 3, 3), box(12, 8, 6, 4), box(40, 2, 3, 3)]
    points = [{"x": 1.0, "y": 1.0, "label": "p"}, {"x": 15.0, "y": 10.0, "label": "q"}]
    [child] = children(Warp(crop=(0.25, 0.25), shift=(0, 0)), {"boxes": boxes, "points": points})
    x, y, w, h = child.drawn["crop"]
    seen = [b for b in boxes if b["x"] < x + w and b["x"] + b["w"] > x and b["y"] < y + h and b["y"] + b["h"] > y]
    assert child.drawn["boxes_dropped"] == 3 - len(child["boxes"]) >= 3 - len(seen) > 0
    assert child.drawn.get("points_dropped", 0) == 2 - len(child["points"])
    assert child.drawn["shift"] == [0.0, 0.0]
    assert child.changed == ("image", "boxes", "points")


def test_warp_tells_of_texts():
    said: dict[str, set[str]] = {}
    for caption, label in (("a cup on the left", "cup"), ("a stop sign", "cup"), ("a cup", "left"), ("a cup", "7")):
        found = children(Warp(flip="horizontal", n=50), {"caption": caption, "label": label}, ("cup", "left"))
        said[f"{caption}, {label}"] = {json.dumps(child.drawn, sort_keys=True) for child in found}
    assert said == {
        "a cup on the left, cup": {"{}", '{"flip": "horizontal", "mended": ["caption"]}'},
        "a stop sign, cup": {"{}", '{"flip": "no: caption says `sign`"}'},
        "a cup, left": {"{}", '{"flip": "no: label has no counterpart `right` among the labels"}'},
        "a cup, 7": {"{}", '{"flip": "no: label is a character, `7`"}'},
    }


def test_warp_mirrors_one_way_where_the_other_is_not_true():
    found = children(Warp(flip="both", n=50), {"caption": "a cup above a plate"})
    assert {child.drawn.get("flip") for child in found} == {None, "horizontal", "no: caption says `above`"}
    [child] = children(Warp(rotate=(90, 90)), {"caption": "a cup above a plate"})
    assert child.drawn == {"rotate": "no: caption says `above`"}


def test_both_mirrors_are_a_turn_and_hands_stay_hands():
    hands = [box(1, 1, 2, 2, "left_hand"), box(5, 5, 2, 2, "right_hand")]
    for child in children(Warp(flip="both", n=50), {"boxes": hands}):
        one = child.drawn.get("flip") in ("horizontal", "vertical")
        assert child["boxes"][0]["label"] == ("right_hand" if one else "left_hand")
        assert child.drawn.get("mended", []) == (["boxes"] if one else [])


def test_erase_tells_where():
    [child] = children(Erase(area=(0.2, 0.2), aspect=(1, 1), count=2), {"boxes": [], "points": []})
    assert len(child.drawn["boxes"]) == 2
    for x, y, w, h in child.drawn["boxes"]:
        assert (child["image"].pixels[y : y + h, x : x + w] == child["image"].pixels[y, x]).all()
    [child] = children(Erase(how="grid", d=(8, 9), rotate=0), {"boxes": [box(i, i, 1, 1) for i in range(20)]})
    assert child.drawn["d"] == 8
    assert child.drawn["boxes_dropped"] == 20 - len(child["boxes"]) > 0


def test_shade_tells_why_a_colour_stayed():
    [child] = children(Shade(brightness=0.5, contrast=0, hue=0.1), {"caption": "a red cup"})
    assert set(child.drawn) == {"brightness", "hue"}
    assert child.drawn["hue"] == "no: caption says `red`"


def test_policy_names_its_table():
    [child] = children(Policy("randaugment"), {})
    assert child.drawn["table"] == "torchvision randaugment"
    assert len(child.drawn["ops"]) == 2


def test_all_of_it_is_plain_json():
    fields = {"boxes": [box(1, 1, 5, 5)], "caption": "a red cup on the left", "label": "cup"}
    ops = [
        Warp(
            n=20, flip="both", rotate=(-90, 90), scale=(0.5, 2), shift=(-1, 1), shear=(-9, 9), crop=(0.1, 1), elastic=1,
            perspective=0.1,
        ),
        Shade(n=20, hue=0.1, saturation=0.2, gamma=0.1, blur=1, noise=3, jpeg=(20, 90)),
        Erase(n=20), Erase(n=20, how="grid"), Policy(n=50), Policy("randaugment", n=50),
    ]  # fmt: skip
    for op in ops:
        for child in children(op, fields):
            assert json.loads(json.dumps(child.drawn)) == child.drawn
