"""Blanks written anew."""

from __future__ import annotations

from collections.abc import AsyncIterator, Iterator, Mapping
from typing import TYPE_CHECKING, Any, ClassVar, Literal

from pydantic import Field, model_validator

from leaven.errors import RecipeError
from leaven.models.backends.ngram import NgramFill
from leaven.operators import Make, State, Text
from leaven.records import Record
from leaven.text.blanks import BLANK

if TYPE_CHECKING:
    from leaven.context import Context, Rows

_fillers: dict[int, tuple[State, NgramFill]] = {}


class Fill(Make):
    """Fill the blanks of a text, n times; the label stays.

    Its own infiller is an n-gram model learned from the source, which weighs the words of the record's own label.  It
    knows no word that the source does not hold: it recombines.  Follow it with a student that must agree, as in
    `recombine`.  With `by: model` the model of the role fill is asked instead, once for each filling; it is shown the
    text alone, so write the label into `template` where it is to count.  A filling that is empty is refused as `empty`.
    Needs `blanks`, from the step of that name, and for its own infiller texts to learn from.  Makes text.

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
    by: Literal["own", "model"] = "own"
    """Who fills: its own infiller, or the model of the role."""
    model: str | None = None
    """A second model of the role by its nick: `model: large` is `--model fill.large=URI`."""
    whole_words: bool = True
    """Whether a model puts whole words into a blank, and no pieces of words."""
    temperature: float | None = Field(None, ge=0, le=10)
    """How freely a model draws; 0 takes the likeliest."""
    takes: ClassVar[str] = "text"

    @model_validator(mode="after")
    def _for_a_model(self) -> Fill:
        said = [name for name in ("model", "whole_words", "temperature") if name in self.model_fields_set]
        changed = [name for name in said if getattr(self, name) != type(self).model_fields[name].default]
        if changed and self.by == "own":
            raise ValueError(RecipeError(f"`{changed[0]}` of fill is for a model.", "fill: {by: model, ...}"))
        return self

    def awaits(self) -> bool:
        return self.by == "model"

    def needs_state(self) -> bool:
        return self.by == "own"

    def asked(self) -> int:
        return self.n if self.by == "model" else 0

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

    def make(self, record: Record, ctx: Context) -> Iterator[Record] | AsyncIterator[Record]:
        return self._by_model(record, ctx) if self.by == "model" else self._by_own(record, ctx)

    def _by_own(self, record: Record, ctx: Context) -> Iterator[Record]:
        field = self.on or "text"
        filler = _filler(ctx.state)
        text = self.template.render(ctx.values(record), ctx.rng)
        label = record.get(ctx.constants.get("label_field", ""))
        for ordinal in range(self.n):
            filled = filler.fill(text, blank=BLANK, label=label, rng=ctx.rng_of(ordinal + 1))
            yield record.child({field: filled})

    async def _by_model(self, record: Record, ctx: Context) -> AsyncIterator[Record]:
        field = self.on or "text"
        text = ctx.text(self.template, record)
        how = {} if self.temperature is None else {"temperature": self.temperature}
        for _ in range(self.n):
            filled = (await ctx.fill(text, record, blank=BLANK, whole_words=self.whole_words, **how)).strip()
            child = record.child({field: filled})
            yield child if filled else child.refuse("empty")


def _filler(state: State) -> NgramFill:
    """The counts of a state, made once a process."""
    held = _fillers.get(id(state))
    if held is None or held[0] is not state:
        _fillers.clear()
        held = (state, NgramFill([str(t) for t in state["texts"]], [str(v) or None for v in state["labels"]]))
        _fillers[id(state)] = held
    return held[1]
