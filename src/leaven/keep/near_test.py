"""No row that stands in the test set, or nearly does: it would make the measurement lie."""

from __future__ import annotations

from collections.abc import Mapping
from functools import lru_cache
from typing import TYPE_CHECKING, Any, ClassVar

from pydantic import Field

from leaven.keep.near import TextIndex
from leaven.operators import Keep, State
from leaven.records import Record

if TYPE_CHECKING:
    from leaven.context import Context, Rows


class NearTest(Keep):
    """Refuse what is equal or near to a test row; the engine puts it at the end of every recipe that has test rows.

    Near is an overlap (Jaccard) of 5-character pieces of at least ``at``, case and blanks folded.

    Needs a text, and test rows to compare with.

    >>> NearTest()({"text": "I lost my card!"}, test=[{"text": "i lost my card"}])
    [{'text': 'I lost my card!', '_reason': 'near_test'}]
    """

    takes: ClassVar[str] = "text"
    at: float = Field(0.8, gt=0, le=1)
    """The overlap from which a row counts as near."""
    on: str | None = None
    """The field to compare; the main text."""

    def fits_on(self) -> tuple[str, ...]:
        return ("test",)

    def fit(self, rows: Mapping[str, Rows], ctx: Context) -> State:
        import numpy as np

        texts = rows["test"].texts([self.on or ""]) if "test" in rows else []
        return {"texts": np.array(texts, dtype=np.str_)}

    def keep(self, record: Record, ctx: Context) -> str:
        index = _index(_Held(ctx.state), self.at)
        return "near_test" if index.near(str(record.get(self.on or "") or "")) else ""


class _Held:
    """A state as a key of a cache: the same one is the same object for as long as a stage runs."""

    def __init__(self, state: Mapping[str, Any]) -> None:
        self.state = state

    def __hash__(self) -> int:
        return id(self.state)

    def __eq__(self, other: object) -> bool:
        return isinstance(other, _Held) and other.state is self.state


@lru_cache(maxsize=2)
def _index(held: _Held, at: float) -> TextIndex:
    index = TextIndex(at)
    for text in held.state["texts"].tolist():
        index.add(text)
    return index
