"""Records: named fields, an id that says where a record comes from, and its history.

A source id is a hash of the row's content and its occurrence number among equal rows; a child's id is a hash of its
parents, the step, the round and its ordinal, never of what a model answered.  So the id of a record is known before
its content is, and a run that is repeated names the same records.
"""

from __future__ import annotations

import json
import unicodedata
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from hashlib import blake2b
from typing import Any

Entry = tuple[str, int, str]
"""One step of a record's history: the step's name, the round, and what was drawn, as JSON."""

PERSON = b"leaven"
ID_BYTES = 12


@dataclass(slots=True)
class Record:
    """One sample.  ``fields`` bear the recipe's names; columns that notes wrote stand among them.

    ``root`` is the id of the real row at the start of the line, ``order`` that row's place in its file.
    ``made`` is true where any field came from a model or a transform.  ``reason`` is set once it is refused.
    """

    id: str
    fields: dict[str, Any]
    root: str = ""
    order: int = 0
    parents: tuple[str, ...] = ()
    steps: tuple[Entry, ...] = ()
    made: bool = False
    branch: tuple[str, ...] = ()
    step: str = ""
    reason: str = ""
    detail: str = ""
    drawn: Mapping[str, Any] = field(default_factory=dict)
    changed: tuple[str, ...] = ()

    def __getitem__(self, name: str) -> Any:
        return self.fields[name]

    def get(self, name: str, default: Any = None) -> Any:
        return self.fields.get(name, default)

    def child(
        self,
        fields: Mapping[str, Any] | None = None,
        /,
        *,
        parents: Sequence[Record] | None = None,
        drawn: Mapping[str, Any] | None = None,
        **more: Any,
    ) -> Record:
        """A new record that carries this one's content but for the fields given, as a mapping or by name.

        ``parents`` names several parents (the first decides the root); ``drawn`` is what was drawn for it, kept in its
        history.  The engine gives the id when the operator hands the child over.
        """
        line = parents or (self,)
        new = {**(fields or {}), **more}
        return Record(
            id="",
            fields={**self.fields, **new},
            root=line[0].root,
            order=line[0].order,
            parents=tuple(parent.id for parent in line),
            steps=line[0].steps,
            made=True,
            branch=self.branch,
            drawn=drawn or {},
            changed=tuple(new),
        )

    def refuse(self, reason: str, detail: str = "") -> Record:
        """This child, refused by the operator that made it (``span_lost``, ``no_words``)."""
        return replace(self, reason=reason, detail=detail)


class Refuse(Exception):
    """Raised by a note: the record cannot be noted, and is refused with a reason of one word."""

    def __init__(self, reason: str, detail: str = "") -> None:
        super().__init__(reason)
        self.reason = reason
        self.detail = detail


def canonical(value: Any) -> bytes:
    """A value as bytes that are equal for equal values: JSON with sorted keys, texts in Unicode form NFC."""
    if hasattr(value, "encoded"):  # an image or a sound is what its bytes are
        value = _plain(value)
    if isinstance(value, str):  # by far the most common case, and 5 times faster than json
        return b'"' + (value if value.isascii() else unicodedata.normalize("NFC", value)).encode()
    return unicodedata.normalize(
        "NFC", json.dumps(value, sort_keys=True, ensure_ascii=False, separators=(",", ":"), default=_plain)
    ).encode("utf-8", "surrogatepass")


def digest(*parts: bytes | str, size: int = 16) -> bytes:
    """A keyed hash of the parts, each with its length, so that no two lists of parts look alike."""
    data = [part if isinstance(part, bytes) else part.encode("utf-8", "surrogatepass") for part in parts]
    said = b"".join([b"%d:%b" % (len(part), part) for part in data])
    return blake2b(said, digest_size=size, person=PERSON).digest()


def content_hash(values: Mapping[str, Any]) -> bytes:
    """16 bytes that two rows share exactly when their mapped fields are equal."""
    return digest(*(part for name in sorted(values) for part in (name, canonical(values[name]))))


def source_id(content: bytes, occurrence: int) -> str:
    return digest(content, b"%d" % occurrence, size=ID_BYTES).hex()


def child_id(parents: Sequence[str], step: str, round_number: int, ordinal: int) -> str:
    return digest(*parents, step, b"%d %d" % (round_number, ordinal), size=ID_BYTES).hex()


def random_key(seed: int, step: str, round_number: int, record: str, ordinal: int) -> bytes:
    """The 16 bytes that key the random numbers of one draw; nothing else decides them."""
    return digest(b"draw %d" % seed, step, b"%d" % round_number, record, b"%d" % ordinal)


def place(record_id: str) -> int:
    """Where a record stands among all: 64 bits, spread evenly, from its id alone."""
    return int.from_bytes(blake2b(record_id.encode(), digest_size=8, person=b"place").digest(), "big")


def short_hash(text: str) -> str:
    return blake2b(text.encode("utf-8", "surrogatepass"), digest_size=4, person=PERSON).hexdigest()


def folded(text: str) -> str:
    """A text with case and blanks folded: what counts as the same row in a test set and a source."""
    return " ".join(text.casefold().split())


def _plain(value: Any) -> Any:
    if hasattr(value, "encoded"):  # an image or a sound is what its bytes are
        value = value.encoded
    if isinstance(value, bytes):
        return blake2b(value, digest_size=16).hexdigest()
    if hasattr(value, "isoformat"):
        return value.isoformat()
    if hasattr(value, "tolist"):
        return value.tolist()
    return str(value)
