"""The general keep: an expression."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, ClassVar

from leaven.operators import Expr, Keep
from leaven.records import Record

if TYPE_CHECKING:
    from leaven.context import Context


class KeepIf(Keep):
    """Keep a record where an expression is true.

    >>> KeepIf("label_prob > 0.7")({"text": "x", "label_prob": 0.5})
    [{'text': 'x', 'label_prob': 0.5, '_reason': 'label_prob'}]
    """

    name: ClassVar[str] = "keep"
    that: Expr
    """What must be true of a record."""
    reason: str = ""
    """The word for those refused; without it, the first column that the expression names."""

    def keep(self, record: Record, ctx: Context) -> str:
        return "" if self.that(ctx.values(record), ctx.rng) else self.word()

    def word(self) -> str:
        if self.reason:
            return self.reason
        written = re.findall(r"[A-Za-z_]\w*", self.that.source)
        return next((name for name in written if name in self.that.names), "refused")
