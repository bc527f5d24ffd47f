"""Draws that depend on bytes alone: no clock, no order, no state between requests."""

from __future__ import annotations

from hashlib import blake2b

BITS = (1 << 64) - 1


def digest(body: bytes) -> str:
    """What a body is known by in the counters: 32 hex digits."""
    return blake2b(body, digest_size=16).hexdigest()


class Draws:
    """A stream of integers keyed by hex digits (the linear congruential generator of Knuth's MMIX)."""

    __slots__ = ("state",)

    def __init__(self, key: str) -> None:
        self.state = int(key[:16], 16)

    def below(self, n: int) -> int:
        """An integer in [0, n)."""
        self.state = (self.state * 6364136223846793005 + 1442695040888963407) & BITS
        return (self.state >> 33) % n
