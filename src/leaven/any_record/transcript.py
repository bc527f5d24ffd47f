"""What is said in a sound."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any, ClassVar

from leaven.fields import VALUE, Column
from leaven.operators import Note
from leaven.records import Record

if TYPE_CHECKING:
    from leaven.context import Context


class Transcript(Note):
    """Note the words that a recogniser hears in a sound.

    What a made sound was to say and what is heard in it can be compared: `overlap: {on: transcript, with: text}`.  The
    built-in recogniser, `pocketsphinx`, knows English alone and mishears much; it writes small letters and numbers as
    words.

    Needs audio.  Writes `transcript`, empty where nothing is understood.

    >>> import numpy as np
    >>> from leaven.media.audio import Audio
    >>> sound = Audio.of(np.sin(np.arange(8000) / 5) / 2, 8000)
    >>> [row] = Transcript()({"audio": sound, "label": "card"}, transcribe="fake:shape")
    >>> type(row["transcript"])
    <class 'str'>
    """

    roles: ClassVar[frozenset[str]] = frozenset({"transcribe"})
    takes: ClassVar[str] = "audio"
    on: str | None = None
    """The sound; the main audio."""
    model: str | None = None
    """A second model of the role by its nick: `model: other` is `--model transcribe.other=URI`."""

    def writes(self) -> dict[str, Column]:
        return {"transcript": Column(VALUE, self.reads())}

    async def note(self, record: Record, ctx: Context) -> Mapping[str, Any]:
        return {"transcript": await ctx.transcribe(record[self.on or "audio"], record)}
