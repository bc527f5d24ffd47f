"""Blanks written anew."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import TYPE_CHECKING, Any, ClassVar

from pydantic import Field

from leaven.models.backends.ngram import NgramFill
from leaven.operators import Make, State, Text
from leaven.records import Record
from leaven.text.blanks import BLANK

if TYPE_CHECKING:
    from leaven.context import Context, Rows

_fillers: dict[int, tuple[State, NgramFill]] = {}


class Fill(Make):
    """Fill the blanks of a text, n times; the label stays.

    The infiller is an n-gram model learned from the source, which weighs the words of the record's own label.  It
    knows no word that the source does not hold: it recombines.  Follow it with a student that must agree, as in
    `recombine`.  Needs `blanks`, from the step of that name, and texts to learn from.  Makes text.

    >>> desk = [{"text": "lost my card", "label": "card"}, {"text": "lost my key", "label": "key"}]
    >>> [row] = Fill(template="lost my ____")({"text": "lost my bag", "label": "bag"}, source=desk)
    >>> row["text"] in ("lost my card", "lost my key"), row["label"]
    (True, 'bag')
    """

    roles: ClassVar[frozenset[str]] = frozenset({"fill"})
    n: int = Field(1, ge=1, le=50)
    """How many fillings."""
    template: Text = Field("{{ blanks }}", validate_default=True)
    """The text with blanks that is filled."""
    on: str | None = None
    """The field that the filled text becomes; the main text."""
    takes: ClassVar[str] = "text"

    def reads(self) -> frozenset[str]:
        return self.template.names

    def changes(self) -> frozenset[str]:
        return frozenset({self.on or "text"})

    def fit(self, rows: Mapping[str, Rows], ctx: Context) -> State:
        import numpy as np

        [table] = rows.values()
        label = ctx.constants.get("label_field", "")
        labels: list[Any] = table.column(label) if label in table else [None] * len(table)
        return {"texts": np.array(table.texts([self.on or "text"])), "labels": np.array([v or "" for v in labels])}

    def make(self, record: Record, ctx: Context) -> Iterator[Record]:
        field = self.on or "text"
        filler = _filler(ctx.state)
        text = self.template.render(ctx.values(record), ctx.rng)
        label = record.get(ctx.constants.get("label_field", ""))
        for ordinal in range(self.n):
            filled = filler.fill(text, blank=BLANK, label=label, rng=ctx.rng_of(ordinal + 1))
            yield record.child({field: filled})


def _filler(state: State) -> NgramFill:
    """The counts of a state, made once a process."""
    held = _fillers.get(id(state))
    if held is None or held[0] is not state:
        _fillers.clear()
        held = (state, NgramFill([str(t) for t in state["texts"]], [str(v) or None for v in state["labels"]]))
        _fillers[id(state)] = held
    return held[1]
