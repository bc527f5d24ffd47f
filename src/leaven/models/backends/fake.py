"""A model that is none: answers of the right shape, made from the record's own text, to see a way run."""

from __future__ import annotations

import io
import json
import re
import wave
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

from leaven.media.audio import Audio
from leaven.media.image import Image
from leaven.models.calls import About, Answer, Ask
from leaven.models.prices import tokens
from leaven.records import digest

if TYPE_CHECKING:
    from leaven.media.image import Image
    from leaven.models.limiter import Limiter
    from leaven.models.prices import Price
    from leaven.models.roles import Box, Span

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
        if ask.role == "segment":
            return Answer("", media=filled(ask.content["box"], ask.media[ask.content["image"]]))
        if ask.role == "map":
            return Answer("", media=lightness(ask.media[ask.content["image"]], ask.content["top"]))
        if ask.role == "detect":
            return Answer(json.dumps(draws.boxes(ask.content["phrases"], ask.media[ask.content["image"]])))
        if ask.role == "sound":
            return Answer("", media=hum(drawn[0], float(ask.content.get("seconds") or 0.2)))
        if ask.role == "paint":
            return Answer("", media=picture(ask, drawn))
        if ask.role == "tag":
            text = json.dumps(draws.spans(ask.content["text"], ask.content["labels"]), ensure_ascii=False)
        elif ask.role == "fill":
            text = draws.filled(ask.content["text"], ask.content["blank"])
        elif ask.shape is None:
            text = draws.text()
        else:
            text = json.dumps(draws.value(ask.shape, ask.wanted), ensure_ascii=False)
        return Answer(text, tokens_in=tokens(asked), tokens_out=tokens(text))


def picture(ask: Ask, drawn: bytes) -> Image:
    """A disc on a ground, in colours by what was asked; over an image, its mean with them where it may change."""
    import numpy as np

    shown = {key: ask.media[ask.content[key]] for key in ("image", "mask", "control") if key in ask.content}
    first = next(iter(shown.values()), None)
    own = ask.content.get("width") or 64, ask.content.get("height") or 64
    width, height = own if first is None else getattr(first, "size")  # noqa: B009  images, as all that is shown
    rows, columns = np.ogrid[:height, :width]
    disc = np.hypot((rows + 0.5) / height - 0.5, (columns + 0.5) / width - 0.5) < 0.35
    colours = np.frombuffer(drawn[:6], np.uint8).reshape(2, 3)
    pixels: Any = colours[disc.astype(int)]
    if "image" in shown:
        base: Any = getattr(shown["image"], "pixels")  # noqa: B009
        pixels = ((base.astype(np.uint16) + pixels) // 2).astype(np.uint8)
        if "mask" in shown:
            codes: Any = getattr(shown["mask"], "codes")  # noqa: B009
            pixels = np.where(codes[..., None] != 0, pixels, base)
    return Image.of(pixels)


def hum(pitch: int, seconds: float = 0.2) -> Audio:
    """A tone of one of 256 pitches."""
    out = io.BytesIO()
    with wave.open(out, "wb") as file:
        file.setnchannels(1)
        file.setsampwidth(2)
        file.setframerate(8000)
        wide = 10 + pitch  # samples of a swing
        swing = b"".join((8000 if i < wide // 2 else -8000).to_bytes(2, "little", signed=True) for i in range(wide))
        frames = max(1, round(8000 * seconds))
        file.writeframes((swing * (frames // wide + 1))[: 2 * frames])
    return Audio(out.getvalue())


def filled(box: Sequence[float], image: Any) -> Image:
    """A mask of all that lies in a box."""
    import numpy as np

    from leaven.media.image import Image

    width, height = image.size
    codes = np.zeros((height, width), np.uint8)
    x, y, w, h = map(round, box)
    codes[max(y, 0) : max(y + h, 0), max(x, 0) : max(x + w, 0)] = 1
    return Image.of_codes(codes)


def lightness(image: Any, top: int) -> Image:
    """How light each pixel of an image is beside its others, from 0 to ``top``."""
    import numpy as np

    light = image.pixels.astype(np.float64).sum(-1)
    low, high = light.min(), light.max()
    return Image.of_codes(np.rint((light - low) * (top / max(high - low, 1.0))).astype(np.uint16))


class _Draws:
    def __init__(self, key: bytes, text: str) -> None:
        self.key, self.base, self.at = key, text, 0

    def number(self, below: int) -> int:
        self.at += 1
        return int.from_bytes(digest(self.key, f"{self.at}", size=8), "big") % max(1, below)

    def text(self) -> str:
        return f"{self.base} {WORDS[self.number(len(WORDS))]} {self.number(1000)}"

    def filled(self, text: str, blank: str) -> str:
        """The text with a word for each blank."""
        first, *rest = text.split(blank)
        return first + "".join(f"{WORDS[self.number(len(WORDS))]}{part}" for part in rest)

    def spans(self, text: str, labels: Sequence[str]) -> list[Span]:
        """A word of the text, as one of the labels."""
        words = list(re.finditer(r"\w+", text))
        if not words:
            return []
        word = words[self.number(len(words))]
        label = labels[self.number(len(labels))] if labels else "NAME"
        return [{"start": word.start(), "end": word.end(), "text": word[0], "label": label}]

    def boxes(self, phrases: Sequence[str], image: Any) -> list[Box]:
        """A box of each phrase somewhere in the image, the surest first."""
        found: list[Box] = []
        for phrase in phrases:
            w, h = (1 + self.number(side) for side in image.size)
            x, y = self.number(image.size[0] - w + 1), self.number(image.size[1] - h + 1)
            score = (99 - len(found) % 50) / 100
            found.append({"x": float(x), "y": float(y), "w": float(w), "h": float(h), "label": phrase, "score": score})
        return found

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
