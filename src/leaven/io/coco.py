"""COCO: a json file of images with their boxes, polygons or captions, which lie beside it."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import PurePosixPath
from typing import Any

from leaven.errors import DataError, brief
from leaven.io.boxes import Boxes, Size, Sizes, around
from leaven.io.made import said_of
from leaven.io.media_files import Tree, Warn, some, split_in_name, split_of_folder, split_of_path
from leaven.io.media_table import Row, captioned, media_table
from leaven.io.rle import polygons_of
from leaven.io.table import SPLIT, Table, unreadable

MOST_BYTES = 2_000_000_000
MOST_FILES = 40
"""More json files than this in one folder are one an image, which is another format."""
OTHER_TASKS = ("person_keypoints", "stuff", "panoptic", "image_info")
KINDS = {"image": "image", "boxes": "boxes", "caption": "caption", "captions": "caption"}


def open_coco(tree: Tree, warn: Warn = lambda said: None) -> Table | None:
    """The images that COCO files list; those of the same image are joined.  None where there is no such file.

    The name of a file says the split (``instances_train2017.json``), else the folder of the image does.  Crowds
    (``iscrowd``) are left out, as those who train detectors do.
    """
    files = _files(tree)
    images: dict[str, _Image] = {}
    found = False
    for path in files:
        data = _load(tree, path)
        if data is not None:
            found = True
            _File(tree, path, data, warn).read(images)
    if not found:
        return None
    if not images:
        raise DataError(
            f"no image that {some(files)} list is there.",
            "put the images beside the json file, or into a folder called after the split.",
            where=str(tree.root),
        )
    if left := len(set(tree.images) - images.keys()):
        warn(f"{left:,} images are in no COCO file: left out")
    rows = [image.row(path) for path, image in images.items()]
    captioned(rows)
    return media_table(tree.root.name, tree.root, rows, KINDS)


@dataclass
class _Image:
    """What is known about one image, and which file said it."""

    split: str
    boxes: list[dict[str, Any]] | None = None
    captions: list[str] | None = None
    own: dict[str, Any] = field(default_factory=dict)
    """Its id and whether it was made, where leaven wrote the file."""
    said: dict[str, str] = field(default_factory=dict)

    def row(self, path: str) -> Row:
        split = self.split or split_of_path(path) or None
        return {
            "image": path, "boxes": self.boxes, "captions": self.captions, "file_name": path, SPLIT: split, **self.own
        }  # fmt: skip

    def begin(self, what: str, file: str, path: str) -> None:
        """The first word about an image is one file's; a second would double its boxes."""
        if self.said.setdefault(what, file) != file:
            raise DataError(
                f"{self.said[what]} and {file} both hold {what} of {path}.", "leave one of the two files there."
            )
        if what == "boxes" and self.boxes is None:
            self.boxes = []
        if what == "captions" and self.captions is None:
            self.captions = []


def _files(tree: Tree) -> list[str]:
    """Json files at the top, in a folder of annotations or of a split; not those of other tasks beside instances."""
    folders: dict[str, list[str]] = {}
    for path in tree.notes_of("json"):
        folder, _, _ = path.rpartition("/")
        name = folder.rpartition("/")[2].lower()
        if not folder or name.startswith("annotation") or split_of_folder(name):
            folders.setdefault(folder, []).append(path)
    found = [path for paths in folders.values() if len(paths) <= MOST_FILES for path in paths]
    names = [PurePosixPath(path).name for path in found]
    if any(name.startswith(("instances", "captions")) for name in names):
        found = [path for path, name in zip(found, names, strict=True) if not name.startswith(OTHER_TASKS)]
    return found


def _load(tree: Tree, path: str) -> dict[str, Any] | None:
    """The content of a COCO file; None where it is another json file."""
    file = tree.root / path
    try:
        size = file.stat().st_size
        if size > MOST_BYTES:
            raise DataError(
                f"{path} has {size:,} bytes; the limit is {MOST_BYTES:,}.", "split it into several files.",
                where=str(tree.root),
            )  # fmt: skip
        data = json.loads(file.read_text("utf-8-sig"))
    except OSError as error:
        raise unreadable(file, error) from None
    except (ValueError, RecursionError) as error:
        if "/" not in path and not re.search("coco|annotation|instances|captions", path.lower()):
            return None  # some other file at the top
        why = "it is nested too deeply" if isinstance(error, RecursionError) else str(error).splitlines()[0]
        raise DataError(f"{path} is no JSON: {why}.", "write or download it again.", where=str(tree.root)) from None
    if isinstance(data, dict) and isinstance(data.get("images"), list) and isinstance(data.get("annotations"), list):
        return data
    return None


class _File:
    """One COCO file."""

    def __init__(self, tree: Tree, path: str, data: Mapping[str, Any], warn: Warn) -> None:
        self.tree, self.path, self.data, self.warn = tree, path, data, warn
        self.split = split_in_name(PurePosixPath(path).name)
        self.boxes, self.sizes = Boxes(path), Sizes(path)
        self.there = set(tree.images)
        self.called: dict[str, list[str]] = {}
        for image in tree.images:
            self.called.setdefault(PurePosixPath(image).name, []).append(image)
        self.crowds = self.shapeless = self.astray = 0

    def read(self, images: dict[str, _Image]) -> None:
        """Add what the file says to the images that are there."""
        listed = self.listed()
        paths = {number: self.find(entry["file_name"]) for number, entry in listed.items()}
        missing = [listed[number]["file_name"] for number, path in paths.items() if path is None]
        notes = list(self.notes(listed))
        kinds = {"captions" if "caption" in note else "boxes" for _, note in notes}
        if not notes and self.data.get("categories"):
            kinds = {"boxes"}
        sizes: dict[str, Size | None] = {}
        for number, path in paths.items():
            if path is None:
                continue
            image = images.setdefault(path, _Image(self.split))
            image.own |= said_of(listed[number])
            for kind in kinds:
                image.begin(kind, self.path, path)
            if "boxes" in kinds:
                sizes[number] = self.sizes.of(self.tree.root / path, _size(listed[number]))
        names = self.categories()
        for number, note in notes:
            path = paths[number]
            if path is None:
                continue
            image = images[path]
            if "caption" in note:
                if image.captions is not None and str(note["caption"]).strip():
                    image.captions.append(str(note["caption"]).strip())
            elif image.boxes is not None:
                self.box(note, image.boxes, sizes[number], names)
        self.tell(missing, len(listed))

    def listed(self) -> dict[str, dict[str, Any]]:
        """The images of the file by their ids."""
        found: dict[str, dict[str, Any]] = {}
        for at, entry in enumerate(self.data["images"], 1):
            good = isinstance(entry, dict) and isinstance(entry.get("file_name"), str)
            if not good or not isinstance(entry.get("id"), int | str):
                raise self.wrong(f"image {at} has no `id` or no `file_name`")
            if str(entry["id"]) in found:
                raise self.wrong(f"two images have the id {brief(str(entry['id']))}")
            found[str(entry["id"])] = entry
        return found

    def notes(self, listed: Mapping[str, Any]) -> Iterator[tuple[str, dict[str, Any]]]:
        """The annotations of images that are listed, with the image's id."""
        for at, note in enumerate(self.data["annotations"], 1):
            if not isinstance(note, dict) or not isinstance(note.get("image_id"), int | str):
                raise self.wrong(f"annotation {at} has no `image_id`")
            number = str(note["image_id"])
            if number not in listed:
                self.astray += 1
            elif "caption" in note or "bbox" in note or "segmentation" in note:
                yield number, note

    def categories(self) -> dict[str, str]:
        found = self.data.get("categories") or []
        if not isinstance(found, list) or not all(isinstance(c, dict) and "id" in c and "name" in c for c in found):
            raise self.wrong("`categories` is no list of objects with `id` and `name`")
        return {str(c["id"]): str(c["name"]) for c in found}

    def find(self, name: str) -> str | None:
        """Where an image lies: beside the file, at the top, in a folder called after the file's last word or
        ``images``, or wherever the one image of this name is."""
        beside, end = self.path.rpartition("/")[0], PurePosixPath(self.path).stem.rpartition("_")[2]
        for folder in (beside, "", end, "images", f"images/{end}"):
            path = str(PurePosixPath(folder, name))
            if path in self.there:
                return path
        elsewhere = self.called.get(PurePosixPath(name).name, [])
        return elsewhere[0] if len(elsewhere) == 1 and "/" not in name else None

    def box(
        self, note: Mapping[str, Any], to: list[dict[str, Any]], size: Size | None, names: Mapping[str, str]
    ) -> None:
        if note.get("iscrowd"):
            self.crowds += 1
            return
        category = str(note.get("category_id"))
        if category not in names:
            raise self.wrong(f"annotation {brief(str(note.get('id')))} has the category {brief(category)}, which is not"
                             " in `categories`")  # fmt: skip
        polygons = self.outlines(note.get("segmentation"))
        corners = note.get("bbox")
        if not corners and polygons:
            corners = around(polygons)
        if not isinstance(corners, list | tuple) or len(corners) != 4 or not all(map(_is_number, corners)):
            raise self.wrong(f"annotation {brief(str(note.get('id')))} has no `bbox` of four numbers")
        self.boxes.add(to, corners, names[category], size, polygons)

    def outlines(self, said: Any) -> list[list[float]] | None:
        """The polygons of a segmentation; None where there are none that can be read, which is counted."""
        if not said:
            return None
        if isinstance(said, dict):
            found = polygons_of(said)
        else:
            lines = said if isinstance(said, list) else []
            good = [line for line in lines if isinstance(line, list) and len(line) >= 6 and len(line) % 2 == 0]
            found = [[float(v) for v in line] for line in good if all(map(_is_number, line))] or None
        self.shapeless += found is None
        return found

    def tell(self, missing: list[str], of: int) -> None:
        self.boxes.tell(self.warn)
        self.sizes.tell(self.warn)
        if missing:
            self.warn(
                f"{self.path} lists {len(missing):,} of {of:,} images that are not there {some(missing)}: left out"
            )
        for count, one, many, what in (
            (self.crowds, "box", "boxes", "of crowds (iscrowd): left out"),
            (self.shapeless, "outline", "outlines", "that cannot be read: left out, the box stays"),
            (self.astray, "annotation", "annotations", "of images that it does not list: left out"),
        ):
            if count:
                self.warn(f"{self.path} has {count:,} {one if count == 1 else many} {what}")

    def wrong(self, what: str) -> DataError:
        return DataError(f"{self.path}: {what}.", "correct the file, or write it again.", where=str(self.tree.root))


def _size(entry: Mapping[str, Any]) -> Size | None:
    width, height = entry.get("width"), entry.get("height")
    return (width, height) if isinstance(width, int) and isinstance(height, int) and width > 0 < height else None


def _is_number(value: Any) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool)
