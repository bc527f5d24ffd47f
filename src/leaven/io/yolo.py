"""YOLO: a text file for each image, with a line for each box or outline, in shares of the image's width and height."""

from __future__ import annotations

import json
import math
from pathlib import Path, PurePosixPath
from typing import Any

from leaven.errors import DataError, RecipeError, brief
from leaven.io.boxes import Boxes, Size, around, shown_size
from leaven.io.made import beside
from leaven.io.media_files import Tree, Warn, shape_of, some, split_of_path
from leaven.io.media_table import Row, media_table
from leaven.io.table import SPLIT, Table, unreadable

IMAGES, LABELS = ("images",), ("labels",)
LISTS = ("classes.txt", "obj.names", "classes.names", "names.txt")
MOST_BYTES = 10_000_000
KINDS = {"image": "image", "boxes": "boxes"}


def open_yolo(tree: Tree, warn: Warn = lambda said: None) -> Table | None:
    """The images in ``images/`` with what the files of the same stem in ``labels/`` say; folders below or above are
    splits.  None where there is no such pair, or no file that could hold lines of numbers.

    A line is ``class x y w h`` (the middle of the box) or ``class x1 y1 x2 y2 x3 y3 ...`` (an outline).  An image
    without a file has no boxes, where others of its folder have files.
    """
    names = _names(tree)
    listed = {path for path in tree.notes_of("txt") if PurePosixPath(path).name not in LISTS}
    files = {shape_of(path, LABELS): path for path in listed}
    images = {shape_of(path, IMAGES): path for path in tree.images}
    both = {shape for shape in files.keys() & images.keys() if names.told or "*" in shape.split("/")}
    if not both:
        return None
    if not names.told:
        warn(f"{tree.root.name} has no data.yaml and no classes.txt: its labels are the numbers of the classes")
    lost = [files[shape] for shape in sorted(files.keys() - images.keys()) if "*" in shape.split("/")]
    if lost:
        warn(f"{len(lost):,} files of labels are there without an image {some(lost)}: left out")
    noted = {shape.rpartition("/")[0] for shape in both}
    counted = Boxes(tree.root.name)
    told = beside(tree.root)
    rows: list[Row] = []
    for shape, path in images.items():
        boxes: list[dict[str, Any]] | None = [] if shape.rpartition("/")[0] in noted else None
        if shape in both and boxes is not None:
            boxes = _boxes(tree.root, files[shape], shown_size(tree.root / path), names, counted)
        split = split_of_path(path) or None
        rows.append({"image": path, "boxes": boxes, "file_name": path, SPLIT: split, **told.get(path, {})})
    counted.tell(warn)
    if names.keypoints:
        warn(f"{tree.root.name} has keypoints (kpt_shape): of them the boxes alone are read")
    return media_table(tree.root.name, tree.root, rows, KINDS)


class _Names:
    """What the classes are called: ``told`` where a file says it."""

    def __init__(self, names: dict[int, str] | None, keypoints: bool = False) -> None:
        self.names, self.told, self.keypoints = names or {}, names is not None, keypoints

    def of(self, number: int) -> str | None:
        return self.names.get(number) if self.told else str(number)


def _names(tree: Tree) -> _Names:
    """The names from ``data.yaml`` (any yaml file at the top that has some), else from a list with one a line."""
    from leaven.plain_yaml import load_file

    for path in tree.notes_of("yaml", "yml"):
        if "/" in path:
            continue
        try:
            data = load_file(tree.root / path)
        except RecipeError as error:  # the loader is the recipes'; this file is the data's
            raise DataError(error.what, error.fix, where=error.where) from None
        said = data.get("names") if isinstance(data, dict) else None
        if said is None:
            continue
        pairs = said.items() if isinstance(said, dict) else enumerate(said) if isinstance(said, list) else []
        names = {int(key): _word(value) for key, value in pairs if str(key).isdecimal()}
        if said and not names:
            raise DataError(f"{path}: `names` is no list of names.", "names: [cat, dog]", where=str(tree.root))
        return _Names(names, "kpt_shape" in data)
    for path in tree.notes:
        if PurePosixPath(path).name in LISTS:
            lines = (tree.root / path).read_text("utf-8-sig", "replace").splitlines()
            return _Names({number: line.strip() for number, line in enumerate(lines) if line.strip()})
    return _Names(None)


def _word(value: Any) -> str:
    """A name as it was written: yaml takes some for numbers or truths."""
    if value is None or isinstance(value, bool):
        return json.dumps(value)
    return str(value)


def _boxes(root: Path, file: str, size: Size | None, names: _Names, counted: Boxes) -> list[dict[str, Any]] | None:
    """The boxes of a file of lines; None where the image cannot be opened, so that nobody knows how large they are."""
    path = root / file
    try:
        if path.stat().st_size > MOST_BYTES:
            raise DataError(f"{file} is larger than {MOST_BYTES:,} bytes.", "it holds no labels.", where=str(root))
        text = path.read_text("utf-8-sig", "replace")
    except OSError as error:
        raise unreadable(path, error) from None
    if size is None:
        return None
    width, height = size
    found: list[dict[str, Any]] = []
    for row, line in enumerate(text.splitlines(), 1):
        if not line.strip():
            continue
        number, values = _numbers(line, f"{file} line {row}", names.keypoints)
        name = names.of(number)
        if name is None:
            raise DataError(
                f"{file} line {row} has the class {number}; {len(names.names):,} have names.",
                "add its name to data.yaml or classes.txt.",
                where=str(root),
            )
        if len(values) == 4:
            x, y, w, h = values
            counted.add(found, ((x - w / 2) * width, (y - h / 2) * height, w * width, h * height), name, size)
        else:
            outline = [v * size[i % 2] for i, v in enumerate(values)]
            counted.add(found, around([outline]), name, size, [outline])
    return found


def _numbers(line: str, where: str, keypoints: bool) -> tuple[int, list[float]]:
    words = line.split()
    try:
        number, values = int(words[0]), [float(word) for word in words[1:]]
    except ValueError:
        raise DataError(
            f"{where} is `{brief(line.strip())}`, no class and numbers.", "class x y w h", where=""
        ) from None
    if keypoints:
        values = values[:4]
    if len(values) != 4 and (len(values) < 6 or len(values) % 2):
        what = "a confidence?" if len(values) == 5 else "4 are a box, 6 or more in pairs an outline"
        raise DataError(f"{where} has {len(values)} numbers after the class ({what}).", "class x y w h")
    if any(not math.isfinite(v) or abs(v) > 2 for v in values):
        raise DataError(
            f"{where}: its numbers are no shares of the image.", "divide x, w by the width; y, h by the height."
        )
    return number, values
