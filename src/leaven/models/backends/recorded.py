"""Answers that were recorded before: a table of parents and texts, played back in order."""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping
from typing import TYPE_CHECKING

from leaven.models.calls import About, Answer, Ask, CallFailed
from leaven.records import digest, folded

if TYPE_CHECKING:
    from leaven.models.limiter import Limiter
    from leaven.models.prices import Price


class Recorded:
    """Plays ``recorded:FILE``: the n-th call about a record gets the n-th texts whose parent is its root's text or id.

    A call that asks for an object with a list gets as many texts as it asks for; one about which nothing is left fails
    as ``no_recording``.
    """

    limiter: Limiter | None = None
    price: Price | None = None
    free = True
    left_out = ()

    def __init__(self, uri: str, rows: Iterable[tuple[str, str]]) -> None:
        self.uri = uri
        self.texts: dict[str, list[str]] = {}
        print_ = []
        for parent, text in rows:
            self.texts.setdefault(folded(parent), []).append(text)
            print_ += [parent, text]
        self.model = f"recorded {digest(*print_, size=8).hex()}"

    async def close(self) -> None: ...

    async def play(self, ask: Ask, about: About) -> Answer:
        texts = self.texts.get(folded(about.root)) or self.texts.get(folded(about.text)) or []
        begin = about.number * ask.wanted
        given = texts[begin : begin + ask.wanted]
        if not given:
            what = f"{len(texts)} texts" if texts else "nothing"
            raise CallFailed(
                "no_recording", f"{what} of this parent is recorded; call {about.number + 1} found no more"
            )
        return Answer(shaped(given, ask.shape))


def shaped(texts: list[str], shape: Mapping[str, object] | None) -> str:
    """Texts as the object that a call asks for: its list, or its first field."""
    if shape is None:
        return texts[0]
    properties = shape.get("properties")
    assert isinstance(properties, Mapping)
    if len(properties) > 1:  # an object, as it was recorded
        return texts[0]
    [(name, kind)] = properties.items()
    if kind.get("type") != "array":
        return json.dumps({name: texts[0]}, ensure_ascii=False)
    if kind.get("items", {}).get("type") == "object":
        return f"{{{json.dumps(name)}: [{', '.join(texts)}]}}"
    return json.dumps({name: texts}, ensure_ascii=False)
