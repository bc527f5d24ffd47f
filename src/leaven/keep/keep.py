"""The general keep: an expression."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Any, ClassVar

from pydantic import Field

from leaven.media.audio import Audio
from leaven.media.image import Image
from leaven.operators import Expr, Keep
from leaven.records import Record

if TYPE_CHECKING:
    from leaven.context import Context


MEASURES = ("seconds", "length", "count", "tokens", "wordcount")
"""Filters that make a number of a column: it is that number which decides, not the column."""


class KeepIf(Keep):
    """Keep a record where an expression is true.

    Needs the fields that the expression names.

    >>> KeepIf("label_prob > 0.7")({"text": "x", "label_prob": 0.5})
    [{'text': 'x', 'label_prob': 0.5, '_reason': 'label_prob'}]
    """

    name: ClassVar[str] = "keep"
    that: Expr
    """What must be true of a record."""
    reason: str = Field("", pattern=r"^\w*$")
    """The word for those refused; without it, the first column that the expression names, with the measure that it
    takes of it: `audio_seconds`."""

    def keep(self, record: Record, ctx: Context) -> str:
        if self.that(ctx.values(record), ctx.rng):
            return ""
        named = [name for name in self.named() if name in record.fields]
        return f"{self.word()}: " + ", ".join(f"{name} {_told(record.fields[name])}" for name in named)

    def word(self) -> str:
        first = next(iter(self.named()), "refused")
        measure = re.search(rf"\b{first}\s*\|\s*({'|'.join(MEASURES)})\b", self.that.source)
        return self.reason or (f"{first}_{measure[1]}" if measure else first)

    def named(self) -> list[str]:
        """The columns that the expression reads, in the order in which it names them."""
        written = re.findall(r"[A-Za-z_]\w*", self.that.source)
        return list(dict.fromkeys(name for name in written if name in self.that.names))


def _told(value: Any) -> str:
    """A value as people read it; of a sound its length, of an image its size."""
    if isinstance(value, Audio):
        return f"{value.seconds:.2f} s"
    if isinstance(value, Image):
        return "{} x {}".format(*value.size)
    return f"{value:.3g}" if isinstance(value, float) else str(value)
