"""Folders that say the label of what lies in them, below those that say the split: ``train/cat/a.jpg``."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import PurePosixPath

from leaven.errors import DataError, listed
from leaven.io.media_files import split_of_folder

PLAIN = frozenset(
    ["images", "image", "imgs", "img", "jpegimages", "pictures", "photos", "data", "dataset", "audio", "audios",
     "sounds", "wav", "wavs", "clips", "files"]
)  # fmt: skip
"""Names of folders that say what kind of files lie there, and no label."""

Folders = list[list[str]]


def labelled(paths: Sequence[str]) -> tuple[list[str | None], list[str | None]]:
    """The label and the split of each path.  Folders within folders are one label (``dog/poodle``); a file that lies
    above them has none.

    Where all files lie in folders called after splits, those are splits, at the top or below the labels; where only
    some do, nobody can say what the others are: a DataError.
    """
    folders = [list(PurePosixPath(path).parts[:-1]) for path in paths]
    _strip(folders)
    splits = _splits(folders)
    _strip(folders)
    labels = ["/".join(parts) or None for parts in folders]
    if {label for label in labels if label} <= PLAIN:
        labels = [None] * len(labels)
    return labels, splits


def _strip(folders: Folders) -> None:
    """Take folders off the front in which all files lie, unless the last of them is the only word about a label."""
    while all(folders) and len({parts[0] for parts in folders}) == 1:
        name = folders[0][0]
        if split_of_folder(name) or (name.lower() not in PLAIN and any(len(parts) == 1 for parts in folders)):
            return
        for parts in folders:
            del parts[0]


def _splits(folders: Folders) -> list[str | None]:
    depth = min(map(len, folders), default=0)
    for at in range(depth):
        found = [split_of_folder(parts[at]) for parts in folders]
        if all(found):
            for parts in folders:
                del parts[at]
            return list(found)
    first = sorted({parts[0] for parts in folders if parts})
    named = [name for name in first if split_of_folder(name)]
    depths = [min(len(parts) for parts in folders if parts and parts[0] == name) for name in first]
    uneven = bool(depths) and (not all(folders) or len(set(depths)) > 1)  # no folder beside others called after things
    if len({split_of_folder(name) for name in named}) > 1 or (named and uneven):
        others = [name for name in first if name not in named]
        what = f"beside the folders {listed(named)} there are {listed(others)}" if others else (
            f"beside the folders {listed(named)} there are files"
        )  # fmt: skip
        raise DataError(f"{what}: which split are they?", "move them away, or into a folder of a split.")
    return [None] * len(folders)
