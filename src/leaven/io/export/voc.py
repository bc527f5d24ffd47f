"""Pascal VOC: ``JPEGImages/``, ``Annotations/`` with an xml file for each image, ``ImageSets/Main/train.txt``."""

from __future__ import annotations

import json
import re
from pathlib import Path
from typing import Any

from leaven.errors import DataError
from leaven.io.export.files import Files, put, size_of
from leaven.io.export.train import Row, Train, Warn
from leaven.io.made import said_of

NO_XML = re.compile("[^\t\n\r\x20-\ud7ff\ue000-\ufffd\U00010000-\U0010ffff]")


def write_voc(table: Train, folder: Path, name: str, warn: Warn) -> int:
    """VOC counts pixels from 1, in whole numbers, and includes the last: xmin = x + 1, xmax = x + w.  ``_id`` and
    ``_synthetic`` are elements of leaven's own."""
    main = table.need("image", "voc", "--as jsonl")
    boxes = table.need("boxes", "voc", "--as imagefolder")
    files = Files(table, main)
    stems: list[str] = []
    silent = rounded = outlined = 0
    for stem, row in files.rows():
        if row[boxes] is None:
            silent += 1
            continue
        file = put(folder / "JPEGImages", stem, row[main])
        stems.append(stem)
        rounded += sum(any(not float(box[k]).is_integer() for k in "xywh") for box in row[boxes])
        outlined += sum(bool(box["polygons"]) for box in row[boxes])
        (folder / "Annotations").mkdir(exist_ok=True)
        (folder / "Annotations" / f"{stem}.xml").write_bytes(xml(file, size_of(row, main), row[boxes], said_of(row)))
    files.tell(warn)
    if silent:
        warn(f"{silent:,} {'row has' if silent == 1 else 'rows have'} no word about boxes; left out")
    if not stems:
        raise DataError(f"no row of {table.folder} has boxes.", "--as imagefolder")
    (folder / "ImageSets" / "Main").mkdir(parents=True)
    (folder / "ImageSets" / "Main" / "train.txt").write_text("".join(f"{stem}\n" for stem in stems), "utf-8")
    if rounded:
        warn(f"{rounded:,} boxes are rounded to whole pixels, as voc has them; --as coco keeps them")
    if outlined:
        warn(f"{outlined:,} boxes have polygons, for which voc has no place; --as coco keeps them")
    table.tell_left_out([main, boxes], "voc", warn)
    return len(stems)


def xml(file: str, size: tuple[int, int], boxes: list[Row], said: Row) -> bytes:
    """The annotation of one image."""
    from xml.etree import ElementTree

    root = ElementTree.Element("annotation")
    _add(root, "folder", "JPEGImages")
    _add(root, "filename", file)
    for key, value in said.items():
        _add(root, key, json.dumps(value) if isinstance(value, bool) else NO_XML.sub("\ufffd", value))
    at = _add(root, "size")
    for key, value in (("width", size[0]), ("height", size[1]), ("depth", 3)):
        _add(at, key, value)
    _add(root, "segmented", 0)
    for box in boxes:
        thing = _add(root, "object")
        _add(thing, "name", NO_XML.sub("\ufffd", str(box["label"] or "")))
        for key in ("truncated", "difficult"):
            _add(thing, key, 0)
        at = _add(thing, "bndbox")
        left, top = round(box["x"]) + 1, round(box["y"]) + 1
        _add(at, "xmin", left)
        _add(at, "ymin", top)
        _add(at, "xmax", max(left, round(box["x"] + box["w"])))
        _add(at, "ymax", max(top, round(box["y"] + box["h"])))
    ElementTree.indent(root)
    found: bytes = ElementTree.tostring(root, "utf-8") + b"\n"
    return found


def _add(to: Any, name: str, value: object = None) -> Any:
    from xml.etree import ElementTree

    made = ElementTree.SubElement(to, name)
    made.text = None if value is None else str(value)
    return made
