"""Sounds from prompts."""

from __future__ import annotations

from collections.abc import AsyncIterator, Mapping
from typing import TYPE_CHECKING, Any, ClassVar, Self

from pydantic import Field

from leaven.fields import Column
from leaven.media.audio import Audio
from leaven.media.resampled import resampled
from leaven.operators import Expr, Make, Text
from leaven.records import Record

if TYPE_CHECKING:
    from leaven.context import Context


class Sound(Make):
    """Make n sounds of what a prompt says; the label stays.

    With `start` the sound begins from another one, with as much noise as `strength` says: near 0 it stays, at 1 hardly
    a trace of it is left.  A sound that takes the place of one has its length and its rate.

    Fields that the prompt names stay true of the new sound; what else is said of the old one is dropped, and where that
    is segments, the child is refused as `segments_lost`, unless `holds` names them.  A prompt without a word is refused
    as `empty`, a record without the sound to start from as `no_start`.

    Needs what the prompt names.  Makes `audio`.

    >>> [row] = Sound("a dog barks", seconds=0.5)({"label": "dog"}, sound="fake:shape")
    >>> row["audio"]
    Audio(0.50 s, 8000 Hz, 1 ch)
    """

    roles: ClassVar[frozenset[str]] = frozenset({"sound"})
    prompt: Text
    """What is to be heard: `{{ caption }}`."""
    n: int = Field(1, ge=1, le=1000)
    """How many sounds of each record."""
    into: str = "audio"
    """The field that they are written to."""
    start: Expr | None = None
    """A field with a sound to begin from, or an expression such as `root.audio`."""
    strength: float = Field(1.0, gt=0, le=1)
    """How much of that goes: at 1 nearly all."""
    seconds: float | None = Field(None, gt=0, le=600)
    """How long; else as long as the sound that it takes the place of, else as the model's own are."""
    steps: int | None = Field(None, ge=1, le=1000)
    """How many steps the model takes from noise to a sound; its own number where nothing is said."""
    guidance: float | None = Field(None, ge=0, le=100)
    """How closely it follows the prompt; its own where nothing is said."""
    negative: str = ""
    """What is not to be heard."""
    adapter: str | None = None
    """The step that fitted the model to the data."""
    model: str | None = None
    """A second model of the role by its nick: `model: other` is `--model sound.other=URI`."""

    def bind(self, columns: Mapping[str, Column]) -> Self:
        """What the prompt says stays true of the sound."""
        stays = {name for name in self.prompt.names if name in columns and name != self.into}
        return self.model_copy(update={"holds": sorted({*self.holds, *stays})})

    def changes(self) -> frozenset[str]:
        return frozenset({self.into})

    def writes(self) -> dict[str, Column]:
        return {self.into: Column("audio")}

    def asked(self) -> int:
        return self.n

    async def make(self, record: Record, ctx: Context) -> AsyncIterator[Record]:
        parent: Audio | None = record.get(self.into)
        start: Audio | None = self.start(ctx.values(record), ctx.rng) if self.start else None
        like = parent if parent is not None else start
        seconds = self.seconds or (round(like.seconds, 4) if like is not None else None)
        said = {"seconds": seconds, "steps": self.steps, "guidance": self.guidance, "negative": self.negative or None}
        how: dict[str, Any] = {key: value for key, value in said.items() if value is not None}
        if start is not None:
            how |= {"start": start, "strength": self.strength}
        for _ in range(self.n):
            prompt = ctx.text(self.prompt, record)
            if not prompt.strip() or (self.start and start is None):
                yield record.child({self.into: None}).refuse("empty" if not prompt.strip() else "no_start")
                continue
            sound = await ctx.sound(prompt, record, **how)
            if like is not None and sound.rate != like.rate:
                sound = Audio.of(resampled(sound.samples, sound.rate, like.rate), like.rate, like)
            elif like is not None:
                sound = Audio.of(sound.samples, sound.rate, like)
            yield record.child({self.into: sound}, drawn={"prompt": prompt})
