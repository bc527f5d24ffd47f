"""The general keep: an expression."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any, ClassVar

from pydantic import Field, field_validator

from leaven.expressions import Expression, Grouped, parse_grouped
from leaven.keep.of_group import of_groups
from leaven.media.audio import Audio
from leaven.media.image import Image
from leaven.operators import Expr, Keep
from leaven.records import Record

if TYPE_CHECKING:
    import numpy as np

    from leaven.context import Context


MEASURES = ("seconds", "length", "count", "tokens", "wordcount")
"""Filters that make a number of a column: it is that number which decides, not the column."""


class KeepIf(Keep):
    """Keep a record where an expression is true.

    Functions of a group compare a record with others: `score > quantile(score, 0.75, per='label')` keeps what scores
    above three quarters of its label.  There are `count`, `sum`, `mean`, `median` and `quantile` (interpolated
    linearly), each with `per`: a column, a list of columns, `root`, or without it all records.  They leave out a record
    that has no number, and a comparison with such a one is false.

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

    @field_validator("that", mode="before")
    @classmethod
    def _of_groups(cls, that: Any) -> Expression:
        return that if isinstance(that, Expression) else parse_grouped(that)

    def scope(self) -> tuple[str, ...]:
        return self.that.split.per if isinstance(self.that, Grouped) else ("record",)

    @property
    def reasons(self) -> tuple[str, ...]:  # type: ignore[override]
        return ("", self.word())

    def columns(self, records: Sequence[Record], ctx: Context) -> dict[str, np.ndarray]:
        import numpy as np

        assert isinstance(self.that, Grouped)
        found = [self.that.parts(ctx.values(record), ctx.of(record).rng) for record in records]
        parts = np.array(found, np.float64).reshape(len(records), len(self.that.split.parts))
        return {f"part{i}": column for i, column in enumerate(parts.T)}

    def decide(self, columns: Mapping[str, np.ndarray], groups: np.ndarray, ctx: Context) -> np.ndarray:
        import numpy as np

        assert isinstance(self.that, Grouped)
        one = np.ones(len(groups))
        parts = [columns[f"part{i}"] for i in range(len(self.that.split.parts))]
        found = [
            of_groups(call.function, parts[call.part] if call.part >= 0 else one, groups, call.q or 0.5)[groups]
            for call in self.that.split.calls
        ]
        with np.errstate(all="ignore"):
            kept = self.that.wholes(parts, found)
        return np.array([not one for one in kept], np.uint8)

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
