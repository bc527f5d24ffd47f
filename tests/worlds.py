"""Small datasets of every modality, for what must hold wherever records come from: texts, images, sounds, pairs."""

from __future__ import annotations

import csv
import json
from collections.abc import Sequence
from dataclasses import dataclass
from importlib import resources
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

from leaven.media.audio import Audio
from leaven.media.image import Image
from leaven.storage import arrow_of, to_cells

Row = dict[str, Any]


@dataclass(frozen=True)
class World:
    """``fields`` are a recipe's; ``rides`` is a column that no step touches; ``record`` is what is tried in Python."""

    fields: dict[str, str]
    source: list[Row]
    test: list[Row]
    rides: str = "shelf"

    def table(self, path: Path, rows: Sequence[Row]) -> str:
        """The rows as a file: lines of JSON, or Parquet where they hold images or sounds."""
        if all(arrow_of(kind) is None for kind in self.fields.values()):
            path = path.with_suffix(".jsonl")
            path.write_text("".join(json.dumps(row) + "\n" for row in rows))
            return str(path)
        arrays = {}
        for name in rows[0]:
            kind = self.fields.get(name, "")
            arrays[name] = pa.array(to_cells(kind, [row[name] for row in rows]), arrow_of(kind))
        path = path.with_suffix(".parquet")
        pq.write_table(pa.table(arrays), path)
        return str(path)


def desk(file: str, rows: int) -> list[Row]:
    with (resources.files("leaven") / "demo" / file).open(encoding="utf-8") as lines:
        found = [{"text": r["question"], "label": r["topic"]} for r in csv.DictReader(lines)]
    return [{**row, "shelf": f"s{i}"} for i, row in enumerate(found[:rows])]


def texts() -> World:
    source = desk("desk.csv", 36)
    near = {"text": source[0]["text"] + " thanks", "label": source[0]["label"], "shelf": "t"}
    return World({"text": "text", "label": "label"}, source, [*desk("desk_test.csv", 6), near])


WIDTH, HEIGHT = 40, 32
COLOURS = {"red": (200, 40, 30), "green": (30, 180, 50), "blue": (40, 60, 210)}
SIDES = ("left", "right")


def square(i: int, salt: int = 0) -> Row:
    """A picture of a coloured square on gray, with all that can be said of where it is."""
    rng = np.random.Generator(np.random.Philox(key=1000 * salt + i))
    label = list(COLOURS)[i % 3]
    side = int(rng.integers(9, 14))
    x, y = int(rng.integers(3, WIDTH - side - 3)), int(rng.integers(3, HEIGHT - side - 3))
    pixels = np.full((HEIGHT, WIDTH, 3), 120, np.uint8) + rng.integers(0, 9, (HEIGHT, WIDTH, 3), np.uint8)
    pixels[y : y + side, x : x + side] = COLOURS[label]
    codes = np.zeros((HEIGHT, WIDTH), np.uint8)
    codes[y : y + side, x : x + side] = 1 + i % 3
    corners = [x, y, x + side, y, x + side, y + side, x, y + side]
    box = {"x": x, "y": y, "w": side, "h": side, "label": label, "polygons": [[float(c) for c in corners]]}
    return {
        "image": Image(Image.of(pixels).encoded, f"{i}.png"),
        "label": label,
        "caption": f"a {label} square on the {SIDES[int(x + side / 2 > WIDTH / 2)]}",
        "boxes": [{k: float(v) if k in "xywh" else v for k, v in box.items()}],
        "mask": Image(Image.of_codes(codes).encoded),
        "points": [{"x": x + side / 2, "y": y + side / 2, "label": "centre"}],
        "shelf": i,
    }


IMAGE_FIELDS = {name: name for name in ("image", "label", "caption", "boxes", "mask", "points")}


def images() -> World:
    return World(IMAGE_FIELDS, [square(i) for i in range(15)], [square(i, 1) for i in range(3)])


def unmasked() -> World:
    """The pictures without their masks and points, which mixing cannot keep true."""
    return lacking("mask", "points")


def bare() -> World:
    """The pictures of which nobody has said where something is."""
    return lacking("boxes", "mask", "points")


def lacking(*lost: str) -> World:
    whole = images()

    def without(rows: list[Row]) -> list[Row]:
        return [{name: value for name, value in row.items() if name not in lost} for row in rows]

    fields = {name: kind for name, kind in whole.fields.items() if name not in lost}
    return World(fields, without(whole.source), without(whole.test))


def tone(i: int, salt: int = 0) -> Row:
    """A tone between two silences, with when it sounds."""
    rng = np.random.Generator(np.random.Philox(key=2000 + 1000 * salt + i))
    rate = 8000
    label = ("low", "middle", "high")[i % 3]
    pitch = {"low": 220, "middle": 500, "high": 1100}[label]
    seconds = 0.25 + 0.05 * int(rng.integers(0, 4))
    t = np.arange(int(rate * seconds)) / rate
    samples = 0.3 * np.sin(2 * np.pi * pitch * t) + 0.002 * rng.standard_normal(len(t))
    silence = np.zeros(int(rate * 0.05))
    whole = np.concatenate([silence, samples, silence]).astype(np.float32)
    return {
        "audio": Audio(Audio.of(whole, rate).encoded, f"{i}.wav"),
        "label": label,
        "caption": f"a {label} tone",
        "segments": [{"start": 0.05, "end": 0.05 + seconds, "label": label}],
        "shelf": i,
    }


AUDIO_FIELDS = {name: name for name in ("audio", "label", "caption", "segments")}


def sounds() -> World:
    return World(AUDIO_FIELDS, [tone(i) for i in range(12)], [tone(i, 1) for i in range(3)])


def two_views(i: int, salt: int = 0) -> Row:
    """Two pictures of one size, and a sentence about them."""
    left, right = square(i, salt), square(i + 1, salt + 5)
    return {
        "image_left": left["image"],
        "image_right": right["image"],
        "sentence": f"there is a {left['label']} square and a {right['label']} one",
        "boxes": left["boxes"],
        "label": ("yes", "no")[i % 2],
        "shelf": i,
    }


def vector(i: int, salt: int = 0) -> Row:
    """Four numbers about one of two middles; every sixth row is of a label that has few."""
    rng = np.random.Generator(np.random.Philox(key=5000 + 1000 * salt + i))
    label = "rare" if i % 6 == 3 else ("near", "far")[i % 2]
    numbers = rng.normal({"near": 0, "far": 3, "rare": -3}[label], 1, 4).astype(np.float32)
    return {"vector": numbers, "label": label, "shelf": i}


def vectors() -> World:
    fields = {"vector": "vector", "label": "label"}
    return World(fields, [vector(i) for i in range(24)], [vector(i, 1) for i in range(6)])


def pairs() -> World:
    fields = {"image_left": "image", "image_right": "image", "sentence": "text", "boxes": "boxes", "label": "label"}
    return World(fields, [two_views(i) for i in range(12)], [two_views(i, 1) for i in range(3)])
