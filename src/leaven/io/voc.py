"""Pascal VOC: an xml file for each image, with its boxes."""

from __future__ import annotations

import re
from pathlib import PurePosixPath
from typing import TYPE_CHECKING, Any

from leaven.errors import DataError
from leaven.io.boxes import Boxes, Size, Sizes
from leaven.io.made import ID, MADE, said_of
from leaven.io.media_files import Tree, Warn, shape_of, some, split_of_path
from leaven.io.media_table import Row, media_table
from leaven.io.table import SPLIT, Table, unreadable

if TYPE_CHECKING:
    from xml.etree.ElementTree import Element

IMAGES = ("jpegimages", "images", "image")
ANNOTATIONS = ("annotations", "annotation", "xmls", "labels")
MOST_BYTES = 10_000_000
LISTS = {"train": "train", "val": "dev", "test": "test"}
KINDS = {"image": "image", "boxes": "boxes"}
TRUTHS = {"true": True, "false": False}


def open_voc(tree: Tree, warn: Warn = lambda said: None) -> Table | None:
    """The images of a folder with their boxes, from xml files of the same stem in ``Annotations`` or beside them.

    VOC counts pixels from 1 and includes the last one: x = xmin - 1, w = xmax - xmin + 1.  ``ImageSets/Main/train.txt``
    and its sisters say the splits where they are there.  An image without an xml file has no word about boxes (null).
    None where there are no such files.
    """
    files = {shape_of(path, ANNOTATIONS): path for path in tree.notes_of("xml")}
    images = {shape_of(path, IMAGES): path for path in tree.images}
    both = files.keys() & images.keys()
    if not both:
        return None
    if lost := [files[shape] for shape in sorted(files.keys() - images.keys())]:
        warn(f"{len(lost):,} xml files are there without an image {some(lost)}: left out")
    splits = _splits(tree)
    reader = _Reader(tree)
    rows: list[Row] = []
    unlisted = 0
    for shape, path in images.items():
        stem = PurePosixPath(path).stem
        if splits and stem not in splits:
            unlisted += 1
            continue
        said: Row = reader.read(files[shape], path) if shape in both else {"boxes": None}
        split = splits.get(stem) or split_of_path(path) or None
        rows.append({"image": path, **said, "file_name": path, SPLIT: split})
    if not rows:
        raise DataError(
            "the files in ImageSets/Main name no image that is there.", "correct or remove them.", where=str(tree.root)
        )
    if unlisted:
        warn(f"{unlisted:,} images are in no file of ImageSets/Main: left out")
    reader.tell(warn)
    return media_table(tree.root.name, tree.root, rows, KINDS)


def _splits(tree: Tree) -> dict[str, str]:
    """The split of each stem, from the lists in ``ImageSets/Main``; ``trainval`` stands for train without that."""
    lists = {
        PurePosixPath(path).stem: path
        for path in tree.notes_of("txt")
        if path.lower().rpartition("/")[0].endswith("imagesets/main")
    }
    if "train" not in lists and "trainval" in lists:
        lists["train"] = lists["trainval"]
    found: dict[str, str] = {}
    for name, split in LISTS.items():
        if name in lists:
            for line in (tree.root / lists[name]).read_text("utf-8-sig", "replace").splitlines():
                if words := line.split():
                    found.setdefault(words[0], split)
                    found.setdefault(line.strip(), split)  # a name with a blank in it
    return found


class _Reader:
    def __init__(self, tree: Tree) -> None:
        self.tree = tree
        self.counted, self.sizes = Boxes(tree.root.name), Sizes(tree.root.name)
        self.without = 0

    def read(self, file: str, image: str) -> Row:
        """The boxes of an image; its id and whether it was made, where leaven wrote the file."""
        root = self.parsed(file)
        return {
            "boxes": self.boxes(root, file, image),
            **said_of({ID: root.findtext(ID), MADE: TRUTHS.get(root.findtext(MADE) or "")}),
        }

    def boxes(self, root: Element, file: str, image: str) -> list[dict[str, Any]]:
        size = self.sizes.of(self.tree.root / image, _size(root))
        found: list[dict[str, Any]] = []
        for thing in root.findall("object"):
            name, box = (thing.findtext("name") or "").strip(), thing.find("bndbox")
            if not name:
                raise self.wrong(file, "an object has no name")
            if box is None:
                self.without += 1
                continue
            try:
                left, top, right, below = (float(box.findtext(k) or "") for k in ("xmin", "ymin", "xmax", "ymax"))
            except ValueError:
                raise self.wrong(file, f"the box of a `{name}` has no xmin, ymin, xmax and ymax in numbers") from None
            self.counted.add(found, (left - 1, top - 1, right - left + 1, below - top + 1), name, size)
        return found

    def parsed(self, file: str) -> Element:
        """The root of an xml file; one that declares a document type is refused, since that can name files, and can
        grow without end."""
        from xml.etree import ElementTree

        path = self.tree.root / file
        try:
            data = path.read_bytes() if path.stat().st_size <= MOST_BYTES else None
        except OSError as error:
            raise unreadable(path, error) from None
        if data is None:
            raise self.wrong(file, f"it is larger than {MOST_BYTES:,} bytes")
        text = _text(data)
        if text is None:
            raise self.wrong(file, "it is no UTF-8")
        if re.search(r"<!(DOCTYPE|ENTITY)", text, re.IGNORECASE):
            raise self.wrong(file, "it declares a document type or entities, which are not read")
        try:
            return ElementTree.fromstring(text)
        except (ElementTree.ParseError, ValueError) as error:
            raise self.wrong(file, f"it is no xml: {error}") from None

    def tell(self, warn: Warn) -> None:
        self.counted.tell(warn)
        self.sizes.tell(warn)
        if self.without:
            objects = "object has" if self.without == 1 else "objects have"
            warn(f"{self.counted.name}: {self.without:,} {objects} no box: left out")

    def wrong(self, file: str, what: str) -> DataError:
        return DataError(f"{file}: {what}.", "correct the file, or write it again.", where=str(self.tree.root))


def _text(data: bytes) -> str | None:
    """As UTF-8, else as the file itself declares, where that is no other family of encodings."""
    declared = re.match(rb"\s*<\?xml[^>]*encoding=[\"']([A-Za-z0-9_.-]+)[\"']", data)
    for encoding in ("utf-8-sig", declared.group(1).decode() if declared else "utf-8"):
        try:
            return data.decode(encoding)
        except (UnicodeError, LookupError):
            continue
    return None


def _size(root: Element) -> Size | None:
    try:
        width, height = (int(float(root.findtext(f"size/{k}") or "")) for k in ("width", "height"))
    except (ValueError, OverflowError):
        return None
    return (width, height) if width > 0 < height else None
