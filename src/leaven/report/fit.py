"""Keep a list of pieces of HTML within its share of the page's size."""

from __future__ import annotations

from collections.abc import Iterable


def within(pieces: Iterable[str], most: int) -> tuple[list[str], bool]:
    """The first pieces that take at most ``most`` bytes together, and whether that was all of them."""
    found: list[str] = []
    left = most
    for piece in pieces:
        left -= len(piece.encode())
        if left < 0:
            return found, False
        found.append(piece)
    return found, True
