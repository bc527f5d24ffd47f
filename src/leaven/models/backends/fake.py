"""A model that is none: answers of the right shape, made from the record's own text, to see a way run."""

from __future__ import annotations

import io
import json
import wave
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from leaven.media.audio import Audio
from leaven.models.calls import About, Answer, Ask
from leaven.models.prices import tokens
from leaven.records import digest

if TYPE_CHECKING:
    from leaven.models.limiter import Limiter
    from leaven.models.prices import Price

WORDS = ("again", "now", "then", "here", "today", "soon", "maybe", "well", "indeed", "also", "still", "just")


class Fake:
    """Plays ``fake:shape``: the same question, the same answer, on every machine."""

    limiter: Limiter | None = None
    price: Price | None = None
    free = True
    left_out = ()
    model = "fake"

    def __init__(self, uri: str) -> None:
        self.uri = uri

    async def close(self) -> None: ...

    async def play(self, ask: Ask, about: About) -> Answer:
        if "voices" in ask.content:
            return Answer(json.dumps(["high", "low"]))
        asked = json.dumps(ask.content, ensure_ascii=False, sort_keys=True)
        drawn = digest(asked, about.record, f"{about.number}")
        draws = _Draws(drawn, about.text or "a text")
        if ask.role == "speak":
            return Answer("", media=hum(drawn[0]))
        if ask.shape is None:
            text = draws.text()
        else:
            text = json.dumps(draws.value(ask.shape, ask.wanted), ensure_ascii=False)
        return Answer(text, tokens_in=tokens(asked), tokens_out=tokens(text))


def hum(pitch: int) -> Audio:
    """A fifth of a second of a tone, of one of 256 pitches."""
    out = io.BytesIO()
    with wave.open(out, "wb") as file:
        file.setnchannels(1)
        file.setsampwidth(2)
        file.setframerate(8000)
        wide = 10 + pitch  # samples of a swing
        swing = b"".join((8000 if i < wide // 2 else -8000).to_bytes(2, "little", signed=True) for i in range(wide))
        file.writeframes((swing * 1600)[:3200])
    return Audio(out.getvalue())


class _Draws:
    def __init__(self, key: bytes, text: str) -> None:
        self.key, self.base, self.at = key, text, 0

    def number(self, below: int) -> int:
        self.at += 1
        return int.from_bytes(digest(self.key, f"{self.at}", size=8), "big") % max(1, below)

    def text(self) -> str:
        return f"{self.base} {WORDS[self.number(len(WORDS))]} {self.number(1000)}"

    def value(self, shape: Mapping[str, Any], wanted: int) -> Any:
        if "enum" in shape:
            return shape["enum"][self.number(len(shape["enum"]))]
        if "anyOf" in shape:
            return self.value(shape["anyOf"][0], wanted)
        kind = shape.get("type")
        if kind == "object":
            return {name: self.value(inner, wanted) for name, inner in shape.get("properties", {}).items()}
        if kind == "array":
            return [self.value(shape["items"], 1) for _ in range(shape.get("minItems", wanted))]
        if kind in ("integer", "number"):
            low, high = int(shape.get("minimum", 0)), int(shape.get("maximum", 100))
            return low + self.number(high - low + 1)
        if kind == "boolean":
            return bool(self.number(2))
        return self.text()
