"""Where a file lies that a table names and that is not under the table's own folder: what to do about it."""

from __future__ import annotations

import os
from pathlib import Path

ABOVE = 4
"""How many folders above the table's own are looked into."""


def way_to(table: str, path: str, base: Path) -> str:
    """What makes ``path`` in ``table`` one that can be read, as words without a full stop.

    Looked for are the file itself, where the path says so (absolute, or with ``..``), and the path from the folders
    above ``base`` and from the current one.
    """
    here = base.resolve()
    try:
        named = (here / path).resolve()
        if named.is_file() and not named.is_relative_to(here):
            above = Path(os.path.commonpath([here, named]))
            if above.parent != above:
                return f"put {table} into {above}, and write the paths from there: {named.relative_to(above)}"
        for folder in (*list(here.parents)[:ABOVE], Path.cwd()):
            if not os.path.isabs(path) and (folder / path).is_file():
                return f"put {table} into {folder}: {path} is there"
    except (OSError, ValueError):
        pass
    return f"put the files under {base}, or {table} into the folder that the paths begin at"
