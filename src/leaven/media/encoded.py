"""What images and sounds have in common: the bytes of a file, which are there, or are made when they are asked for."""

from __future__ import annotations

from pathlib import Path
from typing import Any, Self


class Encoded:
    """Equal are two of the same bytes.  ``path`` is where they came from, for messages; it may be empty."""

    __slots__ = ("_bytes", "path")

    def __init__(self, data: bytes | None, path: str = "") -> None:
        self._bytes = data
        self.path = path

    @classmethod
    def read(cls, path: Path | str) -> Self:
        return cls(Path(path).read_bytes(), str(path))

    @property
    def encoded(self) -> bytes:
        """The file's bytes; encoded once where it was made."""
        if self._bytes is None:
            self._bytes = self._encode()
        return self._bytes

    def _encode(self) -> bytes:
        raise NotImplementedError

    def __eq__(self, other: object) -> bool:
        if self is other:
            return True
        if not isinstance(other, type(self)) or self._bytes is None or other._bytes is None:
            return False
        return self._bytes == other._bytes

    __hash__ = None  # type: ignore[assignment]

    def __reduce__(self) -> tuple[Any, ...]:
        return type(self), (self.encoded, self.path)
