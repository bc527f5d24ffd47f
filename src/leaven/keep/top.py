"""The best n, or the best share, of each group."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, ClassVar

from pydantic import Field, model_validator

from leaven.errors import RecipeError
from leaven.operators import Expr, Keep
from leaven.records import Record

if TYPE_CHECKING:
    import numpy as np

    from leaven.context import Context


BLOCK = 1 << 16
"""Rows of groups that are ranked together: what ranking takes is taken for so many at a time."""


def top(by: np.ndarray, groups: np.ndarray, n: np.ndarray, *, lowest: bool = False) -> np.ndarray:
    """True for the n highest (or lowest) of each group; ``n`` holds a number a group.  Ties go to the earlier row,
    NaN ranks last.  Beside the columns it takes 16 bytes a row at most."""
    import numpy as np

    first = np.zeros(len(by), bool)
    sizes = np.bincount(groups, minlength=len(n))
    if np.count_nonzero(sizes) == 1:  # one group: its rows need no putting in order
        return _highest(by, int(n[groups[0]]), lowest)
    together = bool((groups[1:] >= groups[:-1]).all())  # as children stand beside their siblings
    order = None if together else np.argsort(groups, kind="stable")  # a group's rows stay in source order
    ends = np.cumsum(sizes)
    group = begin = 0
    while group < len(sizes):
        last = max(group, int(np.searchsorted(ends, begin + BLOCK, side="right")) - 1)
        rows = slice(begin, int(ends[last])) if order is None else order[begin : ends[last]]
        if last == group:
            first[rows] = _highest(by[rows], int(n[group]), lowest)
        else:
            first[rows] = _ranks(by[rows], groups[rows], lowest) < n[groups[rows]]
        group, begin = last + 1, int(ends[last])
    return first


def _ranks(by: np.ndarray, groups: np.ndarray, lowest: bool) -> np.ndarray:
    """The place of each row in its group, from 0; the rows of a group stand together."""
    import numpy as np

    nothing = np.isnan(by)
    value = np.where(nothing, 0.0, by if lowest else -by)
    order = np.lexsort((value, nothing, groups))
    place = np.arange(len(by))
    begins = np.maximum.accumulate(np.where(np.diff(groups, prepend=-1) > 0, place, 0))
    rank = np.empty(len(by), np.int64)
    rank[order] = place - begins  # groups stand in the same stretches in both orders
    return rank


def _highest(by: np.ndarray, n: int, lowest: bool) -> np.ndarray:
    """The same of one group, without putting it in order: all beyond the n-th value, and the first that equal it."""
    import numpy as np

    if n >= len(by):
        return np.ones(len(by), bool)
    if n <= 0:
        return np.zeros(len(by), bool)
    value = by.copy() if lowest else -by
    value.partition(n - 1)  # NaN goes to the end
    edge = float(value[n - 1])
    del value
    if np.isnan(edge):
        found: np.ndarray = ~np.isnan(by)
        found[np.flatnonzero(~found)[: n - np.count_nonzero(found)]] = True
        return found
    found = by < edge if lowest else by > -edge
    equal = by == (edge if lowest else -edge)
    found[np.flatnonzero(equal)[: n - np.count_nonzero(found)]] = True
    return found


class Top(Keep):
    """Keep the n records, or the share, of each group that score highest.

    Ties go to the one first in source order, and a record without a score comes last.
    ``equal`` gives every group the same number: with ``n`` as many as the smallest group has; with ``share`` that share
    of all records, dealt out among the groups (WANLI: Liu et al. 2022), and a group that has fewer keeps them all.

    Needs the columns that ``by`` names.

    >>> Top(1, by="score")({"text": "lost my card", "score": 0.4})
    [{'text': 'lost my card', 'score': 0.4}]
    """

    n: int | None = Field(None, ge=1)
    """How many of each group."""
    share: float | None = Field(None, gt=0, le=1)
    """Or which share of each group, cut down to a whole number (0.29 of 100 is 28: computers hold a little less)."""
    by: Expr = Field("label_prob", validate_default=True)
    """What to rank by: a column or an expression."""
    per: str | list[str] = "all"
    """The column or columns that make a group; `root` is the real row at the start of the line."""
    lowest: bool = False
    """Keep the lowest instead."""
    equal: bool = False
    """The same number of every group."""

    reasons: ClassVar[tuple[str, ...]] = ("", "below_top_k")

    @model_validator(mode="after")
    def _one_of(self) -> Top:
        if (self.n is None) == (self.share is None):
            raise ValueError(RecipeError("top needs n or share, and not both.", "top: {n: 2, per: root}"))
        return self

    def scope(self) -> tuple[str, ...]:
        return (self.per,) if isinstance(self.per, str) else tuple(self.per)

    def columns(self, records: Sequence[Record], ctx: Context) -> dict[str, np.ndarray]:
        import numpy as np

        found = [self.by(ctx.values(record), ctx.of(record).rng) for record in records]
        try:
            return {"by": np.array([np.nan if v is None else float(v) for v in found], np.float64)}
        except (TypeError, ValueError):
            raise RecipeError(f"top ranks by `{self.by.source}`, which is no number.", "by: label_prob") from None

    def decide(self, columns: Mapping[str, np.ndarray], groups: np.ndarray, ctx: Context) -> np.ndarray:
        import numpy as np

        sizes = np.bincount(groups)
        if self.share is None:
            n = np.full(len(sizes), self.n or 1)
            if self.equal and len(sizes):
                n = np.minimum(n, sizes.min())
        elif self.equal and len(sizes):
            n = np.full(len(sizes), int(len(groups) * self.share) // len(sizes))
        else:
            n = (sizes * self.share).astype(np.int64)
        return (~top(columns["by"], groups, n, lowest=self.lowest)).astype(np.uint8)
