"""Which records stand first in the shards, so that ``datasets`` sees in them what all of them hold.

It looks at five records of the first shard: they must have the same files, and a key that is empty in all five it
takes for one that is empty everywhere.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from typing import Any

LOOKED_AT = 5
Kind = tuple[frozenset[str], frozenset[str]]
"""The files of a record, and the keys that hold something in it."""


@dataclass(frozen=True)
class Leading:
    """``numbers`` are the records to begin with; where they are ``alone``, the others have not all of their files, and
    the first shard ends after them; ``unseen`` are files and keys that they cannot show."""

    numbers: list[int]
    alone: bool
    unseen: list[str]


def leading(records: Iterable[Kind]) -> Leading:
    """The first records that have every file and hold, together, as many keys as five can."""
    found: dict[Kind, list[int]] = {}
    for number, kind in enumerate(records):
        places = found.setdefault(kind, [])
        if len(places) < LOOKED_AT:
            places.append(number)
    files = frozenset[str]().union(*(files for files, _ in found))
    keys = frozenset[str]().union(*(filled for _, filled in found))
    whole = {filled: places for (of, filled), places in found.items() if of == files}
    if not whole:
        return Leading([], False, sorted(files))
    chosen: list[int] = []
    seen: frozenset[str] = frozenset()
    while len(chosen) < LOOKED_AT and not seen >= keys:
        best = max(whole, key=lambda filled: (len(filled - seen), -whole[filled][0]))
        if best <= seen:
            break
        seen |= best
        chosen.append(whole[best][0])
    others = sorted(place for places in whole.values() for place in places if place not in chosen)
    numbers = sorted([*chosen, *others[: LOOKED_AT - len(chosen)]])
    alone = len(numbers) < LOOKED_AT and len(whole) < len(found)
    return Leading(numbers, alone, sorted(keys - seen))


def filled(value: Any, name: str = "") -> Iterator[str]:
    """The keys that hold something, those within others with a dot before them (``boxes.polygons``)."""
    if isinstance(value, dict):
        for key, inner in value.items():
            yield from filled(inner, f"{name}.{key}" if name else key)
    elif isinstance(value, list):
        for inner in value:
            yield from filled(inner, name)
    elif value is not None:
        yield name
