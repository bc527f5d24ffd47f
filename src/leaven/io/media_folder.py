"""A folder of images or sounds, whichever way people lay them out, as a table."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path, PurePosixPath

from leaven.errors import DataError
from leaven.io.class_folders import labelled
from leaven.io.coco import open_coco
from leaven.io.masks import masks_of
from leaven.io.media_files import Tree, Warn, look, some
from leaven.io.media_table import FILE_NAME, media_table
from leaven.io.metadata import open_metadata
from leaven.io.table import SPLIT, Table
from leaven.io.voc import open_voc
from leaven.io.webdataset import open_tars
from leaven.io.yolo import open_yolo


def open_media(path: Path, warn: Warn = lambda said: None) -> Table | None:
    """The first of these that the folder is: files with a ``metadata`` table, COCO, Pascal VOC, YOLO, shards of
    webdataset, class folders (with masks beside the images, or without), files without labels.

    None where it holds no images and no sounds.  Nothing but headers is read of an image.  ``warn`` is told what was
    left out.
    """
    tree = look(path, warn)
    tars = tree.notes_of("tar")
    if not tree.images and not tree.sounds:
        return open_tars([path / tar for tar in tars], path.name, warn) if tars else None
    for of_kind in (open_metadata, open_coco, open_voc, open_yolo):
        table = of_kind(tree, warn)
        if table is not None:
            return table
    return _by_folders(tree, warn)


def _by_folders(tree: Tree, warn: Warn) -> Table:
    """One row a file, its label and split by the folders that it lies in."""
    kind, paths = _main(tree, warn)
    masks, alone = masks_of(paths) if kind == "image" else ({}, [])
    if alone:
        warn(f"{len(alone):,} masks are of no image, or of one that has a mask {some(alone)}: left out")
    gone = {*masks.values(), *alone}
    paths = [path for path in paths if path not in gone]
    labels, splits = labelled(paths)
    bare = [path for path, label in zip(paths, labels, strict=True) if label is None]
    by_folder = len(bare) < len(paths)
    if bare and by_folder:
        warn(f"{len(bare):,} files lie beside the folders of labels {some(bare)}: they have none")
    rows = [
        {kind: path, "label": label, "mask": masks.get(path), FILE_NAME: None if by_folder else path, SPLIT: split}
        for path, label, split in zip(paths, labels, splits, strict=True)
    ]
    return media_table(tree.root.name, tree.root, rows, {kind: kind, "label": "label", "mask": "mask"})


def _main(tree: Tree, warn: Warn) -> tuple[str, Sequence[str]]:
    """Images or sounds, of which there are more; both in one folder is an error."""
    shared = {PurePosixPath(p).parent for p in tree.images} & {PurePosixPath(p).parent for p in tree.sounds}
    if shared:
        folder = tree.root / min(shared)
        raise DataError(
            f"{folder} holds images and sounds.",
            "put them into folders of their own, or say in metadata.csv (file_name, ...) which are meant.",
        )
    kind, paths, others = "image", tree.images, tree.sounds
    if len(others) > len(paths):
        kind, paths, others = "audio", others, paths
    if others:
        warn(f"{len(others):,} {'images' if kind == 'audio' else 'sounds'} {some(others)} are left out")
    return kind, paths
