"""Masks beside images: ``masks/a.png`` of ``images/a.jpg``, or ``a_mask.png`` of ``a.jpg``."""

from __future__ import annotations

import re
from collections.abc import Sequence
from pathlib import PurePosixPath

from leaven.io.media_files import shape_of

IMAGES = ("images", "image", "imgs", "jpegimages")
MASKS = ("masks", "mask", "labels", "label", "annotations", "annotation", "segmentationclass")
END = re.compile(r"[_-]mask([_-]?[0-9]+)?$")


def masks_of(images: Sequence[str]) -> tuple[dict[str, str], list[str]]:
    """The mask of each image that has one, and masks of no image, or of one that has a mask; both empty where none is a
    mask.

    A mask is told by its folder, which stands where the folder of images stands, or by its name's end.
    """
    shapes = {shape_of(path, IMAGES): path for path in images if not _ends(path) and not _below(path, MASKS)}
    found: dict[str, str] = {}
    alone: list[str] = []
    for path in images:
        if not (_ends(path) or _below(path, MASKS)):
            continue
        plain = str(PurePosixPath(path).with_name(END.sub("", PurePosixPath(path).stem) + ".png"))
        image = shapes.get(shape_of(plain, MASKS if _below(path, MASKS) else IMAGES))
        if image is None or image in found:
            alone.append(path)
        else:
            found[image] = path
    return (found, alone) if found else ({}, [])


def _ends(path: str) -> bool:
    return END.search(PurePosixPath(path).stem) is not None


def _below(path: str, folders: Sequence[str]) -> bool:
    return any(part.lower() in folders for part in PurePosixPath(path).parts[:-1])
