"""YOLO: ``images/train/``, ``labels/train/`` with a text file for each image, and ``data.yaml``."""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path

from leaven.errors import DataError
from leaven.io.export.files import Files, put, size_of
from leaven.io.export.train import Row, Train, Warn
from leaven.io.made import FILE, ROWS, said_of

DATA = """\
path: .
train: images/train
# val: images/val    put real images there, with their labels in labels/val: made ones would flatter the model
names:
"""


def write_yolo(table: Train, folder: Path, name: str, warn: Warn) -> int:
    """A line for each box, in shares of the image: its outline where every box of the data has exactly one, else its
    middle, width and height (a file of both kinds is trained on boxes alone).  YOLO has no place for ``_id`` and
    ``_synthetic``: they stand in ``rows.jsonl``, which its tools pass over."""
    main = table.need("image", "yolo", "--as jsonl")
    boxes = table.need("boxes", "yolo", "--as imagefolder")
    labels: set[str] = set()
    outlined = alone = total = 0
    for value in table.values(boxes):
        for box in value or []:
            labels.add(str(box["label"] or ""))
            outlined += bool(box["polygons"])
            alone += len(box["polygons"] or []) == 1
            total += 1
    numbers = {label: number for number, label in enumerate(sorted(labels))}
    files = Files(table, main)
    told: list[str] = []
    written = silent = 0
    for stem, row in files.rows():
        if row[boxes] is None:
            silent += 1
            continue
        file = put(folder / "images" / "train", stem, row[main])
        told.append(json.dumps({FILE: f"images/train/{file}", **said_of(row)}) + "\n")
        lines = [line(box, size_of(row, main), numbers, alone == total) for box in row[boxes]]
        (folder / "labels" / "train").mkdir(parents=True, exist_ok=True)
        (folder / "labels" / "train" / f"{stem}.txt").write_text("".join(lines), "utf-8")
        written += 1
    files.tell(warn)
    if silent:
        warn(f"{silent:,} {'row has' if silent == 1 else 'rows have'} no word about boxes; left out")
    if not written:
        raise DataError(f"no row of {table.folder} has boxes.", "--as imagefolder")
    names = "".join(f"  {number}: {json.dumps(label, ensure_ascii=False)}\n" for label, number in numbers.items())
    (folder / "data.yaml").write_text(DATA + (names or "  {}\n"), "utf-8")
    (folder / ROWS).write_text("".join(told), "utf-8")
    if outlined and alone != total:
        warn(f"{outlined:,} of {total:,} boxes have polygons, not one each: the boxes alone are written; --as coco")
    table.tell_left_out([main, boxes], "yolo", warn)
    return written


def line(box: Row, size: tuple[int, int], numbers: Mapping[str, int], outline: bool) -> str:
    """A box as a line; nine digits are a thousandth of a pixel in the largest image."""
    width, height = size
    if outline:
        values = [v / size[i % 2] for i, v in enumerate(box["polygons"][0])]
    else:
        middle = (box["x"] + box["w"] / 2) / width, (box["y"] + box["h"] / 2) / height
        values = [*middle, box["w"] / width, box["h"] / height]
    return f"{numbers[str(box['label'] or '')]} {' '.join(f'{v:.9f}' for v in values)}\n"
