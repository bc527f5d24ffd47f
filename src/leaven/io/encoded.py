"""The images and sounds of a table, as the bytes of their files: read, and looked through once.

A path is taken under the table's own folder and nowhere else; what a record says is a URL is never fetched.
"""

from __future__ import annotations

import os
import re
from concurrent.futures import ThreadPoolExecutor
from functools import cache
from hashlib import blake2b
from pathlib import Path
from typing import TYPE_CHECKING, Any

from leaven.media.audio import Audio
from leaven.media.broken import Broken
from leaven.media.image import Image
from leaven.storage import IMAGES, arrow_of

if TYPE_CHECKING:
    import pyarrow as pa

    from leaven.io.table import Table

MOST_BYTES = 1 << 30


def read_media(
    array: pa.Array, kind: str, table: Table, broken: dict[int, Broken]
) -> tuple[pa.Array, list[str | None]]:
    """A column of paths, or of bytes and paths, as bytes and paths; and a hash of each file's bytes.

    What cannot be read or decoded is added to ``broken`` by its row; an empty cell stays empty, and is broken too but
    for a mask.
    """
    import pyarrow as pa

    cells = array.to_pylist()
    found = list(_pool().map(lambda cell: _read(cell, kind, table.base), cells))
    for i, read in enumerate(found):
        if isinstance(read, Broken):
            broken.setdefault(i, read)
    kept = [read if isinstance(read, dict) else None for read in found]
    hashes = [blake2b(read["bytes"], digest_size=16).hexdigest() if read else None for read in kept]
    return pa.array(kept, arrow_of(kind)), hashes


def _read(cell: Any, kind: str, base: Path | None) -> dict[str, Any] | Broken | None:
    if isinstance(cell, dict):
        data, path = cell.get("bytes"), str(cell.get("path") or "")
    elif isinstance(cell, bytes):
        data, path = cell, ""
    else:
        data, path = None, str(cell or "")
    if data is None and not path:
        return None if kind in ("mask", "map") else Broken("no_file", f"the {kind} is empty")
    try:
        data = _bytes_at(path, base) if data is None else data
        (Image if kind in IMAGES else Audio)(data, path).check()
    except Broken as error:
        return error
    return {"bytes": data, "path": path or None}


def _bytes_at(path: str, base: Path | None) -> bytes:
    if re.match(r"[a-z][a-z0-9+.-]+://", path, re.IGNORECASE):
        raise Broken("not_fetched", f"{path} is an address; leaven fetches none: download the files first")
    if base is None:
        raise Broken("no_file", f"{path}: rows in memory name files of no folder; give bytes, or a table in a file")
    here = base.resolve()
    try:
        there = (here / path).resolve()
        if not there.is_relative_to(here):
            raise Broken("outside", f"{path} lies outside {base}")
        if not there.is_file():
            raise Broken("no_file", f"{path}: there is no such file under {base}")
        if there.stat().st_size > MOST_BYTES:
            raise Broken("too_large", f"{path} has more than {MOST_BYTES:,} bytes")
        return there.read_bytes()
    except (OSError, ValueError) as error:
        said = getattr(error, "strerror", None) or str(error)
        raise Broken("no_file", f"{path[:200]}: {said}") from None


@cache
def _pool() -> ThreadPoolExecutor:
    """Decoders let go of the interpreter's lock: as many at a time as there are cores."""
    return ThreadPoolExecutor(os.cpu_count() or 1, thread_name_prefix="leaven reads")
