"""Speech from a text."""

from __future__ import annotations

from collections.abc import AsyncIterator
from typing import TYPE_CHECKING, Annotated, ClassVar

from pydantic import Field, model_validator

from leaven.errors import RecipeError
from leaven.fields import Column
from leaven.operators import Make
from leaven.ranges import Range, drawn_from, within
from leaven.records import Record

if TYPE_CHECKING:
    from leaven.context import Context


class Speak(Make):
    """Say a text aloud, in n voices; text and label stay.

    The voices are drawn without repeats while there are some: of all that the model has, or of those that are named.
    With `espeak` they are accents of English in fifteen timbres, such as `en-us+f3`; a voice of another language is
    named: `voice: [es+f2, es+m3]`.  A text without a letter or a digit is refused as `empty`.

    Helps to get the sound of a command, a name or a question that nobody has recorded yet.  It is read, not spoken:
    follow it with noise, and test on real recordings.

    Needs text.  Makes `audio`.

    >>> [row] = Speak()({"text": "my card is lost", "label": "card"}, speak="fake:shape")
    >>> row["text"], row["audio"]
    ('my card is lost', Audio(0.20 s, 8000 Hz, 1 ch))
    """

    roles: ClassVar[frozenset[str]] = frozenset({"speak"})
    takes: ClassVar[str] = "text"
    n: int = Field(1, ge=1, le=50)
    """How many children, each in a voice of its own."""
    voice: str | list[str] = "any"
    """`any`, a voice, or the voices to draw from."""
    rate: Annotated[float | Range, within(0.5, 2)] = 1.0
    """How fast: 1 is the voice's own pace; a number, or low and high to draw from."""
    on: str | None = None
    """The field to say; the main text."""
    model: str | None = None
    """A second model of the role by its nick: `model: other` is `--model speak.other=URI`."""

    @model_validator(mode="after")
    def _some_voice(self) -> Speak:
        if not self.voice:
            raise ValueError(RecipeError("speak is given no voice.", "voice: any"))
        return self

    def changes(self) -> frozenset[str]:
        return frozenset({"audio"})

    def writes(self) -> dict[str, Column]:
        return {"audio": Column("audio", frozenset({self.on or "text"}))}

    def asked(self) -> int:
        return self.n

    async def make(self, record: Record, ctx: Context) -> AsyncIterator[Record]:
        text = str(record.get(self.on or "text") or "")
        speakable = any(letter.isalnum() for letter in text)
        named = [self.voice] if isinstance(self.voice, str) else self.voice
        voices = await ctx.voices() if named == ["any"] else named
        order = ctx.rng.permutation(len(voices))
        for ordinal in range(self.n):
            if not speakable:
                yield record.child().refuse("empty")
                continue
            rate = drawn_from(self.rate, ctx.rng_of(ordinal))
            voice = voices[order[ordinal % len(voices)]]
            sound = await ctx.speak(text, record, voice=voice, rate=rate)
            yield record.child(audio=sound, drawn={"voice": voice, "rate": rate})
