"""What a run would ask, before it asks anything."""

from __future__ import annotations

from typing import TYPE_CHECKING

from leaven.api.html import card
from leaven.terminal import WIDTH, cut

if TYPE_CHECKING:
    from leaven.engine.plan import Plan as Planned
    from leaven.engine.plan import Range


class Plan:
    """Ranges of calls, tokens and USD; ``planned`` has them a step, with the first prompt of each."""

    def __init__(self, planned: Planned) -> None:
        self.planned = planned

    @property
    def calls(self) -> Range:
        return self.planned.total("calls")

    @property
    def usd(self) -> Range | None:
        """None where a price is not known."""
        return self.planned.usd

    @property
    def prompts(self) -> list[str]:
        """The first prompt of each step that asks, in full."""
        return [text for _, _, text in self.planned.prompts]

    def __repr__(self) -> str:
        stored = f", {self.planned.stored:,} answers stored" if self.planned.stored else ""
        return cut(f"Plan: {_whole(self.calls)} calls, {_money(self.usd)}{stored}, none spent", WIDTH)

    def _repr_html_(self) -> str:
        rows = [
            [x.title, *map(_whole, (x.records, x.calls, x.tokens_in, x.tokens_out)), _money(x.usd)]
            for x in self.planned.lines
        ]
        return card(repr(self), ["step", "records", "calls", "tokens in", "tokens out", "cost"], rows)


def _whole(span: Range) -> str:
    low, high = (f"{round(end):,}" for end in span)
    return low if low == high else f"{low} to {high}"


def _money(span: Range | None) -> str:
    if span is None:
        return "cost not known"
    low, high = (f"{end:.2f}" for end in span)
    return "0 USD" if not any(span) else f"{low} USD" if low == high else f"{low}-{high} USD"
