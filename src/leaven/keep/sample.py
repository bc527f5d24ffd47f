"""A random n, or a random share, of each group."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, ClassVar

from pydantic import Field, model_validator

from leaven.errors import RecipeError
from leaven.keep.top import top
from leaven.operators import Keep
from leaven.records import Record

if TYPE_CHECKING:
    import numpy as np

    from leaven.context import Context


class Sample(Keep):
    """Draw n records, or a share, of each group; which ones depends on the seed and their ids alone.

    Needs nothing but the columns of `per`.

    >>> Sample(1, per="label")({"text": "lost my card", "label": "card"})
    [{'text': 'lost my card', 'label': 'card'}]
    """

    n: int | None = Field(None, ge=1)
    """How many of each group."""
    share: float | None = Field(None, gt=0, le=1)
    """Or which share of each group, rounded, at least 1."""
    per: str | list[str] = "all"
    """The column or columns that make a group."""

    reasons: ClassVar[tuple[str, ...]] = ("", "not_drawn")

    @model_validator(mode="after")
    def _one_of(self) -> Sample:
        if (self.n is None) == (self.share is None):
            raise ValueError(RecipeError("sample needs n or share, and not both.", "sample: 500"))
        return self

    def scope(self) -> tuple[str, ...]:
        return (self.per,) if isinstance(self.per, str) else tuple(self.per)

    def columns(self, records: Sequence[Record], ctx: Context) -> dict[str, np.ndarray]:
        import numpy as np

        return {"drawn": np.array([ctx.of(record).rng.random() for record in records], np.float64)}

    def decide(self, columns: Mapping[str, np.ndarray], groups: np.ndarray, ctx: Context) -> np.ndarray:
        import numpy as np

        sizes = np.bincount(groups)
        if self.share is not None:
            n = np.maximum(1, np.rint(sizes * self.share)).astype(np.int64)
        else:
            n = np.full(len(sizes), self.n or 1)
        return (~top(columns["drawn"], groups, n, lowest=True)).astype(np.uint8)
