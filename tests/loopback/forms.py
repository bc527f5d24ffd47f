"""Forms (multipart/form-data): the fields as texts, the files as bytes."""

from __future__ import annotations

import re
from typing import Any

NAME = re.compile(rb'\bname="([^"]*)"')
FILE = re.compile(rb'\bfilename="([^"]*)"')


def read_form(kind: str, body: bytes) -> dict[str, Any] | None:
    """What a form holds; None where it is none."""
    mark = re.search(r'boundary="?([^";]+)', kind)
    if not kind.startswith("multipart/form-data") or not mark:
        return None
    found: dict[str, Any] = {}
    parts = body.split(b"--" + mark[1].encode())
    if len(parts) < 2 or parts[-1].strip() != b"--":
        return None
    for part in parts[1:-1]:
        head, blank, value = part.removeprefix(b"\r\n").partition(b"\r\n\r\n")
        name = NAME.search(head)
        if not blank or not name or not value.endswith(b"\r\n"):
            return None
        value = value[:-2]
        found[name[1].decode()] = value if FILE.search(head) else value.decode("utf-8", "replace")
    return found
