"""The files of a folder that holds images or sounds: found by their names, none of them opened."""

from __future__ import annotations

import os
import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from pathlib import Path, PurePosixPath

from leaven.errors import DataError, brief
from leaven.io.sets import SPLIT_NAMES

IMAGE_ENDS = frozenset(
    ["jpg", "jpeg", "jpe", "jfif", "png", "bmp", "dib", "gif", "tif", "tiff", "webp", "pbm", "pgm", "ppm", "pnm", "tga",
     "jp2", "avif", "heic"]
)  # fmt: skip
AUDIO_ENDS = frozenset(
    ["wav", "flac", "ogg", "oga", "opus", "mp3", "aif", "aiff", "aifc", "au", "caf", "w64", "m4a", "aac"]
)
NOTES = frozenset(["json", "jsonl", "csv", "parquet", "xml", "txt", "yaml", "yml", "names", "tar"])
"""Endings of files that say something about images and sounds, or hold them."""

Warn = Callable[[str], None]


@dataclass(frozen=True)
class Tree:
    """The paths under ``root`` (with ``/``, sorted), by what their endings say that they hold."""

    root: Path
    images: list[str] = field(default_factory=list)
    sounds: list[str] = field(default_factory=list)
    notes: list[str] = field(default_factory=list)

    def notes_of(self, *ends: str) -> list[str]:
        return [path for path in self.notes if ending(path) in ends]


def ending(path: str) -> str:
    """``jpg`` of ``a/B.JPG``; empty where there is none."""
    return os.path.splitext(path)[1][1:].lower()


def media_of(path: str) -> str:
    """``image``, ``audio`` or nothing, by the ending."""
    end = ending(path)
    return "image" if end in IMAGE_ENDS else "audio" if end in AUDIO_ENDS else ""


def look(root: Path, warn: Warn = lambda said: None) -> Tree:
    """The files under a folder.  Hidden ones are passed over.

    A link to a folder is not followed (the same files would be there twice, or those of other people), and a link to a
    file outside is an error: what a downloaded folder links to is not part of it.
    """
    tree = Tree(root)
    here = os.path.realpath(root)
    lists = {"image": tree.images, "audio": tree.sounds}
    left = [""]
    while left:
        folder = left.pop()
        with os.scandir(root / folder) as found:
            entries = list(found)
        for entry in entries:
            if entry.name.startswith(".") or entry.name == "__MACOSX":
                continue
            path = folder + entry.name
            if not _is_text(path):
                raise DataError(f"the name {path!r} is no UTF-8.", "rename the file.", where=str(root))
            if entry.is_dir(follow_symlinks=False):
                left.append(path + "/")
                continue
            into = lists.get(media_of(path)) if media_of(path) else tree.notes if ending(path) in NOTES else None
            if entry.is_symlink():
                if entry.is_dir():
                    warn(f"{path} is a link to a folder: not followed; put the folder itself there")
                    continue
                if into is not None and not os.path.realpath(entry.path).startswith(here + os.sep):
                    raise DataError(
                        f"{path} is a link to a file outside the folder.",
                        "put the files themselves there (cp -rL), or remove the link.",
                        where=str(root),
                    )
            if into is not None:
                into.append(path)
    for paths in (tree.images, tree.sounds, tree.notes):
        paths.sort()
    return tree


def _is_text(name: str) -> bool:
    try:
        name.encode()
    except UnicodeEncodeError:
        return False
    return True


def split_of_folder(name: str) -> str:
    """The split that a folder is called after (``train2017``, ``val``), or nothing."""
    return SPLIT_NAMES.get(name.lower().rstrip("0123456789").rstrip("-_"), "")


def split_in_name(name: str) -> str:
    """The split in a file's name: ``train`` in ``instances_train2017.json``."""
    words = re.split(r"[^a-z]+", name.lower())
    return next((SPLIT_NAMES[word] for word in words if word in SPLIT_NAMES), "")


def split_of_path(path: str) -> str:
    """The split of the first folder above a file that is called after one."""
    return next((split for part in PurePosixPath(path).parts[:-1] if (split := split_of_folder(part))), "")


def shape_of(path: str, folders: Sequence[str]) -> str:
    """What a file has in common with the one that belongs to it in a folder beside: the path without the ending, and
    with a star for the last folder that is called one of ``folders`` (any case).

    ``train/images/a.jpg`` and ``train/labels/a.txt`` are both ``train/*/a``.
    """
    parts = list(PurePosixPath(path).with_suffix("").parts)
    for i in range(len(parts) - 2, -1, -1):
        if parts[i].lower() in folders:
            parts[i] = "*"
            break
    return "/".join(parts)


def some(paths: Sequence[str], most: int = 3) -> str:
    """The first few names in brackets, for a message."""
    shown = ", ".join(brief(path) for path in paths[:most])
    return f"({shown}, ...)" if len(paths) > most else f"({shown})"
