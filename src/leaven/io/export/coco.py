"""COCO: ``images/``, and ``annotations.json`` with boxes, ``captions.json`` with captions."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from leaven.errors import DataError, listed
from leaven.io.export.files import Files, put, size_of
from leaven.io.export.train import Row, Train, Warn
from leaven.io.made import said_of


def write_coco(table: Train, folder: Path, name: str, warn: Warn) -> int:
    """Boxes with their polygons and captions; numbers stay as they are.  A row without either is no image of it.
    An image's ``_id`` and ``_synthetic`` stand beside its size, where tools look at what they know alone."""
    main = table.need("image", "coco", "--as jsonl")
    boxes, captions = table.column("boxes"), table.column("caption")
    if not boxes and not captions:
        what = f"coco is written from boxes or captions; {table.folder} has {listed(table.users)}"
        raise DataError(f"{what}.", "--as imagefolder")
    files = Files(table, main)
    noted, told = _Noted(), _Told()
    written = silent = 0
    for stem, row in files.rows():
        has = [part for part, column in ((noted, boxes), (told, captions)) if column and row[column] is not None]
        if not has:
            silent += 1
            continue
        written += 1
        width, height = size_of(row, main)
        image = {"id": written, "file_name": put(folder / "images", stem, row[main]), "width": width, "height": height}
        image |= said_of(row)
        for part in has:
            part.add(image, row[boxes if part is noted else captions])
    files.tell(warn)
    if silent:
        warn(f"{silent:,} {'row has' if silent == 1 else 'rows have'} no boxes and no caption; left out")
    if not written:
        raise DataError(f"no row of {table.folder} has boxes or a caption.", "--as imagefolder")
    for part, column, file in ((noted, boxes, "annotations.json"), (told, captions, "captions.json")):
        if column:
            (folder / file).write_text(json.dumps(part.whole(), ensure_ascii=False), "utf-8")
    table.tell_left_out([main, boxes, captions], "coco", warn)
    return written


class _Told:
    """Images with captions."""

    def __init__(self) -> None:
        self.images: list[Row] = []
        self.notes: list[Row] = []

    def add(self, image: Row, value: Any) -> None:
        self.images.append(image)
        for text in [value] if isinstance(value, str) else value:
            self.notes.append({"id": len(self.notes) + 1, "image_id": image["id"], "caption": text})

    def whole(self) -> Row:
        return {"images": self.images, "annotations": self.notes}


class _Noted:
    """Images with boxes."""

    def __init__(self) -> None:
        self.images: list[Row] = []
        self.notes: list[Row] = []
        self.labels: set[str] = set()

    def add(self, image: Row, value: Any) -> None:
        self.images.append(image)
        for box in value:
            polygons = box["polygons"] or []
            label = "" if box["label"] is None else str(box["label"])
            self.labels.add(label)
            self.notes.append(
                {
                    "id": len(self.notes) + 1,
                    "image_id": image["id"],
                    "category_id": label,
                    "bbox": [box["x"], box["y"], box["w"], box["h"]],
                    "segmentation": polygons,
                    "area": sum(map(area, polygons)) or box["w"] * box["h"],
                    "iscrowd": 0,
                }
            )

    def whole(self) -> Row:
        """The file, the categories numbered in the order of their names."""
        numbers = {label: number for number, label in enumerate(sorted(self.labels), 1)}
        for note in self.notes:
            note["category_id"] = numbers[note["category_id"]]
        categories = [{"id": number, "name": label} for label, number in numbers.items()]
        return {"images": self.images, "annotations": self.notes, "categories": categories}


def area(line: list[float]) -> float:
    """The area within a polygon, given as x1, y1, x2, y2 ..."""
    points = list(zip(line[::2], line[1::2], strict=True))
    ahead = points[1:] + points[:1]
    return abs(sum(x * v - u * y for (x, y), (u, v) in zip(points, ahead, strict=True))) / 2
